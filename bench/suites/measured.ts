import type { Harness } from "./harness.js";
import { type Cell, type Outcome, runRounds } from "./rounds.js";
import type { SuiteOptions } from "./suite.js";
import { type VariantName, variantOf } from "./variants.js";

/** What a suite measures when it is told nothing else. */
export interface CellDefaults {
  readonly variants: readonly VariantName[];
  readonly loads: readonly number[];
  readonly rounds: number;
  /** In seconds. */
  readonly warmUp: number;
  readonly seconds: number;
}

/** The cells of a suite: every variant under every load. */
export function cellsOf(options: SuiteOptions, defaults: CellDefaults) {
  const variants = options.variants ?? defaults.variants;
  const loads = options.loads ?? defaults.loads;
  const times = {
    warmUpSeconds: options.warmUp ?? defaults.warmUp,
    seconds: options.seconds ?? defaults.seconds,
  };
  const cells: Cell[] = loads.flatMap((calls) =>
    variants.map((name) => ({ variant: variantOf(name), load: { calls, ...times } })),
  );
  return { cells, variants, loads, rounds: options.rounds ?? defaults.rounds };
}

/** Runs the rounds of a suite. */
export function runOnce(
  cells: readonly Cell[],
  rounds: number,
  harness: Harness,
  { retries, nodeArgs, anyMachine = false, say }: SuiteOptions,
): Promise<Outcome[]> {
  return runRounds(cells, { rounds, retries, harness, nodeArgs, anyMachine, say });
}

/** Runs that do not count. */
export function thrownAwayIn(outcomes: readonly Outcome[]): number {
  return outcomes.reduce((total, { thrownAway }) => total + thrownAway.length, 0);
}
