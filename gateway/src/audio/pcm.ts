import { endianness } from "node:os";

/** A rate of call audio in Hz. */
export type CallRateHz = 8000 | 16000 | 24000;

/** The rates of call audio, in Hz. */
export const CALL_RATES_HZ: readonly CallRateHz[] = [8000, 16000, 24000];

const LITTLE = endianness() === "LE";

/** s16le bytes as samples. A view of the same memory where alignment allows, else a copy; a last odd byte is left out. */
export function bytesToSamples(bytes: Uint8Array): Int16Array {
  const count = bytes.length >> 1;
  if (LITTLE && bytes.byteOffset % 2 === 0) return new Int16Array(bytes.buffer, bytes.byteOffset, count);
  const samples = new Int16Array(count);
  if (LITTLE) new Uint8Array(samples.buffer).set(bytes.subarray(0, count * 2));
  else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, count * 2);
    for (let i = 0; i < count; i++) samples[i] = view.getInt16(i * 2, true);
  }
  return samples;
}

/** Samples as s16le bytes: a view of the same memory (a copy on big-endian machines). */
export function samplesToBytes(samples: Int16Array): Uint8Array {
  if (LITTLE) return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, i) => {
    view.setInt16(i * 2, sample, true);
  });
  return bytes;
}
