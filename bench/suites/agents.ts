import type { Repeats } from "../figures.js";
import { shown } from "../report.js";
import { type CellSummary, compared, cpuRatio, problemsOf, summarizeAll, titleOf } from "./cell-summary.js";
import { roundsOf, table, three } from "./cells-table.js";
import { cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { estimateOf } from "./rounds.js";
import { resultHead, type Suite } from "./suite.js";
import type { VariantName } from "./variants.js";

/** An agent on generated stubs alone, in Go, with four streams. */
const KNOWN = "gateway";
const DEFAULTS = {
  variants: [
    KNOWN,
    "client-typescript",
    "client-typescript-1",
    "client-go",
    "client-go-1",
    "client-python",
    "client-python-1",
  ] as readonly VariantName[],
  loads: [50, 100],
  rounds: 5,
  warmUp: 10,
  seconds: 10,
};

/** What agents on the client libraries cost, the gateway and themselves. */
export const agentsSuite: Suite = {
  name: "agents",
  what: "agents on the client libraries for TypeScript, Go and Python, with four streams and one, against generated stubs in Go",
  estimateSeconds(options) {
    const { cells, rounds } = cellsOf(options, DEFAULTS);
    return estimateOf(cells, rounds);
  },
  async run(harness, options) {
    const { cells, rounds, variants, loads } = cellsOf(options, DEFAULTS);
    const outcomes = await runOnce(cells, rounds, harness, options);
    const summaries = summarizeAll(outcomes, variants, loads);
    const ratios: Record<string, Repeats> = {};
    for (const { variant, calls } of summaries) {
      if (variant === KNOWN || !variants.includes(KNOWN)) continue;
      ratios[`${variant}/${KNOWN}@${calls}`] = cpuRatio(outcomes, variant, KNOWN, calls);
      ratios[`${variant}/${KNOWN}@${calls}, agent`] = compared(
        outcomes,
        variant,
        KNOWN,
        calls,
        (a, b) => a.agentCpuPerCallMinute / b.agentCpuPerCallMinute,
      );
    }
    const problems = problemsOf(summaries);
    return {
      ...resultHead("agents", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: thrownAwayIn(outcomes),
      ratios,
      cells: summaries,
      table: agentsTable(summaries, ratios),
    };
  },
};

function agentsTable(cells: readonly CellSummary[], ratios: Readonly<Record<string, Repeats>>): string {
  const against = (name: string) => (ratios[name] ? shown(ratios[name], 2) : "");
  return table(
    [
      "calls",
      "agent",
      "gateway, CPU s per call-minute",
      "× stubs",
      "agent, CPU s per call-minute",
      "× stubs",
      "to the agent, p50 / p99 / max ms",
      "to the caller, p50 / p99 / max ms",
      "frames lost",
      "rounds",
    ],
    cells.map((cell) => [
      String(cell.calls),
      cell.variant === KNOWN ? "generated stubs in Go, four streams" : titleOf(cell.variant),
      shown(cell.cpuSecondsPerCallMinute, 3),
      against(`${cell.variant}/${KNOWN}@${cell.calls}`),
      shown(cell.agentCpuPerCallMinute, 3),
      against(`${cell.variant}/${KNOWN}@${cell.calls}, agent`),
      three(cell.upP50Ms, cell.upP99Ms, cell.upMaxMs),
      three(cell.downP50Ms, cell.downP99Ms, cell.downMaxMs),
      `${cell.framesLost} of ${cell.framesSent}`,
      roundsOf(cell),
    ]),
  );
}
