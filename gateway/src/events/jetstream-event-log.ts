import { createHash } from "node:crypto";
import { type Bus, BusError, type BusStream, type StreamMessage } from "../bus/bus.js";
import { ALL_EVENTS, eventSubject, parseEventSubject, tenantEventsSubject } from "../bus/subjects.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { EventFilter, EventLog, WatchItem } from "../call/event-log.js";
import { type Clock, systemClock } from "../util/clock.js";
import { encodeCursor } from "./cursor.js";
import { CallsOfCaller } from "./erase-caller.js";
import { EventOutbox } from "./event-outbox.js";
import { EventTail } from "./event-tail.js";
import type { EventWire } from "./event-wire.js";

/** Options of the event log that all gateways on one NATS share. */
export interface JetStreamEventLogOptions {
  /** The form of the payload. */
  readonly wire: EventWire;
  /** Default "CALLWEAVE_EVENTS". */
  readonly streamName?: string;
  /** Days that events are kept. Default 7. */
  readonly retentionDays?: number;
  /** Bytes that are kept at most; beyond it the oldest go. Default 1 GiB. */
  readonly maxBytes?: number;
  /** 1, 3 or 5. Default 1. */
  readonly replicas?: number;
  /** Default "file". */
  readonly storage?: "file" | "memory";
  /** Events that wait to be stored at most; further ones are passed on with `durable: false` and lost. Default 20,000. */
  readonly maxPending?: number;
  /**
   * How long an acknowledgement may take, in ms. Then what waits is passed on with `durable: false`, and so is what
   * comes until NATS acknowledges again; all of it is stored later. Default 3,000.
   */
  readonly writeTimeoutMs?: number;
  /** Events being published at a time, at most one per call. Default 256. */
  readonly maxInFlight?: number;
  /** Events that wait in memory per watcher at most; beyond it the watcher is served from the stream. Default 1,000. */
  readonly maxQueuedPerWatcher?: number;
  /** How long `close` waits for what is not stored yet, in ms. Default 5,000. */
  readonly closeTimeoutMs?: number;
  readonly onError?: (error: unknown) => void;
  /** Events of the call were told and will never be stored; told once the store is back. */
  readonly onEventsLost?: (tenant: string, callId: string, ownerEpoch: number) => void;
  /**
   * Another gateway, which has the call since then or as long as this one, wrote events of it. Nothing more of the call
   * is stored by this gateway.
   */
  readonly onFenced?: (
    tenant: string,
    callId: string,
    about: { readonly ownerEpoch: number; readonly otherEpoch: number },
  ) => void;
  readonly clock?: Clock;
}

const DAY_MS = 86_400_000;
const READ_BATCH = 1000;
/** How often an unwilling server is asked for the stream. */
const REOPEN_MS = 5000;
const ignore = () => {};

/** The event log in JetStream. Usable at once: until the stream is there, events are passed on and wait. */
export class JetStreamEventLog implements EventLog {
  /** Resolves when the stream is there. */
  readonly opened: Promise<void>;
  private stream: BusStream | undefined;
  private readonly outbox: EventOutbox;
  private readonly tail: EventTail;
  private readonly offStatus: () => void;
  private readonly settings;
  private closed = false;
  private wake: () => void = ignore;
  private storeIdOf = { createdMs: -1, id: "0".repeat(16) };

  constructor(
    private readonly bus: Bus,
    options: JetStreamEventLogOptions,
  ) {
    this.settings = {
      streamName: "CALLWEAVE_EVENTS",
      retentionDays: 7,
      maxBytes: 2 ** 30,
      replicas: 1,
      storage: "file" as const,
      maxPending: 20_000,
      writeTimeoutMs: 3000,
      maxInFlight: 256,
      maxQueuedPerWatcher: 1000,
      closeTimeoutMs: 5000,
      onError: ignore,
      onEventsLost: ignore,
      onFenced: ignore,
      clock: systemClock,
      ...options,
    };
    const { maxPending, onError } = this.settings;
    this.tail = new EventTail({
      maxQueuedPerWatcher: this.settings.maxQueuedPerWatcher,
      maxRemembered: maxPending,
      onError,
      decode: (message) => this.decode(message),
      cursorAt: (sequence) => this.cursorAt(sequence),
      storeId: () => this.storeId,
      reachable: () => bus.connected,
      sighted: (message) => this.outbox.sighted(message),
      waiting: () => this.outbox.waiting(),
    });
    this.outbox = new EventOutbox({
      ...this.settings,
      bus,
      stored: (event, sequence) => {
        const stored = { ...event, cursor: this.cursorAt(sequence), durable: true };
        this.tail.stored(stored, sequence);
        return stored;
      },
      passedOn: (event) => this.tail.passedOn(event),
    });
    this.offStatus = bus.onStatus((connected) => {
      if (!connected) this.outbox.away();
      else if (this.stream) this.outbox.open(this.stream);
    });
    this.opened = this.open();
  }

  /** False: the store is away, and what comes is told with `durable: false`. */
  get connected(): boolean {
    return this.outbox.healthy;
  }

  /** Events that wait for their acknowledgement. */
  get pending(): number {
    return this.outbox.pending;
  }

  /** Events that were told and that the store will never have. */
  get lost(): number {
    return this.outbox.lost;
  }

  /** Counters since the start; `pending` is now. */
  stats(): {
    readonly pending: number;
    readonly published: number;
    readonly nonDurable: number;
    readonly lost: number;
    readonly fenced: number;
  } {
    const { pending, published, nonDurable, lost, fenced } = this.outbox;
    return { pending, published, nonDurable, lost, fenced };
  }

  append(event: CallEvent): Promise<StoredEvent> {
    return this.outbox.append(event);
  }

  /** Waits for the stream as long as a write may take; then it is empty, and watching begins now. */
  head(_tenant: string): string | Promise<string> {
    const known = this.tail.known;
    if (known !== undefined) return this.cursorAt(known);
    const { clock, writeTimeoutMs } = this.settings;
    return new Promise((resolve) => {
      const answer = () => {
        timer.cancel();
        const now = this.tail.known;
        resolve(now === undefined ? "" : this.cursorAt(now));
      };
      const timer = clock.after(writeTimeoutMs, answer);
      void this.opened.then(answer);
    });
  }

  /** Always: any gateway may have had the call. */
  knows(_tenant: string, _callId: string): boolean {
    return true;
  }

  /** Rejects with BusError when NATS is away. Also fixes where the next event of the call has to go. */
  async ofCall(tenant: string, callId: string, afterSequence: number): Promise<StoredEvent[]> {
    const { stream } = this;
    if (!stream) throw new BusError("away", "the event stream is not there yet");
    const subject = eventSubject(tenant, callId);
    const newest = await stream.last(subject);
    const found: StoredEvent[] = [];
    let position = 0;
    for (let idle = 0; newest && position < newest.sequence; ) {
      const messages = await stream.read(subject, position + 1, READ_BATCH);
      for (const message of messages) {
        position = message.sequence;
        const event = this.decode(message);
        if (event && event.sequence > afterSequence) found.push(event);
      }
      if (messages.length > 0) continue;
      // A replica that is behind, or the events were removed meanwhile.
      if (++idle > 20) throw new BusError("timeout", "the events of the call could not be read");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    if (afterSequence === 0) this.outbox.known(tenant, callId, position);
    return found;
  }

  watch(tenant: string, cursor: string, filter: EventFilter, signal: AbortSignal): AsyncIterable<WatchItem> {
    // The position is taken now, not when the reader begins to iterate.
    const from = cursor === "" ? this.tail.known : undefined;
    return this.tail.watch(tenant, cursor, filter, signal, from);
  }

  /** Removes all events of a call from the store. Rejects with BusError. */
  async erase(tenant: string, callId: string): Promise<void> {
    if (!this.stream) throw new BusError("away", "the event stream is not there yet");
    await this.stream.purge(eventSubject(tenant, callId));
  }

  /** Rejects with BusError. */
  async eraseCaller(tenant: string, caller: string): Promise<number> {
    const { stream } = this;
    if (!stream) throw new BusError("away", "the event stream is not there yet");
    const calls = new CallsOfCaller(tenant, caller);
    const { firstSequence, lastSequence } = await stream.state();
    for (let from = firstSequence; from <= lastSequence; ) {
      const messages = await stream.read(tenantEventsSubject(tenant), from, READ_BATCH);
      for (const message of messages) {
        const event = this.decode(message);
        if (event) calls.see(event);
      }
      const last = messages.at(-1);
      if (!last) break;
      from = last.sequence + 1;
    }
    const over = calls.over();
    for (const callId of over) await this.erase(tenant, callId);
    return over.length;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.wake();
    await this.outbox.close(this.settings.closeTimeoutMs);
    this.offStatus();
    this.tail.close();
  }

  private async open(): Promise<void> {
    const { streamName, retentionDays, maxBytes, replicas, storage, onError } = this.settings;
    while (!this.closed) {
      try {
        const stream = await this.bus.stream({
          name: streamName,
          subjects: [ALL_EVENTS],
          maxAgeMs: retentionDays * DAY_MS,
          maxBytes,
          discard: "old",
          replicas,
          storage,
        });
        const { lastSequence } = await stream.state();
        if (this.closed) return;
        this.stream = stream;
        this.tail.open(stream, lastSequence);
        this.outbox.open(stream);
        return;
      } catch (error) {
        if (this.closed) return;
        onError(error);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, REOPEN_MS);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  private decode(message: StreamMessage): StoredEvent | undefined {
    const owner = parseEventSubject(message.subject);
    try {
      if (!owner) throw new Error("not a subject of events");
      const event = this.settings.wire.decode(owner.tenant, message);
      if (event.callId !== owner.callId) throw new Error("an event under the subject of another call");
      return { ...event, cursor: this.cursorAt(message.sequence), durable: true };
    } catch (error) {
      // Of a newer gateway, or not of a gateway at all: better one event missing than watchers that cannot pass it.
      this.settings.onError(error);
      return undefined;
    }
  }

  /** 16 hexadecimal digits: the same for every gateway, another one for a stream that was made anew. */
  private get storeId(): string {
    const createdMs = this.stream?.createdMs ?? 0;
    if (this.storeIdOf.createdMs !== createdMs) {
      const text = `${this.settings.streamName}\n${createdMs}`;
      this.storeIdOf = { createdMs, id: createHash("sha256").update(text).digest("hex").slice(0, 16) };
    }
    return this.storeIdOf.id;
  }

  private cursorAt(sequence: number): string {
    return encodeCursor({ storeId: this.storeId, sequence });
  }
}
