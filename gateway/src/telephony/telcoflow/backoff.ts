import type { Clock } from "../../util/clock.js";

/** How the waits between attempts grow. */
export interface BackoffOptions {
  /** First wait, milliseconds. */
  readonly minMs: number;
  /** Longest wait before jitter, milliseconds. */
  readonly maxMs: number;
  /** Each wait is this much longer than the one before. */
  readonly factor: number;
  /** Up to this share of the wait is added at random, 0 to 1. */
  readonly jitter: number;
  /** A connection that held this long counts as stable: the waits start over. Milliseconds. */
  readonly stableMs: number;
}

/**
 * Waits between connection attempts: minMs × factorⁿ, at most maxMs, plus jitter. A connection that opens and drops at
 * once does not start the waits over; one that held `stableMs` does.
 */
export class Backoff {
  private attempt = 0;
  private upSinceMs: number | undefined;

  constructor(
    private readonly options: BackoffOptions,
    private readonly clock: Clock,
    /** 0 to 1, 1 excluded. */
    private readonly random: () => number = Math.random,
  ) {}

  /** Attempts since the last stable connection. */
  get attempts(): number {
    return this.attempt;
  }

  /** The connection is up. */
  opened(): void {
    this.upSinceMs = this.clock.nowMs();
  }

  /** The connection is down, or could not be made: how long to wait before the next attempt, milliseconds. */
  next(): number {
    const { minMs, maxMs, factor, jitter, stableMs } = this.options;
    if (this.upSinceMs !== undefined && this.clock.nowMs() - this.upSinceMs >= stableMs) this.attempt = 0;
    this.upSinceMs = undefined;
    const wait = Math.min(maxMs, minMs * factor ** Math.min(this.attempt, 1000));
    this.attempt++;
    return wait + wait * jitter * this.random();
  }
}

/** Counts events in windows of time; says when there are too many in one. */
export class RateMeter {
  private startMs: number;
  private count = 0;

  constructor(
    /** Events allowed in a window. */
    private readonly limit: number,
    private readonly windowMs: number,
    private readonly clock: Clock,
  ) {
    this.startMs = clock.nowMs();
  }

  /** One more; true when it is over the limit. */
  hit(): boolean {
    const now = this.clock.nowMs();
    if (now - this.startMs >= this.windowMs) {
      this.startMs = now;
      this.count = 0;
    }
    return ++this.count > this.limit;
  }

  /** Events in the running window. */
  get inWindow(): number {
    return this.count;
  }
}
