import {
  ContextStatus,
  EscalationOutcome,
  EscalationReason,
  type CallContext as PbContext,
  type Turn as PbTurn,
  SummarySource,
  TurnRole,
} from "@callweave/proto";
import { invalidField } from "../call/call-error.js";
import {
  type CallContext,
  type ContextInput,
  MASK_FIELDS,
  type MaskField,
  type Turn,
} from "../context/context-types.js";
import { toOptionalTimestamp, toTimestamp } from "./convert.js";
import { callId, data, date, enumName, line, locale, phone, text } from "./validate.js";

const STATUSES = ["ACTIVE", "ESCALATING", "HANDED_OVER", "CALLBACK_WANTED", "ABANDONED", "ENDED"] as const;
const REASONS = [
  "ASKED_FOR_HUMAN",
  "FRUSTRATED",
  "OUT_OF_SCOPE",
  "NOT_UNDERSTOOD",
  "EMERGENCY",
  "PROVIDER_FAILED",
] as const;

/** A context, with or without its turns. */
export function toPbContext(context: CallContext, withTurns: boolean): PbContext {
  return {
    callId: context.callId,
    sessionId: context.sessionId,
    caller: context.caller,
    callee: context.callee,
    locale: context.locale,
    status: ContextStatus[context.status],
    escalationReason: context.escalationReason
      ? EscalationReason[context.escalationReason]
      : EscalationReason.UNSPECIFIED,
    routingHint: context.routingHint,
    summary: context.summary,
    summarySource: context.summarySource ? SummarySource[context.summarySource] : SummarySource.UNSPECIFIED,
    turns: withTurns ? context.turns.map(toPbTurn) : [],
    turnCount: context.turnCount,
    truncated: withTurns ? context.truncated : context.turnCount > 0,
    data: { ...context.data },
    consent: context.consent && {
      disclosedTime: toOptionalTimestamp(context.consent.disclosedTime),
      transcript: context.consent.transcript,
      paused: context.consent.paused ?? false,
    },
    notes: context.notes.map((note) => ({
      time: toTimestamp(note.time),
      author: note.author,
      text: note.text,
    })),
    outcome: context.outcome,
    escalationOutcome: context.escalationOutcome
      ? EscalationOutcome[context.escalationOutcome]
      : EscalationOutcome.UNSPECIFIED,
    revision: context.revision,
    createTime: toTimestamp(context.createTime),
    updateTime: toTimestamp(context.updateTime),
    expireTime: toTimestamp(context.expireTime),
    conflicts: (context.conflicts ?? []).map((conflict) => ({
      time: toTimestamp(conflict.time),
      field: conflict.field,
      value: conflict.value,
      writeTime: toTimestamp(conflict.writeTime),
    })),
  };
}

function toPbTurn(turn: Turn): PbTurn {
  return {
    id: turn.id,
    role: TurnRole[turn.role],
    text: turn.text,
    locale: turn.locale,
    time: toTimestamp(turn.time),
    heard: turn.heard,
    interrupted: turn.interrupted,
  };
}

/** A turn; without a time it began now. */
export function fromPbTurn(turn: PbTurn): Turn {
  return {
    id: line("turns.id", turn.id, 1, 100),
    role: enumName("turns.role", TurnRole, turn.role, ["CALLER", "AI", "SPECIALIST"] as const),
    text: text("turns.text", turn.text, 0, 10_000),
    locale: locale("turns.locale", turn.locale),
    time: date("turns.time", turn.time) ?? new Date(),
    heard: text("turns.heard", turn.heard, 0, 10_000),
    interrupted: turn.interrupted,
  };
}

/** What a save or an update may write; what is not set is left out. */
export function fromPbContext(context: PbContext | undefined): ContextInput {
  if (!context) throw invalidField("context", "set");
  const { status, escalationReason, summarySource, consent } = context;
  return {
    callId: callId("context.call_id", context.callId),
    ...given("sessionId", context.sessionId && callId("context.session_id", context.sessionId)),
    ...given("caller", phone("context.caller", context.caller, false)),
    ...given("callee", phone("context.callee", context.callee, false)),
    ...given("locale", locale("context.locale", context.locale)),
    ...(status !== 0 && { status: contextStatus("context.status", status) }),
    ...(escalationReason !== 0 && {
      escalationReason: enumName("context.escalation_reason", EscalationReason, escalationReason, REASONS),
    }),
    ...given("routingHint", line("context.routing_hint", context.routingHint, 0, 100)),
    ...given("summary", text("context.summary", context.summary, 0, 2_000)),
    ...(summarySource !== 0 && {
      summarySource: enumName("context.summary_source", SummarySource, summarySource, [
        "MODEL",
        "RULES",
      ] as const),
    }),
    ...(context.turns.length > 0 && { turns: context.turns.map(fromPbTurn) }),
    ...(context.data && { data: data("context.data", context.data) }),
    ...(consent && {
      consent: withDisclosed(
        date("context.consent.disclosed_time", consent.disclosedTime),
        consent.transcript,
        consent.paused,
      ),
    }),
    ...given("outcome", text("context.outcome", context.outcome, 0, 500)),
  };
}

/** A status of the contract. */
export function contextStatus(field: string, value: number): (typeof STATUSES)[number] {
  return enumName(field, ContextStatus, value, STATUSES);
}

/** The fields of a mask, each once. */
export function fromMask(paths: readonly string[] | undefined): MaskField[] {
  const fields = new Set<MaskField>();
  for (const path of paths ?? []) {
    const field = MASK_FIELDS.find((known) => known === path);
    if (!field) throw invalidField("update_mask", `of ${MASK_FIELDS.join(", ")}`, path);
    fields.add(field);
  }
  return [...fields];
}

function given<K extends string>(key: K, value: string): { [k in K]?: string } {
  return value === "" ? {} : ({ [key]: value } as { [k in K]: string });
}

function withDisclosed(disclosedTime: Date | undefined, transcript: boolean, paused: boolean) {
  return { ...(disclosedTime && { disclosedTime }), transcript, ...(paused && { paused }) };
}
