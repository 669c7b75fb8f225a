import { BusError, type BusStream, type BusSubscription, type StreamMessage } from "../bus/bus.js";
import { ALL_EVENTS, eventSubject, parseEventSubject, tenantEventsSubject } from "../bus/subjects.js";
import { CallError } from "../call/call-error.js";
import type { StoredEvent } from "../call/call-events.js";
import type { EventFilter, WatchItem } from "../call/event-log.js";
import { Turns } from "../util/turns.js";
import { EVENTS_PER_STEP, STEPS_PER_TURN } from "./catch-up.js";
import { decodeCursor } from "./cursor.js";
import { type Matchers, matchers } from "./event-filter.js";

/** What the tail is made with; see JetStreamEventLogOptions. */
export interface TailOptions {
  readonly maxQueuedPerWatcher: number;
  /** Events that were told before they were stored and may still come from the store, remembered per watcher. */
  readonly maxRemembered: number;
  readonly onError: (error: unknown) => void;
  /** The event of a message; undefined when it cannot be read. */
  readonly decode: (message: StreamMessage) => StoredEvent | undefined;
  readonly cursorAt: (sequence: number) => string;
  readonly storeId: () => string;
  /** Whether the stream can be read now. */
  readonly reachable: () => boolean;
  /** A message was found in the stream: it may be an own one whose acknowledgement was lost. */
  readonly sighted: (message: StreamMessage) => void;
  /** Own events that were told and that the stream does not have yet; those of one call in order. */
  readonly waiting: () => Iterable<StoredEvent>;
}

interface Item {
  /** 0: not from the stream. */
  readonly sequence: number;
  readonly event: StoredEvent;
}

interface Watcher extends Matchers {
  readonly filter: string;
  /** Everything up to here was given to the reader or does not concern it; unset: from when the stream is there on. */
  position: number | undefined;
  /** queue: what comes is queued. store: the next comes from the stream. */
  mode: "queue" | "store";
  /** Whether the tail queues for it: also while the last of the history is being read. */
  listening: boolean;
  queue: Item[];
  /** Told to the reader although the stream did not have them. */
  readonly told: Set<string>;
  /** The stream was made anew under it. */
  expired: boolean;
  wake: () => void;
}

const READ_BATCH = 256;
const RETRY_MS = 250;

/** One reading of the stream for all watchers of this gateway, and the history for each. */
export class EventTail {
  private stream: BusStream | undefined;
  private following: BusSubscription | undefined;
  private createdMs = 0;
  private closed = false;
  private readonly watchers = new Set<Watcher>();
  private readonly turns = new Turns(STEPS_PER_TURN);
  /** Own events that are stored and that the tail has not seen yet, by their sequence. */
  private readonly ahead = new Map<number, StoredEvent>();
  /** The last sequence that the tail saw; unset before the stream is there. */
  private seen: number | undefined;
  /** The last sequence that this gateway stored. */
  private newestStored = 0;

  constructor(private readonly options: TailOptions) {}

  /** The newest sequence that this gateway knows of; undefined before the stream is there. */
  get known(): number | undefined {
    if (this.seen === undefined) return undefined;
    return Math.max(this.seen, this.newestStored);
  }

  /** The stream is there, with so many messages. Followed until `close`. */
  open(stream: BusStream, lastSequence: number): void {
    this.stream = stream;
    this.createdMs = stream.createdMs;
    this.seen = lastSequence;
    for (const watcher of this.watchers) {
      watcher.position ??= lastSequence;
      watcher.wake();
    }
    this.following = stream.follow(ALL_EVENTS, lastSequence + 1, (message) => this.take(message));
  }

  /** This gateway stored an event. */
  stored(event: StoredEvent, sequence: number): void {
    this.newestStored = Math.max(this.newestStored, sequence);
    if (this.seen === undefined || sequence <= this.seen) return;
    this.ahead.set(sequence, event);
    if (this.ahead.size > this.options.maxRemembered) dropFirst(this.ahead);
  }

  /** An event is told before the stream has it. Whoever is not up to date gets it from the stream, later. */
  passedOn(event: StoredEvent): void {
    // The events before it may be on their way through the tail: nobody sees them after it.
    for (const [sequence, before] of this.ahead) {
      if (before.tenant !== event.tenant || before.callId !== event.callId) continue;
      const early = { ...before, cursor: "", durable: false };
      for (const watcher of this.watchers)
        if ((watcher.position ?? 0) < sequence) this.tellEarly(watcher, early);
    }
    for (const watcher of this.watchers) this.tellEarly(watcher, event);
  }

  /** Every watcher ends with GOING_AWAY. */
  close(): void {
    this.closed = true;
    this.following?.stop();
    for (const watcher of this.watchers) watcher.wake();
  }

  async *watch(
    tenant: string,
    cursor: string,
    filter: EventFilter,
    signal: AbortSignal,
    from: number | undefined,
  ): AsyncGenerator<WatchItem, void, undefined> {
    const [callId] = filter.callIds;
    const head = this.headOf(cursor, from);
    const atHead = head !== undefined || (from === undefined && cursor === "");
    const watcher: Watcher = {
      ...matchers(tenant, filter),
      filter:
        callId !== undefined && filter.callIds.length === 1
          ? eventSubject(tenant, callId)
          : tenantEventsSubject(tenant),
      position: head ?? from,
      mode: atHead ? "queue" : "store",
      listening: atHead,
      queue: [],
      told: new Set(),
      expired: false,
      wake: () => {},
    };
    const onAbort = () => watcher.wake();
    signal.addEventListener("abort", onAbort);
    this.watchers.add(watcher);
    if (atHead)
      for (const event of this.options.waiting()) {
        // To one who begins now they are past; to one who begins where the stream ends they are next.
        if (cursor === "") this.remember(watcher, event);
        else this.tellEarly(watcher, event);
      }
    let live = false;
    try {
      if (cursor !== "" && !atHead) watcher.position = await this.positionOf(cursor, watcher, signal);
      while (!signal.aborted) {
        if (this.closed) throw new CallError("GOING_AWAY", "the gateway is going away");
        if (watcher.expired) throw await this.expiry();
        if (watcher.mode === "store") {
          yield* this.history(watcher, signal);
          continue;
        }
        if (!live) {
          live = true;
          yield { live: { cursor: this.cursorAt(watcher.position) } };
          continue;
        }
        const next = watcher.queue.shift();
        if (!next) await this.waitFor(watcher, signal);
        else if (next.sequence === 0) {
          // Its place in the stream is not known: by its name it is known again.
          if (watcher.told.has(nameOf(next.event))) yield { event: next.event };
        } else if (next.sequence > (watcher.position ?? 0)) {
          watcher.position = next.sequence;
          if (!watcher.told.delete(nameOf(next.event))) yield { event: next.event };
        }
      }
    } finally {
      this.watchers.delete(watcher);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Reads what is between the watcher and the tail; afterwards the watcher is in mode queue. */
  private async *history(watcher: Watcher, signal: AbortSignal): AsyncGenerator<WatchItem, void, undefined> {
    while (!signal.aborted && !this.closed && !watcher.expired) {
      const mark = this.seen;
      const messages = await this.readAfter(watcher);
      if (!messages || mark === undefined) {
        await this.waitFor(watcher, signal, RETRY_MS);
        continue;
      }
      for (const [i, message] of messages.entries()) {
        if (i % EVENTS_PER_STEP === 0) {
          await this.turns.next();
          if (signal.aborted || this.closed || watcher.expired) return;
        }
        this.options.sighted(message);
        watcher.position = message.sequence;
        const event = watcher.mayMatch(ownerOf(message)) ? this.options.decode(message) : undefined;
        if (!event || !watcher.matches(event) || watcher.told.delete(nameOf(event))) continue;
        yield { event };
        if (signal.aborted) return;
      }
      if (messages.length === READ_BATCH) continue;
      if (!watcher.listening) {
        // From here on the tail queues for it; what came before that is read once more.
        watcher.queue = [];
        watcher.listening = true;
      } else {
        watcher.position = Math.max(watcher.position ?? 0, mark);
        watcher.mode = "queue";
        for (const event of this.options.waiting()) this.tellEarly(watcher, event);
        return;
      }
    }
  }

  private async readAfter(watcher: Watcher): Promise<StreamMessage[] | undefined> {
    const { stream } = this;
    if (!stream || watcher.position === undefined) return undefined;
    try {
      const { firstSequence } = await stream.state();
      if (watcher.position + 1 < firstSequence) {
        watcher.expired = true;
        return [];
      }
      const mark = this.seen ?? 0;
      const messages = await stream.read(watcher.filter, watcher.position + 1, READ_BATCH);
      if (messages.length === READ_BATCH) return messages;
      // A replica may have answered that is behind what the tail has already passed.
      const newest = await stream.last(watcher.filter);
      const end = messages.at(-1)?.sequence ?? watcher.position;
      return newest && newest.sequence > end && newest.sequence <= mark ? undefined : messages;
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  private take(message: StreamMessage): void {
    const { stream } = this;
    if (!stream) return;
    if (stream.createdMs !== this.createdMs) this.begin(stream.createdMs);
    this.seen = message.sequence;
    this.options.sighted(message);
    this.ahead.delete(message.sequence);
    if (this.ahead.size > 0)
      for (const at of this.ahead.keys()) if (at < message.sequence) this.ahead.delete(at);
    const owner = ownerOf(message);
    let event: StoredEvent | undefined;
    for (const watcher of this.watchers) {
      if (!watcher.listening) continue;
      if (watcher.mayMatch(owner)) event ??= this.options.decode(message);
      const wanted = event !== undefined && watcher.matches(event);
      if (event && wanted) this.queue(watcher, { sequence: message.sequence, event });
      else if (watcher.mode === "queue" && watcher.queue.length === 0)
        watcher.position = Math.max(watcher.position ?? 0, message.sequence);
    }
  }

  /** Another stream of the same name: positions in the old one say nothing. */
  private begin(createdMs: number): void {
    this.createdMs = createdMs;
    this.seen = 0;
    this.newestStored = 0;
    this.ahead.clear();
    for (const watcher of this.watchers) {
      if (watcher.mode === "store") watcher.expired = true;
      else {
        watcher.position = 0;
        watcher.queue = watcher.queue.map(({ event }) => ({ sequence: 0, event }));
        for (const { event } of watcher.queue) watcher.told.add(nameOf(event));
      }
      watcher.wake();
    }
  }

  private tellEarly(watcher: Watcher, event: StoredEvent): void {
    const name = nameOf(event);
    if (watcher.mode !== "queue" || !watcher.matches(event) || watcher.told.has(name)) return;
    if (watcher.queue.some((item) => item.sequence > 0 && nameOf(item.event) === name)) return;
    this.remember(watcher, event);
    this.queue(watcher, { sequence: 0, event });
  }

  private remember(watcher: Watcher, event: StoredEvent): void {
    watcher.told.add(nameOf(event));
    if (watcher.told.size > this.options.maxRemembered) dropFirst(watcher.told);
  }

  private queue(watcher: Watcher, item: Item): void {
    if (watcher.queue.length < this.options.maxQueuedPerWatcher) watcher.queue.push(item);
    else {
      // What was not given to the reader comes from the stream.
      for (const { sequence, event } of [...watcher.queue, item])
        if (sequence === 0) watcher.told.delete(nameOf(event));
      watcher.queue = [];
      watcher.mode = "store";
      watcher.listening = false;
    }
    watcher.wake();
  }

  /** While the stream cannot be read: where to begin, if the tail brings all that comes after it. */
  private headOf(cursor: string, from: number | undefined): number | undefined {
    if (this.seen === undefined || this.options.reachable()) return undefined;
    const start = cursor === "" ? { storeId: this.options.storeId(), sequence: from } : decodeCursor(cursor);
    if (start.sequence === undefined || start.storeId !== this.options.storeId()) return undefined;
    return start.sequence >= this.seen && start.sequence <= (this.known ?? 0) ? start.sequence : undefined;
  }

  private async positionOf(cursor: string, watcher: Watcher, signal: AbortSignal): Promise<number> {
    const { storeId, sequence } = decodeCursor(cursor);
    for (;;) {
      if (this.closed) throw new CallError("GOING_AWAY", "the gateway is going away");
      if (signal.aborted) return 0;
      if (this.stream)
        try {
          const { firstSequence, lastSequence } = await this.stream.state();
          if (storeId !== this.options.storeId() || sequence + 1 < firstSequence || sequence > lastSequence)
            throw await this.expiry();
          return sequence;
        } catch (error) {
          if (error instanceof CallError) throw error;
          this.failed(error);
        }
      await this.waitFor(watcher, signal, RETRY_MS);
    }
  }

  private async expiry(): Promise<CallError> {
    const first = await this.stream?.state().then(
      ({ firstSequence }) => firstSequence,
      () => undefined,
    );
    return new CallError("CURSOR_EXPIRED", "the cursor is older than the oldest event, or of another store", {
      oldest: first === undefined ? "" : this.options.cursorAt(Math.max(0, first - 1)),
    });
  }

  /** Until something is queued, the watcher is woken or aborted, or the time is over. */
  private async waitFor(watcher: Watcher, signal: AbortSignal, timeoutMs?: number): Promise<void> {
    if (signal.aborted || this.closed) return;
    await new Promise<void>((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
      watcher.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    watcher.wake = () => {};
  }

  private failed(error: unknown): void {
    // That the bus is away is known elsewhere.
    if (!(error instanceof BusError && error.kind === "away")) this.options.onError(error);
  }

  private cursorAt(sequence: number | undefined): string {
    return sequence === undefined ? "" : this.options.cursorAt(sequence);
  }
}

function dropFirst<K>(of: { keys(): Iterable<K>; delete(key: K): boolean }): void {
  for (const first of of.keys()) {
    of.delete(first);
    return;
  }
}

function ownerOf(message: StreamMessage): { tenant: string; callId: string } {
  return parseEventSubject(message.subject) ?? { tenant: "", callId: "" };
}

function nameOf({ tenant, callId, ownerEpoch, sequence }: StoredEvent): string {
  return `${tenant}\0${callId}\0${ownerEpoch}\0${sequence}`;
}
