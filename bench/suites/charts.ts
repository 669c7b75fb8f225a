import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bar, barChart } from "../chart.js";
import { ROOT } from "../child.js";
import type { Repeats } from "../figures.js";
import { repeatsOf } from "../figures.js";
import { MAX_P99_MS } from "./capacity.js";
import { type CellSummary, titleOf } from "./cell-summary.js";
import type { SuiteResult } from "./suite.js";
import { variantOf } from "./variants.js";

/** Where charts that are kept go. */
export const PICTURES_FOLDER = join(ROOT, "docs/pictures");

/** Suites whose figure is what the gateway costs. */
const COST_CHARTS = ["cpu", "variants", "agents"];

/** The charts of a result by the names of their files. */
export function chartsOf(result: SuiteResult): Readonly<Record<string, string>> {
  const charts: Record<string, string> = {};
  const cells = result.cells ?? [];
  if (COST_CHARTS.includes(result.suite))
    for (const calls of [...new Set(cells.map((cell) => cell.calls))])
      charts[`bench-${result.suite}-${calls}.svg`] = barChart(
        `CPU seconds per call-minute, ${calls} calls`,
        "lower is better",
        barsOf(
          cells.filter((cell) => cell.calls === calls),
          (cell) => cell.cpuSecondsPerCallMinute,
        ),
        3,
      );
  if (result.suite === "latency")
    charts["bench-latency.svg"] = barChart(
      `Delay of audio, p99, ${cells[0]?.calls ?? 0} calls on one core`,
      "ms, lower is better",
      cells.flatMap((cell) => [
        barOf(cell, `${titleOf(cell.variant)} ↑`, cell.upP99Ms),
        barOf(cell, `${titleOf(cell.variant)} ↓`, cell.downP99Ms),
      ]),
      1,
      { at: MAX_P99_MS, label: `promised: below ${MAX_P99_MS} ms` },
    );
  if (result.capacity)
    charts["bench-capacity.svg"] = barChart(
      `Calls on one core, p99 below ${MAX_P99_MS} ms`,
      "higher is better",
      result.capacity.map(({ variant, rounds }) => ({
        label: titleOf(variant),
        value: repeatsOf(rounds.map(({ passed }) => passed)),
        own: variantOf(variant).own,
      })),
      0,
    );
  return charts;
}

/** Writes the charts of a result; returns their paths. */
export function drawCharts(result: SuiteResult, folder = PICTURES_FOLDER): string[] {
  return Object.entries(chartsOf(result)).map(([name, svg]) => writePicture(name, svg, folder));
}

/** Writes a picture; returns its path. */
export function writePicture(name: string, svg: string, folder = PICTURES_FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, svg);
  return path;
}

function barsOf(cells: readonly CellSummary[], pick: (cell: CellSummary) => Repeats): Bar[] {
  return cells.map((cell) => barOf(cell, titleOf(cell.variant), pick(cell)));
}

function barOf({ variant }: CellSummary, label: string, value: Repeats): Bar {
  return { label, value, own: variantOf(variant).own };
}
