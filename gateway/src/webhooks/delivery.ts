import { createHash } from "node:crypto";
import { CallContext as PbCallContext } from "@callweave/proto";
import { CallError } from "../call/call-error.js";
import type { CallEvent } from "../call/call-events.js";
import { headerOf } from "../context/context-rules.js";
import type { CallContext, ContextService } from "../context/context-types.js";
import { toPbContext } from "../contract/convert-context.js";
import { eventWire } from "../contract/event-wire.js";
import { outwardContext } from "../contract/outward-context.js";
import { protoJson } from "../contract/proto-json.js";
import { eventName } from "./event-names.js";
import type { WebhookOptions } from "./options.js";
import type { Post } from "./sender.js";
import { SIGNATURE_HEADER, signatureOf } from "./signature.js";

/** The id of a delivery: the same at each attempt, also by another gateway and after a restart. */
export const ID_HEADER = "Callweave-Delivery";

const EVENT = eventWire("json");
const CONTEXT = protoJson("CallContext", PbCallContext);

/** A short id that is made from the parts alone. */
export function deliveryId(parts: readonly (string | number)[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);
}

/** The id of an event's delivery to a webhook. */
export function idOf({ tenant, name }: WebhookOptions, callId: string, sequence: number): string {
  return deliveryId([tenant, name, callId, sequence]);
}

/** The signed request for an event. The context is the one of now. Rejects when the store of contexts is away. */
export async function makePost(
  hook: WebhookOptions,
  event: CallEvent,
  contexts: ContextService,
  now: Date,
): Promise<Post> {
  const id = idOf(hook, event.callId, event.sequence);
  const context = await contextFor(hook, event, contexts);
  const parts = [
    `"id":${JSON.stringify(id)}`,
    `"webhook":${JSON.stringify(hook.name)}`,
    `"type":${JSON.stringify(eventName(event.body))}`,
    `"event":${Buffer.from(EVENT.encode(event).data).toString("utf8")}`,
    ...(context ? [`"context":${CONTEXT.encode(toPbContext(context, true)).toString("utf8")}`] : []),
  ];
  const body = `{${parts.join(",")}}`;
  const secrets = [hook.secret, ...(hook.previousSecret === undefined ? [] : [hook.previousSecret])];
  return {
    url: hook.url,
    body,
    timeoutMs: hook.timeoutMs,
    headers: {
      [ID_HEADER]: id,
      [SIGNATURE_HEADER]: signatureOf(body, secrets, Math.floor(now.getTime() / 1000)),
    },
  };
}

async function contextFor(
  hook: WebhookOptions,
  { callId }: CallEvent,
  contexts: ContextService,
): Promise<CallContext | undefined> {
  if (hook.includeContext === "none") return undefined;
  try {
    const context = await contexts.get(hook.tenant, { callId });
    return outwardContext(
      hook.includeContext === "header" ? headerOf(context) : context,
      hook.maxContextBytes,
    );
  } catch (error) {
    if (error instanceof CallError && error.reason === "CONTEXT_NOT_FOUND") return undefined;
    throw error;
  }
}
