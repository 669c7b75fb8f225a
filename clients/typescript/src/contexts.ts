import { randomUUID } from "node:crypto";
import * as p from "@callweave/proto";
import type { RotatingConnection } from "./connection.js";
import { enumName, enumValue, toDate, toDuration, toTimestamp } from "./convert.js";
import { CallweaveError } from "./errors.js";
import type {
  CallContext,
  ContextDurability,
  ContextFields,
  ContextStatus,
  Turn,
  WrittenContext,
} from "./types.js";

/** Options of writing single fields. */
export interface UpdateContextOptions {
  /** The revision that was read; the write is refused with REVISION_CONFLICT if it changed. Default: 0, writes without looking. */
  readonly revision?: number;
  /** Added to the notes; 1 to 2,000 characters. */
  readonly addNote?: string;
}

/** Which contexts `list` gives. */
export interface ListContextsOptions {
  /** Only these. Default: all. */
  readonly statuses?: readonly ContextStatus[];
  /** Only this caller. Default: all. */
  readonly caller?: string;
  /** 1 to 1,000. Default: 100. */
  readonly pageSize?: number;
  /** From `nextPageToken`. */
  readonly pageToken?: string;
}

/** These may be repeated: a gateway that restarts is waited for, another one is asked. */
const PATIENT = { patient: true };

/** Reads and writes the contexts of calls. Everything rejects with CallweaveError. */
export class Contexts {
  /** @internal */
  constructor(private readonly connections: RotatingConnection) {}

  /** Writes a context: fields that are set replace what is there, turns are appended by id, data is merged. */
  async save(
    callId: string,
    fields: ContextFields & { readonly turns?: readonly Turn[] },
  ): Promise<WrittenContext> {
    const context = fromFields(callId, fields);
    context.turns = (fields.turns ?? []).map(fromTurn);
    return toWritten(
      await this.connections.unary((c) => c.contexts.saveContext.bind(c.contexts), { context }, PATIENT),
    );
  }

  /** Writes exactly the fields that are named here, also to `undefined`: cleared. */
  async update(
    callId: string,
    fields: ContextFields,
    options: UpdateContextOptions = {},
  ): Promise<WrittenContext> {
    const updateMask = Object.keys(fields).map((name) =>
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
    const request: p.UpdateContextRequest = {
      context: fromFields(callId, fields),
      updateMask,
      revision: options.revision ?? 0,
      addNote: options.addNote ?? "",
    };
    return toWritten(await this.connections.unary((c) => c.contexts.updateContext.bind(c.contexts), request));
  }

  /** Appends 1 to 100 turns. A turn whose id is there already is left, except that `heard` and `interrupted` are added. */
  async appendTurns(
    callId: string,
    turns: readonly Turn[],
  ): Promise<{ turnCount: number; durability?: ContextDurability }> {
    const request = { callId, turns: turns.map(fromTurn) };
    const response = await this.connections.unary(
      (c) => c.contexts.appendTurns.bind(c.contexts),
      request,
      PATIENT,
    );
    return { turnCount: response.turnCount, durability: enumName(p.ContextDurability, response.durability) };
  }

  /** One context with all turns. CONTEXT_NOT_FOUND. */
  async get(key: string | { readonly sessionId: string }): Promise<CallContext> {
    const request: p.GetContextRequest = {
      key:
        typeof key === "string"
          ? { $case: "callId", value: key }
          : { $case: "sessionId", value: key.sessionId },
    };
    const response = await this.connections.unary(
      (c) => c.contexts.getContext.bind(c.contexts),
      request,
      PATIENT,
    );
    return toContext(response.context);
  }

  /** The contexts of a number, newest first: the ringing phone shows a number, not a call id. */
  async find(
    number: { readonly caller: string } | { readonly callee: string },
    /** `withinMs`: not older than this, default 24 hours. `pageSize`: 1 to 100, default 10. */
    options: { readonly withinMs?: number; readonly pageSize?: number } = {},
  ): Promise<CallContext[]> {
    const request: p.FindContextsRequest = {
      number:
        "caller" in number
          ? { $case: "caller", value: number.caller }
          : { $case: "callee", value: number.callee },
      within: toDuration(options.withinMs),
      pageSize: options.pageSize ?? 0,
    };
    const response = await this.connections.unary((c) => c.contexts.findContexts.bind(c.contexts), request);
    return response.contexts.map(toContext);
  }

  /**
   * All contexts, newest first, without turns. `nextPageToken` is empty on the last page. `partial`: the store is away, and
   * only what was written since then is here.
   */
  async list(
    options: ListContextsOptions = {},
  ): Promise<{ contexts: CallContext[]; nextPageToken: string; partial: boolean }> {
    const request: p.ListContextsRequest = {
      statuses: (options.statuses ?? []).map((s) => enumValue(p.ContextStatus, s)),
      caller: options.caller ?? "",
      pageSize: options.pageSize ?? 0,
      pageToken: options.pageToken ?? "",
    };
    const response = await this.connections.unary((c) => c.contexts.listContexts.bind(c.contexts), request);
    const { nextPageToken, partial } = response;
    return { contexts: response.contexts.map(toContext), nextPageToken, partial };
  }

  /** Contexts as they are written from now on, without turns. Ends at the signal; throws when the stream breaks. */
  async *watch(
    options: { readonly callId?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<CallContext, void, undefined> {
    const c = this.connections.get();
    const messages = c.stream(
      (metadata, callOptions) =>
        c.contexts.watchContexts({ callId: options.callId ?? "" }, metadata, callOptions),
      options.signal,
    );
    for await (const message of messages) yield toContext(message.context);
  }

  /** Deletes one call's context or everything of a caller; answers how many. */
  async delete(target: { readonly callId: string } | { readonly caller: string }): Promise<number> {
    const request: p.DeleteContextsRequest = {
      target:
        "callId" in target
          ? { $case: "callId", value: target.callId }
          : { $case: "caller", value: target.caller },
    };
    return (await this.connections.unary((c) => c.contexts.deleteContexts.bind(c.contexts), request))
      .deletedCount;
  }
}

function fromFields(callId: string, fields: ContextFields): p.CallContext {
  return p.CallContext.fromPartial({
    callId,
    locale: fields.locale ?? "",
    status: enumValue(p.ContextStatus, fields.status),
    escalationReason: enumValue(p.EscalationReason, fields.escalationReason),
    routingHint: fields.routingHint ?? "",
    summary: fields.summary ?? "",
    summarySource: enumValue(p.SummarySource, fields.summarySource),
    data: fields.data,
    consent: fields.consent && {
      disclosedTime: toTimestamp(fields.consent.disclosedTime),
      transcript: fields.consent.transcript,
      paused: fields.consent.paused ?? false,
    },
    outcome: fields.outcome ?? "",
  });
}

function fromTurn(turn: Turn): p.Turn {
  return {
    id: turn.id ?? randomUUID(),
    role: enumValue(p.TurnRole, turn.role),
    text: turn.text,
    locale: turn.locale ?? "",
    time: toTimestamp(turn.time ?? new Date()),
    heard: turn.heard ?? "",
    interrupted: turn.interrupted ?? false,
  };
}

function toWritten(response: {
  context: p.CallContext | undefined;
  durability: p.ContextDurability;
}): WrittenContext {
  return {
    context: toContext(response.context),
    durability: enumName(p.ContextDurability, response.durability),
  };
}

/** @internal */
export function toContext(context: p.CallContext | undefined): CallContext {
  if (!context) throw new CallweaveError("INTERNAL", "INTERNAL", "the gateway answered without a context");
  return {
    callId: context.callId,
    sessionId: context.sessionId,
    caller: context.caller,
    callee: context.callee,
    locale: context.locale,
    status: enumName(p.ContextStatus, context.status),
    escalationReason: enumName(p.EscalationReason, context.escalationReason),
    routingHint: context.routingHint,
    summary: context.summary,
    summarySource: enumName(p.SummarySource, context.summarySource),
    turns: context.turns.map(toTurn),
    turnCount: context.turnCount,
    truncated: context.truncated,
    data: context.data ?? {},
    consent: context.consent && {
      disclosedTime: toDate(context.consent.disclosedTime),
      transcript: context.consent.transcript,
      ...(context.consent.paused && { paused: true }),
    },
    notes: context.notes.map(({ time, author, text }) => ({ time: toDate(time), author, text })),
    conflicts: context.conflicts.map(({ time, field, value, writeTime }) => ({
      time: toDate(time),
      field,
      value,
      writeTime: toDate(writeTime),
    })),
    outcome: context.outcome,
    escalationOutcome: enumName(p.EscalationOutcome, context.escalationOutcome),
    revision: context.revision,
    createTime: toDate(context.createTime),
    updateTime: toDate(context.updateTime),
    expireTime: toDate(context.expireTime),
  };
}

function toTurn(turn: p.Turn): Turn {
  return {
    id: turn.id,
    role: enumName(p.TurnRole, turn.role) ?? "CALLER",
    text: turn.text,
    locale: turn.locale,
    time: toDate(turn.time),
    heard: turn.heard,
    interrupted: turn.interrupted,
  };
}
