import dev.callweave.AudioChunk;
import dev.callweave.Call;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Iterator;

/** Reads, writes and says back audio. */
final class AudioActions {
  private AudioActions() {}

  /** Appends audio to a file, reports gaps. */
  static void record(Iterable<AudioChunk> audio, String call, String file) throws IOException {
    try (OutputStream out = new FileOutputStream(file, true)) {
      for (AudioChunk chunk : audio) {
        if (chunk instanceof AudioChunk.Pcm pcm) {
          out.write(pcm.pcm());
        } else if (chunk instanceof AudioChunk.Gap gap) {
          report(call, gap);
        }
      }
    }
  }

  /** Plays back what the call says; the first milliseconds are held back once. */
  static void echo(Call call, long keepBackMs) {
    double keepBack = keepBackMs * call.audioFormat().sampleRateHertz() * 0.002;
    ByteArrayOutputStream early = new ByteArrayOutputStream();
    boolean begun = false;
    for (AudioChunk chunk : call.audio()) {
      if (chunk instanceof AudioChunk.Gap gap) {
        report(call.id(), gap);
      } else if (chunk instanceof AudioChunk.Pcm pcm && begun) {
        call.play(pcm.pcm()).await();
      } else if (chunk instanceof AudioChunk.Pcm pcm) {
        early.writeBytes(pcm.pcm());
        if (early.size() >= keepBack) {
          begun = true;
          call.play(early.toByteArray()).await();
        }
      }
    }
  }

  /** The pieces of some audio. */
  static Iterable<byte[]> pieces(byte[] audio, int size) {
    return () ->
        new Iterator<>() {
          private int at;

          @Override
          public boolean hasNext() {
            return at < audio.length;
          }

          @Override
          public byte[] next() {
            int from = at;
            at = Math.min(audio.length, at + size);
            return Arrays.copyOfRange(audio, from, at);
          }
        };
  }

  private static void report(String call, AudioChunk.Gap gap) {
    Io.print(
        "event", "gap",
        "call", call,
        "gapMs", gap.duration().toNanos() / 1e6,
        "reason", gap.reason().name());
  }
}
