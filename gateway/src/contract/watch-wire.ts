import { encodeMessage, WatchCallsResponse, WatchContextsResponse } from "@callweave/proto";
import type { StoredEvent } from "../call/call-events.js";
import { toPbEvent } from "./convert-call.js";

/** The messages of events as bytes, as long as somebody still has the event. */
const encodedEvents = new WeakMap<StoredEvent, Uint8Array>();

/** An event as a message of WatchCalls, converted by the wire that needs it: most have its bytes already. */
export class EventMessage implements WatchCallsResponse {
  constructor(readonly stored: StoredEvent) {}

  get item(): WatchCallsResponse["item"] {
    return { $case: "event", value: toPbEvent(this.stored) };
  }
}

/** The bytes of a message of WatchCalls: of an event they are made once for all who watch it. Must not be changed. */
export function encodeWatchCallsResponse(message: WatchCallsResponse): Uint8Array {
  if (!(message instanceof EventMessage)) return encodeMessage(WatchCallsResponse, message);
  const known = encodedEvents.get(message.stored);
  if (known) return known;
  // Converted once: the generated code asks for the item more than once.
  const bytes = encodeMessage(WatchCallsResponse, { item: message.item });
  encodedEvents.set(message.stored, bytes);
  return bytes;
}

/** The bytes of what each watch yields, for every wire. */
export const WATCH_ENCODERS = {
  watchCalls: encodeWatchCallsResponse,
  watchContexts: (message: WatchContextsResponse): Uint8Array =>
    encodeMessage(WatchContextsResponse, message),
};
