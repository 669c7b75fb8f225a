import type { Repeats } from "../figures.js";
import { cpuRatio, problemsOf, summarizeAll } from "./cell-summary.js";
import { cellsTable } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { readResult } from "./results.js";
import { estimateOf, type Outcome } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import type { VariantName } from "./variants.js";

/** What the gate says. */
export interface GateVerdict {
  /** CPU of the gateway over the floor's, in this run. */
  readonly ratio: Repeats;
  /** What it was when it was recorded; undefined when it never was. */
  readonly recorded: number | undefined;
  /** The largest that is let through. */
  readonly limit: number | undefined;
}

/** By how much the ratio may be above the recorded one. Its own noise is in docs/performance.md. */
export const GATE_MARGIN = 0.25;

const DEFAULTS = {
  variants: ["relay", "gateway"] as readonly VariantName[],
  loads: [100],
  rounds: 3,
  warmUp: 2,
  seconds: 4,
};
/** A run that is thrown away is run again once: the gate has a minute. */
const RETRIES = 1;

/** Whether a change made the gateway dearer: median of three short rounds against the floor, in the same run. */
export const gateSuite: Suite = {
  name: "gate",
  what: "three short rounds of gateway and floor; fails when their ratio rose by more than a quarter",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, DEFAULTS);
    return estimateOf(cells, rounds);
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, DEFAULTS);
    const [calls = 0] = loads;
    const recorded = readResult("gate")?.gate?.ratio.median;
    const told = { ...options, retries: Math.min(options.retries, RETRIES), anyMachine: true };
    const verdict = (all: readonly Outcome[]) => judge(cpuRatio(all, "gateway", "relay", calls), recorded);
    let outcomes = await runOnce(cells, rounds, harness, told);
    let gate = verdict(outcomes);
    if (gateProblems(gate).length > 0) {
      options.say("above the limit: as many rounds once more, and the median of all");
      const more = await runOnce(cells, rounds, harness, told);
      outcomes = [...outcomes, ...more.map((outcome) => ({ ...outcome, round: outcome.round + rounds }))];
      gate = verdict(outcomes);
    }
    const summaries = summarizeAll(outcomes, variants, loads);
    const problems = [...problemsOf(summaries), ...gateProblems(gate)];
    return {
      ...resultHead("gate", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios: { [`gateway/relay@${calls}`]: gate.ratio },
      cells: summaries,
      gate,
      table: cellsTable(summaries, "× relay", ({ variant }) =>
        variant === "gateway" ? gate.ratio : undefined,
      ),
    };
  },
};

/** The verdict on a ratio. */
export function judge(ratio: Repeats, recorded: number | undefined): GateVerdict {
  return { ratio, recorded, limit: recorded === undefined ? undefined : recorded * (1 + GATE_MARGIN) };
}

/** Why the gate does not let it through; empty when it does. A ratio that was never recorded lets everything through. */
export function gateProblems({ ratio, recorded, limit }: GateVerdict): string[] {
  if (recorded === undefined || limit === undefined || ratio.median <= limit) return [];
  if (Number.isNaN(ratio.median)) return ["gate: no round in which gateway and floor both count"];
  return [
    `gate: a call costs ${ratio.median.toFixed(2)} × the floor, recorded ${recorded.toFixed(2)}, limit ${limit.toFixed(2)}`,
  ];
}
