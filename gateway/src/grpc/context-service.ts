import { ContextDurability, type ContextServiceDefinition, type ServiceHandlers } from "@callweave/proto";
import { invalidField } from "../call/call-error.js";
import type { WrittenContext } from "../context/context-types.js";
import { contextStatus, fromMask, fromPbContext, fromPbTurn, toPbContext } from "./convert-context.js";
import { clientActor, type EdgeContext, unary } from "./unary.js";
import { atMost, callId, durationMs, optionalCallId, phone, text, whole } from "./validate.js";
import { pump } from "./watch.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_WITHIN_MS = 3_650 * DAY_MS;

/** The handlers of ContextService. */
export function contextService(context: EdgeContext): ServiceHandlers<typeof ContextServiceDefinition> {
  const { contexts } = context.api;
  return {
    saveContext: unary(context, async (request, { tenant }) => {
      return written(await contexts.save(tenant, fromPbContext(request.context)));
    }),
    updateContext: unary(context, async (request, credential) => {
      const input = fromPbContext(request.context);
      const mask = fromMask(request.updateMask);
      const note = text("add_note", request.addNote, 0, 2_000);
      if (mask.length === 0 && note === "")
        throw invalidField("update_mask", "at least one field, or add_note set");
      const author = clientActor(credential).name;
      return written(await contexts.update(credential.tenant, input, mask, request.revision, note, author));
    }),
    appendTurns: unary(context, async (request, { tenant }) => {
      const id = callId("call_id", request.callId);
      if (request.turns.length === 0) throw invalidField("turns", "1 to 100 entries", 0);
      const turns = atMost("turns", request.turns, 100).map(fromPbTurn);
      const { turnCount, durability } = await contexts.appendTurns(tenant, id, turns);
      return { turnCount, durability: ContextDurability[durability] };
    }),
    getContext: unary(context, async (request, { tenant }) => {
      const { key } = request;
      if (!key) throw invalidField("key", "call_id or session_id");
      const wanted =
        key.$case === "callId"
          ? { callId: callId("call_id", key.value) }
          : { sessionId: callId("session_id", key.value) };
      return { context: toPbContext(await contexts.get(tenant, wanted), true) };
    }),
    findContexts: unary(context, async (request, { tenant }) => {
      const { number } = request;
      if (!number) throw invalidField("number", "caller or callee");
      const wanted =
        number.$case === "caller"
          ? { caller: phone("caller", number.value, true) }
          : { callee: phone("callee", number.value, true) };
      const withinMs = durationMs("within", request.within, 1_000, MAX_WITHIN_MS, DAY_MS);
      const pageSize = whole("page_size", request.pageSize, 1, 100, 10);
      const found = await contexts.find(tenant, wanted, withinMs, pageSize);
      return { contexts: found.map((one) => toPbContext(one, true)) };
    }),
    listContexts: unary(context, async (request, { tenant }) => {
      const statuses = atMost("statuses", request.statuses, 100).map((one) => contextStatus("statuses", one));
      const filter = { statuses, caller: phone("caller", request.caller, false) };
      const pageSize = whole("page_size", request.pageSize, 1, 1_000, 100);
      const token = text("page_token", request.pageToken, 0, 2_000);
      const page = await contexts.list(tenant, filter, pageSize, token);
      return {
        contexts: page.contexts.map((one) => toPbContext(one, false)),
        nextPageToken: page.nextPageToken,
      };
    }),
    watchContexts: (call) => {
      void pump(
        context,
        call,
        ({ tenant }, signal) =>
          contexts.watch(tenant, optionalCallId("call_id", call.request.callId), signal),
        (one) => ({ context: toPbContext(one, false) }),
      );
    },
    deleteContexts: unary(context, async (request, { tenant }) => {
      const { target } = request;
      if (!target) throw invalidField("target", "call_id or caller");
      const wanted =
        target.$case === "callId"
          ? { callId: callId("call_id", target.value) }
          : { caller: phone("caller", target.value, true) };
      return { deletedCount: await contexts.delete(tenant, wanted) };
    }),
  };
}

function written(result: WrittenContext) {
  return { context: toPbContext(result.context, false), durability: ContextDurability[result.durability] };
}
