import { isObject } from "../util/tagged-json.js";
import { contextHash } from "./context-hash.js";
import type { CallContext, ContextConflict, ContextNote, Turn } from "./context-types.js";

/** The key of a context: tenant and call. */
export interface ContextId {
  readonly t: string;
  readonly c: string;
}

/** A context as it is in the collection. Names are those of the contract; times are dates. */
export interface ContextDocument {
  readonly _id: ContextId;
  /** Grows with each write; for compare and set. */
  readonly v: number;
  /** Hash of the content. */
  readonly hash: string;
  readonly tenant: string;
  readonly call_id: string;
  readonly session_id: string;
  readonly caller: string;
  readonly callee: string;
  readonly locale: string;
  readonly status: CallContext["status"];
  readonly escalation_reason?: CallContext["escalationReason"];
  readonly routing_hint: string;
  readonly summary: string;
  readonly summary_source?: CallContext["summarySource"];
  readonly turns?: readonly Turn[];
  readonly turn_count: number;
  /** Keys escaped: see `escapeKeys`. */
  readonly data: Record<string, unknown>;
  readonly consent?: {
    readonly disclosed_time?: Date;
    readonly transcript: boolean;
    readonly paused?: boolean;
  };
  readonly notes: readonly ContextNote[];
  readonly outcome: string;
  readonly escalation_outcome?: CallContext["escalationOutcome"];
  readonly revision: number;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly expire_time: Date;
  readonly conflicts?: readonly {
    readonly time: Date;
    readonly field: string;
    readonly value: string;
    readonly write_time: Date;
  }[];
  readonly lineage?: readonly string[];
}

/** The document of a context at version `v`. */
export function toDocument(context: CallContext, v: number): ContextDocument {
  const { consent, conflicts, lineage, escalationReason, summarySource, escalationOutcome } = context;
  return {
    _id: { t: context.tenant, c: context.callId },
    v,
    hash: contextHash(context),
    tenant: context.tenant,
    call_id: context.callId,
    session_id: context.sessionId,
    caller: context.caller,
    callee: context.callee,
    locale: context.locale,
    status: context.status,
    ...(escalationReason && { escalation_reason: escalationReason }),
    routing_hint: context.routingHint,
    summary: context.summary,
    ...(summarySource && { summary_source: summarySource }),
    turns: context.turns,
    turn_count: context.turnCount,
    data: escapeKeys(context.data) as Record<string, unknown>,
    ...(consent && {
      consent: {
        ...(consent.disclosedTime && { disclosed_time: consent.disclosedTime }),
        transcript: consent.transcript,
        ...(consent.paused && { paused: true }),
      },
    }),
    notes: context.notes,
    outcome: context.outcome,
    ...(escalationOutcome && { escalation_outcome: escalationOutcome }),
    revision: context.revision,
    create_time: context.createTime,
    update_time: context.updateTime,
    expire_time: context.expireTime,
    ...(conflicts?.length && {
      conflicts: conflicts.map(({ writeTime, ...rest }) => ({ ...rest, write_time: writeTime })),
    }),
    ...(lineage?.length && { lineage }),
  };
}

/** The context of a document; without turns when they were not read. Throws when a needed field is missing. */
export function fromDocument(document: ContextDocument): CallContext {
  const { _id: id, consent, conflicts, lineage, turns } = document;
  if (!(document.create_time instanceof Date) || !(document.expire_time instanceof Date))
    throw new Error(`the document of call ${id.c} is no context`);
  return {
    tenant: id.t,
    callId: id.c,
    sessionId: document.session_id,
    caller: document.caller,
    callee: document.callee,
    locale: document.locale,
    status: document.status,
    ...(document.escalation_reason && { escalationReason: document.escalation_reason }),
    routingHint: document.routing_hint,
    summary: document.summary,
    ...(document.summary_source && { summarySource: document.summary_source }),
    turns: turns ?? [],
    turnCount: document.turn_count,
    truncated: turns === undefined && document.turn_count > 0,
    data: unescapeKeys(document.data) as Record<string, unknown>,
    ...(consent && {
      consent: {
        ...(consent.disclosed_time && { disclosedTime: consent.disclosed_time }),
        transcript: consent.transcript,
        ...(consent.paused && { paused: true }),
      },
    }),
    notes: document.notes,
    outcome: document.outcome,
    ...(document.escalation_outcome && { escalationOutcome: document.escalation_outcome }),
    revision: document.revision,
    createTime: document.create_time,
    updateTime: document.update_time,
    expireTime: document.expire_time,
    ...(conflicts && {
      conflicts: conflicts.map(
        ({ write_time, ...rest }): ContextConflict => ({
          ...rest,
          writeTime: write_time,
        }),
      ),
    }),
    ...(lineage && { lineage }),
  };
}

const ESCAPED = /[%$.\0]/g;
const UNESCAPED = /%(25|24|2E|00)/g;

/**
 * Data with keys that mean nothing to a database: `$`, `.`, `%` and NUL in keys become `%24`, `%2E`, `%25`, `%00`.
 * Values stay as they are.
 */
export function escapeKeys(value: unknown): unknown {
  return withKeys(value, (key) =>
    key.replace(ESCAPED, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`),
  );
}

/** The way back. */
export function unescapeKeys(value: unknown): unknown {
  return withKeys(value, (key) =>
    key.replace(UNESCAPED, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  );
}

function withKeys(value: unknown, change: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, change));
  if (!isObject(value) || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [change(key), withKeys(item, change)]),
  );
}
