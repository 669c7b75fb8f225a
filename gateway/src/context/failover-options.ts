import { type Clock, systemClock } from "../util/clock.js";
import { type Logger, silentLogger } from "../util/logger.js";

/** How a spool stands. */
export interface SpoolState {
  readonly store: "replicated" | "local";
  /** Contexts that wait, as known here. */
  readonly depth: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** The last write was refused for lack of room, and none has been taken since. */
  readonly full: boolean;
  /** Age of the oldest, in ms; 0 when none waits. */
  readonly oldestMs: number;
  /** The database is away, as far as is known. */
  readonly away: boolean;
  /** False: the spool itself cannot be written now. */
  readonly available: boolean;
}

/** Figures for metrics; those of the past count from the start. */
export interface FailoverStats {
  readonly away: boolean;
  readonly spools: readonly SpoolState[];
  /** Contexts that were written to a spool. */
  readonly spooled: number;
  /** Contexts that this gateway brought to the database. */
  readonly replayed: number;
  /** Of those: merged with another write. */
  readonly merged: number;
  /** Fields that lost in them. */
  readonly conflicts: number;
  /** Contexts that the database does not take, and which stay in the spool. */
  readonly refused: number;
  /** Contexts in memory for the time in which the database is away. */
  readonly recent: number;
}

/** Options of the store that goes on without its database. */
export interface FailoverOptions {
  /** How often a database that is away is asked again, in ms. Default 1,000. */
  readonly retryIntervalMs?: number;
  /** How long a gateway waits at most before it replays what others spooled, in ms. Default 250. */
  readonly replayJitterMs?: number;
  /** After how long a context that the database refused is tried again, in ms. Default 60,000. */
  readonly refusedRetryMs?: number;
  /** Contexts remembered for reads without the database. Default 2,000. */
  readonly recentCount?: number;
  /** Bytes of them, estimated. Default 64 MiB. */
  readonly recentBytes?: number;
  /** How long they are remembered, in ms. Default 15 minutes. */
  readonly recentMs?: number;
  /** Told of each change of a spool. */
  readonly onSpool?: (state: SpoolState) => void;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** 0 to below 1. */
  readonly random?: () => number;
}

/** The options with their defaults. */
export function withDefaults(options: FailoverOptions): Required<FailoverOptions> {
  return {
    retryIntervalMs: 1000,
    replayJitterMs: 250,
    refusedRetryMs: 60_000,
    recentCount: 2000,
    recentBytes: 64 * 2 ** 20,
    recentMs: 900_000,
    onSpool: () => {},
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    ...options,
  };
}
