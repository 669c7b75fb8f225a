import {
  AgentMode,
  type Call,
  type CallEvent,
  CallState,
  type EscalationPlan,
  EscalationStep,
  SeatState,
} from "@callweave/proto/messages";
import { toMs } from "./time.js";

/** A call as the page knows it: the call itself, and what only its events tell. */
export interface CallEntry {
  readonly call: Call;
  /** An escalation under way. */
  readonly escalation?: {
    readonly requestId: string;
    readonly step: EscalationStep;
    readonly plan?: EscalationPlan;
  };
  /** The callee rings. */
  readonly ringing: boolean;
  /** Since when the caller waits for somebody, ms; undefined while somebody is there. */
  readonly waitingSinceMs?: number;
  /** Who gave the transfer under way: "client:desk-1". */
  readonly takenBy?: string;
}

/** An entry of a call that was just listed. */
export function entryOf(call: Call, before?: CallEntry): CallEntry {
  // An escalation that began before this page did: its step is not known, but it is under way.
  const escalation =
    call.pending?.verb === "EscalateCall"
      ? (before?.escalation ?? { requestId: call.pending.requestId, step: EscalationStep.CONNECTING })
      : undefined;
  const { escalation: _before, ...known } = before ?? { ringing: false };
  const ringing = call.pending?.verb === "ConnectCall" || (escalation !== undefined && known.ringing);
  return withWaiting(
    { ...known, call, ringing, ...(escalation && { escalation }) },
    before?.waitingSinceMs ?? toMs(call.createTime),
  );
}

/** The call is over, for us. */
export function isOver({ call }: CallEntry): boolean {
  return call.state === CallState.DISCONNECTED;
}

/** Somebody is to come: an escalation looks for a human, or nobody has the seat. */
export function isWaiting(entry: CallEntry): boolean {
  if (isOver(entry)) return false;
  if (entry.escalation && entry.escalation.step !== EscalationStep.LEAVING) return true;
  const seat = entry.call.seat?.state;
  return (
    entry.call.state !== CallState.CONNECTED && (seat === SeatState.VACANT || seat === SeatState.OFFERED)
  );
}

/** What an event does to a call. A call that is not known yet comes with its arrival; others are undefined. */
export function applyEvent(entry: CallEntry | undefined, event: CallEvent): CallEntry | undefined {
  const timeMs = toMs(event.time);
  const what = event.event;
  if (what?.$case === "arrived") {
    if (entry && entry.call.lastEventSequence >= event.sequence) return entry;
    return (
      what.value.call &&
      withWaiting({ call: { ...what.value.call, lastEventSequence: event.sequence }, ringing: false }, timeMs)
    );
  }
  if (!entry) return undefined;
  // Already part of the list that was read later than this happened.
  if (event.durable && event.sequence <= entry.call.lastEventSequence) return entry;
  const call: Call = {
    ...entry.call,
    lastEventSequence: Math.max(event.sequence, entry.call.lastEventSequence),
  };
  return withWaiting(step({ ...entry, call }, event), timeMs);
}

function step(entry: CallEntry, { event, time }: CallEvent): CallEntry {
  const { call } = entry;
  switch (event?.$case) {
    case "answered":
      return { ...entry, call: { ...call, state: CallState.ANSWERED, answerTime: time } };
    case "offered":
      return {
        ...entry,
        call: {
          ...call,
          seat: call.seat && {
            ...call.seat,
            attempt: event.value.attempt,
            state: call.seat.state === SeatState.VACANT ? SeatState.OFFERED : call.seat.state,
          },
        },
      };
    case "offerEnded":
      if (call.seat?.state !== SeatState.OFFERED) return entry;
      return { ...entry, call: { ...call, seat: { ...call.seat, state: SeatState.VACANT } } };
    case "seatChanged":
      return { ...entry, call: { ...call, seat: event.value.seat } };
    case "ringing":
      return { ...entry, ringing: true };
    case "connected":
      return {
        ...entry,
        ringing: false,
        call: { ...call, state: CallState.CONNECTED, agentMode: AgentMode.BARGE, connectTime: time },
      };
    case "modeSet":
      return { ...entry, call: { ...call, agentMode: event.value.mode } };
    case "commandStarted":
      if (event.value.verb === "TransferCall") return { ...entry, takenBy: event.value.actor };
      return entry;
    case "commandDone":
      return commandDone(entry, event.value.verb);
    case "escalation": {
      const { requestId, plan } = event.value;
      const known = plan ?? entry.escalation?.plan;
      return { ...entry, escalation: { requestId, step: event.value.step, ...(known && { plan: known }) } };
    }
    case "ended": {
      const { escalation: _over, takenBy: _nobody, ...rest } = entry;
      return {
        ...rest,
        ringing: false,
        call: { ...call, state: CallState.DISCONNECTED, endReason: event.value.reason, endTime: time },
      };
    }
    case "takenOver":
      return { ...entry, call: { ...call, gatewayId: event.value.gatewayId } };
    default:
      return entry;
  }
}

function commandDone(entry: CallEntry, verb: string): CallEntry {
  if (verb === "EscalateCall") {
    const { escalation: _over, ...rest } = entry;
    return { ...rest, ringing: false };
  }
  if (verb === "ConnectCall") return { ...entry, ringing: false };
  if (verb === "TransferCall") {
    const { takenBy: _nobody, ...rest } = entry;
    return rest;
  }
  return entry;
}

/** Keeps the beginning of a wait, begins one, or ends it. */
function withWaiting(entry: CallEntry, sinceMs: number): CallEntry {
  if (!isWaiting(entry)) {
    const { waitingSinceMs: _over, ...rest } = entry;
    return rest;
  }
  return entry.waitingSinceMs === undefined ? { ...entry, waitingSinceMs: sinceMs } : entry;
}
