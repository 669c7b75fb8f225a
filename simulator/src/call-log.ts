/** Where an event of a call was seen. */
export type EventPlane = "control" | "media" | "call" | "party" | "fault";

/** One line of a call's log: frames and commands as the simulator saw them, and what happened to the call. */
export interface CallLogEvent {
  /** Time on the simulator's clock, ms. */
  readonly atMs: number;
  /** Time since the call was placed, ms: the same axis as the recording. */
  readonly callMs: number;
  readonly plane: EventPlane;
  /** `in`: from the agent's side; `out`: to it; `none`: within the simulator. */
  readonly direction: "in" | "out" | "none";
  /** Frame type, command name or kind of event, such as `call.answer`, `buffer_request`, `state.CONNECTED`. */
  readonly type: string;
  readonly data: unknown;
}

/** A bounded log; the oldest event is forgotten first. */
export class CallLog {
  readonly #events: CallLogEvent[] = [];
  readonly #limit: number;
  /** Events forgotten because the log was full. */
  forgotten = 0;

  /** `limit`: events kept, default 10000. */
  constructor(limit = 10_000) {
    this.#limit = limit;
  }

  add(event: CallLogEvent): void {
    this.#events.push(event);
    if (this.#events.length > this.#limit) {
      // In slices, so that a long call does not pay for each event.
      const excess = this.#events.length - Math.floor(this.#limit * 0.9);
      this.#events.splice(0, excess);
      this.forgotten += excess;
    }
  }

  /** All events kept, oldest first. The array is live. */
  get events(): readonly CallLogEvent[] {
    return this.#events;
  }
}
