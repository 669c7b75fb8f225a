import type { Repeats } from "../figures.js";
import { shown } from "../report.js";
import { type CellSummary, compared, titleOf } from "./cell-summary.js";
import { roundsOf, table, three } from "./cells-table.js";
import { versusSuite } from "./versus.js";

/** An agent on generated stubs alone, in Go, with four streams. */
const KNOWN = "gateway";

/** What agents on the client libraries cost, the gateway and themselves. */
export const agentsSuite = versusSuite({
  name: "agents",
  what: "agents on the client libraries for TypeScript, Go and Python, with four streams and one, against generated stubs in Go",
  known: KNOWN,
  defaults: {
    variants: [
      KNOWN,
      "client-typescript",
      "client-typescript-1",
      "client-go",
      "client-go-1",
      "client-python",
      "client-python-1",
    ],
    loads: [50, 100],
    rounds: 5,
    warmUp: 10,
    seconds: 10,
  },
  more: (outcomes, variant, calls) => ({
    [`${variant}/${KNOWN}@${calls}, agent`]: compared(
      outcomes,
      variant,
      KNOWN,
      calls,
      (a, b) => a.agentCpuPerCallMinute / b.agentCpuPerCallMinute,
    ),
  }),
  table: agentsTable,
});

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
