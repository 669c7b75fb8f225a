import {
  ContextStatus,
  EscalationOutcome,
  EscalationReason,
  type CallContext as PbContext,
  SummarySource,
  type Timestamp,
} from "@callweave/proto";
import { invalidField } from "../call/call-error.js";
import type { CallContext } from "../context/context-types.js";
import { callId } from "./validate.js";

/**
 * The header of a context as another gateway published it: everything but its turns. Throws INVALID_FIELD without a call id or with a status that is not known here.
 */
export function contextHeaderFromPb(pb: PbContext, tenant: string): CallContext {
  const status = nameOf(ContextStatus, pb.status);
  if (!status) throw invalidField("status", "known to this gateway", pb.status);
  const escalationReason = nameOf(EscalationReason, pb.escalationReason);
  const summarySource = nameOf(SummarySource, pb.summarySource);
  const escalationOutcome = nameOf(EscalationOutcome, pb.escalationOutcome);
  return {
    tenant,
    callId: callId("call_id", pb.callId),
    sessionId: pb.sessionId,
    caller: pb.caller,
    callee: pb.callee,
    locale: pb.locale,
    status: status as CallContext["status"],
    ...(escalationReason && {
      escalationReason: escalationReason as NonNullable<CallContext["escalationReason"]>,
    }),
    routingHint: pb.routingHint,
    summary: pb.summary,
    ...(summarySource && { summarySource: summarySource as NonNullable<CallContext["summarySource"]> }),
    turns: [],
    turnCount: pb.turnCount,
    truncated: pb.turnCount > 0,
    data: pb.data ?? {},
    ...(pb.consent && {
      consent: {
        ...(pb.consent.disclosedTime && { disclosedTime: toDate(pb.consent.disclosedTime) }),
        transcript: pb.consent.transcript,
        ...(pb.consent.paused && { paused: true }),
      },
    }),
    notes: pb.notes.map((note) => ({ time: toDate(note.time), author: note.author, text: note.text })),
    outcome: pb.outcome,
    ...(escalationOutcome && {
      escalationOutcome: escalationOutcome as NonNullable<CallContext["escalationOutcome"]>,
    }),
    revision: pb.revision,
    createTime: toDate(pb.createTime),
    updateTime: toDate(pb.updateTime),
    expireTime: toDate(pb.expireTime),
    conflicts: pb.conflicts.map((conflict) => ({
      time: toDate(conflict.time),
      field: conflict.field,
      value: conflict.value,
      writeTime: toDate(conflict.writeTime),
    })),
  };
}

/** The name of an enum's value; undefined for 0 and for what is not known. */
function nameOf(
  values: Readonly<Record<string | number, string | number>>,
  value: number,
): string | undefined {
  const name = values[value];
  return value > 0 && typeof name === "string" ? name : undefined;
}

function toDate(time: Timestamp | undefined): Date {
  return new Date((time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6);
}
