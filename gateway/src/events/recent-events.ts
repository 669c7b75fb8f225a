import type { StoredEvent } from "../call/call-events.js";

/** The newest events of a log, one copy for all its watchers. Beyond `max` the oldest is left to the store. */
export class RecentEvents {
  private readonly ring: (StoredEvent | undefined)[];
  private newest = 0;
  private oldest = 1;

  /** `max`: events that are kept, at least 1. */
  constructor(private readonly max: number) {
    if (!Number.isInteger(max) || max < 1) throw new RangeError("max must be a whole number of at least 1");
    this.ring = new Array(max).fill(undefined);
  }

  /** The sequence of the oldest that is kept; one above the newest when none is. */
  get first(): number {
    return this.oldest;
  }

  /** Keeps an event. Sequences have no holes, except after `restart`. */
  add(sequence: number, event: StoredEvent): void {
    this.ring[sequence % this.max] = event;
    this.newest = sequence;
    if (this.newest - this.oldest >= this.max) this.oldest = this.newest - this.max + 1;
  }

  /** The event with a sequence from `first` to that of the newest; undefined when it was forgotten. */
  at(sequence: number): StoredEvent | undefined {
    return this.ring[sequence % this.max];
  }

  /** Keeps nothing any more; the next event has the sequence after this one. */
  restart(sequence: number): void {
    if (this.oldest <= this.newest) this.ring.fill(undefined);
    this.newest = sequence;
    this.oldest = sequence + 1;
  }

  /** Keeps nothing up to a sequence, which is not above the newest. */
  dropTo(sequence: number): void {
    for (; this.oldest <= sequence && this.oldest <= this.newest; this.oldest++)
      this.ring[this.oldest % this.max] = undefined;
  }

  /** Leaves out the events of a call. */
  forget(tenant: string, callId: string): void {
    for (const [i, event] of this.ring.entries())
      if (event?.tenant === tenant && event.callId === callId) this.ring[i] = undefined;
  }
}
