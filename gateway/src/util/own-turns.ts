import { setImmediate as nextTurn } from "node:timers/promises";

/** Turns of the event loop that are given out one at a time, so that many who work in steps do not do it all in one. */
export class OwnTurns {
  private last: Promise<void> = Promise.resolve();

  /** Resolves in a turn to come, for nobody else in that one. In the order in which it was asked for. */
  next(): Promise<void> {
    this.last = this.last.then(() => nextTurn());
    return this.last;
  }
}
