import type { Gateway } from "./gateway.js";
import type { GatewayApi } from "./gateway-api.js";

/** What the wires get from a gateway that is alone: its own calls and agents. */
export function localApi(gateway: Gateway): GatewayApi {
  const { calls, fleet } = gateway;
  const unreachableGateways: readonly string[] = [];
  return {
    agents: gateway.agents,
    contexts: gateway.contexts,
    events: gateway.events,
    calls: {
      get: async (tenant, callId) => calls.get(tenant, callId),
      list: async (tenant, filter) => ({ calls: calls.list(tenant, filter), unreachableGateways }),
      execute: (actor, callId, requestId, command, waitMs) =>
        calls.execute(actor, callId, requestId, command, waitMs),
      listen: async (actor, callId, source, format, listener) =>
        calls.listen(actor, callId, source, format, listener),
    },
    fleet: {
      pools: async (tenant) => ({ pools: fleet.pools(tenant), unreachableGateways }),
      agents: async (tenant, pool) => ({ agents: fleet.agents(tenant, pool), unreachableGateways }),
      gateways: async () => fleet.gateways(),
    },
  };
}
