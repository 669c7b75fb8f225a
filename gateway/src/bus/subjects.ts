import { decodeToken, encodeToken } from "./bus.js";

// The public subjects. Tenants and ids are encoded (see encodeToken): no id holds a dot or a wildcard.

/** Events of all calls of all tenants. */
export const ALL_EVENTS = "callweave.*.calls.*.events";

/** Events of one call. */
export function eventSubject(tenant: string, callId: string): string {
  return `callweave.${encodeToken(tenant)}.calls.${encodeToken(callId)}.events`;
}

/** Events of all calls of a tenant. */
export function tenantEventsSubject(tenant: string): string {
  return `callweave.${encodeToken(tenant)}.calls.*.events`;
}

/** Whose events a subject carries; undefined for any other subject. */
export function parseEventSubject(subject: string): { tenant: string; callId: string } | undefined {
  const [root, tenant, calls, callId, events, ...more] = subject.split(".");
  if (root !== "callweave" || calls !== "calls" || events !== "events" || more.length > 0) return undefined;
  const ids = [decodeToken(tenant ?? ""), decodeToken(callId ?? "")];
  return ids[0] === undefined || ids[1] === undefined ? undefined : { tenant: ids[0], callId: ids[1] };
}

/** Audio of a call, to listen to. `source` is a name of the contract, e.g. "MIXED". */
export function audioSubject(tenant: string, callId: string, source: string): string {
  return `callweave.${encodeToken(tenant)}.calls.${encodeToken(callId)}.audio.${encodeToken(source)}`;
}

/** Changes of the context of one call. */
export function contextSubject(tenant: string, callId: string): string {
  return `callweave.${encodeToken(tenant)}.contexts.${encodeToken(callId)}`;
}

/** Where an agent on NATS registers. */
export function agentRegisterSubject(tenant: string): string {
  return `callweave.${encodeToken(tenant)}.agents.register`;
}

/** Frames of an agent's session: up to the gateway, down to the agent. */
export function agentSubject(tenant: string, session: string, direction: "up" | "down"): string {
  return `callweave.${encodeToken(tenant)}.agents.${encodeToken(session)}.${direction}`;
}

/** Whether a subject falls under a pattern with the wildcards * (one token) and > (one token or more, at the end). */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (i >= tokens.length || (token !== "*" && token !== tokens[i])) return false;
  }
  return wanted.length === tokens.length;
}

/** Whether one may publish under a subject: no empty token, no wildcard, no white space or control character. */
export function isPlainSubject(subject: string): boolean {
  return /^[^\s.*>\p{Cc}]+(\.[^\s.*>\p{Cc}]+)*$/u.test(subject);
}

/**
 * Whether an answer may go there: the inbox of a client ("_INBOX…", whatever its prefix goes on with) or the name that a
 * server put in its place ("_R_…"). Everything else was chosen by the sender to have somebody else publish there.
 */
export function isInbox(subject: string): boolean {
  return /^_(?:INBOX|R_)/.test(subject) && isPlainSubject(subject);
}
