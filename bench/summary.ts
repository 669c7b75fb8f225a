import type { Repeats } from "./figures.js";
import type { PairResult } from "./pairs/pair-results.js";
import type { SingleResult } from "./singles/run-singles.js";
import type { SuiteResult } from "./suites/suite.js";
import { type TargetRow, targetsOf } from "./suites/targets.js";

/** What a run found. */
export interface Found {
  readonly results: readonly SuiteResult[];
  readonly singles: readonly SingleResult[];
  readonly pairs: readonly PairResult[];
}

/** The object of `--json`. */
export interface Summary extends Found {
  /** Every part was as it has to be, and no target that this run judged was missed. */
  readonly ok: boolean;
  /** Of suites and pairs, as "SUITE: RATIO" and "pair: NAME". */
  readonly ratios: Readonly<Record<string, Repeats>>;
  /** Every target that this run judged: none of what it did not measure, and none at all in a quick run. */
  readonly targets: readonly TargetRow[];
}

/** What a run says in the end. */
export function summaryOf({ results, singles, pairs }: Found, quick: boolean): Summary {
  const suite = (name: string) => results.find((result) => result.suite === name);
  const measured = { cpu: suite("cpu"), capacity: suite("capacity"), latency: suite("latency"), singles };
  const judged = targetsOf(measured).filter(({ verdict }) => verdict !== "not measured");
  const targets = quick ? [] : judged;
  return {
    ok:
      [...results, ...singles, ...pairs].every(({ ok }) => ok) &&
      targets.every(({ verdict }) => verdict !== "missed"),
    ratios: Object.fromEntries([
      ...results.flatMap(({ suite, ratios }) =>
        Object.entries(ratios).map(([name, ratio]) => [`${suite}: ${name}`, ratio] as const),
      ),
      ...pairs.map(({ name, cpuRatio }) => [`pair: ${name}`, cpuRatio] as const),
    ]),
    targets,
    results,
    singles,
    pairs,
  };
}
