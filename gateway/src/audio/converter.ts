import { invalidField } from "../call/call-error.js";
import type { AudioFormat } from "../dispatch/agent-port.js";
import { decodeG711, encodeG711 } from "./g711.js";
import { bytesToSamples, samplesToBytes } from "./pcm.js";
import { Resampler } from "./resampler.js";

/** Turns an agent's audio into the call's. One per seat and direction; keeps the odd byte and the filter's past. */
export interface AudioDecoder {
  /** True when s16le passes as it is: then the result is the input's own memory, unless an odd byte was carried. */
  readonly passThrough: boolean;
  /** The next bytes of the stream as s16le at the call's rate. The caller copies before it returns to the wire. */
  decode(bytes: Uint8Array): Uint8Array;
  /** Forgets the odd byte and the past: at a clear, a gap, a new epoch. */
  reset(): void;
}

/** Turns a call's audio into the format of a receiver. One per receiver. */
export interface AudioEncoder {
  readonly passThrough: boolean;
  /**
   * The next whole samples (s16le at the call's rate) in the receiver's format. The result may be kept: it is new memory,
   * or the input itself when the format is the same.
   */
  encode(pcm: Uint8Array): Uint8Array;
  /** Forgets the past: at a gap, a new epoch. */
  reset(): void;
}

/** Throws INVALID_FIELD unless the format is one that the gateway converts: s16le at 8, 16 or 24 kHz, G.711 at 8 kHz. */
export function requireFormat(format: AudioFormat): void {
  if (format.encoding === "S16LE") {
    if (![8000, 16000, 24000].includes(format.sampleRateHz))
      throw invalidField("audio_format.sample_rate_hz", "8000, 16000 or 24000", format.sampleRateHz);
  } else if (format.sampleRateHz !== 8000) {
    throw invalidField(
      "audio_format.sample_rate_hz",
      `8000 with ${format.encoding.toLowerCase()}`,
      format.sampleRateHz,
    );
  }
}

/** Makes the decoder from an agent's format to s16le at `toRateHz`. Throws INVALID_FIELD for formats unknown. */
export function createDecoder(from: AudioFormat, toRateHz: number): AudioDecoder {
  requireFormat(from);
  requireFormat({ encoding: "S16LE", sampleRateHz: toRateHz });
  const resampler = from.sampleRateHz === toRateHz ? undefined : new Resampler(from.sampleRateHz, toRateHz);
  const { encoding } = from;
  if (encoding !== "S16LE") {
    return {
      passThrough: false,
      decode(bytes) {
        const samples = decodeG711(encoding, bytes);
        return samplesToBytes(resampler ? resampler.process(samples) : samples);
      },
      reset: () => resampler?.reset(),
    };
  }
  const carry = new OddByteCarry();
  return {
    passThrough: !resampler,
    decode(bytes) {
      const whole = carry.take(bytes);
      return resampler ? samplesToBytes(resampler.process(bytesToSamples(whole))) : whole;
    },
    reset() {
      carry.reset();
      resampler?.reset();
    },
  };
}

/** Makes the encoder from s16le at `fromRateHz` to a receiver's format. Throws INVALID_FIELD for formats unknown. */
export function createEncoder(fromRateHz: number, to: AudioFormat): AudioEncoder {
  requireFormat(to);
  requireFormat({ encoding: "S16LE", sampleRateHz: fromRateHz });
  const resampler = fromRateHz === to.sampleRateHz ? undefined : new Resampler(fromRateHz, to.sampleRateHz);
  const { encoding } = to;
  const passThrough = !resampler && encoding === "S16LE";
  return {
    passThrough,
    encode(pcm) {
      if (passThrough) return pcm;
      const samples = bytesToSamples(pcm);
      const atRate = resampler ? resampler.process(samples) : samples;
      return encoding === "S16LE" ? samplesToBytes(atRate) : encodeG711(encoding, atRate);
    },
    reset: () => resampler?.reset(),
  };
}

/** Cuts a stream of s16le bytes into whole samples. */
class OddByteCarry {
  private byte = -1;

  take(bytes: Uint8Array): Uint8Array {
    if (this.byte < 0 && bytes.length % 2 === 0) return bytes;
    let joined = bytes;
    if (this.byte >= 0) {
      joined = new Uint8Array(bytes.length + 1);
      joined[0] = this.byte;
      joined.set(bytes, 1);
    }
    const odd = joined.length % 2 === 1;
    this.byte = odd ? (joined[joined.length - 1] as number) : -1;
    return odd ? joined.subarray(0, joined.length - 1) : joined;
  }

  reset(): void {
    this.byte = -1;
  }
}
