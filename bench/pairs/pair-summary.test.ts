import { describe, expect, it } from "vitest";
import type { SideResult } from "./pair.js";
import { type Round, summarizePair } from "./pair-summary.js";
import { tableOf } from "./pair-table.js";
import { pairOf, sideOf } from "./testing.js";

const pair = pairOf("two-gateways", "two against one", ["one", "two"]);
const round = (second: Partial<SideResult>, first: Partial<SideResult> = {}): Round => [
  sideOf("one", first),
  sideOf("two", second),
];
const p99 = (value: number) => ({ upMs: { count: 1, p50: 1, p99: value, max: value } });

describe("summarizePair", () => {
  it("compares round by round, not the medians", () => {
    // The machine was twice as slow in the second round: each round says 1.05.
    const slow = { cpuSecondsPerCallMinute: 0.4 };
    const rounds = [round({ cpuSecondsPerCallMinute: 0.21 }), round({ cpuSecondsPerCallMinute: 0.42 }, slow)];
    const summary = summarizePair(pair, rounds, [], false);
    expect(summary.cpuRatio.median).toBeCloseTo(1.05);
    expect(summary.cpuRatio.max).toBeCloseTo(1.05);
    expect(summary.cpuRatioWithServers.median).toBeCloseTo((0.26 / 0.25 + 0.47 / 0.45) / 2);
    expect(summary.ok).toBe(true);
  });

  it("says what one side adds, and leaves out rounds with an invalid run", () => {
    const rounds = [round(p99(7)), round(p99(9)), round({ ...p99(500), invalid: "late" }), round(p99(8))];
    const summary = summarizePair(pair, rounds, [], false);
    expect(summary.addedUpP99Ms).toEqual({ median: 3, min: 2, max: 4 });
    expect(summary.sides[1]).toMatchObject({ rounds: 4, validRounds: 3 });
  });

  it.each<[string, readonly Round[], readonly string[]]>([
    ["promised at most 1.1", [round({ cpuSecondsPerCallMinute: 0.23 })], []],
    ["1 frames lost", [round({ framesLost: 1 })], []],
    ["1 frames misplaced", [round({ corrupt: 1 })], []],
    ["no frame was sent", [round({ framesSent: 0 })], []],
    ["no round with two valid runs", [round({ invalid: "late" })], []],
    ["no round with two valid runs", [], []],
    ["two: ended", [round({})], ["two: ended"]],
    [
      "2 saves failed",
      [
        round({
          saves: { sent: 9, failed: 2, lastError: "x", tookMs: { count: 9, p50: 1, p99: 1, max: 1 } },
        }),
      ],
      [],
    ],
  ])("is not ok: %s", (problem, rounds, failures) => {
    const summary = summarizePair(pair, rounds, failures, false);
    expect(summary.ok).toBe(false);
    expect(summary.problems.join("; ")).toContain(problem);
  });

  it("promises only that frames arrive in a quick run", () => {
    const busy = [round({ cpuSecondsPerCallMinute: 0.5, invalid: "late" })];
    expect(summarizePair(pair, busy, [], true).ok).toBe(true);
    expect(summarizePair(pair, [round({ framesLost: 1 })], [], true).ok).toBe(false);
  });

  it("makes a table with both sides", () => {
    const table = tableOf(summarizePair(pair, [round(p99(8))], [], false));
    expect(table).toContain("| two against one | one | two | compared |");
    expect(table).toContain("| caller → agent p99, ms | 5.0 | 8.0 | + 3.0 |");
    expect(table).not.toMatch(/NaN|undefined/);
  });
});
