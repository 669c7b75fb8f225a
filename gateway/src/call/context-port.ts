import type { ContextDurability, EscalationOutcome, EscalationReason } from "./call-commands.js";
import type { CallSnapshot } from "./call-state.js";

/** Where a conversation stands. */
export type ContextStatus =
  | "ACTIVE"
  | "ESCALATING"
  | "HANDED_OVER"
  | "CALLBACK_WANTED"
  | "ABANDONED"
  | "ENDED";

/** What the call core itself writes into a context. Unset fields stay; `data` is merged key by key. */
export interface ContextPatch {
  readonly status?: ContextStatus;
  readonly escalationReason?: EscalationReason;
  readonly routingHint?: string;
  readonly summary?: string;
  readonly summarySource?: "MODEL" | "RULES";
  readonly data?: Readonly<Record<string, unknown>>;
  readonly escalationOutcome?: EscalationOutcome;
}

/** What a write answers. */
export interface ContextWrite {
  readonly revision: number;
  readonly turnCount: number;
  readonly durability: ContextDurability;
}

/** The contexts, as the call core needs them. */
export interface CallContexts {
  /** Merges into the call's context, creating it with the call's facts if need be. Rejects when it could not be written. */
  merge(call: CallSnapshot, patch: ContextPatch): Promise<ContextWrite>;
  /**
   * The call is over: a context that exists and is ACTIVE becomes ENDED (or ABANDONED when ESCALATING); other states
   * stay. Does nothing where there is no context.
   */
  callEnded(call: CallSnapshot): Promise<ContextWrite | undefined>;
}
