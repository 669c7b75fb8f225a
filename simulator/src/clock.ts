/** A timer handle of a {@link SimClock}; opaque to its users. */
export type SimTimer = unknown;

/**
 * Where the simulator takes its time from. Everything that waits or measures uses it, so that a test can
 * run an hour of ringing in a millisecond with {@link ManualClock}.
 */
export interface SimClock {
  /** Monotonic time in milliseconds; the zero point means nothing. */
  now(): number;
  /** Time of day, for time stamps on the wire only. */
  wallNow(): Date;
  /** Calls `run` once after `delayMs` milliseconds (values below 0 count as 0). */
  setTimeout(run: () => void, delayMs: number): SimTimer;
  /** Forgets a timer; one that already ran is ignored. */
  clearTimeout(timer: SimTimer): void;
}

/** The process's own clock: `performance.now()`, `Date` and `setTimeout`. */
export const realClock: SimClock = {
  now: () => performance.now(),
  wallNow: () => new Date(),
  setTimeout: (run, delayMs) => setTimeout(run, Math.max(0, delayMs)),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

interface ManualTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that moves only when told to. For unit tests without sockets. */
export class ManualClock implements SimClock {
  #nowMs = 0;
  #order = 0;
  readonly #timers = new Set<ManualTimer>();
  readonly #wallStartMs: number;

  /** `wallStart`: the time of day at monotonic time 0. Default 2026-01-01T00:00:00Z. */
  constructor(wallStart: Date = new Date(Date.UTC(2026, 0, 1))) {
    this.#wallStartMs = wallStart.getTime();
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): Date {
    return new Date(this.#wallStartMs + this.#nowMs);
  }

  setTimeout(run: () => void, delayMs: number): SimTimer {
    const timer: ManualTimer = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      run,
    };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: SimTimer): void {
    this.#timers.delete(timer as ManualTimer);
  }

  /** Number of timers still waiting. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves time forward by `ms`, running every timer that falls due, in order of time. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#nextDue(endMs); next; next = this.#nextDue(endMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  #nextDue(endMs: number): ManualTimer | undefined {
    let best: ManualTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue;
      if (!best || timer.dueMs < best.dueMs || (timer.dueMs === best.dueMs && timer.order < best.order))
        best = timer;
    }
    return best;
  }
}
