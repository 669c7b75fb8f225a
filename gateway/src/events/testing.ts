import type { CallEvent } from "../call/call-events.js";

/** An event of a call, for tests. */
export function event(sequence: number, over: Partial<CallEvent> = {}): CallEvent {
  return {
    tenant: "t",
    callId: "c-1",
    pool: "p",
    sequence,
    ownerEpoch: 1,
    time: new Date(0),
    position: 0,
    body: { type: "answered" },
    ...over,
  };
}
