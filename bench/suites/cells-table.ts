import type { Repeats } from "../figures.js";
import { shown } from "../report.js";
import { type CellSummary, titleOf } from "./cell-summary.js";

/** A table of cells, one row each. `ratioOf`: its figure against the known side; undefined: nothing to compare with. */
export function cellsTable(
  cells: readonly CellSummary[],
  ratioTitle: string,
  ratioOf: (cell: CellSummary) => Repeats | undefined,
): string {
  const rows = cells.map((cell) => {
    const ratio = ratioOf(cell);
    return [
      String(cell.calls),
      titleOf(cell.variant),
      shown(cell.cpuSecondsPerCallMinute, 3),
      ratio ? shown(ratio, 2) : "",
      shown(cell.coreShare, 2),
      three(cell.upP50Ms, cell.upP99Ms, cell.upMaxMs),
      three(cell.downP50Ms, cell.downP99Ms, cell.downMaxMs),
      shown(cell.residentMb, 0),
      `${cell.framesLost} of ${cell.framesSent}`,
      roundsOf(cell),
    ];
  });
  return table(
    [
      "calls",
      "variant",
      "CPU s per call-minute",
      ratioTitle,
      "of one core",
      "to the agent, p50 / p99 / max ms",
      "to the caller, p50 / p99 / max ms",
      "MB",
      "frames lost",
      "rounds",
    ],
    rows,
  );
}

/** How many rounds count, and what became of the others. */
export function roundsOf(cell: CellSummary): string {
  const others = [
    cell.overloaded > 0 && `${cell.overloaded} too slow`,
    cell.failures > 0 && `${cell.failures} failed`,
    cell.thrownAway > 0 && `${cell.thrownAway} thrown away`,
    cell.lateRounds > 0 && `${cell.lateRounds} with a late load generator`,
    cell.noisyRounds > 0 && `${cell.noisyRounds} noisy`,
  ].filter(Boolean);
  return `${cell.validRounds}${others.length > 0 ? ` (${others.join(", ")})` : ""}`;
}

/** Medians of three spreads. */
export function three(...values: readonly Repeats[]): string {
  return values.map(({ median }) => (Number.isFinite(median) ? median.toFixed(1) : "–")).join(" / ");
}

/** Markdown. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
