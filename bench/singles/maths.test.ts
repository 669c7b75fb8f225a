import { describe, expect, it } from "vitest";
import { rotated, shareOfCall, slopeOf, withinNoise } from "./maths.js";

describe("slopeOf", () => {
  it("is that of a line", () => {
    expect(
      slopeOf([
        [50, 205],
        [100, 210],
        [200, 220],
      ]),
    ).toBeCloseTo(0.1);
  });

  it("weighs what lies beside the line", () => {
    expect(
      slopeOf([
        [0, 0],
        [1, 3],
        [2, 0],
        [3, 3],
      ]),
    ).toBeCloseTo(0.6);
  });

  it.each([
    [[]],
    [[[1, 2]]],
    [
      [
        [1, 2],
        [1, 3],
      ],
    ],
  ] as const)("throws without two different x: %j", (points) => {
    expect(() => slopeOf(points as unknown as [number, number][])).toThrow(RangeError);
  });
});

describe("shareOfCall", () => {
  it("is what an observer costs of what a call costs", () => {
    // 100 calls cost 0.4 core, so one 0.004; 50 observers 0.05, so one 0.001.
    expect(shareOfCall({ withThem: 0.45, without: 0.4, observers: 50, calls: 100 })).toBeCloseTo(0.25);
  });
});

describe("withinNoise", () => {
  it("compares the median with what the known side differs by", () => {
    expect(withinNoise([0.5, 1, 9], [2, 3])).toBe(true);
    expect(withinNoise([0.5, 1.1, 9], [2, 3])).toBe(false);
    expect(withinNoise([-5], [2, 2])).toBe(true);
  });
});

describe("rotated", () => {
  it("begins with another one each round", () => {
    expect([0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""))).toEqual([
      "abc",
      "bca",
      "cab",
      "abc",
    ]);
    expect(rotated([], 5)).toEqual([]);
  });
});
