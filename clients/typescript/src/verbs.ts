import * as p from "@callweave/proto";
import { enumValue, toDuration } from "./convert.js";
import { invalidField } from "./errors.js";
import type { AgentMode, EscalationReason, SummarySource } from "./types.js";

/** When a command takes effect, and what an interrupt does to it while it waits. */
export interface AfterOptions {
  /**
   * `now`; `drained`: when all audio played before it on this call was heard; or the name of a mark. Default: `now`,
   * for `escalate` `drained`.
   */
  readonly after?: "now" | "drained" | { readonly mark: string };
  /**
   * How long to wait for that at most, from when the gateway has the command. 100 to 120,000 ms. Default: 15,000, or
   * the queued playback plus 5,000 if that is longer. Passed: rejects with `AFTER_DEADLINE`, nothing was done.
   */
  readonly afterDeadlineMs?: number;
  /** What `clear()` does to the waiting command. Default: `CANCEL`, for `escalate` `PROCEED`. */
  readonly onInterrupt?: "CANCEL" | "PROCEED";
}

/** What every verb takes. */
export interface VerbOptions {
  /** Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID. */
  readonly requestId?: string;
  /** Aborting cancels the command while it has had no effect; it then rejects with `COMMAND_CANCELLED`. */
  readonly signal?: AbortSignal;
}

/** Options of connecting the original callee. */
export interface ConnectOptions extends VerbOptions, AfterOptions {
  /** How long to ring. Whole seconds, 1 to 120. Default: 60. */
  readonly ringTimeSeconds?: number;
}

/** Ring the number that was called. */
export interface CalleeTarget {
  /** How to ring it. */
  readonly callee: {
    /** Whole seconds, 1 to 120. Default: 60. */
    readonly ringTimeSeconds?: number;
  };
}

/** Offer the call to a pool of human agents. */
export interface PoolTarget {
  /** The name of the pool. */
  readonly pool: string;
  /** How long to offer it there. 1,000 to 600,000 ms. Default: 30,000. */
  readonly waitMs?: number;
  /** If nobody accepts, ring the original callee then. */
  readonly thenCallee?: CalleeTarget["callee"];
}

/** Options of an escalation. */
export interface EscalateOptions extends VerbOptions, AfterOptions {
  /** Why. */
  readonly reason: EscalationReason;
  /** What the human reads: three sentences, at most 2,000 characters. Default: keeps the context's. */
  readonly summary?: string;
  /** Default: `MODEL`. */
  readonly summarySource?: SummarySource;
  /** A symbolic hint for the human side, at most 100 characters: "billing". */
  readonly routingHint?: string;
  /** Merged into the context's data, key by key. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Who is to have the caller. Default: the original callee, 60 s. */
  readonly target?: CalleeTarget | PoolTarget;
  /**
   * Who accepts on the human side before the agent leaves. Default `NONE`: pick-up is enough, a voicemail then counts
   * as a person.
   */
  readonly confirm?: "NONE" | "DESK_ACCEPT" | "SPOKEN_YES";
  /** How long to wait for that. 1,000 to 120,000 ms. Default: 20,000. */
  readonly confirmTimeoutMs?: number;
  /** What the agent leg does then: leave, or stay as a silent spy with an empty seat. Default: `LEAVE`. */
  readonly then?: "LEAVE" | "STAY_SILENT";
  /** What the caller hears meanwhile. Default: `HOLD_AUDIO`. */
  readonly whileRinging?: "HOLD_AUDIO" | "AGENT";
  /** What happens when the context cannot be saved in time. Default: `CONNECT_ANYWAY`. */
  readonly onContextFailure?: "CONNECT_ANYWAY" | "STAY";
  /** How long the save may hold up the ringing. 100 to 10,000 ms. Default: 1,500. */
  readonly saveTimeoutMs?: number;
}

/** Options of a transfer to another agent. */
export interface TransferOptions extends VerbOptions, AfterOptions {
  /** To any agent of a pool, or to one agent process. */
  readonly to: { readonly pool: string } | { readonly instanceId: string };
  /** How long to offer it. 1,000 to 600,000 ms. Default: 30,000. */
  readonly offerMs?: number;
  /** The `seat.epoch` you saw; SEAT_TAKEN when somebody else took the seat since. Default: whatever it is. */
  readonly expectedEpoch?: number;
}

/** Options of leaving. */
export interface CloseOptions extends VerbOptions, AfterOptions {
  /** Must be true in ANSWERED, where leaving ends the call. Default: false. */
  readonly endCall?: boolean;
}

/** Options of ending the call for everyone. */
export interface DisconnectOptions extends VerbOptions, AfterOptions {}

/** The verb of a Command. */
export type CommandVerb = NonNullable<p.Command["verb"]>;

/** @internal Whether the command has to keep its place behind the audio of its call. */
export function waitsForPlayback(verb: CommandVerb): boolean {
  if (!("after" in verb.value)) return false;
  const condition = verb.value.after?.condition ?? p.AfterCondition.UNSPECIFIED;
  if (condition === p.AfterCondition.UNSPECIFIED) return verb.$case === "escalate";
  return condition !== p.AfterCondition.NOW;
}

/** @internal Whether `clear()` lets the command go ahead. */
export function proceedsOnInterrupt(verb: CommandVerb): boolean {
  if (!("after" in verb.value)) return true;
  const rule = verb.value.after?.onInterrupt ?? p.OnInterrupt.UNSPECIFIED;
  return rule === p.OnInterrupt.UNSPECIFIED ? verb.$case === "escalate" : rule === p.OnInterrupt.PROCEED;
}

function after(options: AfterOptions): p.After | undefined {
  const { after, afterDeadlineMs, onInterrupt } = options;
  if (after === undefined && afterDeadlineMs === undefined && onInterrupt === undefined) return undefined;
  const mark = typeof after === "object" ? after.mark : "";
  if (typeof after === "object" && (mark.length < 1 || mark.length > 100)) {
    throw invalidField("after.mark", "1 to 100 characters", mark);
  }
  const condition =
    after === undefined
      ? p.AfterCondition.UNSPECIFIED
      : after === "now"
        ? p.AfterCondition.NOW
        : after === "drained"
          ? p.AfterCondition.PLAYBACK_DRAINED
          : p.AfterCondition.MARK;
  return {
    condition,
    mark,
    deadline: toDuration(afterDeadlineMs),
    onInterrupt: enumValue(p.OnInterrupt, onInterrupt),
  };
}

function ring(seconds: number | undefined): p.Duration | undefined {
  if (seconds === undefined) return undefined;
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 120) {
    throw invalidField("ringTimeSeconds", "a whole number from 1 to 120", seconds);
  }
  return { seconds, nanos: 0 };
}

/** @internal The request of `answer`. */
export function answerRequest(callId: string, requestId: string): p.AnswerCallRequest {
  return { callId, requestId };
}

/** @internal The request of `connect`; `waitMs` in milliseconds, for unary requests alone. Throws INVALID_FIELD. */
export function connectRequest(
  callId: string,
  requestId: string,
  options: ConnectOptions,
  waitMs?: number,
): p.ConnectCallRequest {
  return {
    callId,
    requestId,
    ringDuration: ring(options.ringTimeSeconds),
    after: after(options),
    wait: toDuration(waitMs),
  };
}

/** @internal The request of `setMode`. */
export function setModeRequest(callId: string, requestId: string, mode: AgentMode): p.SetAgentModeRequest {
  return { callId, requestId, mode: enumValue(p.AgentMode, mode) };
}

/** @internal The request of `escalate`; `waitMs` in milliseconds, for unary requests alone. Throws INVALID_FIELD. */
export function escalateRequest(
  callId: string,
  requestId: string,
  options: EscalateOptions,
  waitMs?: number,
): p.EscalateCallRequest {
  // Without a condition a deadline or interrupt rule still belongs to the default condition of an escalation.
  const wait = after(options);
  if (wait && wait.condition === p.AfterCondition.UNSPECIFIED) {
    wait.condition = p.AfterCondition.PLAYBACK_DRAINED;
    if (wait.onInterrupt === p.OnInterrupt.UNSPECIFIED) wait.onInterrupt = p.OnInterrupt.PROCEED;
  }
  return {
    callId,
    requestId,
    reason: enumValue(p.EscalationReason, options.reason),
    summary: options.summary ?? "",
    summarySource: enumValue(p.SummarySource, options.summarySource),
    routingHint: options.routingHint ?? "",
    data: options.data,
    target: escalationTarget(options.target),
    after: wait,
    confirm: enumValue(p.EscalationConfirm, options.confirm),
    confirmTimeout: toDuration(options.confirmTimeoutMs),
    then: enumValue(p.EscalationThen, options.then),
    whileRinging: enumValue(p.WhileRinging, options.whileRinging),
    onContextFailure: enumValue(p.OnContextFailure, options.onContextFailure),
    saveTimeout: toDuration(options.saveTimeoutMs),
    wait: toDuration(waitMs),
  };
}

function escalationTarget(target: EscalateOptions["target"]): p.EscalateCallRequest["target"] {
  if (!target) return undefined;
  if ("callee" in target) {
    return { $case: "originalCallee", value: { ringDuration: ring(target.callee.ringTimeSeconds) } };
  }
  return {
    $case: "pool",
    value: {
      pool: target.pool,
      wait: toDuration(target.waitMs),
      thenOriginalCallee: target.thenCallee && { ringDuration: ring(target.thenCallee.ringTimeSeconds) },
    },
  };
}

/** @internal The request of `confirmEscalation`. */
export function confirmRequest(
  callId: string,
  requestId: string,
  accepted: boolean,
): p.ConfirmEscalationRequest {
  return { callId, requestId, accepted };
}

/** @internal The request of `transfer`; `waitMs` in milliseconds, for unary requests alone. Throws INVALID_FIELD. */
export function transferRequest(
  callId: string,
  requestId: string,
  options: TransferOptions,
  waitMs?: number,
): p.TransferCallRequest {
  return {
    callId,
    requestId,
    to:
      "pool" in options.to
        ? { $case: "pool", value: options.to.pool }
        : { $case: "instanceId", value: options.to.instanceId },
    after: after(options),
    offerDuration: toDuration(options.offerMs),
    wait: toDuration(waitMs),
    expectedEpoch: options.expectedEpoch ?? 0,
  };
}

/** @internal The request of `release`. */
export function releaseRequest(callId: string, requestId: string): p.ReleaseCallRequest {
  return { callId, requestId };
}

/** @internal The request of `close`; `waitMs` in milliseconds, for unary requests alone. Throws INVALID_FIELD. */
export function closeRequest(
  callId: string,
  requestId: string,
  options: CloseOptions,
  waitMs?: number,
): p.CloseCallRequest {
  return {
    callId,
    requestId,
    endCall: options.endCall ?? false,
    after: after(options),
    wait: toDuration(waitMs),
  };
}

/** @internal The request of `disconnect`; `waitMs` in milliseconds, for unary requests alone. Throws INVALID_FIELD. */
export function disconnectRequest(
  callId: string,
  requestId: string,
  options: DisconnectOptions,
  waitMs?: number,
): p.DisconnectCallRequest {
  return { callId, requestId, after: after(options), wait: toDuration(waitMs) };
}

/** @internal The request of `cancel`; an empty request id means the command that waits. */
export function cancelRequest(callId: string, requestId: string): p.CancelCommandRequest {
  return { callId, requestId };
}
