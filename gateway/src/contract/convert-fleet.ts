import type { Agent, Gateway, Pool } from "@callweave/proto";
import type { AgentInfo, GatewayInfo, PoolInfo } from "../gateway-api.js";
import { toTimestamp } from "./convert.js";

/** A pool. */
export function toPbPool(pool: PoolInfo): Pool {
  return { ...pool };
}

/** An agent session. */
export function toPbAgent(agent: AgentInfo): Agent {
  return {
    ...agent,
    callIds: [...agent.callIds],
    labels: { ...agent.labels },
    registerTime: toTimestamp(agent.registerTime),
  };
}

/** A gateway. */
export function toPbGateway(gateway: GatewayInfo): Gateway {
  return {
    ...gateway,
    connectors: gateway.connectors.map((connector) => ({ ...connector })),
    startTime: toTimestamp(gateway.startTime),
  };
}
