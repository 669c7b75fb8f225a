import { collectAll } from "./heap-growth.js";

/** Options of RestingHeap. */
export interface RestingHeapOptions {
  /** Calls that are up now. */
  readonly callsUp: () => number;
  /** With no call up for this long everything is collected, ms; again after each further such time. 0: never. */
  readonly everyMs: number;
  /** How long after the last call, ms: ended calls are kept for ten minutes. Default 900,000. */
  readonly untilMs?: number;
  /** Default: collects what V8 can. */
  readonly collect?: () => void;
}

/**
 * Gives back the memory that calls have left, while no call is up and a pause of some 50 ms delays nobody's audio. V8 by itself
 * collects when more memory is asked for, so that a gateway at rest would keep what its busiest hour took.
 */
export class RestingHeap {
  private readonly timer: NodeJS.Timeout | undefined;
  private quietMs: number;

  constructor(private readonly options: RestingHeapOptions) {
    // Nothing has been up yet: there is nothing to give back.
    this.quietMs = Number.POSITIVE_INFINITY;
    if (options.everyMs === 0) return;
    this.timer = setInterval(() => this.turn(), options.everyMs);
    this.timer.unref();
  }

  /** Ends it. */
  stop(): void {
    clearInterval(this.timer);
  }

  private turn(): void {
    const { callsUp, everyMs, untilMs = 900_000, collect = collectAll } = this.options;
    if (callsUp() > 0) {
      this.quietMs = 0;
      return;
    }
    this.quietMs += everyMs;
    if (this.quietMs <= untilMs) collect();
  }
}
