import type { Repeats } from "../figures.js";
import { cpuRatio, problemsOf, summarizeAll } from "./cell-summary.js";
import { cellsTable } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { estimateOf } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import type { VariantName } from "./variants.js";

const DEFAULTS = {
  variants: ["relay", "gateway"] as readonly VariantName[],
  loads: [25],
  rounds: 1,
  warmUp: 2,
  seconds: 5,
};

/** Tells on any machine, busy or not, that frames arrive and none is lost. Its figures mean little. */
export const quickSuite: Suite = {
  name: "quick",
  what: "25 calls once: frames arrive and none is lost",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, DEFAULTS);
    return estimateOf(cells, rounds);
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, DEFAULTS);
    const outcomes = await runOnce(cells, rounds, harness, { ...options, retries: 0, anyMachine: true });
    const summaries = summarizeAll(outcomes, variants, loads);
    const problems = problemsOf(summaries);
    const ratios: Record<string, Repeats> = {};
    for (const calls of loads)
      ratios[`gateway/relay@${calls}`] = cpuRatio(outcomes, "gateway", "relay", calls);
    return {
      ...resultHead("quick", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios,
      cells: summaries,
      table: cellsTable(summaries, "× relay", (cell) => ratios[`${cell.variant}/relay@${cell.calls}`]),
    };
  },
};
