import type { Repeats } from "../figures.js";
import { type Machine, thisMachine } from "../machine.js";
import type { CapacityRow } from "./capacity.js";
import type { CellSummary } from "./cell-summary.js";
import type { GateVerdict } from "./gate.js";
import type { Harness } from "./harness.js";
import type { SdkLimit, VariantName } from "./variants.js";

/** How much a suite measures; each has its own defaults. */
export interface Amounts {
  readonly rounds?: number;
  readonly loads?: readonly number[];
  readonly variants?: readonly VariantName[];
  readonly seconds?: number;
  readonly warmUp?: number;
  readonly passes?: number;
}

/** What a suite can be told. */
export interface SuiteOptions extends Amounts {
  /** A run that is thrown away is run again so often. */
  readonly retries: number;
  readonly nodeArgs: readonly string[];
  /** See `RoundsOptions.anyMachine`. */
  readonly anyMachine?: boolean;
  readonly say: (line: string) => void;
}

/** Something of `--only`. */
export interface Suite {
  readonly name: string;
  readonly what: string;
  /** How long it takes, in seconds, when nothing has to be run again. */
  estimateSeconds(options: SuiteOptions): number;
  run(harness: Harness, options: SuiteOptions): Promise<SuiteResult>;
}

/** What a suite found; kept in bench/results/NAME.json. */
export interface SuiteResult extends Machine {
  readonly suite: string;
  readonly ok: boolean;
  /** What is not as it has to be; empty when ok. */
  readonly problems: readonly string[];
  /** What makes it anew. */
  readonly command: string;
  readonly harness: "go" | "node";
  /** Runs whose load generator was late or whose harness was busy. */
  readonly thrownAway: number;
  /** Each compared figure, by its name. */
  readonly ratios: Readonly<Record<string, Repeats>>;
  readonly cells?: readonly CellSummary[];
  readonly capacity?: readonly CapacityRow[];
  readonly sdkLimit?: SdkLimit;
  readonly gate?: GateVerdict;
  /** Markdown, for people. */
  readonly table: string;
}

/** What every result says beside its figures. */
export function resultHead(suite: string, harness: Harness) {
  return {
    suite,
    command: `npm run bench -- --only ${suite}`,
    ...thisMachine(),
    harness: harness.kind,
  };
}
