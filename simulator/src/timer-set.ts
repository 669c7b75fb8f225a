import type { SimClock, SimTimer } from "./clock.js";

/** Timers that are forgotten together. */
export class TimerSet {
  readonly #clock: SimClock;
  readonly #timers = new Set<SimTimer>();

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  /** Calls `run` once after `delayMs`, unless cancelled before. */
  later(run: () => void, delayMs: number): SimTimer {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  /** Forgets one timer; undefined is ignored. */
  cancel(timer: SimTimer | undefined): void {
    if (timer === undefined) return;
    this.#timers.delete(timer);
    this.#clock.clearTimeout(timer);
  }

  /** Forgets all timers. */
  cancelAll(): void {
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
    this.#timers.clear();
  }
}
