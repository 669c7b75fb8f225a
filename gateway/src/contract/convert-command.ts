import {
  AfterCondition,
  AgentMode,
  type CloseCallRequest,
  type Command,
  type ConfirmEscalationRequest,
  type ConnectCallRequest,
  type DisconnectCallRequest,
  type EscalateCallRequest,
  EscalationConfirm,
  EscalationReason,
  EscalationThen,
  OnContextFailure,
  OnInterrupt,
  type After as PbAfter,
  type OriginalCalleeTarget as PbCallee,
  type SendNoteRequest,
  type SetAgentModeRequest,
  SummarySource,
  type TransferCallRequest,
  WhileRinging,
} from "@callweave/proto";
import type { After, CallCommand, EscalateCommand, OriginalCalleeTarget } from "../call/call-commands.js";
import { invalidField } from "../call/call-error.js";
import { data, durationMs, enumName, line, name, requestId, text, uuid, wholeSeconds } from "./validate.js";

// Requests as commands of the core: bounds checked, defaults filled in, nothing unspecified left.

const CONDITIONS = ["NOW", "PLAYBACK_DRAINED", "MARK"] as const;
const INTERRUPTS = ["CANCEL", "PROCEED"] as const;
const REASONS = [
  "ASKED_FOR_HUMAN",
  "FRUSTRATED",
  "OUT_OF_SCOPE",
  "NOT_UNDERSTOOD",
  "EMERGENCY",
  "PROVIDER_FAILED",
] as const;

/** The `wait` of a unary verb in ms; unset is 0: answer at once. */
export function waitMs(wait: ConnectCallRequest["wait"]): number {
  return durationMs("wait", wait, 0, 150_000, 0);
}

/** A condition; unset and NOW are the same: undefined. */
function after(value: PbAfter | undefined): After | undefined {
  const given = value && givenAfter(value, "CANCEL");
  return given?.condition === "NOW" ? undefined : given;
}

function givenAfter(value: PbAfter, onInterrupt: "CANCEL" | "PROCEED"): After {
  const condition = enumName("after.condition", AfterCondition, value.condition, CONDITIONS, "NOW");
  const deadlineMs = durationMs("after.deadline", value.deadline, 100, 120_000, undefined);
  const interrupt = enumName("after.on_interrupt", OnInterrupt, value.onInterrupt, INTERRUPTS, onInterrupt);
  if (condition !== "MARK" && value.mark !== "") {
    throw invalidField("after.mark", "empty unless the condition is AFTER_CONDITION_MARK", value.mark);
  }
  if (condition === "NOW") return { condition };
  return {
    condition,
    ...(condition === "MARK" && { mark: line("after.mark", value.mark, 1, 100) }),
    ...(deadlineMs !== undefined && { deadlineMs }),
    onInterrupt: interrupt,
  };
}

function withAfter(value: PbAfter | undefined): { after?: After } {
  const condition = after(value);
  return condition ? { after: condition } : {};
}

/** ConnectCall. */
export function connectCommand(request: ConnectCallRequest): CallCommand {
  return {
    verb: "ConnectCall",
    ringTimeSeconds: wholeSeconds("ring_duration", request.ringDuration, 1, 120, 60),
    ...withAfter(request.after),
  };
}

/** SetAgentMode. */
export function setAgentModeCommand(request: SetAgentModeRequest): CallCommand {
  const modes = ["BARGE", "WHISPER", "SPY"] as const;
  return { verb: "SetAgentMode", mode: enumName("mode", AgentMode, request.mode, modes) };
}

/** ConfirmEscalation. */
export function confirmCommand(request: ConfirmEscalationRequest): CallCommand {
  return { verb: "ConfirmEscalation", accepted: request.accepted };
}

/** TransferCall. */
export function transferCommand(request: TransferCallRequest): CallCommand {
  if (!request.to) throw invalidField("to", "pool or instance_id");
  const to =
    request.to.$case === "pool"
      ? { pool: name("pool", request.to.value) }
      : { instanceId: uuid("instance_id", request.to.value, true) };
  return {
    verb: "TransferCall",
    to,
    ...withAfter(request.after),
    offerDurationMs: durationMs("offer_duration", request.offerDuration, 1_000, 600_000, 30_000),
    ...(request.expectedEpoch > 0 && { expectedEpoch: request.expectedEpoch }),
  };
}

/** CloseCall. */
export function closeCommand(request: CloseCallRequest): CallCommand {
  return { verb: "CloseCall", endCall: request.endCall, ...withAfter(request.after) };
}

/** DisconnectCall. */
export function disconnectCommand(request: DisconnectCallRequest): CallCommand {
  return { verb: "DisconnectCall", ...withAfter(request.after) };
}

/** SendNote. */
export function noteCommand(request: SendNoteRequest): CallCommand {
  return { verb: "SendNote", text: text("text", request.text, 1, 2_000) };
}

/** EscalateCall. */
export function escalateCommand(request: EscalateCallRequest): EscalateCommand {
  return {
    verb: "EscalateCall",
    reason: enumName("reason", EscalationReason, request.reason, REASONS),
    summary: text("summary", request.summary, 0, 2_000),
    summarySource: enumName(
      "summary_source",
      SummarySource,
      request.summarySource,
      ["MODEL", "RULES"] as const,
      "MODEL",
    ),
    routingHint: line("routing_hint", request.routingHint, 0, 100),
    data: data("data", request.data),
    target: escalationTarget(request.target),
    after: request.after
      ? givenAfter(request.after, "PROCEED")
      : { condition: "PLAYBACK_DRAINED", onInterrupt: "PROCEED" },
    confirm: enumName(
      "confirm",
      EscalationConfirm,
      request.confirm,
      ["NONE", "DESK_ACCEPT", "SPOKEN_YES"] as const,
      "NONE",
    ),
    confirmTimeoutMs: durationMs("confirm_timeout", request.confirmTimeout, 1_000, 120_000, 20_000),
    then: enumName("then", EscalationThen, request.then, ["LEAVE", "STAY_SILENT"] as const, "LEAVE"),
    whileRinging: enumName(
      "while_ringing",
      WhileRinging,
      request.whileRinging,
      ["HOLD_AUDIO", "AGENT"] as const,
      "HOLD_AUDIO",
    ),
    onContextFailure: enumName(
      "on_context_failure",
      OnContextFailure,
      request.onContextFailure,
      ["CONNECT_ANYWAY", "STAY"] as const,
      "CONNECT_ANYWAY",
    ),
    saveTimeoutMs: durationMs("save_timeout", request.saveTimeout, 100, 10_000, 1_500),
  };
}

function escalationTarget(target: EscalateCallRequest["target"]): EscalateCommand["target"] {
  if (target?.$case !== "pool") return { callee: callee("original_callee", target?.value) };
  const { pool, wait, thenOriginalCallee } = target.value;
  return {
    pool: {
      pool: name("pool.pool", pool),
      waitMs: durationMs("pool.wait", wait, 1_000, 600_000, 30_000),
      ...(thenOriginalCallee && {
        thenOriginalCallee: callee("pool.then_original_callee", thenOriginalCallee),
      }),
    },
  };
}

function callee(field: string, target: PbCallee | undefined): OriginalCalleeTarget {
  return { ringTimeSeconds: wholeSeconds(`${field}.ring_duration`, target?.ringDuration, 1, 120, 60) };
}

/** The call_id that a command of a stream names inside; mostly empty. */
export function innerCallId(verb: NonNullable<Command["verb"]>): string {
  return verb.value.callId;
}

/** A command of a stream. `wait` and the inner request_id are ignored, except that CancelCommand's names its target. */
export function streamCommand(verb: NonNullable<Command["verb"]>): CallCommand {
  switch (verb.$case) {
    case "answer":
      return { verb: "AnswerCall" };
    case "connect":
      return connectCommand(verb.value);
    case "setAgentMode":
      return setAgentModeCommand(verb.value);
    case "escalate":
      return escalateCommand(verb.value);
    case "confirmEscalation":
      return confirmCommand(verb.value);
    case "transfer":
      return transferCommand(verb.value);
    case "release":
      return { verb: "ReleaseCall" };
    case "close":
      return closeCommand(verb.value);
    case "disconnect":
      return disconnectCommand(verb.value);
    case "cancel":
      return {
        verb: "CancelCommand",
        targetRequestId: requestId("cancel.request_id", verb.value.requestId),
      };
  }
}
