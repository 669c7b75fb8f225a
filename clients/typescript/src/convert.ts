import * as p from "@callweave/proto";
import { fromWire } from "./errors.js";
import type {
  AudioFormat,
  AudioGap,
  CallEvent,
  CallEventBody,
  CallInfo,
  EndReason,
  EscalationResult,
  PlaybackPosition,
  Seat,
  SeatCause,
} from "./types.js";

/** The names of a generated enum without "not given" and "not known". */
export type NameOf<E> = Exclude<keyof E, "UNSPECIFIED" | "UNRECOGNIZED"> & string;

/** The name of an enum value; undefined for "not given" and for values newer than this library. */
export function enumName<E extends object>(values: E, value: number): NameOf<E> | undefined {
  const name = (values as Record<number, string>)[value];
  return name === undefined || name === "UNSPECIFIED" || name === "UNRECOGNIZED"
    ? undefined
    : (name as NameOf<E>);
}

/** The value of an enum name; 0 for undefined. */
export function enumValue<E extends object>(values: E, name: NameOf<E> | undefined): E[keyof E] {
  return (values as Record<string, unknown>)[name ?? "UNSPECIFIED"] as E[keyof E];
}

/** A protobuf duration in milliseconds; 0 when unset. */
export function toMs(duration: p.Duration | undefined): number {
  return duration ? duration.seconds * 1000 + duration.nanos / 1e6 : 0;
}

/** Milliseconds as a protobuf duration; undefined stays unset. */
export function toDuration(ms: number | undefined): p.Duration | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.trunc(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A protobuf timestamp as a Date. */
export function toDate(time: p.Timestamp | undefined): Date | undefined {
  return time ? new Date(time.seconds * 1000 + Math.floor(time.nanos / 1e6)) : undefined;
}

/** A Date as a protobuf timestamp. */
export function toTimestamp(date: Date | undefined): p.Timestamp | undefined {
  if (!date) return undefined;
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A view of the bytes as a Buffer, without copying. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A playback position in milliseconds; all 0 when unset. */
export function toPlayback(position: p.PlaybackPosition | undefined): PlaybackPosition {
  return {
    queuedMs: toMs(position?.queued),
    unheardAtProviderMs: toMs(position?.unheardAtProvider),
    playedMs: toMs(position?.played),
  };
}

function toSeat(seat: p.Seat | undefined): Seat {
  return {
    state: enumName(p.SeatState, seat?.state ?? 0) ?? "VACANT",
    agentId: seat?.agentId ?? "",
    instanceId: seat?.instanceId ?? "",
    epoch: seat?.epoch ?? 0,
    attempt: seat?.attempt ?? 0,
    suspendExpireTime: toDate(seat?.suspendExpireTime),
  };
}

/** A call as programs see it; unset fields as protobuf defaults, a state newer than this library as `PENDING`. */
export function toCallInfo(call: p.Call | undefined): CallInfo {
  const c = call ?? p.Call.fromPartial({});
  return {
    callId: c.callId,
    sessionId: c.sessionId,
    connector: c.connector,
    direction: "INBOUND",
    caller: c.caller,
    callee: c.callee,
    rawCaller: c.rawCaller,
    rawCallee: c.rawCallee,
    pool: c.pool,
    locale: c.locale,
    state: enumName(p.CallState, c.state) ?? "PENDING",
    agentMode: enumName(p.AgentMode, c.agentMode),
    endReason: enumName(p.EndReason, c.endReason),
    seat: toSeat(c.seat),
    sampleRateHertz: c.sampleRateHertz,
    pending: c.pending && { requestId: c.pending.requestId, verb: c.pending.verb },
    playback: toPlayback(c.playback),
    createTime: toDate(c.createTime),
    answerTime: toDate(c.answerTime),
    connectTime: toDate(c.connectTime),
    endTime: toDate(c.endTime),
    gatewayId: c.gatewayId,
    lastEventSequence: c.lastEventSequence,
  };
}

/** Why a call is over; undefined when not given or newer than this library. */
export function toEndReason(reason: p.EndReason): EndReason | undefined {
  return enumName(p.EndReason, reason);
}

/** Why a seat changed; `LOST` when not given or newer than this library. */
export function toSeatCause(cause: p.SeatCause): SeatCause {
  return enumName(p.SeatCause, cause) ?? "LOST";
}

/** How an escalation ended; undefined when not given or when its outcome is newer than this library. */
export function toEscalation(result: p.EscalationResult | undefined): EscalationResult | undefined {
  if (!result) return undefined;
  const outcome = enumName(p.EscalationOutcome, result.outcome);
  if (!outcome) return undefined;
  return { outcome, durability: enumName(p.ContextDurability, result.durability) };
}

/** A format with its defaults: `S16LE`, at `callRate` (Hz), else 16,000; `MULAW` and `ALAW` at 8,000. */
export function toAudioFormat(format: p.AudioFormat | undefined, callRate: number): Required<AudioFormat> {
  const encoding = enumName(p.AudioEncoding, format?.encoding ?? 0) ?? "S16LE";
  const fallback = encoding === "S16LE" ? callRate : 8000;
  return { encoding, sampleRateHertz: format?.sampleRateHertz || fallback || 16000 };
}

/** A format for the wire; what is not set stays unset, the gateway has the defaults. */
export function fromAudioFormat(format: AudioFormat | undefined): p.AudioFormat | undefined {
  if (!format) return undefined;
  return {
    encoding: enumValue(p.AudioEncoding, format.encoding),
    sampleRateHertz: format.sampleRateHertz ?? 0,
  };
}

/** A gap in the audio; `callRate` is the sample rate of its position in Hz. */
export function toAudioGap(gap: p.AudioGap, callRate: number): AudioGap {
  return {
    gapMs: toMs(gap.duration),
    reason: enumName(p.AudioGapReason, gap.reason) ?? "UNSPECIFIED",
    positionSamples: gap.from,
    atMs: callRate > 0 ? (gap.from * 1000) / callRate : 0,
  };
}

/** An event; a kind newer than this library has the type `unknown`. */
export function toCallEvent(event: p.CallEvent): CallEvent {
  return {
    callId: event.callId,
    sequence: event.sequence,
    time: toDate(event.time) ?? new Date(0),
    cursor: event.cursor,
    durable: event.durable,
    position: event.position,
    pool: event.pool,
    // A gateway of before has none.
    ownerEpoch: event.ownerEpoch || 1,
    ...toBody(event.event),
  };
}

function toBody(event: p.CallEvent["event"]): CallEventBody {
  switch (event?.$case) {
    case "arrived":
      return { type: "arrived", call: toCallInfo(event.value.call) };
    case "unserved":
      return { type: "unserved", action: enumName(p.UnservedAction, event.value.action) ?? "CONNECT" };
    case "offered": {
      const { offerId, agentId, instanceId, attempt } = event.value;
      return { type: "offered", offerId, agentId, instanceId, attempt };
    }
    case "offerEnded": {
      const { offerId, agentId, instanceId, end } = event.value;
      return {
        type: "offerEnded",
        offerId,
        agentId,
        instanceId,
        end: enumName(p.OfferEnd, end) ?? "REVOKED",
      };
    }
    case "seatChanged":
      return { type: "seatChanged", seat: toSeat(event.value.seat), cause: toSeatCause(event.value.cause) };
    case "answered":
      return { type: "answered" };
    case "ringing":
      return { type: "ringing", ringTimeSeconds: event.value.ringTimeSeconds };
    case "connected":
      return { type: "connected" };
    case "modeSet":
      return { type: "modeSet", mode: enumName(p.AgentMode, event.value.mode) ?? "BARGE" };
    case "commandStarted": {
      const { verb, requestId, bodyHash, actor } = event.value;
      return { type: "commandStarted", verb, requestId, bodyHash, actor };
    }
    case "commandDone": {
      const { verb, requestId, error, escalation } = event.value;
      return {
        type: "commandDone",
        verb,
        requestId,
        error: error && fromWire(error),
        escalation: toEscalation(escalation),
      };
    }
    case "escalation": {
      const step = enumName(p.EscalationStep, event.value.step) ?? "SAVING";
      return { type: "escalation", requestId: event.value.requestId, step };
    }
    case "contextWritten": {
      const { revision, turnCount, durability } = event.value;
      return {
        type: "contextWritten",
        revision,
        turnCount,
        durability: enumName(p.ContextDurability, durability),
      };
    }
    case "noteSent":
      return { type: "noteSent", actor: event.value.actor, delivered: event.value.delivered };
    case "ended":
      return { type: "ended", reason: toEndReason(event.value.reason) ?? "TERMINATED" };
    case "mediaChanged": {
      const change = enumName(p.MediaChange, event.value.change) ?? "PROVIDER_ERROR";
      return { type: "mediaChanged", change, detail: event.value.detail };
    }
    case "holdChanged":
      return { type: "holdChanged", holding: event.value.holding };
    case "takenOver": {
      const { fromGatewayId, fromEpoch, gatewayId } = event.value;
      return { type: "takenOver", fromGatewayId, fromEpoch, gatewayId };
    }
    case "eventsLost":
      return { type: "eventsLost", fromEpoch: event.value.fromEpoch };
    default:
      return { type: "unknown" };
  }
}
