import {
  AuditKind,
  AuditServiceDefinition,
  CallServiceDefinition,
  ContextDurability,
  ContextServiceDefinition,
  FleetServiceDefinition,
  type PendingCommand,
} from "@callweave/proto";
import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import type { CallCommand, CommandReply } from "../call/call-commands.js";
import { invalidField } from "../call/call-error.js";
import type { WrittenContext } from "../context/context-types.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Credential } from "./authenticator.js";
import { clientActor } from "./client-actor.js";
import { toPbEscalationResult, toTimestamp } from "./convert.js";
import { fromPbFilter, toPbCall } from "./convert-call.js";
import {
  closeCommand,
  confirmCommand,
  connectCommand,
  disconnectCommand,
  escalateCommand,
  noteCommand,
  setAgentModeCommand,
  transferCommand,
  waitMs,
} from "./convert-command.js";
import { contextStatus, fromMask, fromPbContext, fromPbTurn, toPbContext } from "./convert-context.js";
import { toPbAgent, toPbGateway, toPbPool } from "./convert-fleet.js";
import { guarded } from "./guard.js";
import { pageOfCalls } from "./page-token.js";
import { atMost, callId, durationMs, enumName, name, phone, requestId, text, whole } from "./validate.js";

export { clientActor };

/** What an RPC with one request and one response does, whatever wire it came by. Throws CallError. */
export type Operation<Q, S> = (request: Q, credential: Credential) => S | Promise<S>;

type RequestOf<M> = M extends { readonly requestSerialize: (value: infer Q) => Buffer } ? Q : never;
type ResponseOf<M> = M extends { readonly responseDeserialize: (bytes: Buffer) => infer S } ? S : never;
type Unary<D> = {
  readonly [K in keyof D as D[K] extends { readonly responseStream: false } ? K : never]: Operation<
    RequestOf<D[K]>,
    ResponseOf<D[K]>
  >;
};

/** The unary RPCs of all services, by service and method as they are called in the definitions. */
export interface Operations {
  readonly call: Unary<typeof CallServiceDefinition>;
  readonly context: Unary<typeof ContextServiceDefinition>;
  readonly fleet: Unary<typeof FleetServiceDefinition>;
  readonly audit: Unary<typeof AuditServiceDefinition>;
}

/** The definitions that belong to `Operations`. */
export const OPERATION_DEFINITIONS = {
  call: CallServiceDefinition,
  context: ContextServiceDefinition,
  fleet: FleetServiceDefinition,
  audit: AuditServiceDefinition,
} as const;

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_WITHIN_MS = 3_650 * DAY_MS;

/** All unary RPCs over the core, behind the rules: one table for every wire. What matters is told to `audit`. */
export function operations(api: GatewayApi, audit: AuditSink = NO_AUDIT): Operations {
  return guarded(api, plainOperations, OPERATION_DEFINITIONS, audit);
}

/** The same for somebody who may do everything. */
function plainOperations(api: GatewayApi): Operations {
  return {
    call: callOperations(api),
    context: contextOperations(api),
    fleet: fleetOperations(api),
    audit: auditOperations(api),
  };
}

function callOperations({ calls, events }: GatewayApi): Operations["call"] {
  const execute = async (
    credential: Credential,
    request: { callId: string; requestId: string },
    command: CallCommand,
    wait = 0,
  ): Promise<CommandReply> => {
    const id = callId("call_id", request.callId);
    const own = requestId("request_id", request.requestId);
    return calls.execute(clientActor(credential), id, own, command, wait);
  };
  return {
    answerCall: async (request, credential) =>
      withCall(await execute(credential, request, { verb: "AnswerCall" })),
    connectCall: async (request, credential) =>
      withPending(await execute(credential, request, connectCommand(request), waitMs(request.wait))),
    setAgentMode: async (request, credential) =>
      withCall(await execute(credential, request, setAgentModeCommand(request))),
    escalateCall: async (request, credential) => {
      const reply = await execute(credential, request, escalateCommand(request), waitMs(request.wait));
      const result = reply.escalation && toPbEscalationResult(reply.escalation);
      return { ...withPending(reply), result };
    },
    confirmEscalation: async (request, credential) =>
      withCall(await execute(credential, request, confirmCommand(request))),
    transferCall: async (request, credential) =>
      withPending(await execute(credential, request, transferCommand(request), waitMs(request.wait))),
    releaseCall: async (request, credential) =>
      withCall(await execute(credential, request, { verb: "ReleaseCall" })),
    closeCall: async (request, credential) =>
      withPending(await execute(credential, request, closeCommand(request), waitMs(request.wait))),
    disconnectCall: async (request, credential) =>
      withPending(await execute(credential, request, disconnectCommand(request), waitMs(request.wait))),
    cancelCommand: async (request, credential) => {
      // Its request_id names the command to cancel; the cancelling itself may be repeated freely.
      const targetRequestId = requestId("request_id", request.requestId);
      const own = { callId: request.callId, requestId: "" };
      return withCall(await execute(credential, own, { verb: "CancelCommand", targetRequestId }));
    },
    sendNote: async (request, credential) => {
      const reply = await execute(credential, request, noteCommand(request));
      return { delivered: reply.delivered ?? false };
    },
    listCalls: async (request, { tenant }) => {
      const filter = fromPbFilter(request.filter);
      const pageSize = whole("page_size", request.pageSize, 1, 1_000, 100);
      text("page_token", request.pageToken, 0, 2_000);
      // The cursor first: what happens between the two is then watched twice rather than never.
      const head = await events.head(tenant);
      const all = await calls.list(tenant, filter);
      const page = pageOfCalls(all.calls, tenant, filter, pageSize, request.pageToken, head);
      return {
        calls: page.calls.map(toPbCall),
        nextPageToken: page.nextPageToken,
        cursor: page.cursor,
        unreachableGateways: [...all.unreachableGateways],
      };
    },
    getCall: async (request, { tenant }) => ({
      call: toPbCall(await calls.get(tenant, callId("call_id", request.callId))),
    }),
  };
}

function contextOperations({ contexts }: GatewayApi): Operations["context"] {
  return {
    saveContext: async (request, { tenant }) =>
      written(await contexts.save(tenant, fromPbContext(request.context))),
    updateContext: async (request, credential) => {
      const input = fromPbContext(request.context);
      const mask = fromMask(request.updateMask);
      const note = text("add_note", request.addNote, 0, 2_000);
      if (mask.length === 0 && note === "")
        throw invalidField("update_mask", "at least one field, or add_note set");
      const author = clientActor(credential).name;
      return written(await contexts.update(credential.tenant, input, mask, request.revision, note, author));
    },
    appendTurns: async (request, { tenant }) => {
      const id = callId("call_id", request.callId);
      if (request.turns.length === 0) throw invalidField("turns", "1 to 100 entries", 0);
      const turns = atMost("turns", request.turns, 100).map(fromPbTurn);
      const { turnCount, durability } = await contexts.appendTurns(tenant, id, turns);
      return { turnCount, durability: ContextDurability[durability] };
    },
    getContext: async (request, { tenant }) => {
      const { key } = request;
      if (!key) throw invalidField("key", "call_id or session_id");
      const wanted =
        key.$case === "callId"
          ? { callId: callId("call_id", key.value) }
          : { sessionId: callId("session_id", key.value) };
      return { context: toPbContext(await contexts.get(tenant, wanted), true) };
    },
    findContexts: async (request, { tenant }) => {
      const { number } = request;
      if (!number) throw invalidField("number", "caller or callee");
      const wanted =
        number.$case === "caller"
          ? { caller: phone("caller", number.value, true) }
          : { callee: phone("callee", number.value, true) };
      const withinMs = durationMs("within", request.within, 1_000, MAX_WITHIN_MS, DAY_MS);
      const pageSize = whole("page_size", request.pageSize, 1, 100, 10);
      const found = await contexts.find(tenant, wanted, withinMs, pageSize);
      return { contexts: found.contexts.map((one) => toPbContext(one, true)), partial: found.partial };
    },
    listContexts: async (request, { tenant }) => {
      const statuses = atMost("statuses", request.statuses, 100).map((one) => contextStatus("statuses", one));
      const filter = { statuses, caller: phone("caller", request.caller, false) };
      const pageSize = whole("page_size", request.pageSize, 1, 1_000, 100);
      const token = text("page_token", request.pageToken, 0, 2_000);
      const page = await contexts.list(tenant, filter, pageSize, token);
      return {
        contexts: page.contexts.map((one) => toPbContext(one, false)),
        nextPageToken: page.nextPageToken,
        partial: page.partial,
      };
    },
    deleteContexts: async (request, { tenant }) => {
      const { target } = request;
      if (!target) throw invalidField("target", "call_id or caller");
      const wanted =
        target.$case === "callId"
          ? { callId: callId("call_id", target.value) }
          : { caller: phone("caller", target.value, true) };
      return { deletedCount: await contexts.delete(tenant, wanted) };
    },
  };
}

function fleetOperations({ fleet }: GatewayApi): Operations["fleet"] {
  return {
    listPools: async (_request, { tenant }) => {
      const { pools, unreachableGateways } = await fleet.pools(tenant);
      return { pools: pools.map(toPbPool), unreachableGateways: [...unreachableGateways] };
    },
    listAgents: async (request, { tenant }) => {
      const pool = request.pool === "" ? "" : name("pool", request.pool);
      const { agents, unreachableGateways } = await fleet.agents(tenant, pool);
      return { agents: agents.map(toPbAgent), unreachableGateways: [...unreachableGateways] };
    },
    listGateways: async () => ({ gateways: (await fleet.gateways()).map(toPbGateway) }),
  };
}

function auditOperations({ audit }: GatewayApi): Operations["audit"] {
  return {
    listAudit: async (request, { tenant }) => {
      const kinds = atMost("kinds", request.kinds, 100).map((one) =>
        enumName("kinds", AuditKind, one, AUDIT_KINDS),
      );
      const filter = {
        kinds,
        callId: request.callId === "" ? "" : callId("call_id", request.callId),
        actor: text("actor", request.actor, 0, 200),
        number: phone("number", request.number, false),
        gatewayId: text("gateway_id", request.gatewayId, 0, 200),
      };
      const limit = whole("page_size", request.pageSize, 1, 1_000, 100);
      const pageToken = text("page_token", request.pageToken, 0, 16_384);
      if (!audit) return { entries: [], nextPageToken: "", unreachableGateways: [] };
      const listed = await audit.list(tenant, filter, pageToken, limit);
      return {
        entries: listed.entries.map((entry) => ({
          sequence: entry.sequence,
          time: toTimestamp(entry.time),
          gatewayId: entry.gatewayId,
          kind: AuditKind[entry.kind],
          actor: entry.actor,
          operation: entry.operation,
          callId: entry.callId ?? "",
          numberHash: entry.numberHash,
          details: { ...entry.details },
          hash: entry.hash,
        })),
        nextPageToken: listed.nextPageToken,
        unreachableGateways: [...listed.unreachableGateways],
      };
    },
  };
}

const AUDIT_KINDS = [
  "LISTEN",
  "SPY",
  "WHISPER",
  "BARGE",
  "SEAT_CHANGED",
  "CONTEXT_READ",
  "CONTEXT_ERASED",
  "AUTHENTICATION_REFUSED",
  "PERMISSION_DENIED",
  "AUDIT_READ",
  "CREDENTIALS_RELOADED",
  "ENTRIES_LOST",
] as const;

function withCall(reply: CommandReply) {
  return { call: toPbCall(reply.call) };
}

function withPending(reply: CommandReply) {
  const pending: PendingCommand | undefined = reply.pending && { ...reply.pending };
  return { call: toPbCall(reply.call), pending };
}

function written(result: WrittenContext) {
  return { context: toPbContext(result.context, false), durability: ContextDurability[result.durability] };
}
