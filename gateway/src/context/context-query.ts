import type { ContextPlace, ContextQuery, QueriedContexts } from "./context-store.js";
import type { CallContext } from "./context-types.js";

/** Whether a query asks for the context, `after` included. */
export function matches(query: ContextQuery, context: CallContext): boolean {
  const { tenant, caller, callee, statuses, sinceMs, after } = query;
  return (
    context.tenant === tenant &&
    (caller === undefined || context.caller === caller) &&
    (callee === undefined || context.callee === callee) &&
    (statuses.length === 0 || statuses.includes(context.status)) &&
    context.createTime.getTime() >= sinceMs &&
    (!after || placesNewerFirst(after, placeOf(context)) < 0)
  );
}

/** The order of queries: newest first, then by call id. */
export function newerFirst(a: CallContext, b: CallContext): number {
  return placesNewerFirst(placeOf(a), placeOf(b));
}

/** What a query of the database gives, with the contexts that wait for it in place of those of the same calls. */
export async function overlay(
  query: ContextQuery,
  waiting: ReadonlyMap<string, CallContext>,
  ask: (query: ContextQuery) => Promise<QueriedContexts>,
): Promise<QueriedContexts> {
  const found: CallContext[] = [];
  let partial = false;
  let after = query.after;
  while (found.length < query.limit) {
    const page = await ask({ ...query, ...(after && { after }) });
    partial ||= page.partial;
    found.push(...page.contexts.filter((context) => !waiting.has(context.callId)));
    const last = page.contexts.at(-1);
    if (page.contexts.length < query.limit || !last) break;
    after = placeOf(last);
  }
  for (const context of waiting.values()) if (matches(query, context)) found.push(context);
  return { contexts: found.sort(newerFirst).slice(0, query.limit), partial };
}

function placeOf(context: CallContext): ContextPlace {
  return { createTimeMs: context.createTime.getTime(), callId: context.callId };
}

function placesNewerFirst(a: ContextPlace, b: ContextPlace): number {
  return b.createTimeMs - a.createTimeMs || (a.callId < b.callId ? 1 : a.callId > b.callId ? -1 : 0);
}
