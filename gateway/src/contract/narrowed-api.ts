import type { WatchItem } from "../call/event-log.js";
import type { CallContext } from "../context/context-types.js";
import type { GatewayApi } from "../gateway-api.js";
import { allows, authorize } from "./authorization.js";
import type { Principal } from "./principal.js";

/** Calls whose place is remembered while a watch lasts; beyond it the oldest is asked for again. */
const MAX_KNOWN_CALLS = 10_000;

interface Place {
  readonly pool: string;
  readonly connector: string;
}

/**
 * The core as somebody sees it whose rights hold for some pools and connectors only: lists and watches are filtered by
 * the rules. What belongs to no pool that is known any more, such as the context of a call that is long over, is left out.
 */
export function narrowedApi(api: GatewayApi, principal: Principal): GatewayApi {
  const { tenant } = principal;
  const byConnector = [...principal.grants.values()].flat().some((grant) => grant.connectors.length > 0);
  const places = new Map<string, Place>();
  const remember = (callId: string, place: Place) => {
    places.set(callId, place);
    if (places.size <= MAX_KNOWN_CALLS) return place;
    for (const oldest of places.keys()) {
      places.delete(oldest);
      break;
    }
    return place;
  };
  /** Pools and connectors of these calls, as far as they are known. */
  const learn = async (callIds: readonly string[]): Promise<void> => {
    const unknown = callIds.filter((id) => !places.has(id));
    if (unknown.length === 0) return;
    const { calls } = await api.calls.list(tenant, { callIds: unknown, pools: [], states: [] });
    for (const { callId, pool, connector } of calls) remember(callId, { pool, connector });
  };
  const visible = (operation: string, callId: string) =>
    allows(principal, operation, { tenant, callId, ...places.get(callId) });
  const seen = async (operation: string, contexts: readonly CallContext[]) => {
    await learn(contexts.map((one) => one.callId));
    return contexts.filter((one) => visible(operation, one.callId));
  };
  return {
    ...api,
    calls: {
      get: (ofTenant, callId) => api.calls.get(ofTenant, callId),
      list: async (ofTenant, filter) => {
        const all = await api.calls.list(ofTenant, filter);
        const calls = all.calls.filter((call) => allows(principal, "CallService/ListCalls", call));
        return { ...all, calls };
      },
      execute: (...args) => api.calls.execute(...args),
      listen: (...args) => api.calls.listen(...args),
    },
    events: {
      append: (event) => api.events.append(event),
      head: (ofTenant) => api.events.head(ofTenant),
      knows: (...args) => api.events.knows(...args),
      eraseCaller: (...args) => api.events.eraseCaller(...args),
      ofCall: async (ofTenant, callId, after) => {
        const { pool, connector } = await api.calls.get(ofTenant, callId);
        authorize(principal, "CallService/WatchCalls", { tenant: ofTenant, callId, pool, connector });
        return api.events.ofCall(ofTenant, callId, after);
      },
      watch: (ofTenant, cursor, filter, signal) =>
        watched(api.events.watch(ofTenant, cursor, filter, signal)),
      close: () => api.events.close(),
    },
    contexts: {
      save: (...args) => api.contexts.save(...args),
      update: (...args) => api.contexts.update(...args),
      appendTurns: (...args) => api.contexts.appendTurns(...args),
      head: (...args) => api.contexts.head(...args),
      delete: (...args) => api.contexts.delete(...args),
      get: async (ofTenant, key) => {
        const found = await api.contexts.get(ofTenant, key);
        await learn([found.callId]);
        const { callId } = found;
        authorize(principal, "ContextService/GetContext", { tenant, callId, ...places.get(callId) });
        return found;
      },
      find: async (...args) => {
        const found = await api.contexts.find(...args);
        return { ...found, contexts: await seen("ContextService/FindContexts", found.contexts) };
      },
      list: async (...args) => {
        const found = await api.contexts.list(...args);
        return { ...found, contexts: await seen("ContextService/ListContexts", found.contexts) };
      },
      async *watch(ofTenant, callId, signal) {
        for await (const one of api.contexts.watch(ofTenant, callId, signal))
          if ((await seen("ContextService/WatchContexts", [one])).length > 0) yield one;
      },
    },
    fleet: {
      pools: async (ofTenant) => {
        const all = await api.fleet.pools(ofTenant);
        const pools = all.pools.filter(({ name }) =>
          allows(principal, "FleetService/ListPools", { tenant, pool: name }),
        );
        return { ...all, pools };
      },
      agents: async (ofTenant, wanted) => {
        const all = await api.fleet.agents(ofTenant, wanted);
        const agents = all.agents.filter(({ pool }) =>
          allows(principal, "FleetService/ListAgents", { tenant, pool }),
        );
        return { ...all, agents };
      },
      gateways: () => api.fleet.gateways(),
    },
  };

  async function* watched(items: AsyncIterable<WatchItem>): AsyncIterable<WatchItem> {
    for await (const item of items) {
      if (!("event" in item)) {
        yield item;
        continue;
      }
      const { callId, pool, body } = item.event;
      if (body.type === "arrived") remember(callId, { pool, connector: body.call.connector });
      if (byConnector) await learn([callId]);
      const connector = places.get(callId)?.connector;
      const resource = { tenant, callId, pool, ...(connector !== undefined && { connector }) };
      if (allows(principal, "CallService/WatchCalls", resource)) yield item;
    }
  }
}
