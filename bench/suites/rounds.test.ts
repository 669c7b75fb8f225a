import { describe, expect, it } from "vitest";
import type { Harness } from "./harness.js";
import { type Cell, estimateOf, orderOf, runRounds } from "./rounds.js";
import { runOf } from "./testing.js";
import type { Variant, VariantName, VariantRun } from "./variants.js";

const NO_HARNESS = {} as Harness;

/** A variant whose runs are given: each call takes the next, the last one again and again. */
function variant(name: VariantName, runs: readonly (Partial<VariantRun> | Error)[] = [{}]): Variant {
  let at = 0;
  return {
    name,
    title: name,
    own: true,
    overheadSeconds: 3,
    placeEveryMs: 10,
    run: async (_harness, { calls }) => {
      const next = runs[Math.min(at++, runs.length - 1)]!;
      if (next instanceof Error) throw next;
      return runOf(name, calls, next);
    },
  };
}

const cell = (of: Variant, calls: number): Cell => ({
  variant: of,
  load: { calls, warmUpSeconds: 10, seconds: 10 },
});
const run = (cells: readonly Cell[], rounds: number, retries = 1, anyMachine = false) =>
  runRounds(cells, { rounds, retries, anyMachine, harness: NO_HARNESS, say: () => {} });

describe("rounds", () => {
  it("keep variants of a load together, and who comes first changes", () => {
    const cells = [50, 100].flatMap((calls) => [
      cell(variant("relay"), calls),
      cell(variant("gateway"), calls),
    ]);
    const names = (round: number) => orderOf(cells, round).map((c) => `${c.variant.name}@${c.load.calls}`);
    expect(names(1)).toEqual(["relay@50", "gateway@50", "relay@100", "gateway@100"]);
    expect(names(2)).toEqual(["gateway@100", "relay@100", "gateway@50", "relay@50"]);
    expect(names(3)).toEqual(names(1));
  });

  it("throw away a run of a late or busy load generator, count it and run again", async () => {
    const late = { invalid: "the generator was late: p99 6.0 ms" };
    const [outcome] = await run([cell(variant("gateway", [late, {}]), 100)], 1);
    expect(outcome).toMatchObject({ thrownAway: [late.invalid], run: { invalid: "" } });
    const [never] = await run([cell(variant("gateway", [late]), 100)], 1);
    expect(never).toMatchObject({ thrownAway: [late.invalid, late.invalid], run: undefined });
  });

  it("take the last late run where any machine will do, after trying again", async () => {
    const late = { invalid: "the generator was late: p99 6.0 ms" };
    const [any] = await run([cell(variant("gateway", [late]), 100)], 1, 1, true);
    expect(any).toMatchObject({ thrownAway: [late.invalid], run: late });
    const [better] = await run([cell(variant("gateway", [late, {}]), 100)], 1, 1, true);
    expect(better).toMatchObject({ thrownAway: [late.invalid], run: { invalid: "" } });
  });

  it("tell what could not be run", async () => {
    const [outcome] = await run([cell(variant("gateway", [new Error("it ended")]), 100)], 1);
    expect(outcome).toMatchObject({ run: undefined, failure: "Error: it ended" });
    const [second] = await run([cell(variant("gateway", [new Error("it ended"), {}]), 100)], 1);
    expect(second).toMatchObject({ run: { invalid: "" }, failure: "" });
  });

  it("give a load up that was not carried twice", async () => {
    const outcomes = await run([cell(variant("sdk", [{ framesReceived: 10 }]), 300)], 5);
    expect(outcomes).toHaveLength(2);
  });

  it("know how long they take", () => {
    // 3 s to start, 1 s to place, 20 s, 1.5 s for stragglers.
    expect(estimateOf([cell(variant("gateway"), 100)], 2)).toBeCloseTo(51);
  });
});
