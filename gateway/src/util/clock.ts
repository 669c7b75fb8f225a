/** A running timer. */
export interface Timer {
  /** Stops it; a stopped or fired timer may be cancelled again. */
  cancel(): void;
}

/** Time as the core sees it. Durations come from the monotonic clock alone; the wall clock is for stamps. */
export interface Clock {
  /** Milliseconds of a monotonic clock with an arbitrary origin. */
  nowMs(): number;
  /** Wall clock, for stamps that leave the process. */
  wallNow(): Date;
  /** Calls `fn` once after `delayMs` (0 and below: as soon as possible, never synchronously). */
  after(delayMs: number, fn: () => void): Timer;
}

/** The clock of the machine. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallNow: () => new Date(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, Math.max(0, delayMs));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A clock that stands still until told otherwise: 60 s of ringing in no time. For tests. */
export class ManualClock implements Clock {
  private time = 0;
  private order = 0;
  private timers: { at: number; order: number; fn: () => void }[] = [];

  constructor(private readonly epoch = new Date("2026-01-01T00:00:00Z")) {}

  nowMs(): number {
    return this.time;
  }

  wallNow(): Date {
    return new Date(this.epoch.getTime() + this.time);
  }

  after(delayMs: number, fn: () => void): Timer {
    const entry = { at: this.time + Math.max(0, delayMs), order: this.order++, fn };
    this.timers.push(entry);
    return {
      cancel: () => {
        this.timers = this.timers.filter((t) => t !== entry);
      },
    };
  }

  /** How many timers wait. A finished call leaves none. */
  get pendingTimers(): number {
    return this.timers.length;
  }

  /** Moves time on, firing timers in order; lets promises settle between them. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!next) break;
      this.timers = this.timers.filter((t) => t !== next);
      this.time = Math.max(this.time, next.at);
      next.fn();
      await settle();
    }
    this.time = end;
    await settle();
  }
}

/** Lets all promise reactions that are ready run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve();
}
