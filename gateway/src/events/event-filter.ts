import type { EventFilter } from "../call/event-log.js";

/** A filter as functions, for one tenant. */
export interface Matchers {
  /** False for events that need not be decoded. */
  readonly mayMatch: (event: { readonly tenant: string; readonly callId: string }) => boolean;
  readonly matches: (event: {
    readonly tenant: string;
    readonly callId: string;
    readonly pool: string;
  }) => boolean;
}

/** What a watcher of a tenant wants to see; empty lists do not narrow. */
export function matchers(tenant: string, filter: EventFilter): Matchers {
  const callIds = new Set(filter.callIds);
  const pools = new Set(filter.pools);
  const mayMatch: Matchers["mayMatch"] = (of) =>
    of.tenant === tenant && (callIds.size === 0 || callIds.has(of.callId));
  return { mayMatch, matches: (event) => mayMatch(event) && (pools.size === 0 || pools.has(event.pool)) };
}
