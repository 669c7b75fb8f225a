import { describe, expect, it } from "vitest";
import { samplesToBytes } from "./pcm.js";
import { readWav, WavError, writeWav } from "./wav.js";

const samples = Int16Array.of(0, 1, -1, 32_767, -32_768);
const file = () => writeWav(samplesToBytes(samples), 16_000);

function patched(at: number, ...values: number[]): Uint8Array {
  const copy = file();
  copy.set(values, at);
  return copy;
}

describe("wav", () => {
  it("reads what it wrote", () => {
    expect(readWav(file())).toEqual({ sampleRateHz: 16_000, samples });
  });

  it("reads from memory that is not aligned", () => {
    const shifted = new Uint8Array(file().length + 1);
    shifted.set(file(), 1);
    expect(readWav(shifted.subarray(1)).samples).toEqual(samples);
    expect(readWav(Buffer.from(file())).samples).toEqual(samples);
  });

  it("passes over other chunks, also of odd length", () => {
    const plain = file();
    const chunk = [...Buffer.from("LIST"), 3, 0, 0, 0, 1, 2, 3, 0];
    const mixed = Uint8Array.from([...plain.subarray(0, 36), ...chunk, ...plain.subarray(36)]);
    expect(readWav(mixed).samples).toEqual(samples);
  });

  it("reads a file of unknown length to its end", () => {
    expect(readWav(patched(40, 0xff, 0xff, 0xff, 0xff)).samples).toEqual(samples);
  });

  it.each([
    ["no WAV", Uint8Array.of(1, 2, 3), /not a WAV file; needed is 16-bit PCM/],
    ["stereo", patched(22, 2), /2 channels/],
    ["8 bits", patched(34, 8), /format 1 with 8 bits/],
    ["µ-law", patched(20, 7), /format 7 with 16 bits/],
    ["44.1 kHz", patched(24, 0x44, 0xac, 0, 0), /44100 Hz/],
    ["cut off", file().subarray(0, 50), /cut off: 10 bytes of audio announced, 6 there/],
    ["no data", file().subarray(0, 36), /no audio in it/],
    ["no format", patched(12, 0x4a), /the data comes before the format/],
  ])("says what is wrong: %s", (_name, bytes, message) => {
    expect(() => readWav(bytes)).toThrow(message);
    expect(() => readWav(bytes)).toThrow(WavError);
  });
});
