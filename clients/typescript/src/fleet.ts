import type { Connection } from "./connection.js";
import { toDate } from "./convert.js";

/** A pool of agents. */
export interface PoolInfo {
  readonly name: string;
  /** Sessions registered and not draining. */
  readonly agentCount: number;
  /** Their places in all. */
  readonly capacity: number;
  /** Places taken. */
  readonly busy: number;
  /** Calls waiting for a seat. */
  readonly waiting: number;
}

/** An agent session. */
export interface AgentInfo {
  readonly agentId: string;
  readonly instanceId: string;
  readonly pool: string;
  readonly capacity: number;
  readonly callIds: readonly string[];
  /** 0 to 1, from its newest heartbeat. */
  readonly load: number;
  readonly draining: boolean;
  /** False between the loss of its streams and the end of its grace. */
  readonly connected: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly registerTime?: Date;
}

/** A gateway. */
export interface GatewayInfo {
  readonly gatewayId: string;
  readonly version: string;
  readonly callCount: number;
  readonly draining: boolean;
  readonly connectors: readonly { readonly name: string; readonly ready: boolean }[];
  readonly startTime?: Date;
}

/** Who is there. Everything rejects with CallweaveError. */
export class Fleet {
  /** @internal */
  constructor(private readonly connection: () => Connection) {}

  /** The pools, by name. */
  async pools(): Promise<PoolInfo[]> {
    const c = this.connection();
    return (await c.unary(c.fleet.listPools.bind(c.fleet), {})).pools;
  }

  /** The agent sessions, by pool and time of registration. `pool`: only this one. */
  async agents(pool = ""): Promise<AgentInfo[]> {
    const c = this.connection();
    const { agents } = await c.unary(c.fleet.listAgents.bind(c.fleet), { pool });
    return agents.map((agent) => ({ ...agent, registerTime: toDate(agent.registerTime) }));
  }

  /** The gateways, by id. */
  async gateways(): Promise<GatewayInfo[]> {
    const c = this.connection();
    const { gateways } = await c.unary(c.fleet.listGateways.bind(c.fleet), {});
    return gateways.map((gateway) => ({ ...gateway, startTime: toDate(gateway.startTime) }));
  }
}
