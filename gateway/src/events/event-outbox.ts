import { randomBytes } from "node:crypto";
import { type Bus, BusError, type BusStream, encodeToken, type StreamMessage } from "../bus/bus.js";
import { eventSubject } from "../bus/subjects.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { Clock, Timer } from "../util/clock.js";
import type { EventWire } from "./event-wire.js";

/** Names the process that wrote an event, so that it knows its own again. */
export const WRITER_HEADER = "Callweave-Writer";
/** Which owner of the call wrote it. */
export const EPOCH_HEADER = "Callweave-Owner-Epoch";

/** What the outbox is made with; see JetStreamEventLogOptions. */
export interface OutboxOptions {
  readonly bus: Bus;
  readonly wire: EventWire;
  readonly clock: Clock;
  readonly maxPending: number;
  readonly writeTimeoutMs: number;
  readonly maxInFlight: number;
  readonly onError: (error: unknown) => void;
  readonly onEventsLost: (tenant: string, callId: string, ownerEpoch: number) => void;
  readonly onFenced: (
    tenant: string,
    callId: string,
    about: { readonly ownerEpoch: number; readonly otherEpoch: number },
  ) => void;
  /** An event has its place in the stream. */
  readonly stored: (event: CallEvent, sequence: number) => StoredEvent;
  /** An event is passed on before the stream has it. */
  readonly passedOn: (event: StoredEvent) => void;
}

/** An event that the stream does not have yet. */
interface Entry {
  readonly event: CallEvent;
  readonly appendedMs: number;
  /** Unset once whoever appended it has his answer. */
  resolve: ((stored: StoredEvent) => void) | undefined;
}

/** The events of one call on their way to the stream: one at a time, in order. */
interface Writer {
  readonly tenant: string;
  readonly callId: string;
  readonly subject: string;
  readonly queue: Entry[];
  /** Being published. */
  busy: boolean;
  /** The last sequence on the subject; unset: to be asked for. */
  last: number | undefined;
  /** Which owner was found to be no longer the owner; unset: none. */
  fencedEpoch: number | undefined;
  /** Events were dropped and that is not told yet; whose they were. */
  lostEpoch: number | undefined;
}

/** Calls without anything on its way that are remembered. */
const MAX_IDLE_WRITERS = 10_000;
/** Room for the headers of a message. */
const HEADER_BYTES = 1024;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

/**
 * Publishes events: in order and one at a time per call, many calls at once, each event where the one before it is the
 * newest. What cannot be published now waits, within a bound, and is published later under the same message id.
 */
export class EventOutbox {
  pending = 0;
  published = 0;
  nonDurable = 0;
  lost = 0;
  fenced = 0;
  private stream: BusStream | undefined;
  private readonly writerId = randomBytes(8).toString("hex");
  private readonly writers = new Map<string, Writer>();
  /** Calls whose events were dropped, not told yet. */
  private readonly incomplete = new Set<Writer>();
  private readonly ready: Writer[] = [];
  private readonly unanswered = new Set<Entry>();
  private timer: Timer | undefined;
  private running = 0;
  /** An acknowledgement did not come in time, and none came since. */
  private stuck = false;
  private retryMs = FIRST_RETRY_MS;
  private retry: Timer | undefined;
  private closed = false;
  private idleWaiters: (() => void)[] = [];

  constructor(private readonly options: OutboxOptions) {}

  /** Whether an event appended now would probably be acknowledged. */
  get healthy(): boolean {
    return this.stream !== undefined && this.options.bus.connected && !this.stuck;
  }

  /** The stream is there; called again when the bus is back. */
  open(stream: BusStream): void {
    this.stream = stream;
    this.stuck = false;
    this.retryMs = FIRST_RETRY_MS;
    this.retry?.cancel();
    this.retry = undefined;
    this.pumpAll();
  }

  /** The bus is away: whoever waits is answered now. */
  away(): void {
    this.answerAll();
  }

  append(event: CallEvent): Promise<StoredEvent> {
    const writer = this.writer(event.tenant, event.callId);
    return new Promise((resolve) => {
      // It may come back, as a later owner.
      if (writer.fencedEpoch !== undefined && event.ownerEpoch > writer.fencedEpoch) {
        writer.fencedEpoch = undefined;
        writer.last = undefined;
      }
      if (this.closed || writer.fencedEpoch !== undefined) {
        this.nonDurable++;
        resolve({ ...event, cursor: "", durable: false });
        return;
      }
      if (this.pending >= this.options.maxPending) {
        this.markLost(writer, event.ownerEpoch);
        this.answerAll();
        resolve(this.passOn(event));
        return;
      }
      const entry: Entry = { event, appendedMs: this.options.clock.nowMs(), resolve };
      this.pending++;
      writer.queue.push(entry);
      this.unanswered.add(entry);
      if (this.healthy) this.plan();
      else this.answerAll();
      this.pump(writer);
    });
  }

  /** What a call's newest event in the stream is, as read before the first append; 0: none. */
  known(tenant: string, callId: string, lastSequence: number): void {
    const writer = this.writer(tenant, callId);
    if (writer.queue.length === 0) writer.last ??= lastSequence;
  }

  /** A message was seen in the stream. When it is one that waits for its acknowledgement, it has it now. */
  sighted(message: StreamMessage): void {
    if (message.headers[WRITER_HEADER] !== this.writerId || this.closed) return;
    // callweave.<tenant>.calls.<id>.events: the two tokens are the key.
    const [, tenant, , callId] = message.subject.split(".");
    const writer = this.writers.get(`${tenant}.${callId}`);
    const [entry] = writer?.queue ?? [];
    if (writer && entry && message.headers["Nats-Msg-Id"] === this.messageId(entry.event))
      this.acknowledged(writer, entry, message.sequence);
  }

  /** Events that were passed on and wait to be stored; those of one call in order. */
  *waiting(): Generator<StoredEvent, void, undefined> {
    for (const { queue } of this.writers.values())
      for (const { event, resolve } of queue) if (!resolve) yield { ...event, cursor: "", durable: false };
  }

  /** Waits until nothing is on its way, at most so long; then gives up what is left. */
  async close(timeoutMs: number): Promise<void> {
    if (this.closed) return;
    if (this.pending > 0) {
      const idle = new Promise<void>((resolve) => this.idleWaiters.push(resolve));
      let timer: Timer | undefined;
      const late = new Promise<void>((resolve) => {
        timer = this.options.clock.after(timeoutMs, resolve);
      });
      await Promise.race([idle, late]);
      timer?.cancel();
    }
    this.closed = true;
    this.answerAll();
    this.retry?.cancel();
    if (this.pending === 0) return;
    this.lost += this.pending;
    this.options.onError(new Error(`${this.pending} events were not stored before the end`));
    this.pending = 0;
    for (const writer of this.writers.values()) writer.queue.length = 0;
  }

  private writer(tenant: string, callId: string): Writer {
    const key = `${encodeToken(tenant)}.${encodeToken(callId)}`;
    let writer = this.writers.get(key);
    // The most recently used are last.
    if (writer) this.writers.delete(key);
    else {
      writer = {
        tenant,
        callId,
        subject: eventSubject(tenant, callId),
        queue: [],
        busy: false,
        last: undefined,
        fencedEpoch: undefined,
        lostEpoch: undefined,
      };
      if (this.writers.size >= MAX_IDLE_WRITERS) this.forgetIdle();
    }
    this.writers.set(key, writer);
    return writer;
  }

  private forgetIdle(): void {
    for (const [key, { queue, busy, lostEpoch }] of this.writers) {
      if (busy || queue.length > 0 || lostEpoch !== undefined) continue;
      // What is asked for again later is the same: the stream knows who wrote last.
      this.writers.delete(key);
      return;
    }
  }

  private pumpAll(): void {
    for (const writer of [...this.writers.values()]) this.pump(writer);
  }

  private pump(writer: Writer): void {
    if (writer.busy || writer.queue.length === 0 || this.closed || this.retry) return;
    if (!this.stream || !this.options.bus.connected) return;
    writer.busy = true;
    this.ready.push(writer);
    this.startReady();
  }

  private startReady(): void {
    while (this.running < this.options.maxInFlight) {
      const writer = this.ready.shift();
      if (!writer) return;
      this.running++;
      void this.publishNext(writer).then(() => {
        this.running--;
        writer.busy = false;
        this.pump(writer);
        this.startReady();
      });
    }
  }

  private async publishNext(writer: Writer): Promise<void> {
    const [entry] = writer.queue;
    const { stream } = this;
    if (!entry || !stream || this.closed) return;
    const { event } = entry;
    const { wire, bus, onError } = this.options;
    try {
      // A fresh call has nothing in the stream; if that is not so, the server says it.
      if (writer.last === undefined && event.sequence === 1 && event.ownerEpoch === 1) writer.last = 0;
      if (writer.last === undefined && !(await this.findLast(stream, writer, event))) return;
      const message = encode(wire, event, bus.maxPayloadBytes - HEADER_BYTES);
      if (message instanceof Error) {
        onError(message);
        this.drop(writer, entry);
        return;
      }
      const { data, headers } = message;
      const { sequence } = await stream.publish(writer.subject, data, {
        messageId: this.messageId(event),
        expectedLast: writer.last ?? 0,
        headers: { ...headers, [WRITER_HEADER]: this.writerId, [EPOCH_HEADER]: String(event.ownerEpoch) },
      });
      if (!this.closed) this.acknowledged(writer, entry, sequence);
    } catch (error) {
      if (this.closed) return;
      if (error instanceof BusError && error.kind === "conflict") {
        // Purged, made anew, written by somebody else: what is there now says which.
        writer.last = undefined;
        await this.findLast(stream, writer, event).catch((failed: unknown) => this.failed(failed));
      } else this.failed(error);
    }
  }

  /**
   * Asks where the next event of the call has to go. False: nowhere, because somebody who has the call since then, or
   * as long as this gateway, wrote. An earlier owner's last words are no reason to stop: he is the one to be fenced.
   */
  private async findLast(stream: BusStream, writer: Writer, event: CallEvent): Promise<boolean> {
    const newest = await stream.last(writer.subject);
    const own = newest?.headers[WRITER_HEADER] === this.writerId;
    const otherEpoch = Number(newest?.headers[EPOCH_HEADER] ?? 0);
    if (newest && !own && otherEpoch >= event.ownerEpoch) {
      this.fence(writer, event.ownerEpoch, otherEpoch);
      return false;
    }
    writer.last = newest?.sequence ?? 0;
    return true;
  }

  private acknowledged(writer: Writer, entry: Entry, sequence: number): void {
    // By its acknowledgement and by the sight of it in the stream; whichever comes first.
    if (writer.queue[0] !== entry) return;
    writer.last = sequence;
    this.stuck = false;
    this.retryMs = FIRST_RETRY_MS;
    this.published++;
    const stored = this.options.stored(entry.event, sequence);
    this.leave(writer, entry);
    entry.resolve?.(stored);
    entry.resolve = undefined;
    this.tellLost();
  }

  /** Tells of the calls whose events were dropped, once the rest of them is stored. */
  private tellLost(): void {
    for (const writer of this.incomplete) {
      if (writer.queue.length > 0 || writer.lostEpoch === undefined) continue;
      const { lostEpoch } = writer;
      writer.lostEpoch = undefined;
      this.incomplete.delete(writer);
      this.options.onEventsLost(writer.tenant, writer.callId, lostEpoch);
    }
  }

  private markLost(writer: Writer, ownerEpoch: number): void {
    this.lost++;
    writer.lostEpoch = ownerEpoch;
    this.incomplete.add(writer);
  }

  private failed(error: unknown): void {
    const { bus, clock, onError } = this.options;
    if (bus.connected) onError(error);
    if (this.retry) return;
    this.retry = clock.after(this.retryMs, () => {
      this.retry = undefined;
      this.pumpAll();
    });
    this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
  }

  private fence(writer: Writer, ownerEpoch: number, otherEpoch: number): void {
    writer.fencedEpoch = ownerEpoch;
    this.fenced++;
    for (const entry of [...writer.queue]) {
      this.leave(writer, entry);
      this.nonDurable++;
      entry.resolve?.({ ...entry.event, cursor: "", durable: false });
      entry.resolve = undefined;
    }
    this.options.onFenced(writer.tenant, writer.callId, { ownerEpoch, otherEpoch });
  }

  /** Gives up on an event that can never be stored. */
  private drop(writer: Writer, entry: Entry): void {
    this.markLost(writer, entry.event.ownerEpoch);
    this.answer(entry);
    this.leave(writer, entry);
  }

  private leave(writer: Writer, entry: Entry): void {
    const at = writer.queue.indexOf(entry);
    if (at < 0) return;
    writer.queue.splice(at, 1);
    this.unanswered.delete(entry);
    if (this.unanswered.size === 0) {
      this.timer?.cancel();
      this.timer = undefined;
    }
    if (--this.pending > 0) return;
    for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /** Answers everybody who waits, in order; what they appended stays on its way. */
  private answerAll(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const entry of [...this.unanswered]) this.answer(entry);
  }

  private answer(entry: Entry): void {
    this.unanswered.delete(entry);
    if (!entry.resolve) return;
    entry.resolve(this.passOn(entry.event));
    entry.resolve = undefined;
  }

  private passOn(event: CallEvent): StoredEvent {
    this.nonDurable++;
    const stored = { ...event, cursor: "", durable: false };
    this.options.passedOn(stored);
    return stored;
  }

  /** Wakes up when the oldest event has waited long enough. */
  private plan(): void {
    if (this.timer) return;
    const [oldest] = this.unanswered;
    if (!oldest) return;
    const { clock, writeTimeoutMs, onError } = this.options;
    this.timer = clock.after(oldest.appendedMs + writeTimeoutMs - clock.nowMs(), () => {
      this.timer = undefined;
      if (!this.unanswered.has(oldest)) return this.plan();
      this.stuck = true;
      onError(new Error(`NATS did not acknowledge an event within ${writeTimeoutMs} ms`));
      this.answerAll();
    });
  }

  private messageId({ tenant, callId, ownerEpoch, sequence }: CallEvent): string {
    return `${encodeToken(tenant)}.${encodeToken(callId)}:${ownerEpoch}:${sequence}:${this.writerId}`;
  }
}

function encode(
  wire: EventWire,
  event: CallEvent,
  maxBytes: number,
): ReturnType<EventWire["encode"]> | Error {
  try {
    const message = wire.encode(event);
    if (message.data.length <= maxBytes) return message;
    return new Error(`an event of ${message.data.length} bytes is larger than NATS takes`);
  } catch (cause) {
    return new Error("an event cannot be written", { cause });
  }
}
