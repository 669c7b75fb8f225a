import { describe, expect, it } from "vitest";
import { pairResultOf } from "./pairs/testing.js";
import type { SingleResult } from "./singles/run-singles.js";
import { resultOf } from "./suites/testing.js";
import { summaryOf } from "./summary.js";

const nothing = { results: [], singles: [], pairs: [] };
const memory: SingleResult = {
  name: "memory",
  title: "",
  ok: true,
  tables: [],
  targets: [{ name: "each talking call, kB", atMost: 100, reached: 82.1 }],
  problems: [],
};
const capacity = resultOf("capacity", {
  ratios: { "gateway/relay": { median: 0.9, min: 0.8, max: 1 } },
});

describe("the summary of a run", () => {
  it("has every ratio of suites and pairs by its name", () => {
    const cpuSecondsPerCallMinute = 0.21;
    const pairs = [pairResultOf("two-gateways", { cpuSecondsPerCallMinute })];
    const { ratios } = summaryOf({ ...nothing, results: [capacity], pairs }, false);
    expect(Object.keys(ratios)).toEqual(["capacity: gateway/relay", "pair: two-gateways"]);
    expect(ratios["capacity: gateway/relay"]?.median).toBe(0.9);
    expect(ratios["pair: two-gateways"]?.median).toBeCloseTo(1.05);
  });

  it("has the targets of suites and single figures that were measured, and no others", () => {
    const { targets } = summaryOf({ ...nothing, results: [capacity], singles: [memory] }, false);
    expect(targets).toMatchObject([
      {
        target: "calls on one core, four streams, over the relay's",
        required: "≥ 0.80 ×",
        stretch: "≥ 1.00 ×",
        reached: "0.90 ×",
        value: 0.9,
        verdict: "met",
      },
      { target: "each talking call, kB", required: "≤ 100", reached: "82.1", value: 82.1, verdict: "met" },
    ]);
    expect(summaryOf(nothing, false).targets).toEqual([]);
  });

  it("judges no target in a quick run", () => {
    expect(summaryOf({ ...nothing, results: [capacity], singles: [memory] }, true).targets).toEqual([]);
  });

  it("is ok when all of it is", () => {
    const bad = pairResultOf("desks", { framesLost: 1 });
    expect(summaryOf({ results: [capacity], singles: [memory], pairs: [] }, false).ok).toBe(true);
    expect(summaryOf({ ...nothing, pairs: [bad] }, false).ok).toBe(false);
    expect(summaryOf({ ...nothing, singles: [{ ...memory, ok: false }] }, false).ok).toBe(false);
    expect(summaryOf({ ...nothing, results: [resultOf("cpu", { ok: false })] }, false).ok).toBe(false);
  });

  it("is not ok when a suite misses a target, except in a quick run", () => {
    const low = { median: 0.7, min: 0.6, max: 0.9 };
    const missed = { ...nothing, results: [resultOf("capacity", { ratios: { "gateway/relay": low } })] };
    expect(summaryOf(missed, false).ok).toBe(false);
    expect(summaryOf(missed, true).ok).toBe(true);
  });
});
