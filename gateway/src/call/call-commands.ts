import { CallError } from "./call-error.js";
import type { AgentMode, CallSnapshot, CallState, Verb } from "./call-state.js";

/** Why an agent hands the call to a human. */
export type EscalationReason =
  | "ASKED_FOR_HUMAN"
  | "FRUSTRATED"
  | "OUT_OF_SCOPE"
  | "NOT_UNDERSTOOD"
  | "EMERGENCY"
  | "PROVIDER_FAILED";

/** How an escalation ended. */
export type EscalationOutcome =
  | "CONNECTED"
  | "UNANSWERED"
  | "PICKED_UP_NOT_CONFIRMED"
  | "CALLER_LEFT"
  | "CONTEXT_NOT_SAVED"
  | "CANCELLED"
  | "REJECTED"
  | "UNKNOWN"
  | "LEAVE_FAILED";

/** Where a written context is safe. */
export type ContextDurability = "STORE" | "REPLICATED_LOG" | "LOCAL_DISK";

/** When a command takes effect. */
export interface After {
  readonly condition: "NOW" | "PLAYBACK_DRAINED" | "MARK";
  /** With MARK. */
  readonly mark?: string;
  /** 100 to 120,000. Unset: 15,000, or the queued playback plus 5,000 if that is longer. */
  readonly deadlineMs?: number;
  /** Unset: CANCEL, in an escalation PROCEED. */
  readonly onInterrupt?: "CANCEL" | "PROCEED";
}

/** Ring the original callee. */
export interface OriginalCalleeTarget {
  /** Whole seconds, 1 to 120. */
  readonly ringTimeSeconds: number;
}

/** Offer the call to a pool. */
export interface PoolTarget {
  readonly pool: string;
  /** 1,000 to 600,000. */
  readonly waitMs: number;
  readonly thenOriginalCallee?: OriginalCalleeTarget;
}

/** Everything of an escalation, defaults filled in. */
export interface EscalateCommand {
  readonly verb: "EscalateCall";
  readonly reason: EscalationReason;
  /** Empty keeps the context's. */
  readonly summary: string;
  readonly summarySource: "MODEL" | "RULES";
  readonly routingHint: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly target: { readonly callee: OriginalCalleeTarget } | { readonly pool: PoolTarget };
  readonly after: After;
  readonly confirm: "NONE" | "DESK_ACCEPT" | "SPOKEN_YES";
  readonly confirmTimeoutMs: number;
  readonly then: "LEAVE" | "STAY_SILENT";
  readonly whileRinging: "HOLD_AUDIO" | "AGENT";
  readonly onContextFailure: "CONNECT_ANYWAY" | "STAY";
  readonly saveTimeoutMs: number;
}

/** A verb with its body, validated by the wire it came from. */
export type CallCommand =
  | { readonly verb: "AnswerCall" }
  | { readonly verb: "ConnectCall"; readonly ringTimeSeconds: number; readonly after?: After }
  | { readonly verb: "SetAgentMode"; readonly mode: AgentMode }
  | EscalateCommand
  | { readonly verb: "ConfirmEscalation"; readonly accepted: boolean }
  | {
      readonly verb: "TransferCall";
      readonly to: { readonly pool: string } | { readonly instanceId: string };
      readonly after?: After;
      readonly offerDurationMs: number;
      /** The epoch that the giver saw; another one is SEAT_TAKEN. Unset: not looked at. */
      readonly expectedEpoch?: number;
    }
  | { readonly verb: "ReleaseCall" }
  | { readonly verb: "CloseCall"; readonly endCall: boolean; readonly after?: After }
  | { readonly verb: "DisconnectCall"; readonly after?: After }
  | { readonly verb: "CancelCommand"; readonly targetRequestId: string }
  | { readonly verb: "SendNote"; readonly text: string };

/** Who gives a command. */
export interface Actor {
  /** The tenant of the credential. */
  readonly tenant: string;
  /** "agent:<agent_id>" or "client:<name>". */
  readonly name: string;
}

/** How an escalation ended. */
export interface EscalationResult {
  readonly outcome: EscalationOutcome;
  readonly durability?: ContextDurability;
}

/** The end of a command. */
export interface CommandOutcome {
  readonly verb: Verb;
  readonly requestId: string;
  readonly error?: CallError;
  readonly escalation?: EscalationResult;
}

/** What a verb answers. */
export interface CommandReply {
  readonly call: CallSnapshot;
  /** Set while it is not finished. */
  readonly pending?: { readonly requestId: string; readonly verb: Verb };
  /** Of a finished EscalateCall. */
  readonly escalation?: EscalationResult;
  /** Of SendNote. */
  readonly delivered?: boolean;
}

/** Which verb is allowed in which state. The compiler wants an answer for each pair; `docs/call-states.md` is made from it. */
export const ALLOWED: { readonly [v in Verb]: { readonly [s in CallState]: boolean } } = {
  AnswerCall: { PENDING: true, ANSWERED: false, CONNECTED: false, DISCONNECTED: false },
  ConnectCall: { PENDING: true, ANSWERED: true, CONNECTED: false, DISCONNECTED: false },
  SetAgentMode: { PENDING: false, ANSWERED: false, CONNECTED: true, DISCONNECTED: false },
  EscalateCall: { PENDING: false, ANSWERED: true, CONNECTED: false, DISCONNECTED: false },
  ConfirmEscalation: { PENDING: false, ANSWERED: false, CONNECTED: true, DISCONNECTED: false },
  TransferCall: { PENDING: true, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
  ReleaseCall: { PENDING: true, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
  CloseCall: { PENDING: false, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
  DisconnectCall: { PENDING: true, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
  CancelCommand: { PENDING: true, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
  SendNote: { PENDING: true, ANSWERED: true, CONNECTED: true, DISCONNECTED: false },
};

/** The verbs allowed in a state, in the order of the table. */
export function allowedVerbs(state: CallState): Verb[] {
  return (Object.keys(ALLOWED) as Verb[]).filter((verb) => ALLOWED[verb][state]);
}

/** Throws CALL_STATE, naming the state and what is allowed there, unless the verb is allowed. */
export function requireAllowed(callId: string, state: CallState, verb: Verb): void {
  if (!ALLOWED[verb][state]) throw wrongState(callId, state, verb);
}

/** The error of a verb in a state that does not allow it. */
export function wrongState(callId: string, state: CallState, verb: Verb, why = ""): CallError {
  const allowed = allowedVerbs(state).join(",");
  return new CallError(
    "CALL_STATE",
    `${verb} is not allowed in ${state}${why ? ` ${why}` : ""}; allowed: ${allowed || "nothing"}`,
    { call_id: callId, state, verb, allowed },
  );
}
