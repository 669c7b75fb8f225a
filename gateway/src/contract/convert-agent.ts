import {
  AssignedResume,
  AudioGapReason,
  EndReason,
  EscalationReason,
  type GatewayItem,
  MarkEnd,
  type Reattach,
  type Register,
  SeatCause,
} from "@callweave/proto";
import type { CallError } from "../call/call-error.js";
import { invalidField } from "../call/call-error.js";
import type { AgentNotice, ReattachCall, Registration } from "../dispatch/agent-port.js";
import {
  toDuration,
  toPbAudioFormat,
  toPbError,
  toPbEscalationResult,
  toTimestamp,
  toUint,
} from "./convert.js";
import { toPbCall, toPbEvent, toPbPlayback } from "./convert-call.js";
import { toPbContext } from "./convert-context.js";
import { atMost, audioFormat, callId, line, name, uuid, whole } from "./validate.js";

/** A registration, defaults filled in. */
export function fromRegister(register: Register): Registration {
  const labels = Object.entries(register.labels);
  atMost("labels", labels, 16);
  for (const [key, value] of labels) {
    line("labels", key, 1, 64);
    line(`labels.${key}`, value, 0, 256);
  }
  return {
    agentId: name("agent_id", register.agentId),
    instanceId: uuid("instance_id", register.instanceId),
    pool: register.pool === "" ? "default" : name("pool", register.pool),
    capacity: whole("capacity", register.capacity, 1, 10_000, 1),
    audioFormat: audioFormat("audio_format", register.audioFormat),
    labels: register.labels,
    answerOnAccept: register.answerOnAccept,
    heartbeat: register.heartbeat,
    noAudio: register.noAudio,
  };
}

/** A session token. It is not repeated in the error. */
export function fromToken(token: string): string {
  if (token.length < 1 || token.length > 200) throw invalidField("session_token", "the token of Registered");
  return token;
}

/** The calls to come back to. */
export function fromReattach(reattach: Reattach): ReattachCall[] {
  return atMost("calls", reattach.calls, 10_000).map((call) => ({
    callId: callId("calls.call_id", call.callId),
    epoch: call.epoch,
    lastEventSequence: call.lastEventSequence,
  }));
}

/** A notice as an item. `seal` makes an error fit to leave the process. */
export function toPbItem(notice: AgentNotice, seal: (error: CallError) => CallError): GatewayItem {
  return { item: toPbKind(notice, seal) };
}

function toPbKind(notice: AgentNotice, seal: (error: CallError) => CallError): GatewayItem["item"] {
  switch (notice.type) {
    case "registered": {
      const { info } = notice;
      return {
        $case: "registered",
        value: {
          sessionToken: info.sessionToken,
          heartbeatInterval: toDuration(info.heartbeatIntervalMs),
          reattachGrace: toDuration(info.reattachGraceMs),
          limits: {
            maxItems: info.maxItems,
            maxMessageBytes: info.maxMessageBytes,
            maxPlayback: toDuration(info.maxPlaybackMs),
          },
          gatewayId: info.gatewayId,
          instanceId: info.instanceId,
        },
      };
    }
    case "offer":
      return {
        $case: "offer",
        value: {
          offerId: notice.offerId,
          call: toPbCall(notice.call),
          context: notice.context && toPbContext(notice.context, true),
          attempt: notice.attempt,
          deadline: toTimestamp(notice.deadline),
          timeLeft: toDuration(notice.timeLeftMs),
          escalationReason: notice.escalationReason
            ? EscalationReason[notice.escalationReason]
            : EscalationReason.UNSPECIFIED,
        },
      };
    case "offerRevoked":
      return { $case: "offerRevoked", value: { offerId: notice.offerId } };
    case "assigned":
      return {
        $case: "assigned",
        value: {
          call: toPbCall(notice.call),
          epoch: notice.epoch,
          handle: notice.handle,
          resume: AssignedResume[notice.resume],
          audioFormat: toPbAudioFormat(notice.audioFormat),
          offerId: notice.offerId,
          attempt: notice.attempt,
        },
      };
    case "unassigned":
      return {
        $case: "unassigned",
        value: {
          handle: notice.handle,
          callId: notice.callId,
          cause: SeatCause[notice.cause],
          endReason: notice.endReason ? EndReason[notice.endReason] : EndReason.UNSPECIFIED,
        },
      };
    case "audioGap":
      return {
        $case: "audioGap",
        value: {
          handle: notice.handle,
          from: toUint(notice.from),
          duration: toDuration(notice.durationMs),
          reason: AudioGapReason[notice.reason],
        },
      };
    case "markReached":
      return {
        $case: "markReached",
        value: { handle: notice.handle, name: notice.name, end: MarkEnd[notice.end] },
      };
    case "playback":
      return {
        $case: "playback",
        value: { handle: notice.handle, position: toPbPlayback(notice.position) },
      };
    case "playbackCleared":
      return {
        $case: "playbackCleared",
        value: {
          handle: notice.handle,
          droppedLocal: toDuration(notice.droppedLocalMs),
          estimatedUnheardAtProvider: toDuration(notice.estimatedUnheardAtProviderMs),
          played: toDuration(notice.playedMs),
        },
      };
    case "commandResult":
      return {
        $case: "commandResult",
        value: {
          requestId: notice.requestId,
          handle: notice.handle,
          call: notice.reply && toPbCall(notice.reply.call),
          pending: notice.reply?.pending !== undefined,
          error: notice.error && toPbError(seal(notice.error)),
          escalation: notice.reply?.escalation && toPbEscalationResult(notice.reply.escalation),
        },
      };
    case "callEvent":
      return { $case: "callEvent", value: toPbEvent(notice.event) };
    case "note":
      return {
        $case: "note",
        value: { handle: notice.handle, text: notice.text, author: notice.author },
      };
    case "itemRefused":
      return {
        $case: "itemRefused",
        value: { handle: notice.handle, item: notice.item, error: toPbError(seal(notice.error)) },
      };
    case "credentialExpiring": {
      const { expireTime } = notice;
      const timeLeft = toDuration(Math.max(0, expireTime.getTime() - Date.now()));
      return { $case: "credentialExpiring", value: { expireTime: toTimestamp(expireTime), timeLeft } };
    }
    case "goAway":
      return { $case: "goAway", value: { deadline: toDuration(notice.deadlineMs) } };
  }
}
