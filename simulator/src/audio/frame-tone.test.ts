import { describe, expect, it } from "vitest";
import { decodeFrameTone, encodeFrameTone } from "./frame-tone.js";
import { mixFrames, samplesPerFrame } from "./mix.js";

const RATES = [8000, 16000, 24000] as const;

function join(parts: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function numbered(from: number, count: number, rate: number, band: "a" | "b" = "a"): Int16Array {
  return join(Array.from({ length: count }, (_, i) => encodeFrameTone(from + i, rate, band)));
}

/** G.711 µ-law and back. */
function muLaw(sample: number): number {
  const sign = sample < 0 ? -1 : 1;
  const magnitude = Math.min(32635, Math.abs(sample)) + 132;
  const exponent = Math.max(0, Math.floor(Math.log2(magnitude)) - 7);
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return sign * ((((mantissa << 3) + 132) << exponent) - 132);
}

describe("frame tone", () => {
  it.each(RATES)("gives every number back, exactly, at %i Hz", (rate) => {
    const frames = decodeFrameTone(numbered(0, 300, rate), rate);
    expect(frames.map(({ number }) => number)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(frames.every(({ exact }) => exact)).toBe(true);
    expect(frames.map(({ startSample }) => startSample)).toEqual(
      Array.from({ length: 300 }, (_, i) => i * samplesPerFrame(rate)),
    );
  });

  it.each([0, 1, 255, 256, 4095, 32768, 65535])("carries %i", (number) => {
    expect(decodeFrameTone(encodeFrameTone(number, 8000), 8000)[0]).toMatchObject({ number, exact: true });
  });

  it.each(RATES)("reads no other number into the part of a first frame at %i Hz", (rate) => {
    // 300 looks like 319 when only its first milliseconds are in the window.
    for (let silence = 0; silence < samplesPerFrame(rate); silence += rate / 2000) {
      for (const first of [300, 500, 1000]) {
        const audio = join([new Int16Array(silence), numbered(first, 3, rate)]);
        const numbers = decodeFrameTone(audio, rate).map(({ number }) => number);
        expect(numbers).toEqual([first, first + 1, first + 2]);
      }
    }
  });

  it.each(RATES)("finds frames after silence of any length and across gaps at %i Hz", (rate) => {
    const silences = [1, 7, 33, 159, 481, 1000];
    for (const silence of silences) {
      const audio = join([
        new Int16Array(silence),
        numbered(10, 5, rate),
        new Int16Array(silence * 3),
        numbered(20, 5, rate),
        new Int16Array(50),
      ]);
      const frames = decodeFrameTone(audio, rate);
      expect(frames.map(({ number }) => number)).toEqual([10, 11, 12, 13, 14, 20, 21, 22, 23, 24]);
      expect(frames[0]?.startSample).toBe(silence);
      expect(frames.every(({ exact }) => exact)).toBe(true);
    }
  });

  it("reads both bands out of one mix", () => {
    const a = numbered(100, 40, 16000, "a");
    const b = numbered(7, 40, 16000, "b");
    const mix = new Int16Array(a.length);
    mixFrames(mix, a, b);
    expect(decodeFrameTone(mix, 16000, "a").map(({ number }) => number)).toEqual(
      Array.from({ length: 40 }, (_, i) => 100 + i),
    );
    expect(decodeFrameTone(mix, 16000, "b").map(({ number }) => number)).toEqual(
      Array.from({ length: 40 }, (_, i) => 7 + i),
    );
    expect(decodeFrameTone(mix, 16000, "a").some(({ exact }) => exact)).toBe(false);
  });

  it("survives µ-law and half the level", () => {
    const audio = numbered(500, 20, 8000).map((sample) => muLaw(Math.round(sample / 2)));
    const frames = decodeFrameTone(audio, 8000);
    expect(frames.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, i) => 500 + i));
    expect(frames.some(({ exact }) => exact)).toBe(false);
  });

  it("finds nothing in silence, noise or a pure tone", () => {
    expect(decodeFrameTone(new Int16Array(16000), 16000)).toEqual([]);
    let seed = 1;
    const noise = Int16Array.from({ length: 16000 }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed >>> 16) - 32768;
    });
    expect(decodeFrameTone(noise, 16000)).toEqual([]);
    const tone = Int16Array.from({ length: 16000 }, (_, i) => Math.round(8000 * Math.sin(i / 5)));
    expect(decodeFrameTone(tone, 16000)).toEqual([]);
  });
});
