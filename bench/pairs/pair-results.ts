import { barChart } from "../chart.js";
import type { Machine } from "../machine.js";
import { PICTURES_FOLDER, writePicture } from "../suites/charts.js";
import { keep, RESULTS_FOLDER, readKept } from "../suites/results.js";
import { PAIR_NAMES } from "./pair.js";
import type { PairSummary } from "./pair-summary.js";

/** What a pair said; kept in bench/results/NAME.json. */
export interface PairResult extends PairSummary, Machine {
  /** What makes it anew. */
  readonly command: string;
  /** Runs whose load generator was late or whose harness was busy. */
  readonly thrownAway: number;
}

/** The chart of all pairs, without its folder. */
export const PAIRS_PICTURE = "bench-pairs.svg";

/** The pairs that were kept, in the order of `PAIR_NAMES`. */
export function readPairs(folder = RESULTS_FOLDER): PairResult[] {
  return PAIR_NAMES.flatMap((name) => readKept<PairResult>(name, folder) ?? []);
}

/** Keeps a pair and draws the chart of all that were kept; returns the paths of both. */
export function keepPair(result: PairResult, results = RESULTS_FOLDER, pictures = PICTURES_FOLDER): string[] {
  const path = keep(result.name, result, results);
  return [path, writePicture(PAIRS_PICTURE, pairsChart(readPairs(results)), pictures)];
}

/** What a call costs the gateways on either side of each pair; the known side in grey. */
export function pairsChart(pairs: readonly PairResult[]): string {
  return barChart(
    "CPU seconds per call-minute, all gateways",
    "lower is better",
    pairs.flatMap(({ name, sides }) =>
      sides.map(({ side, gatewayCpu }, index) => ({
        label: `${name}: ${side}`,
        value: gatewayCpu,
        own: index === 1,
      })),
    ),
    3,
  );
}
