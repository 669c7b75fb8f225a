import { describe, expect, it } from "vitest";
import { findAudio, longestSilence, loudness, trimSilence } from "./audio-match.js";
import { RATE, speakNoise } from "./testing/made-evidence.js";

const options = { sampleRateHz: RATE };
const piece = await speakNoise("a sentence that is to be found", "slt");
const trimmed = trimSilence(piece);
const lengthMs = (trimmed.length * 1000) / RATE;

function recording(seconds: number): Int16Array {
  return new Int16Array(seconds * RATE);
}

describe("findAudio", () => {
  it("finds a copy, whole", () => {
    const heard = recording(3);
    heard.set(trimmed, RATE);
    expect(findAudio(piece, heard, options)).toEqual({
      startMs: 1000,
      endMs: 1000 + lengthMs,
      share: 1,
      missingMs: 0,
      holesMs: 0,
    });
  });

  it("finds the first of two, or the first from a time on", () => {
    const heard = recording(6);
    heard.set(trimmed, RATE);
    heard.set(trimmed, 4 * RATE);
    expect(findAudio(piece, heard, options)?.startMs).toBe(1000);
    expect(findAudio(piece, heard, { ...options, fromMs: 1100 })?.startMs).toBe(4000);
    expect(findAudio(piece, heard, { ...options, toMs: 1200 })?.share).toBeLessThan(0.5);
  });

  it("does not find another sentence, or a distorted one", async () => {
    const heard = recording(3);
    heard.set(await speakNoise("a sentence that is to be frowned", "slt"), RATE);
    expect(findAudio(piece, heard, options)).toBeUndefined();
    heard.set(
      trimmed.map((sample) => sample * 0.9),
      RATE,
    );
    expect(findAudio(piece, heard, options)).toBeUndefined();
  });

  it.each([
    ["its end", (heard: Int16Array) => heard.fill(0, RATE + trimmed.length / 2)],
    ["its beginning", (heard: Int16Array) => heard.fill(0, 0, RATE + trimmed.length / 2)],
  ])("tells the share when %s is missing", (_what, cut) => {
    const heard = recording(3);
    heard.set(trimmed, RATE);
    cut(heard);
    const share = findAudio(piece, heard, options)?.share ?? 0;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.51);
  });

  it("passes over a hole in a quiet beginning", () => {
    const quiet = Int16Array.from(trimmed, (sample, i) => (i < 600 ? sample / 100 : sample));
    const heard = recording(4);
    heard.set(quiet.subarray(0, 300), RATE);
    heard.set(quiet.subarray(300), RATE + 300 + 480);
    expect(findAudio(quiet, heard, options)).toMatchObject({ startMs: 1000, share: 1, holesMs: 60 });
  });

  it("passes over a hole, but not over one that is too long", () => {
    const heard = recording(4);
    heard.set(trimmed.subarray(0, 2000), RATE);
    heard.set(trimmed.subarray(2000), RATE + 2000 + 800);
    expect(findAudio(piece, heard, options)).toMatchObject({ share: 1, holesMs: 100 });
    expect(findAudio(piece, heard, { ...options, maxHoleMs: 50 })?.share).toBeLessThan(1);
  });
});

describe("longestSilence", () => {
  it("counts the ends of the window", () => {
    const heard = recording(4);
    heard.fill(1000, RATE, 2 * RATE);
    expect(longestSilence(heard, RATE, 0, 4000)).toEqual({ startMs: 2000, endMs: 4000 });
    expect(longestSilence(heard, RATE, 0, 2000)).toEqual({ startMs: 0, endMs: 1000 });
    expect(longestSilence(heard, RATE, 1000, 2000)).toEqual({ startMs: 1000, endMs: 1000 });
  });

  it("takes what is recorded no longer for silence", () => {
    expect(longestSilence(recording(1), RATE, 0, 3000).endMs).toBe(3000);
  });
});

describe("loudness", () => {
  it("is the root mean square", () => {
    expect(loudness(Int16Array.from([300, -300]))).toBe(300);
    expect(loudness(new Int16Array(0))).toBe(0);
  });
});
