import type { CallEventBody, StoredEvent } from "./call-events.js";
import type { EventLog } from "./event-log.js";

/** Numbers the events of one call and hands them to the log; tells them on once they are stored, in order. */
export class EventRecorder {
  /** Which owner of the call this is, from 1. */
  readonly ownerEpoch: number;
  private sequence: number;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly facts: { readonly tenant: string; readonly callId: string; readonly pool: string },
    private readonly log: EventLog,
    private readonly wallNow: () => Date,
    private readonly position: () => number,
    private readonly stored: (event: StoredEvent) => void,
    /** Where the numbers go on from, and whose they are now. */
    start: { readonly sequence: number; readonly ownerEpoch: number } = { sequence: 0, ownerEpoch: 1 },
  ) {
    this.sequence = start.sequence;
    this.ownerEpoch = start.ownerEpoch;
  }

  /** Sequence of the newest event. */
  get last(): number {
    return this.sequence;
  }

  /** Records an event; resolves when it is stored (or the log gave up on it). Never rejects. */
  record(body: CallEventBody): Promise<StoredEvent> {
    const event = {
      tenant: this.facts.tenant,
      callId: this.facts.callId,
      pool: this.facts.pool,
      sequence: ++this.sequence,
      ownerEpoch: this.ownerEpoch,
      time: this.wallNow(),
      position: this.position(),
      body,
    };
    const previous = this.tail;
    const result = this.log.append(event).then(async (stored) => {
      // The log answers in order; this holds even if one day it does not.
      await previous;
      this.stored(stored);
      return stored;
    });
    this.tail = result;
    return result;
  }

  /** Resolves when everything recorded so far was told. */
  async idle(): Promise<void> {
    await this.tail;
  }
}
