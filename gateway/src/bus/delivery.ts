import type { BusMessage, SubscribeOptions } from "./bus.js";

/** Messages that wait for a handler at most, unless said otherwise. */
export const DEFAULT_MAX_PENDING = 10_000;

/** Hands messages to a handler one at a time, in order, with a bound on those that wait. Never throws. */
export class Delivery {
  private queue: BusMessage[] = [];
  private busy = false;
  private dropping = false;
  private stopped = false;
  /** Messages that were dropped since the beginning. */
  dropped = 0;

  constructor(
    private readonly handler: (message: BusMessage) => void | Promise<void>,
    private readonly options: Pick<SubscribeOptions, "maxPending" | "onDropped">,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Takes a message; drops it when too many wait. */
  push(message: BusMessage): void {
    if (this.stopped) return;
    if (!this.busy) this.handle(message);
    else if (this.queue.length < (this.options.maxPending ?? DEFAULT_MAX_PENDING)) this.queue.push(message);
    else {
      this.dropped++;
      if (!this.dropping) this.options.onDropped?.();
      this.dropping = true;
    }
  }

  /** Forgets what waits; nothing is handed on any more. */
  stop(): void {
    this.stopped = true;
    this.queue = [];
  }

  private handle(message: BusMessage): void {
    try {
      const result = this.handler(message);
      if (result === undefined) return;
      this.busy = true;
      result.then(
        () => this.next(),
        (error: unknown) => {
          this.onError(error);
          this.next();
        },
      );
    } catch (error) {
      this.onError(error);
    }
  }

  private next(): void {
    this.busy = false;
    while (!this.busy && !this.stopped) {
      const message = this.queue.shift();
      if (!message) {
        this.dropping = false;
        return;
      }
      this.handle(message);
    }
  }
}
