import type { ContextDurability, EscalationOutcome, EscalationReason } from "../call/call-commands.js";
import type { ContextStatus } from "../call/context-port.js";

/** Something that was said. */
export interface Turn {
  /** Unique within the call, at most 100 characters. */
  readonly id: string;
  readonly role: "CALLER" | "AI" | "SPECIALIST";
  /** At most 10,000 characters. */
  readonly text: string;
  readonly locale: string;
  readonly time: Date;
  /** Of an AI turn that was cut off: the part heard. */
  readonly heard: string;
  readonly interrupted: boolean;
}

/** What the caller was told and agreed to. */
export interface ContextConsent {
  readonly disclosedTime?: Date;
  /** False: nothing that was said is kept. */
  readonly transcript: boolean;
  /** True: turns are kept without their words meanwhile, and listeners hear nothing. */
  readonly paused?: boolean;
}

/** A human's note. */
export interface ContextNote {
  readonly time: Date;
  readonly author: string;
  readonly text: string;
}

/** What one of two writers wrote who met while the store was away, and what is not in the fields. */
export interface ContextConflict {
  /** When it was found. */
  readonly time: Date;
  /** The field as in the contract: "summary", "status", "data.order_id", "turns.<id>". */
  readonly field: string;
  /** What was not taken, as text; JSON for data. */
  readonly value: string;
  /** When that was written. */
  readonly writeTime: Date;
}

/** The record of a conversation. */
export interface CallContext {
  readonly tenant: string;
  readonly callId: string;
  readonly sessionId: string;
  readonly caller: string;
  readonly callee: string;
  readonly locale: string;
  readonly status: ContextStatus;
  readonly escalationReason?: EscalationReason;
  readonly routingHint: string;
  readonly summary: string;
  readonly summarySource?: "MODEL" | "RULES";
  readonly turns: readonly Turn[];
  readonly turnCount: number;
  readonly truncated: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  readonly consent?: ContextConsent;
  readonly notes: readonly ContextNote[];
  readonly outcome: string;
  readonly escalationOutcome?: EscalationOutcome;
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly expireTime: Date;
  /** What lost against another write at a merge, oldest first. */
  readonly conflicts?: readonly ContextConflict[];
  /**
   * Hashes of the states that waited in a spool and are contained in this one, newest last. Of the stores alone: it
   * tells a repetition from a conflict.
   */
  readonly lineage?: readonly string[];
}

/** The fields a mask may name. */
export const MASK_FIELDS = [
  "status",
  "escalation_reason",
  "routing_hint",
  "summary",
  "summary_source",
  "locale",
  "data",
  "consent",
  "outcome",
] as const;

/** A field that a mask may name. */
export type MaskField = (typeof MASK_FIELDS)[number];

/** What SaveContext and UpdateContext may write; unset fields stay (Save) or are cleared when the mask names them (Update). */
export interface ContextInput {
  readonly callId: string;
  readonly sessionId?: string;
  readonly caller?: string;
  readonly callee?: string;
  readonly locale?: string;
  readonly status?: ContextStatus;
  readonly escalationReason?: EscalationReason;
  readonly routingHint?: string;
  readonly summary?: string;
  readonly summarySource?: "MODEL" | "RULES";
  readonly turns?: readonly Turn[];
  readonly data?: Readonly<Record<string, unknown>>;
  readonly consent?: ContextConsent;
  readonly outcome?: string;
}

/** A written context and where it is safe. */
export interface WrittenContext {
  readonly context: CallContext;
  readonly durability: ContextDurability;
}

/** Contexts that were found. */
export interface FoundContexts {
  readonly contexts: CallContext[];
  /** True: the store is away, there may be more. */
  readonly partial: boolean;
}

/**
 * The contexts of all calls, for the wires. Errors are CallError (INVALID_FIELD, CONTEXT_NOT_FOUND, REVISION_CONFLICT,
 * CONTEXT_NOT_SAVED, CONTEXT_STORE_AWAY).
 */
export interface ContextService {
  save(tenant: string, input: ContextInput): Promise<WrittenContext>;
  update(
    tenant: string,
    input: ContextInput,
    mask: readonly MaskField[],
    revision: number,
    addNote: string,
    author: string,
  ): Promise<WrittenContext>;
  appendTurns(
    tenant: string,
    callId: string,
    turns: readonly Turn[],
  ): Promise<{ turnCount: number; durability: ContextDurability }>;
  get(tenant: string, key: { callId: string } | { sessionId: string }): Promise<CallContext>;
  /** Header and the newest turns up to `maxBytes` of UTF-8; undefined when there is none. For offers (32 KiB). */
  head(tenant: string, callId: string, maxBytes: number): Promise<CallContext | undefined>;
  find(
    tenant: string,
    number: { caller: string } | { callee: string },
    withinMs: number,
    pageSize: number,
  ): Promise<FoundContexts>;
  list(
    tenant: string,
    filter: { statuses: readonly ContextStatus[]; caller: string },
    pageSize: number,
    pageToken: string,
  ): Promise<FoundContexts & { readonly nextPageToken: string }>;
  watch(tenant: string, callId: string, signal: AbortSignal): AsyncIterable<CallContext>;
  /** Deletes; answers how many. */
  delete(tenant: string, target: { callId: string } | { caller: string }): Promise<number>;
}
