import {
  AgentMode,
  CallDirection,
  CallState,
  ContextDurability,
  type Duration,
  EndReason,
  ErrorReason,
  EscalationConfirm,
  EscalationOutcome,
  EscalationReason,
  EscalationStep,
  EscalationThen,
  MediaChange,
  OfferEnd,
  OnContextFailure,
  type Call as PbCall,
  type CallEvent as PbCallEvent,
  type Error as PbError,
  type EscalationPlan as PbEscalationPlan,
  type EscalationResult as PbEscalationResult,
  type PlaybackPosition as PbPlaybackPosition,
  type Seat as PbSeat,
  SeatCause,
  SeatState,
  type Timestamp,
  UnservedAction,
  WhileRinging,
} from "@callweave/proto";
import { ALLOWED, type EscalationResult } from "../call/call-commands.js";
import { CallError, REASON_STATUS, type Reason } from "../call/call-error.js";
import type { CallEventBody, EscalationPlan, StoredEvent } from "../call/call-events.js";
import type { CallSnapshot, PlaybackSnapshot, SeatSnapshot, Verb } from "../call/call-state.js";

// The way back of convert-call.ts, for events that a gateway published and a gateway reads. What this version does not
// know (a kind, an enum value of a newer one) throws Error: the reader leaves that event out.

/** An event of a call as the gateway knows it; the tenant is not part of the message. Throws Error. */
export function fromPbEvent(tenant: string, event: PbCallEvent): StoredEvent {
  return {
    tenant,
    callId: event.callId,
    pool: event.pool,
    sequence: event.sequence,
    ownerEpoch: event.ownerEpoch,
    time: fromTimestamp(event.time),
    position: event.position,
    body: fromPbEventBody(tenant, event.event),
    cursor: event.cursor,
    durable: event.durable,
  };
}

function fromPbEventBody(tenant: string, event: PbCallEvent["event"]): CallEventBody {
  switch (event?.$case) {
    case "arrived":
      return { type: "arrived", call: fromPbCall(tenant, required(event.value.call, "call")) };
    case "unserved":
      return { type: "unserved", action: nameOf(UnservedAction, event.value.action) };
    case "offered": {
      const { offerId, agentId, instanceId, attempt } = event.value;
      return { type: "offered", offerId, agentId, instanceId, attempt };
    }
    case "offerEnded": {
      const { offerId, agentId, instanceId, end } = event.value;
      return { type: "offerEnded", offerId, agentId, instanceId, end: nameOf(OfferEnd, end) };
    }
    case "seatChanged":
      return {
        type: "seatChanged",
        seat: fromPbSeat(required(event.value.seat, "seat")),
        cause: nameOf(SeatCause, event.value.cause),
      };
    case "answered":
      return { type: "answered" };
    case "ringing":
      return { type: "ringing", ringTimeSeconds: event.value.ringTimeSeconds };
    case "connected":
      return { type: "connected" };
    case "modeSet":
      return { type: "modeSet", mode: nameOf(AgentMode, event.value.mode) };
    case "commandStarted": {
      const { requestId, bodyHash, actor } = event.value;
      return { type: "commandStarted", verb: verbOf(event.value.verb), requestId, bodyHash, actor };
    }
    case "commandDone": {
      const { verb, requestId, error, escalation } = event.value;
      return {
        type: "commandDone",
        verb: verbOf(verb),
        requestId,
        ...(error ? { error: fromPbError(error) } : {}),
        ...(escalation ? { escalation: fromPbEscalationResult(escalation) } : {}),
      };
    }
    case "escalation": {
      const { requestId, step, plan } = event.value;
      return {
        type: "escalation",
        requestId,
        step: nameOf(EscalationStep, step),
        ...(plan ? { plan: fromPbPlan(plan) } : {}),
      };
    }
    case "contextWritten": {
      const { revision, turnCount, durability } = event.value;
      return {
        type: "contextWritten",
        revision,
        turnCount,
        durability: nameOf(ContextDurability, durability),
      };
    }
    case "noteSent":
      return { type: "noteSent", actor: event.value.actor, delivered: event.value.delivered };
    case "ended":
      return { type: "ended", reason: nameOf(EndReason, event.value.reason) };
    case "mediaChanged":
      return {
        type: "mediaChanged",
        change: nameOf(MediaChange, event.value.change),
        detail: event.value.detail,
      };
    case "holdChanged":
      return { type: "holdChanged", holding: event.value.holding };
    case "takenOver": {
      const { fromGatewayId, fromEpoch, gatewayId } = event.value;
      return { type: "takenOver", fromGatewayId, fromEpoch, gatewayId };
    }
    case "eventsLost":
      return { type: "eventsLost", fromEpoch: event.value.fromEpoch };
    case undefined:
      throw new Error("an event of an unknown kind");
  }
}

/** A call; the tenant is not part of the message. Throws Error. */
export function fromPbCall(tenant: string, call: PbCall): CallSnapshot {
  return {
    tenant,
    callId: call.callId,
    sessionId: call.sessionId,
    connector: call.connector,
    direction: nameOf(CallDirection, call.direction) as "INBOUND",
    caller: call.caller,
    callee: call.callee,
    rawCaller: call.rawCaller,
    rawCallee: call.rawCallee,
    pool: call.pool,
    locale: call.locale,
    state: nameOf(CallState, call.state),
    ...(call.agentMode ? { agentMode: nameOf(AgentMode, call.agentMode) } : {}),
    ...(call.endReason ? { endReason: nameOf(EndReason, call.endReason) } : {}),
    seat: fromPbSeat(required(call.seat, "seat")),
    sampleRateHz: call.sampleRateHertz,
    ...(call.pending
      ? { pending: { requestId: call.pending.requestId, verb: verbOf(call.pending.verb) } }
      : {}),
    playback: fromPbPlayback(call.playback),
    createTime: fromTimestamp(call.createTime),
    ...optionalTime("answerTime", call.answerTime),
    ...optionalTime("connectTime", call.connectTime),
    ...optionalTime("endTime", call.endTime),
    gatewayId: call.gatewayId,
    lastEventSequence: call.lastEventSequence,
  };
}

/** A seat. Throws Error. */
export function fromPbSeat(seat: PbSeat): SeatSnapshot {
  const { agentId, instanceId, epoch, attempt } = seat;
  return {
    state: nameOf(SeatState, seat.state),
    agentId,
    instanceId,
    epoch,
    attempt,
    ...optionalTime("suspendExpireTime", seat.suspendExpireTime),
  };
}

function fromPbPlayback(playback: PbPlaybackPosition | undefined): PlaybackSnapshot {
  return {
    queuedMs: toMs(playback?.queued),
    unheardAtProviderMs: toMs(playback?.unheardAtProvider),
    playedMs: toMs(playback?.played),
  };
}

/** A refusal. A reason that this version does not know becomes INTERNAL, with its number in `reason`. */
export function fromPbError(error: PbError): CallError {
  const reason = ErrorReason[error.reason];
  if (reason !== undefined && Object.hasOwn(REASON_STATUS, reason))
    return new CallError(reason as Reason, error.message, { ...error.metadata });
  return new CallError("INTERNAL", error.message, { ...error.metadata, reason: String(error.reason) });
}

function fromPbEscalationResult(result: PbEscalationResult): EscalationResult {
  return {
    outcome: nameOf(EscalationOutcome, result.outcome),
    ...(result.durability ? { durability: nameOf(ContextDurability, result.durability) } : {}),
  };
}

function fromPbPlan(plan: PbEscalationPlan): EscalationPlan {
  const callee = plan.ringTimeSeconds > 0 ? { ringTimeSeconds: plan.ringTimeSeconds } : undefined;
  return {
    reason: nameOf(EscalationReason, plan.reason),
    target:
      plan.pool === ""
        ? { callee: callee ?? { ringTimeSeconds: 0 } }
        : {
            pool: {
              pool: plan.pool,
              waitMs: plan.poolWaitMs,
              ...(callee ? { thenOriginalCallee: callee } : {}),
            },
          },
    confirm: nameOf(EscalationConfirm, plan.confirm),
    confirmTimeoutMs: plan.confirmTimeoutMs,
    then: nameOf(EscalationThen, plan.then),
    whileRinging: nameOf(WhileRinging, plan.whileRinging),
    onContextFailure: nameOf(OnContextFailure, plan.onContextFailure),
    saveTimeoutMs: plan.saveTimeoutMs,
  };
}

type Names<E> = Exclude<keyof E, "UNSPECIFIED" | "UNRECOGNIZED" | number | symbol>;

/** The name of an enum value that is set and known. */
function nameOf<E extends Record<string, string | number>>(type: E, value: number): Names<E> {
  const name = (type as Record<number, unknown>)[value];
  if (value <= 0 || typeof name !== "string") throw new Error(`unknown value ${value} in an event`);
  return name as Names<E>;
}

function verbOf(name: string): Verb {
  if (!Object.hasOwn(ALLOWED, name)) throw new Error("an unknown verb in an event");
  return name as Verb;
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`an event without ${what}`);
  return value;
}

function fromTimestamp(time: Timestamp | undefined): Date {
  const { seconds, nanos } = required(time, "time");
  return new Date(seconds * 1000 + Math.round(nanos / 1e6));
}

function optionalTime<K extends string>(key: K, time: Timestamp | undefined): { readonly [k in K]?: Date } {
  return (time ? { [key]: fromTimestamp(time) } : {}) as { readonly [k in K]?: Date };
}

function toMs(duration: Duration | undefined): number {
  return duration ? duration.seconds * 1000 + duration.nanos / 1e6 : 0;
}
