import type { Repeats } from "../figures.js";
import { type CellSummary, cpuRatio, problemsOf, summarizeAll } from "./cell-summary.js";
import { type CellDefaults, cellsOf, runOnce, thrownAwayIn } from "./measured.js";
import { estimateOf, type Outcome } from "./rounds.js";
import { resultHead, type Suite, type SuiteOptions } from "./suite.js";
import type { VariantName } from "./variants.js";

/** A suite that compares variants with one that is known. */
export interface VersusPlan {
  readonly name: string;
  readonly what: string;
  readonly known: VariantName;
  readonly defaults: CellDefaults;
  /** Holds whatever the suite is told. */
  readonly always?: Partial<SuiteOptions>;
  /** More ratios of a variant under a load; the gateway's CPU is always one, `VARIANT/KNOWN@CALLS`. */
  more?(outcomes: readonly Outcome[], variant: VariantName, calls: number): Readonly<Record<string, Repeats>>;
  table(cells: readonly CellSummary[], ratios: Readonly<Record<string, Repeats>>): string;
}

/** The suite of a plan. */
export function versusSuite({ name, what, known, defaults, always, more, table }: VersusPlan): Suite {
  return {
    name,
    what,
    estimateSeconds(options) {
      const { cells, rounds } = cellsOf(options, defaults);
      return estimateOf(cells, rounds);
    },
    async run(harness, options) {
      const { cells, rounds, variants, loads } = cellsOf(options, defaults);
      const outcomes = await runOnce(cells, rounds, harness, { ...options, ...always });
      const summaries = summarizeAll(outcomes, variants, loads);
      const ratios: Record<string, Repeats> = {};
      for (const { variant, calls } of summaries) {
        if (variant === known || !variants.includes(known)) continue;
        ratios[`${variant}/${known}@${calls}`] = cpuRatio(outcomes, variant, known, calls);
        Object.assign(ratios, more?.(outcomes, variant, calls));
      }
      const problems = problemsOf(summaries);
      return {
        ...resultHead(name, harness),
        ok: problems.length === 0,
        problems,
        thrownAway: thrownAwayIn(outcomes),
        ratios,
        cells: summaries,
        table: table(summaries, ratios),
      };
    },
  };
}
