import type { Repeats } from "../figures.js";
import { cpuRatio, problemsOf, summarizeAll } from "./cell-summary.js";
import { cellsTable } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { estimateOf } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import type { VariantName } from "./variants.js";

const DEFAULTS = {
  variants: [
    "gateway",
    "gateway-1",
    "one-connection",
    "simple",
    "together",
    "tls",
    "round-trip-20",
  ] as readonly VariantName[],
  loads: [100],
  rounds: 5,
  warmUp: 10,
  seconds: 10,
};

/** Other ways to connect an agent, each against four streams without TLS on loopback. */
export const formsSuite: Suite = {
  name: "variants",
  what: "simple form, answers together, TLS, 20 ms of round trip, each against four streams",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, DEFAULTS);
    return estimateOf(cells, rounds);
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, DEFAULTS);
    const outcomes = await runOnce(cells, rounds, harness, options);
    const summaries = summarizeAll(outcomes, variants, loads);
    const ratios: Record<string, Repeats> = {};
    for (const { variant, calls } of summaries)
      if (variant !== "gateway")
        ratios[`${variant}/gateway@${calls}`] = cpuRatio(outcomes, variant, "gateway", calls);
    const problems = problemsOf(summaries);
    return {
      ...resultHead("variants", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios,
      cells: summaries,
      table: cellsTable(
        summaries,
        "× four streams",
        (cell) => ratios[`${cell.variant}/gateway@${cell.calls}`],
      ),
    };
  },
};
