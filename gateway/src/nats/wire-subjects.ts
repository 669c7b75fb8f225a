import { decodeToken, encodeToken } from "../bus/bus.js";
import { audioSubject } from "../bus/subjects.js";
import type { AudioFormat } from "../dispatch/agent-port.js";

// The subjects of requests; those of events, contexts, audio and agents are in bus/subjects.ts.

/** Where a method of a tenant is asked for: callweave.<tenant>.rpc.<Method>. */
export function rpcSubject(tenant: string, method: string): string {
  return `callweave.${encodeToken(tenant)}.rpc.${method}`;
}

/** A method for all tenants, as the gateway subscribes. */
export function anyTenantRpcSubject(method: string): string {
  return `callweave.*.rpc.${method}`;
}

/** Registration for all tenants, as the gateway subscribes. */
export const ANY_TENANT_REGISTER = "callweave.*.agents.register";

/** Contexts of all tenants. */
export const ALL_CONTEXTS = "callweave.*.contexts.*";

/** A Join or Reattach that another gateway may know; each answers only if it does. */
export const FORWARDED_REGISTER = "callweave._gw.nats.register";

/** A Register that came to a gateway which is leaving; one of the others takes it. */
export const REGISTER_ANEW = "callweave._gw.nats.anew";

/** A ListenCall for a call of that gateway. */
export function forwardedListenSubject(gatewayId: string): string {
  return `callweave._gw.nats.listen.${encodeToken(gatewayId)}`;
}

/** The tenant of a public subject; undefined when there is none. */
export function tenantOf(subject: string): string | undefined {
  const [root, tenant] = subject.split(".");
  return root === "callweave" && tenant !== undefined ? decodeToken(tenant) : undefined;
}

/** Tenant and call of a context's subject; undefined for any other. */
export function parseContextSubject(subject: string): { tenant: string; callId: string } | undefined {
  const [root, tenant = "", contexts, callId = "", ...more] = subject.split(".");
  if (root !== "callweave" || contexts !== "contexts" || more.length > 0) return undefined;
  const ids = [decodeToken(tenant), decodeToken(callId)];
  return ids[0] === undefined || ids[1] === undefined ? undefined : { tenant: ids[0], callId: ids[1] };
}

/**
 * Where audio is published: s16le at the rate of the call on callweave.<tenant>.calls.<id>.audio.<source>, any other
 * format under one more token: "MULAW-8000".
 */
export function audioFormatSubject(
  tenant: string,
  callId: string,
  source: string,
  format: AudioFormat,
  callRateHz: number,
): string {
  const plain = audioSubject(tenant, callId, source);
  const isPlain = format.encoding === "S16LE" && format.sampleRateHz === callRateHz;
  return isPlain ? plain : `${plain}.${format.encoding}-${format.sampleRateHz}`;
}
