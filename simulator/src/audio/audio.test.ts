import { describe, expect, it } from "vitest";
import { makeTone, rms, silenceGaps, soundSpans, toneAmplitude, toneSpans } from "./analysis.js";
import { mixFrames } from "./mix.js";
import { resample } from "./resample.js";
import { decodeWav, encodeWav } from "./wav.js";

describe("mixFrames()", () => {
  it("passes one source on unchanged, adds several, clips, and says when it is silent", () => {
    const out = new Int16Array(4);
    const a = Int16Array.from([1, -2, 30000, -30000]);
    const b = Int16Array.from([1, 1, 30000, -30000]);
    expect(mixFrames(out, null, a)).toBe(true);
    expect([...out]).toEqual([...a]);
    expect(mixFrames(out, a, b)).toBe(true);
    expect([...out]).toEqual([2, -1, 32767, -32768]);
    mixFrames(out, a, b, Int16Array.from([5, 5, -30000, 0]));
    expect([...out]).toEqual([7, 4, 30000, -32768]);
    expect(mixFrames(out, null)).toBe(false);
    expect([...out]).toEqual([0, 0, 0, 0]);
  });
});

describe("analysis", () => {
  const rate = 16000;
  const audio = new Int16Array(rate);
  audio.set(makeTone(440, 0.2, rate, 5000), rate * 0.2);
  audio.set(makeTone(440, 0.2, rate, 5000), rate * 0.6);

  it("measures a tone's amplitude, and not that of another frequency", () => {
    const window = { fromMs: 220, toMs: 380 };
    expect(toneAmplitude(audio, rate, 440, window)).toBeCloseTo(5000, -3);
    expect(toneAmplitude(audio, rate, 1200, window)).toBeLessThan(200);
    expect(rms(audio, rate, window)).toBeCloseTo(5000 / Math.SQRT2, -2);
  });

  it("finds when sound begins and ends, and the gaps between", () => {
    const spans = [
      { startMs: 200, endMs: 400 },
      { startMs: 600, endMs: 800 },
    ];
    expect(soundSpans(audio, rate)).toEqual(spans);
    expect(toneSpans(audio, rate, 440)).toEqual(spans);
    expect(toneSpans(audio, rate, 440, { bridgeMs: 300 })).toEqual([{ startMs: 200, endMs: 800 }]);
    expect(silenceGaps(audio, rate)).toEqual([{ startMs: 400, endMs: 600 }]);
    expect(silenceGaps(audio, rate, { minGapMs: 300 })).toEqual([]);
  });
});

describe("resample()", () => {
  it.each([
    [16000, 8000],
    [16000, 24000],
    [22050, 16000],
  ])("keeps a tone from %i to %i Hz", (from, to) => {
    const out = resample(makeTone(1000, 0.5, from, 8000), from, to);
    expect(out.length).toBe(to * 0.5);
    expect(toneAmplitude(out, to, 1000, { fromMs: 50, toMs: 450 })).toBeGreaterThan(7700);
  });

  it("removes what the lower rate cannot carry", () => {
    const out = resample(makeTone(6000, 0.5, 16000, 8000), 16000, 8000);
    expect(rms(out, 8000, { fromMs: 50, toMs: 450 })).toBeLessThan(100);
  });
});

describe("WAV", () => {
  it("reads what it writes", () => {
    const samples = makeTone(300, 0.1, 8000);
    const read = decodeWav(encodeWav({ sampleRate: 8000, samples }));
    expect(read.sampleRate).toBe(8000);
    expect(read.samples).toEqual(samples);
  });

  it("refuses what is not a 16-bit WAV file", () => {
    expect(() => decodeWav(Buffer.from("hello"))).toThrow("not a WAV file");
    const file = encodeWav({ sampleRate: 8000, samples: new Int16Array(2) });
    file.writeUInt16LE(8, 34);
    expect(() => decodeWav(file)).toThrow("16-bit");
  });
});
