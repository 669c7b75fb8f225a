import type { FleetServiceDefinition, ServiceHandlers } from "@callweave/proto";
import { toPbAgent, toPbGateway, toPbPool } from "./convert-fleet.js";
import { type EdgeContext, unary } from "./unary.js";
import { name } from "./validate.js";

/** The handlers of FleetService. */
export function fleetService(context: EdgeContext): ServiceHandlers<typeof FleetServiceDefinition> {
  const { fleet } = context.api;
  return {
    listPools: unary(context, (_request, { tenant }) => ({ pools: fleet.pools(tenant).map(toPbPool) })),
    listAgents: unary(context, (request, { tenant }) => {
      const pool = request.pool === "" ? "" : name("pool", request.pool);
      return { agents: fleet.agents(tenant, pool).map(toPbAgent) };
    }),
    listGateways: unary(context, () => ({ gateways: fleet.gateways().map(toPbGateway) })),
  };
}
