import type { CallEvent, StoredEvent } from "./call-events.js";

/** Which events a watcher wants; empty lists do not narrow. */
export interface EventFilter {
  readonly callIds: readonly string[];
  readonly pools: readonly string[];
}

/** What a watcher gets: events, and once the sign that history is over. */
export type WatchItem = { readonly event: StoredEvent } | { readonly live: { readonly cursor: string } };

/** The store of all call events: append-only, ordered, with opaque cursors. */
export interface EventLog {
  /**
   * Stores an event. Resolves, in the order of the calls to it, when the event is safe (or with `durable: false` when
   * the store is away). Never rejects.
   */
  append(event: CallEvent): Promise<StoredEvent>;
  /** The newest position of a tenant's view: watching from here gives what comes after. */
  head(tenant: string): string | Promise<string>;
  /** Whether there may be events of the call from before: a restart, or another gateway that had it. Known at once. */
  knows(tenant: string, callId: string): boolean;
  /** The events of one call after a sequence, oldest first; for reattach. */
  ofCall(tenant: string, callId: string, afterSequence: number): Promise<StoredEvent[]>;
  /**
   * Removes all events of the calls of a caller (E.164) that are over, and answers how many calls these were. A call that
   * is not over keeps its events. Rejects when the store cannot be reached; then some may be gone already.
   */
  eraseCaller(tenant: string, caller: string): Promise<number>;
  /**
   * History after `cursor` (empty: none), then live, without gap or repeat, until `signal` aborts. A reader that lags
   * is served from the store, not from memory. Throws CallError CURSOR_EXPIRED with `oldest`, or INVALID_FIELD.
   */
  watch(tenant: string, cursor: string, filter: EventFilter, signal: AbortSignal): AsyncIterable<WatchItem>;
  /** Waits until all appended is safe, then closes. */
  close(): Promise<void>;
}
