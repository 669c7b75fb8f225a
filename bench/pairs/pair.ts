import type { SaveReport } from "../processes/context-saver.js";
import type { RunResult } from "../run.js";

/** Names of the pairs, as `--only` takes them. */
export const PAIR_NAMES = ["nats-agent", "two-gateways", "relayed-agent", "context-saves", "desks"] as const;
export type PairName = (typeof PAIR_NAMES)[number];

/** How long and how much; the same for both sides of a pair. */
export interface PairOptions {
  readonly calls: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** One run of one side. */
export interface SideResult extends RunResult {
  readonly side: string;
  /** Calls that each gateway claimed. */
  readonly claims: readonly number[];
  /** Of the side that writes contexts. */
  readonly saves?: SaveReport;
}

/** Two things that are measured in turn, the second against the first. */
export interface Pair {
  readonly name: PairName;
  readonly title: string;
  /** The known side first. */
  readonly sides: readonly [Side, Side];
  /** The promise on CPU of the gateways per call-minute, second over first; undefined: none. */
  readonly maxCpuRatio?: number;
}

/** One side of a pair. */
export interface Side {
  readonly name: string;
  run(options: PairOptions): Promise<SideResult>;
}
