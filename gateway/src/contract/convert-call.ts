import {
  AgentMode,
  CallDirection,
  CallState,
  ContextDurability,
  EndReason,
  EscalationConfirm,
  EscalationReason,
  EscalationStep,
  EscalationThen,
  MediaChange,
  OfferEnd,
  OnContextFailure,
  type Call as PbCall,
  type CallEvent as PbCallEvent,
  type CallFilter as PbCallFilter,
  type EscalationPlan as PbEscalationPlan,
  type Seat as PbSeat,
  type PlaybackPosition,
  SeatCause,
  SeatState,
  UnservedAction,
  WhileRinging,
} from "@callweave/proto";
import type { CallEventBody, EscalationPlan, StoredEvent } from "../call/call-events.js";
import type { CallSnapshot, PlaybackSnapshot, SeatSnapshot } from "../call/call-state.js";
import type { CallFilter } from "../gateway-api.js";
import {
  toDuration,
  toOptionalTimestamp,
  toPbError,
  toPbEscalationResult,
  toTimestamp,
  toUint,
} from "./convert.js";
import { atMost, callId, enumName, name } from "./validate.js";

/** A call. */
export function toPbCall(call: CallSnapshot): PbCall {
  return {
    callId: call.callId,
    sessionId: call.sessionId,
    connector: call.connector,
    direction: CallDirection[call.direction],
    caller: call.caller,
    callee: call.callee,
    rawCaller: call.rawCaller,
    rawCallee: call.rawCallee,
    pool: call.pool,
    locale: call.locale,
    state: CallState[call.state],
    agentMode: call.agentMode ? AgentMode[call.agentMode] : AgentMode.UNSPECIFIED,
    endReason: call.endReason ? EndReason[call.endReason] : EndReason.UNSPECIFIED,
    seat: toPbSeat(call.seat),
    sampleRateHertz: call.sampleRateHz,
    pending: call.pending && { requestId: call.pending.requestId, verb: call.pending.verb },
    playback: toPbPlayback(call.playback),
    createTime: toTimestamp(call.createTime),
    answerTime: toOptionalTimestamp(call.answerTime),
    connectTime: toOptionalTimestamp(call.connectTime),
    endTime: toOptionalTimestamp(call.endTime),
    gatewayId: call.gatewayId,
    lastEventSequence: call.lastEventSequence,
  };
}

/** A seat. */
export function toPbSeat(seat: SeatSnapshot): PbSeat {
  return {
    state: SeatState[seat.state],
    agentId: seat.agentId,
    instanceId: seat.instanceId,
    epoch: seat.epoch,
    attempt: seat.attempt,
    suspendExpireTime: toOptionalTimestamp(seat.suspendExpireTime),
  };
}

/** A playback position. */
export function toPbPlayback(playback: PlaybackSnapshot): PlaybackPosition {
  return {
    queued: toDuration(playback.queuedMs),
    unheardAtProvider: toDuration(playback.unheardAtProviderMs),
    played: toDuration(playback.playedMs),
  };
}

/** An event of a call. */
export function toPbEvent(event: StoredEvent): PbCallEvent {
  return {
    callId: event.callId,
    sequence: event.sequence,
    ownerEpoch: event.ownerEpoch,
    time: toTimestamp(event.time),
    cursor: event.cursor,
    durable: event.durable,
    position: toUint(event.position),
    pool: event.pool,
    event: toPbEventBody(event.body),
  };
}

function toPbEventBody(body: CallEventBody): PbCallEvent["event"] {
  switch (body.type) {
    case "arrived":
      return { $case: "arrived", value: { call: toPbCall(body.call) } };
    case "unserved":
      return { $case: "unserved", value: { action: UnservedAction[body.action] } };
    case "offered":
      return {
        $case: "offered",
        value: {
          offerId: body.offerId,
          agentId: body.agentId,
          instanceId: body.instanceId,
          attempt: body.attempt,
        },
      };
    case "offerEnded":
      return {
        $case: "offerEnded",
        value: {
          offerId: body.offerId,
          agentId: body.agentId,
          instanceId: body.instanceId,
          end: OfferEnd[body.end],
        },
      };
    case "seatChanged":
      return { $case: "seatChanged", value: { seat: toPbSeat(body.seat), cause: SeatCause[body.cause] } };
    case "answered":
      return { $case: "answered", value: {} };
    case "ringing":
      return { $case: "ringing", value: { ringTimeSeconds: body.ringTimeSeconds } };
    case "connected":
      return { $case: "connected", value: {} };
    case "modeSet":
      return { $case: "modeSet", value: { mode: AgentMode[body.mode] } };
    case "commandStarted":
      return {
        $case: "commandStarted",
        value: { verb: body.verb, requestId: body.requestId, bodyHash: body.bodyHash, actor: body.actor },
      };
    case "commandDone":
      return {
        $case: "commandDone",
        value: {
          verb: body.verb,
          requestId: body.requestId,
          error: body.error && toPbError(body.error),
          escalation: body.escalation && toPbEscalationResult(body.escalation),
        },
      };
    case "escalation":
      return {
        $case: "escalation",
        value: {
          requestId: body.requestId,
          step: EscalationStep[body.step],
          plan: body.plan && toPbPlan(body.plan),
        },
      };
    case "contextWritten":
      return {
        $case: "contextWritten",
        value: {
          revision: body.revision,
          turnCount: body.turnCount,
          durability: ContextDurability[body.durability],
        },
      };
    case "noteSent":
      return { $case: "noteSent", value: { actor: body.actor, delivered: body.delivered } };
    case "ended":
      return { $case: "ended", value: { reason: EndReason[body.reason] } };
    case "mediaChanged":
      return { $case: "mediaChanged", value: { change: MediaChange[body.change], detail: body.detail } };
    case "holdChanged":
      return { $case: "holdChanged", value: { holding: body.holding } };
    case "takenOver":
      return {
        $case: "takenOver",
        value: { fromGatewayId: body.fromGatewayId, fromEpoch: body.fromEpoch, gatewayId: body.gatewayId },
      };
    case "eventsLost":
      return { $case: "eventsLost", value: { fromEpoch: body.fromEpoch } };
  }
}

function toPbPlan(plan: EscalationPlan): PbEscalationPlan {
  const { target } = plan;
  const callee = "callee" in target ? target.callee : target.pool.thenOriginalCallee;
  return {
    reason: EscalationReason[plan.reason],
    ringTimeSeconds: callee?.ringTimeSeconds ?? 0,
    pool: "pool" in target ? target.pool.pool : "",
    poolWaitMs: "pool" in target ? target.pool.waitMs : 0,
    confirm: EscalationConfirm[plan.confirm],
    confirmTimeoutMs: plan.confirmTimeoutMs,
    then: EscalationThen[plan.then],
    whileRinging: WhileRinging[plan.whileRinging],
    onContextFailure: OnContextFailure[plan.onContextFailure],
    saveTimeoutMs: plan.saveTimeoutMs,
  };
}

const STATES = ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"] as const;

/** A filter of calls; unset does not narrow. */
export function fromPbFilter(filter: PbCallFilter | undefined): CallFilter {
  if (!filter) return { callIds: [], pools: [], states: [] };
  return {
    callIds: atMost("filter.call_ids", filter.callIds, 100).map((id) => callId("filter.call_ids", id)),
    pools: atMost("filter.pools", filter.pools, 100).map((pool) => name("filter.pools", pool)),
    states: atMost("filter.states", filter.states, 100).map((state) =>
      enumName("filter.states", CallState, state, STATES),
    ),
  };
}
