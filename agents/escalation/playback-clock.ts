/**
 * How much of what was queued the caller has not heard: told whenever it is known, counted down by the clock in between.
 * It stands still from the end of the call, when the queue itself is gone.
 */
export class PlaybackClock {
  readonly #now: () => number;
  #endsAtMs = 0;
  #leftMs: number | undefined;

  /** @param now a clock in ms that never jumps; default `performance.now` */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** So much is not heard yet, ms. */
  set(unheardMs: number): void {
    this.#endsAtMs = this.#now() + unheardMs;
  }

  /** The call is over. */
  stop(): void {
    this.#leftMs ??= this.unheardMs;
  }

  /** What is not heard yet, ms, 0 or more. */
  get unheardMs(): number {
    return this.#leftMs ?? Math.max(0, this.#endsAtMs - this.#now());
  }
}
