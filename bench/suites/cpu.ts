import type { Repeats } from "../figures.js";
import { cpuRatio, problemsOf, summarizeAll } from "./cell-summary.js";
import { cellsTable } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { estimateOf } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import { unpatchedSdk, type VariantName } from "./variants.js";

const DEFAULTS = {
  variants: ["relay", "gateway", "gateway-1", "sdk"] as readonly VariantName[],
  loads: [50, 100, 200, 300],
  rounds: 5,
  warmUp: 10,
  seconds: 10,
};
/** More than the SDK takes as installed. */
const UNPATCHED_CALLS = 60;

/** What a call costs, by load, beside the floor and the vendor's SDK. */
export const cpuSuite: Suite = {
  name: "cpu",
  what: "CPU by load: four streams, one stream, bare relay, vendor's SDK",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, DEFAULTS);
    return estimateOf(cells, rounds) + 15;
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, DEFAULTS);
    const outcomes = await runOnce(cells, rounds, harness, options);
    const summaries = summarizeAll(outcomes, variants, loads);
    const ratios: Record<string, Repeats> = {};
    for (const calls of loads)
      for (const first of ["gateway", "gateway-1", "sdk"] as const)
        for (const second of ["relay", "sdk"] as const)
          if (first !== second && variants.includes(first) && variants.includes(second))
            ratios[`${first}/${second}@${calls}`] = cpuRatio(outcomes, first, second, calls);
    const sdkLimit = variants.includes("sdk") ? await unpatchedSdk(harness, UNPATCHED_CALLS) : undefined;
    const problems = problemsOf(summaries, ["sdk"]);
    const lines = [cellsTable(summaries, "× relay", (cell) => ratios[`${cell.variant}/relay@${cell.calls}`])];
    if (sdkLimit)
      lines.push(
        "",
        `The vendor's SDK as installed (${sdkLimit.versions.join(", ")}) answered ${sdkLimit.answered} of ${sdkLimit.placed} calls; ` +
          "its rows above are with the patch.",
      );
    return {
      ...resultHead("cpu", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios,
      cells: summaries,
      ...(sdkLimit ? { sdkLimit } : {}),
      table: lines.join("\n"),
    };
  },
};
