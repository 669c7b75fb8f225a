import { setImmediate as nextTurn } from "node:timers/promises";
import { CallError } from "../call/call-error.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { EventFilter, EventLog, WatchItem } from "../call/event-log.js";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import { Turns } from "../util/turns.js";
import { EVENTS_PER_STEP, STEPS_PER_TURN } from "./catch-up.js";
import { decodeCursor, encodeCursor } from "./cursor.js";
import { CallsOfCaller } from "./erase-caller.js";
import { decodeEvent, encodeEvent } from "./event-codec.js";
import { type Matchers, matchers } from "./event-filter.js";
import type { EventRecord, EventStorage } from "./event-storage.js";
import { RecentEvents } from "./recent-events.js";

/** Options of an event log on this machine. */
export interface EventLogOptions {
  /** Days that events are kept. Default 7. */
  readonly retentionDays?: number;
  /** Bytes of encoded events that are kept at most; beyond it the oldest go. Default 1 GiB. */
  readonly maxBytes?: number;
  /** How often retention is applied, in ms. Default 10 minutes. */
  readonly sweepIntervalMs?: number;
  /** Events written in one transaction at most. Default 1,000. */
  readonly maxBatch?: number;
  /** Events that wait to be written at most; further ones are passed on, in order, with `durable: false`. Default 20,000. */
  readonly maxPending?: number;
  /**
   * How long a write may take, in ms. Then its events are passed on with `durable: false`, and so is what comes until
   * the store has answered. Default 3,000.
   */
  readonly writeTimeoutMs?: number;
  /**
   * The newest events that are kept in memory, once for all watchers and while there is one; a watcher that is further behind
   * is served from the store. At least 1. Default 2,000.
   */
  readonly maxRecent?: number;
  /** Told when writing, reading or removing fails: a store that is away, a record that cannot be read. */
  readonly onError?: (error: unknown) => void;
  readonly clock?: Clock;
}

interface Pending {
  readonly event: CallEvent;
  readonly resolve: (stored: StoredEvent) => void;
  /** Too many waited: it is not written. */
  readonly surplus: boolean;
}

interface Watcher extends Matchers {
  /** Everything up to here was given to the reader or does not concern it. */
  position: number;
  wake: () => void;
}

const DAY_MS = 86_400_000;
const READ_BATCH = 256;

/** An event log over a storage on this machine. One writer per store. */
export class StoredEventLog implements EventLog {
  private readonly options: Required<EventLogOptions>;
  private readonly watchers = new Set<Watcher>();
  private readonly recent: RecentEvents;
  private readonly turns = new Turns(STEPS_PER_TURN);
  private readonly pending: Pending[] = [];
  /** The last sequence given out. */
  private sequence: number;
  /** All up to here were written (or given up) and told to the watchers. */
  private published: number;
  /** The highest of them that is in the store. */
  private durable: number;
  private writing: Promise<void> | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private timer: Timer | undefined;
  private closed = false;
  /** A write has not answered in time. */
  private stuck = false;

  constructor(
    private readonly storage: EventStorage,
    options: EventLogOptions = {},
  ) {
    this.options = {
      retentionDays: 7,
      maxBytes: 2 ** 30,
      sweepIntervalMs: 600_000,
      maxBatch: 1000,
      maxPending: 20_000,
      writeTimeoutMs: 3000,
      maxRecent: 2000,
      onError: () => {},
      clock: systemClock,
      ...options,
    };
    this.sequence = Math.max(storage.lastSequence, storage.prunedTo);
    this.published = this.sequence;
    this.durable = this.sequence;
    this.recent = new RecentEvents(this.options.maxRecent);
    this.recent.restart(this.published);
    this.planSweep();
  }

  append(event: CallEvent): Promise<StoredEvent> {
    return new Promise((resolve) => {
      this.pending.push({ event, resolve, surplus: this.pending.length >= this.options.maxPending });
      this.writing ??= this.writeAll();
    });
  }

  head(_tenant: string): string {
    return this.cursorAt(this.durable);
  }

  knows(tenant: string, callId: string): boolean {
    return this.storage.ofCall(tenant, callId, 0).length > 0;
  }

  async ofCall(tenant: string, callId: string, afterSequence: number): Promise<StoredEvent[]> {
    return this.storage
      .ofCall(tenant, callId, afterSequence)
      .filter((record) => record.sequence <= this.published)
      .flatMap((record) => this.decode(record));
  }

  async eraseCaller(tenant: string, caller: string): Promise<number> {
    const calls = new CallsOfCaller(tenant, caller);
    for (let position = this.storage.prunedTo; ; ) {
      const records = this.storage.read(position, this.published, READ_BATCH);
      const last = records.at(-1);
      if (!last) break;
      position = last.sequence;
      for (const record of records) {
        if (record.tenant === tenant) for (const event of this.decode(record)) calls.see(event);
      }
      await nextTurn();
    }
    const over = calls.over();
    for (const callId of over) {
      await this.storage.remove(tenant, callId);
      this.recent.forget(tenant, callId);
    }
    return over.length;
  }

  watch(tenant: string, cursor: string, filter: EventFilter, signal: AbortSignal): AsyncIterable<WatchItem> {
    // The position is taken now, not when the reader begins to iterate.
    let start: number | CallError;
    try {
      start = cursor === "" ? this.published : this.positionOf(cursor);
    } catch (error) {
      start = CallError.from(error);
    }
    return this.iterate(tenant, start, filter, signal);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    while (this.writing) await this.writing;
    this.closed = true;
    this.timer?.cancel();
    await this.sweeping;
    for (const watcher of this.watchers) watcher.wake();
    await this.storage.close();
  }

  /** Applies retention now; answers when it is done. Also runs by itself every `sweepIntervalMs`. */
  sweep(): Promise<void> {
    this.sweeping = this.sweeping.then(async () => {
      if (this.closed) return;
      const { retentionDays, maxBytes, clock, onError } = this.options;
      try {
        while ((await this.storage.prune(clock.wallNow().getTime() - retentionDays * DAY_MS, maxBytes)) > 0)
          await nextTurn();
        this.recent.dropTo(this.storage.prunedTo);
      } catch (error) {
        onError(error);
      }
    });
    return this.sweeping;
  }

  private planSweep(): void {
    this.timer = this.options.clock.after(this.options.sweepIntervalMs, () => {
      void this.sweep();
      this.planSweep();
    });
  }

  private async writeAll(): Promise<void> {
    // Whatever is appended in this turn goes into the same transaction.
    await Promise.resolve();
    while (this.pending.length > 0) {
      const batch = this.pending.splice(0, this.options.maxBatch);
      const first = this.sequence + 1;
      this.sequence += batch.length;
      const safe = await this.writeBatch(batch, first);
      batch.forEach(({ event, resolve, surplus }, i) => {
        const durable = safe && !surplus;
        const sequence = first + i;
        const stored = { ...event, cursor: durable ? this.cursorAt(sequence) : "", durable };
        this.publish(sequence, stored);
        resolve(stored);
      });
      // What is in no store has to be taken from memory before the next are in its place.
      if (!safe) await nextTurn();
    }
    this.writing = undefined;
  }

  /** Answers whether the batch, without the surplus, is safe. */
  private async writeBatch(batch: readonly Pending[], first: number): Promise<boolean> {
    const { onError, writeTimeoutMs } = this.options;
    if (this.closed || this.stuck) return false;
    const surplus = batch.filter((pending) => pending.surplus).length;
    if (surplus > 0) onError(new Error(`${surplus} events not stored: too many waited`));
    if (surplus === batch.length) return false;
    try {
      const records = batch.flatMap(({ event, surplus }, i) => (surplus ? [] : [record(event, first + i)]));
      const write = this.storage.write(records);
      const inTime = await this.withinTimeout(write);
      if (inTime) return true;
      this.stuck = true;
      onError(new Error(`the store did not answer within ${writeTimeoutMs} ms`));
      write.catch(onError).finally(() => {
        this.stuck = false;
      });
    } catch (error) {
      onError(error);
    }
    return false;
  }

  private async withinTimeout(write: Promise<void>): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = this.options.clock.after(this.options.writeTimeoutMs, () => resolve(false));
    });
    try {
      return await Promise.race([write.then(() => true), late]);
    } finally {
      timer?.cancel();
    }
  }

  private publish(sequence: number, event: StoredEvent): void {
    this.published = sequence;
    if (event.durable) this.durable = sequence;
    if (this.watchers.size === 0) this.recent.restart(sequence);
    else this.recent.add(sequence, event);
    for (const watcher of this.watchers) {
      if (watcher.matches(event)) watcher.wake();
      else if (watcher.position === sequence - 1) watcher.position = sequence;
    }
  }

  private async *iterate(
    tenant: string,
    start: number | CallError,
    filter: EventFilter,
    signal: AbortSignal,
  ): AsyncGenerator<WatchItem, void, undefined> {
    if (start instanceof CallError) throw start;
    const began = this.published;
    const watcher: Watcher = { ...matchers(tenant, filter), position: start, wake: () => {} };
    const onAbort = () => watcher.wake();
    signal.addEventListener("abort", onAbort);
    this.watchers.add(watcher);
    let live = false;
    try {
      while (!signal.aborted) {
        if (this.closed) throw new CallError("GOING_AWAY", "the gateway is going away");
        if (watcher.position === this.published) {
          if (live) await awoken(watcher);
          else {
            live = true;
            yield { live: { cursor: this.cursorAt(this.durable) } };
          }
          continue;
        }
        // Of the past a watcher is told what the store has: a write that was late is not what memory says of it.
        if (watcher.position < Math.max(began, this.recent.first - 1))
          yield* this.fromStore(watcher, began, signal);
        else {
          const event = this.recent.at(++watcher.position);
          if (event && watcher.matches(event)) yield { event };
        }
      }
    } finally {
      this.watchers.delete(watcher);
      if (this.watchers.size === 0) this.recent.restart(this.published);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The next of what is read from the store: all up to `began`, and what memory has no more. */
  private async *fromStore(
    watcher: Watcher,
    began: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchItem, void, undefined> {
    await this.turns.next();
    if (this.closed || signal.aborted) return;
    if (watcher.position < this.storage.prunedTo) throw this.expired();
    // Memory has moved on meanwhile.
    const last = Math.max(began, this.recent.first - 1);
    const records = this.storage.read(watcher.position, last, READ_BATCH);
    let decoded = 0;
    for (const record of records) {
      watcher.position = record.sequence;
      if (!watcher.mayMatch(record)) continue;
      for (const event of this.decode(record)) {
        if (!watcher.matches(event)) continue;
        yield { event };
        if (signal.aborted) return;
      }
      if (++decoded === EVENTS_PER_STEP) return;
    }
    // What is not in the store up to there was never safe, or is erased.
    if (records.length < READ_BATCH) watcher.position = Math.max(watcher.position, last);
  }

  private decode(record: EventRecord): StoredEvent[] {
    try {
      return [{ ...decodeEvent(record.text), cursor: this.cursorAt(record.sequence), durable: true }];
    } catch (error) {
      // A record that a newer gateway wrote: better one event missing than a watcher that cannot pass it.
      this.options.onError(error);
      return [];
    }
  }

  private positionOf(cursor: string): number {
    const { storeId, sequence } = decodeCursor(cursor);
    const ours = storeId === this.storage.storeId;
    if (!ours || sequence < this.storage.prunedTo || sequence > this.published) throw this.expired();
    return sequence;
  }

  private expired(): CallError {
    return new CallError("CURSOR_EXPIRED", "the cursor is older than the oldest event, or of another store", {
      oldest: this.cursorAt(this.storage.prunedTo),
    });
  }

  private cursorAt(sequence: number): string {
    return encodeCursor({ storeId: this.storage.storeId, sequence });
  }
}

/** Until the watcher is woken. */
async function awoken(watcher: Watcher): Promise<void> {
  await new Promise<void>((resolve) => {
    watcher.wake = resolve;
  });
  watcher.wake = () => {};
}

function record(event: CallEvent, sequence: number): EventRecord {
  return {
    sequence,
    tenant: event.tenant,
    callId: event.callId,
    callSequence: event.sequence,
    timeMs: event.time.getTime(),
    text: encodeEvent(event),
  };
}
