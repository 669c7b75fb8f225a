import { describe, expect, it } from "vitest";
import { cpuRatio, problemsOf, summarizeCell } from "./cell-summary.js";
import { cellsTable } from "./cells-table.js";
import { gateProblems, judge } from "./gate.js";
import { outcomeOf, runOf } from "./testing.js";
import type { VariantName } from "./variants.js";

const cpu = (variant: VariantName, round: number, cpuSecondsPerCallMinute: number) =>
  outcomeOf(runOf(variant, 100, { cpuSecondsPerCallMinute }), round);

describe("figures of rounds", () => {
  it("are medians and ranges of what counts", () => {
    const outcomes = [
      cpu("gateway", 1, 0.3),
      cpu("gateway", 2, 0.2),
      cpu("gateway", 3, 0.25),
      cpu("relay", 1, 9),
    ];
    expect(summarizeCell(outcomes, "gateway", 100)).toMatchObject({
      rounds: 3,
      validRounds: 3,
      cpuSecondsPerCallMinute: { median: 0.25, min: 0.2, max: 0.3 },
    });
  });

  it("compare round by round, not medians, and only rounds in which both count", () => {
    const slow = { framesReceived: 900, framesLost: 100, cpuSecondsPerCallMinute: 9 };
    const outcomes = [
      ...[cpu("relay", 1, 0.1), cpu("gateway", 1, 0.11)],
      // The machine was twice as slow.
      ...[cpu("relay", 2, 0.2), cpu("gateway", 2, 0.22)],
      ...[cpu("relay", 3, 0.1), outcomeOf(runOf("gateway", 100, slow), 3)],
      cpu("relay", 4, 0.1),
    ];
    const ratio = cpuRatio(outcomes, "gateway", "relay", 100);
    expect(ratio.min).toBeCloseTo(1.1);
    expect(ratio.max).toBeCloseTo(1.1);
  });

  it("count what was thrown away, was too slow or failed, and leave it out", () => {
    const outcomes = [
      outcomeOf(runOf("gateway", 100), 1, ["late", "late"]),
      outcomeOf(runOf("gateway", 100, { framesReceived: 984, cpuSecondsPerCallMinute: 9 }), 2),
      outcomeOf(runOf("gateway", 100, { framesReceived: 985, cpuSecondsPerCallMinute: 0.4 }), 3),
      { ...outcomeOf(runOf("gateway", 100), 4), run: undefined, failure: "ended" },
    ];
    expect(summarizeCell(outcomes, "gateway", 100)).toMatchObject({
      ...{ rounds: 4, validRounds: 2, thrownAway: 2, overloaded: 1, failures: 1 },
      cpuSecondsPerCallMinute: { median: 0.30000000000000004, min: 0.2, max: 0.4 },
    });
  });

  it.each([
    ["1 frames lost", { framesLost: 1, framesReceived: 999 }],
    ["2 frames misplaced", { outOfOrder: 1, corrupt: 1 }],
    ["no round counts", { framesReceived: 0 }],
    [
      "3 items of the agent refused",
      {
        agent: { marksSet: 0, marksPlayed: 0, refused: 3, lastRefusal: "", gaps: 0, oddFrames: 0 },
      },
    ],
    [
      "1 gaps",
      { agent: { marksSet: 0, marksPlayed: 0, refused: 0, lastRefusal: "", gaps: 1, oddFrames: 0 } },
    ],
  ])("are not ok: %s", (problem, overrides) => {
    const bad = [summarizeCell([outcomeOf(runOf("gateway", 100, overrides))], "gateway", 100)];
    expect(problemsOf(bad).join()).toContain(problem);
    expect(problemsOf(bad, ["gateway"])).toEqual([]);
    expect(problemsOf([summarizeCell([outcomeOf(runOf("gateway", 100))], "gateway", 100)])).toEqual([]);
  });

  it("make a table, also of what was never measured", () => {
    const cells = [summarizeCell([cpu("gateway", 1, 0.3)], "gateway", 100), summarizeCell([], "sdk", 100)];
    const text = cellsTable(cells, "× relay", () => undefined);
    expect(text).toContain("| 100 | Callweave, four streams | 0.300 |");
    expect(text).toContain("| 100 | vendor's SDK, patched | – |");
    expect(text).not.toMatch(/NaN|undefined/);
  });
});

describe("the gate", () => {
  const ratio = (median: number) => ({ median, min: median, max: median });

  it("lets through a quarter more than recorded, and no more", () => {
    expect(gateProblems(judge(ratio(2.5), 2))).toEqual([]);
    expect(gateProblems(judge(ratio(2.51), 2)).join()).toContain("recorded 2.00, limit 2.50");
    expect(gateProblems(judge(ratio(1), 2))).toEqual([]);
  });

  it("lets nothing through that could not be measured", () => {
    expect(gateProblems(judge(ratio(Number.NaN), 2)).join()).toContain("no round");
  });

  it("has nothing to compare with before it was recorded", () => {
    expect(gateProblems(judge(ratio(9), undefined))).toEqual([]);
  });
});
