import { bytesToSamples, CALL_RATES_HZ } from "./pcm.js";

/** A WAV file that cannot be used; the message says what it is and what is needed. */
export class WavError extends Error {
  override readonly name = "WavError";
}

/** The audio of a WAV file. */
export interface WavAudio {
  readonly sampleRateHz: number;
  /** Mono, s16. */
  readonly samples: Int16Array;
}

const PCM = 1;
const EXTENSIBLE = 0xfffe;
const NEEDED = "needed is 16-bit PCM, mono, at 8000, 16000 or 24000 Hz";

/**
 * Reads a RIFF/WAVE file of 16-bit PCM, mono, 8, 16 or 24 kHz. Other chunks are passed over; a data chunk of unknown
 * length (a pipe wrote it) reaches to the end of the file. Throws WavError.
 */
export function readWav(file: Uint8Array): WavAudio {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 12 || tag(file, 0) !== "RIFF" || tag(file, 8) !== "WAVE")
    throw new WavError(`not a WAV file; ${NEEDED}`);
  let sampleRateHz = 0;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = tag(file, at);
    const size = view.getUint32(at + 4, true);
    const begin = at + 8;
    if (name === "fmt ") {
      if (size < 16 || begin + size > file.length) throw new WavError("the format chunk is cut off");
      sampleRateHz = readFormat(view, begin, size);
    } else if (name === "data") {
      if (sampleRateHz === 0) throw new WavError("the data comes before the format");
      const open = size === 0xffff_ffff || size === 0;
      if (!open && begin + size > file.length)
        throw new WavError(`cut off: ${size} bytes of audio announced, ${file.length - begin} there`);
      const data = file.slice(begin, open ? file.length : begin + size);
      return { sampleRateHz, samples: bytesToSamples(Uint8Array.from(data)) };
    }
    at = begin + size + (size % 2);
  }
  throw new WavError(sampleRateHz === 0 ? "no format chunk" : "no audio in it");
}

function readFormat(view: DataView, begin: number, size: number): number {
  let code = view.getUint16(begin, true);
  if (code === EXTENSIBLE && size >= 26) code = view.getUint16(begin + 24, true);
  const channels = view.getUint16(begin + 2, true);
  const rate = view.getUint32(begin + 4, true);
  const bits = view.getUint16(begin + 14, true);
  if (code !== PCM || bits !== 16) throw new WavError(`format ${code} with ${bits} bits; ${NEEDED}`);
  if (channels !== 1) throw new WavError(`${channels} channels; ${NEEDED}`);
  if (!(CALL_RATES_HZ as readonly number[]).includes(rate)) throw new WavError(`${rate} Hz; ${NEEDED}`);
  return rate;
}

/** Makes a WAV file of s16le bytes. `channels` interleaved; any rate. */
export function writeWav(pcm: Uint8Array, sampleRateHz: number, channels = 1): Uint8Array {
  const file = new Uint8Array(44 + pcm.length);
  const view = new DataView(file.buffer);
  const text = (at: number, value: string): void => {
    for (let i = 0; i < value.length; i++) file[at + i] = value.charCodeAt(i);
  };
  text(0, "RIFF");
  view.setUint32(4, 36 + pcm.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, pcm.length, true);
  file.set(pcm, 44);
  return file;
}

function tag(file: Uint8Array, at: number): string {
  return String.fromCharCode(...file.subarray(at, at + 4));
}
