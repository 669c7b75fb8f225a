import type { Repeats } from "../figures.js";
import { shown } from "../report.js";
import { compared, problemsOf, summarizeAll, titleOf } from "./cell-summary.js";
import { roundsOf, table, three } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { readResult } from "./results.js";
import { estimateOf, type Outcome } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import type { VariantName, VariantRun } from "./variants.js";

/** Where no capacity was measured yet. */
const HALF_LOAD = 150;
const STEP = 50;
const PERCENTILES = ["p50", "p99", "max"] as const;

function defaults() {
  return {
    variants: ["baseline", "relay", "gateway", "gateway-1"] as readonly VariantName[],
    loads: [halfLoad()],
    rounds: 5,
    warmUp: 10,
    seconds: 10,
  };
}

/** Half of what four streams carry by the last measurement that was kept, in steps of 50 calls. */
function halfLoad(): number {
  const carried = readResult("capacity")?.capacity?.find(({ variant }) => variant === "gateway")?.passed ?? 0;
  return Math.floor(carried / 2 / STEP) * STEP || HALF_LOAD;
}

/** How much later audio is than without anything between the load generator and the agent. */
export const latencySuite: Suite = {
  name: "latency",
  what: "delay added at half load, against the agent alone",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, defaults());
    return estimateOf(cells, rounds);
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, defaults());
    const outcomes = await runOnce(cells, rounds, harness, options);
    const summaries = summarizeAll(outcomes, variants, loads);
    const ratios: Record<string, Repeats> = {};
    for (const { calls, variant } of summaries)
      if (variant !== "baseline")
        for (const at of PERCENTILES) {
          ratios[`${variant} ${at} up@${calls}`] = added(outcomes, variant, calls, (run) => run.upMs[at]);
          ratios[`${variant} ${at} down@${calls}`] = added(outcomes, variant, calls, (run) => run.downMs[at]);
        }
    const problems = problemsOf(summaries);
    const cell = (name: string) => shown(ratios[name] ?? NONE, 1);
    const rows = summaries.map((of) => {
      const addedWay = (way: string) =>
        of.variant === "baseline"
          ? ""
          : PERCENTILES.map((at) => cell(`${of.variant} ${at} ${way}@${of.calls}`)).join(" / ");
      return [
        String(of.calls),
        titleOf(of.variant),
        three(of.upP50Ms, of.upP99Ms, of.upMaxMs),
        three(of.downP50Ms, of.downP99Ms, of.downMaxMs),
        addedWay("up"),
        addedWay("down"),
        `${of.framesLost} of ${of.framesSent}`,
        roundsOf(of),
      ];
    });
    return {
      ...resultHead("latency", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios,
      cells: summaries,
      table: table(
        [
          "calls",
          "variant",
          "to the agent, p50 / p99 / max ms",
          "to the caller",
          "added to the agent",
          "added to the caller",
          "frames lost",
          "rounds",
        ],
        rows,
      ),
    };
  },
};

const NONE: Repeats = { median: Number.NaN, min: Number.NaN, max: Number.NaN };

/** Against the baseline of the same round. */
function added(
  outcomes: readonly Outcome[],
  variant: VariantName,
  calls: number,
  pick: (run: VariantRun) => number,
): Repeats {
  return compared(outcomes, variant, "baseline", calls, (run, baseline) => pick(run) - pick(baseline));
}
