import type { RootDatabase } from "lmdb";
import { type Clock, systemClock, type Timer } from "./clock.js";
import { openLmdb } from "./open-lmdb.js";

/** Fewer uses than this have too little mapped to close a file for it. */
const MIN_USES = 256;

/** When a file rests. */
export interface LmdbRestOptions {
  /** A file that nobody used for this long, to twice as long, is closed until the next use. ms. Default 0: never. */
  readonly restAfterMs?: number;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/**
 * An LMDB file that is closed when it was used much and then not for a while, and opened again, in about 1 ms, by the next use.
 * LMDB takes back no page that it has mapped: without this a process at rest counts all it has written as its memory.
 *
 * What was committed is on disk before and after; a file is never closed under a transaction.
 */
export class RestingLmdb<Tables> {
  private opened: { readonly root: RootDatabase; readonly tables: Tables } | undefined;
  private readonly restAfterMs: number;
  private readonly clock: Clock;
  private timer: Timer | undefined;
  private closing: Promise<void> = Promise.resolve();
  private closed = false;
  private underWay = 0;
  /** Since it was opened. */
  private uses = 0;
  private usesAtTick = 0;

  /**
   * Opens (or makes) the file in the folder `path`. `tablesOf` is called each time it is opened; what it throws is thrown to
   * the user that had it opened, and leaves it closed.
   */
  constructor(
    private readonly path: string,
    private readonly maxDbs: number,
    private readonly tablesOf: (root: RootDatabase) => Tables,
    { restAfterMs = 0, clock = systemClock }: LmdbRestOptions = {},
  ) {
    this.restAfterMs = restAfterMs;
    this.clock = clock;
    this.use();
  }

  /** Whether it is closed for now. */
  get resting(): boolean {
    return !this.opened;
  }

  /** To be asked for with every use, not to be kept. Throws when the file cannot be opened, or was closed for good. */
  get tables(): Tables {
    return this.use().tables;
  }

  /** Runs a transaction; in it `tables` is that of the transaction. Resolves once it is on disk. */
  async transaction<Result>(body: () => Result | PromiseLike<Result>): Promise<Result> {
    const { root } = this.use();
    this.underWay++;
    try {
      return await root.transaction(body);
    } finally {
      this.underWay--;
    }
  }

  /** Closes it for good, once all is written. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    this.shut();
    await this.closing;
  }

  private use() {
    if (this.closed) throw new Error("the store is closed");
    this.uses++;
    this.opened ??= this.open();
    if (this.restAfterMs > 0) this.timer ??= this.tickLater();
    return this.opened;
  }

  private open() {
    this.uses = 1;
    this.usesAtTick = 0;
    const root = openLmdb(this.path, this.maxDbs);
    try {
      return { root, tables: this.tablesOf(root) };
    } catch (error) {
      void root.close();
      throw error;
    }
  }

  private tickLater(): Timer {
    return this.clock.after(this.restAfterMs, () => {
      this.timer = undefined;
      const idle = this.uses === this.usesAtTick && this.underWay === 0;
      this.usesAtTick = this.uses;
      if (!idle) this.timer = this.tickLater();
      else if (this.uses >= MIN_USES) this.shut();
    });
  }

  /** What is used meanwhile opens the file anew: lmdb has one environment for all who have a file open. */
  private shut(): void {
    const { opened } = this;
    this.opened = undefined;
    if (opened) this.closing = this.closing.then(() => opened.root.close());
  }
}
