package dev.callweave;

import com.google.protobuf.Duration;
import com.google.protobuf.ListValue;
import com.google.protobuf.NullValue;
import com.google.protobuf.ProtocolMessageEnum;
import com.google.protobuf.Struct;
import com.google.protobuf.Timestamp;
import com.google.protobuf.Value;
import dev.callweave.v1.PlaybackPosition;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;

/** Between the types of the contract and those of this library. */
final class Convert {
  private Convert() {}

  /**
   * The constant of the same name without the prefix that the contract gives; null for "not given"
   * and for values newer than this library.
   */
  static <E extends Enum<E>> E named(Class<E> type, String prefix, Enum<?> value) {
    String name = value.name();
    if (!name.startsWith(prefix)) {
      return null;
    }
    String rest = name.substring(prefix.length());
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equals(rest)) {
        return constant;
      }
    }
    return null;
  }

  /** The value of the contract for a constant; the "not given" one for null. */
  static <P extends Enum<P> & ProtocolMessageEnum> P wire(
      Class<P> type, String prefix, Enum<?> value) {
    return Enum.valueOf(type, prefix + (value == null ? "UNSPECIFIED" : value.name()));
  }

  static double ms(Duration duration) {
    return duration.getSeconds() * 1e3 + duration.getNanos() / 1e6;
  }

  static java.time.Duration time(Duration duration) {
    return java.time.Duration.ofSeconds(duration.getSeconds(), duration.getNanos());
  }

  static java.time.Duration time(double ms) {
    return java.time.Duration.ofNanos(Math.round(ms * 1e6));
  }

  static Duration duration(java.time.Duration time) {
    return Duration.newBuilder().setSeconds(time.getSeconds()).setNanos(time.getNano()).build();
  }

  static Timestamp timestamp(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }

  static AudioFormat format(dev.callweave.v1.AudioFormat format, int callRate) {
    AudioEncoding encoding = named(AudioEncoding.class, "AUDIO_ENCODING_", format.getEncoding());
    if (encoding == null) {
      encoding = AudioEncoding.S16LE;
    }
    int rate = format.getSampleRateHertz();
    if (rate == 0) {
      rate = encoding == AudioEncoding.S16LE ? callRate : 8_000;
    }
    return new AudioFormat(encoding, rate == 0 ? 16_000 : rate);
  }

  static dev.callweave.v1.AudioFormat format(AudioFormat format) {
    return dev.callweave.v1.AudioFormat.newBuilder()
        .setEncoding(
            wire(dev.callweave.v1.AudioEncoding.class, "AUDIO_ENCODING_", format.encoding()))
        .setSampleRateHertz(format.sampleRateHertz())
        .build();
  }

  static AudioChunk.Gap gap(dev.callweave.v1.AudioGap gap, int rate) {
    AudioChunk.GapReason reason =
        named(AudioChunk.GapReason.class, "AUDIO_GAP_REASON_", gap.getReason());
    return new AudioChunk.Gap(
        time(gap.getDuration()),
        reason == null ? AudioChunk.GapReason.UNSPECIFIED : reason,
        gap.getFrom(),
        at(gap.getFrom(), rate));
  }

  /** A position in samples as a time. */
  static java.time.Duration at(long samples, int rate) {
    return time(samples * 1e3 / (rate == 0 ? 16_000 : rate));
  }

  /** Null when nothing was said, or when the outcome is newer than this library. */
  static EscalationResult escalation(dev.callweave.v1.EscalationResult result) {
    EscalationOutcome outcome =
        named(EscalationOutcome.class, "ESCALATION_OUTCOME_", result.getOutcome());
    return outcome == null
        ? null
        : new EscalationResult(outcome, durability(result.getDurability()));
  }

  static Durability durability(dev.callweave.v1.ContextDurability durability) {
    return named(Durability.class, "CONTEXT_DURABILITY_", durability);
  }

  static EndReason endReason(dev.callweave.v1.EndReason reason) {
    return named(EndReason.class, "END_REASON_", reason);
  }

  /** A position in milliseconds. */
  static PlaybackQueue.Position position(PlaybackPosition position) {
    return new PlaybackQueue.Position(
        ms(position.getQueued()), ms(position.getUnheardAtProvider()), ms(position.getPlayed()));
  }

  /** Maps, lists, texts, numbers, booleans and null as JSON would have them. */
  static Struct struct(Map<String, ?> data) {
    Struct.Builder struct = Struct.newBuilder();
    data.forEach((key, value) -> struct.putFields(key, value(key, value)));
    return struct.build();
  }

  private static Value value(String field, Object value) {
    if (value == null) {
      return Value.newBuilder().setNullValue(NullValue.NULL_VALUE).build();
    }
    if (value instanceof Boolean flag) {
      return Value.newBuilder().setBoolValue(flag).build();
    }
    if (value instanceof Number number) {
      return Value.newBuilder().setNumberValue(number.doubleValue()).build();
    }
    if (value instanceof CharSequence || value instanceof Enum<?>) {
      return Value.newBuilder().setStringValue(value.toString()).build();
    }
    if (value instanceof Map<?, ?> map) {
      Struct.Builder struct = Struct.newBuilder();
      map.forEach((key, entry) -> struct.putFields(String.valueOf(key), value(field, entry)));
      return Value.newBuilder().setStructValue(struct).build();
    }
    if (value instanceof Iterable<?> list) {
      ListValue.Builder values = ListValue.newBuilder();
      list.forEach(entry -> values.addValues(value(field, entry)));
      return Value.newBuilder().setListValue(values).build();
    }
    String rule = "made of maps, lists, texts, numbers, booleans and null";
    throw Errors.invalidField(
        "data." + field, rule, value.getClass().getName().toLowerCase(Locale.ROOT));
  }
}
