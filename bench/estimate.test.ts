import { describe, expect, it } from "vitest";
import { about, estimateLines } from "./estimate.js";
import { estimatePairSeconds } from "./pairs/run-pairs.js";
import { SINGLES } from "./singles/run-singles.js";

describe("estimates", () => {
  it("are told in seconds, minutes or hours", () => {
    expect([8.2, 89.5, 90, 5_399, 5_400, 9_000].map(about)).toEqual([
      "about 9 s",
      "about 90 s",
      "about 2 minutes",
      "about 90 minutes",
      "about 1.5 hours",
      "about 2.5 hours",
    ]);
  });

  it("have a line for each part and one for all", () => {
    const part = { name: "cpu", what: "CPU by load", seconds: 1_200 };
    expect(estimateLines([part])).toEqual(["cpu: CPU by load; about 20 minutes"]);
    expect(estimateLines([part, part]).at(-1)).toMatch(/^in all about 40 minutes/);
    expect(estimateLines([])).toEqual([]);
  });

  it.each(SINGLES.map((single) => [single.name, single] as const))("of %s say minutes", (_name, single) => {
    const seconds = (quick: boolean) =>
      single.estimateSeconds({ quick, rounds: quick ? 1 : 5, calls: 100, say: () => {} });
    expect(seconds(false)).toBeGreaterThan(45);
    expect(seconds(false)).toBeLessThan(1_800);
    expect(seconds(true)).toBeLessThan(seconds(false) / 2);
  });

  it("of a pair grow with its rounds", () => {
    const seconds = (rounds: number) => estimatePairSeconds({ rounds, warmUpSeconds: 10, seconds: 6 });
    expect(seconds(10)).toBe(2 * seconds(5));
  });
});
