import type { CallEventBody } from "../call/call-events.js";

/** The kinds of events by the names that `webhooks[].events` gives them: the cases of CallEvent in the contract. */
const NAMES: Readonly<Record<CallEventBody["type"], string>> = {
  arrived: "arrived",
  unserved: "unserved",
  offered: "offered",
  offerEnded: "offer_ended",
  seatChanged: "seat_changed",
  answered: "answered",
  ringing: "ringing",
  connected: "connected",
  modeSet: "mode_set",
  commandStarted: "command_started",
  commandDone: "command_done",
  escalation: "escalation",
  contextWritten: "context_written",
  noteSent: "note_sent",
  ended: "ended",
  mediaChanged: "media_changed",
  holdChanged: "hold_changed",
  takenOver: "taken_over",
  eventsLost: "events_lost",
};

/** Every name. */
export const EVENT_NAMES: readonly string[] = Object.values(NAMES);

/** The name of an event. */
export function eventName({ type }: CallEventBody): string {
  return NAMES[type];
}
