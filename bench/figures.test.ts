import { describe, expect, it } from "vitest";
import { memoryOf, repeatsOf, Samples, spreadOf } from "./figures.js";

describe("figures", () => {
  it("gives percentiles that occurred, in any order", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(spreadOf(values)).toEqual({ count: 100, p50: 50, p99: 99, max: 100 });
    expect(spreadOf([])).toEqual({ count: 0, p50: 0, p99: 0, max: 0 });
    expect(spreadOf([7])).toEqual({ count: 1, p50: 7, p99: 7, max: 7 });
  });

  it("collects more than it was made for and forgets on clear", () => {
    const samples = new Samples();
    for (let i = 1; i <= 5_000; i++) samples.add(i);
    expect(samples.spread()).toEqual({ count: 5_000, p50: 2_500, p99: 4_950, max: 5_000 });
    samples.clear();
    expect(samples.spread().count).toBe(0);
  });

  it("takes the median of repeats", () => {
    expect(repeatsOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(repeatsOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(repeatsOf([]).median).toBeNaN();
  });

  it("tells growth from a single peak of memory", () => {
    const flat = [100, 100, 100, 180, 100, 100, 100];
    expect(memoryOf(flat)).toEqual({ startMb: 100, middleMb: 180, endMb: 100, maxMb: 180, growthMb: 0 });
    expect(memoryOf([100, 110, 120, 130, 140, 150]).growthMb).toBe(40);
    expect(() => memoryOf([])).toThrow(RangeError);
  });
});
