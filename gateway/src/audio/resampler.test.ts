import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Resampler, resampleAll } from "./resampler.js";

const PAIRS = [
  [8000, 16000],
  [8000, 24000],
  [16000, 8000],
  [16000, 24000],
  [24000, 8000],
  [24000, 16000],
] as const;

function tone(rateHz: number, frequencyHz: number, samples: number, amplitude = 16_000): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * frequencyHz * i) / rateHz)),
  );
}

/** RMS of the middle, in dB against a sine of `amplitude`. */
function levelDb(samples: Int16Array, amplitude = 16_000): number {
  const middle = samples.subarray(samples.length / 4, (samples.length * 3) / 4);
  const power = middle.reduce((sum, s) => sum + s * s, 0) / middle.length;
  return 10 * Math.log10(Math.max(power, 1e-9) / (amplitude ** 2 / 2));
}

/** What is left in dB after the best sine of the frequency is taken out. */
function residueDb(samples: Int16Array, rateHz: number, frequencyHz: number): number {
  const middle = samples.slice(rateHz / 8, rateHz / 8 + rateHz / 2);
  let [re, im] = [0, 0];
  const at = (i: number) => (2 * Math.PI * frequencyHz * i) / rateHz;
  middle.forEach((s, i) => {
    re += s * Math.cos(at(i));
    im += s * Math.sin(at(i));
  });
  re *= 2 / middle.length;
  im *= 2 / middle.length;
  const power =
    middle.reduce((sum, s, i) => sum + (s - re * Math.cos(at(i)) - im * Math.sin(at(i))) ** 2, 0) /
    middle.length;
  return 10 * Math.log10(power / (16_000 ** 2 / 2));
}

describe.each(PAIRS)("Resampler / %i to %i", (from, to) => {
  const low = Math.min(from, to);

  it("is flat in the passband and adds nothing there", () => {
    for (const share of [0.0125, 0.05, 0.125, 0.25, 0.375, 0.42]) {
      const frequency = share * low;
      const out = resampleAll(tone(from, frequency, from), from, to);
      expect(Math.abs(levelDb(out)), `${frequency} Hz`).toBeLessThan(0.1);
      expect(residueDb(out, to, frequency), `${frequency} Hz`).toBeLessThan(-65);
    }
  });

  it("delays by at most 5 ms", () => {
    const resampler = new Resampler(from, to);
    const impulse = new Int16Array(from / 10);
    impulse[0] = 30_000;
    const out = resampler.process(impulse);
    const peak = out.reduce((best, s, i) => (Math.abs(s) > Math.abs(out[best] as number) ? i : best), 0);
    expect(peak).toBe(resampler.delaySamples);
    expect((peak * 1000) / to).toBeLessThanOrEqual(5);
  });

  it("has linear phase: the answer to an impulse is symmetrical", () => {
    const resampler = new Resampler(from, to);
    const impulse = new Int16Array(from / 10);
    impulse[0] = 30_000;
    const out = resampler.process(impulse);
    const { delaySamples } = resampler;
    for (let i = 0; i <= delaySamples; i++)
      expect(Math.abs((out[delaySamples - i] as number) - (out[delaySamples + i] as number))).toBeLessThan(2);
  });

  it("gives the same bits however the input is cut", () => {
    const input = Int16Array.from({ length: 3000 }, (_, i) => ((i * 7919) % 65_536) - 32_768);
    const whole = new Resampler(from, to).process(input);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 30 }), (cuts) => {
        const resampler = new Resampler(from, to);
        const parts: number[] = [];
        let at = 0;
        for (const cut of [...cuts, input.length]) {
          parts.push(...resampler.process(input.subarray(at, at + cut)));
          at = Math.min(input.length, at + cut);
        }
        expect(Int16Array.from(parts)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  it("begins anew after reset", () => {
    const input = tone(from, 300, 1000);
    const resampler = new Resampler(from, to);
    const first = resampler.process(input);
    resampler.process(input.subarray(0, 101));
    resampler.reset();
    expect(resampler.process(input)).toEqual(first);
  });

  it("keeps silence and an offset, and clips what is too loud", () => {
    expect(new Resampler(from, to).process(new Int16Array(500)).every((s) => s === 0)).toBe(true);
    const offset = resampleAll(new Int16Array(2000).fill(1234), from, to);
    expect(offset.subarray(offset.length / 4, offset.length / 2).every((s) => s === 1234)).toBe(true);
    const square = Int16Array.from({ length: 2000 }, (_, i) => (i % 40 < 20 ? 32_767 : -32_768));
    const loud = resampleAll(square, from, to);
    expect(Math.max(...loud)).toBe(32_767);
    expect(Math.min(...loud)).toBe(-32_768);
  });
});

describe.each(PAIRS.filter(([from, to]) => to < from))("Resampler / %i down to %i", (from, to) => {
  const low = to;

  it("takes out what the lower rate cannot carry", () => {
    for (const share of [0.51, 0.55, 0.7, 0.9, 0.98]) {
      const frequency = share * low;
      if (frequency >= from / 2) continue;
      const out = resampleAll(tone(from, frequency, from), from, to);
      expect(levelDb(out), `${frequency} Hz`).toBeLessThan(-65);
    }
  });
});

describe("Resampler", () => {
  it("refuses other rates", () => {
    expect(() => new Resampler(44_100, 8000)).toThrow(/from_hz must be 8000, 16000 or 24000/);
    expect(() => new Resampler(8000, 48_000)).toThrow(/to_hz/);
  });
});
