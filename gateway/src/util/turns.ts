import { setImmediate as nextTurn } from "node:timers/promises";

/** Turns of the event loop that are given out a few at a time, so that many who work in steps do not do it all in one. */
export class Turns {
  private last: Promise<void> = Promise.resolve();
  private given = 0;

  /** `perTurn`: steps in one turn, of all who ask together; at least 1. */
  constructor(private readonly perTurn: number) {}

  /** Resolves when a step may be done: in the order in which it was asked for, in a turn that has room for it. */
  next(): Promise<void> {
    if (this.given++ % this.perTurn === 0) this.last = this.last.then(() => nextTurn());
    return this.last;
  }
}
