import type { RotatingConnection } from "./connection.js";
import { toDate } from "./convert.js";

/** A pool of agents. */
export interface PoolInfo {
  /** Its name. */
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
  /** Shared by all processes of an agent. */
  readonly agentId: string;
  /** One process. */
  readonly instanceId: string;
  /** Its pool. */
  readonly pool: string;
  /** Its places. */
  readonly capacity: number;
  /** The calls it has. */
  readonly callIds: readonly string[];
  /** 0 to 1, from its newest heartbeat. */
  readonly load: number;
  /** It takes no more offers. */
  readonly draining: boolean;
  /** False between the loss of its streams and the end of its grace. */
  readonly connected: boolean;
  /** As registered. */
  readonly labels: Readonly<Record<string, string>>;
  /** When it registered. */
  readonly registerTime?: Date;
}

/** A gateway. */
export interface GatewayInfo {
  /** Its id. */
  readonly gatewayId: string;
  /** Its version. */
  readonly version: string;
  /** Calls whose sockets it has. */
  readonly callCount: number;
  /** It takes no new calls. */
  readonly draining: boolean;
  /** Its connectors; `ready`: signed in at the provider. */
  readonly connectors: readonly { readonly name: string; readonly ready: boolean }[];
  /** When it started. */
  readonly startTime?: Date;
}

/** Who is there. Everything rejects with CallweaveError. */
export class Fleet {
  /** @internal */
  constructor(private readonly connections: RotatingConnection) {}

  /** The pools, by name. */
  async pools(): Promise<PoolInfo[]> {
    return (await this.connections.unary((c) => c.fleet.listPools.bind(c.fleet), {})).pools;
  }

  /** The agent sessions, by pool and time of registration. `pool`: only this one. */
  async agents(pool = ""): Promise<AgentInfo[]> {
    const { agents } = await this.connections.unary((c) => c.fleet.listAgents.bind(c.fleet), { pool });
    return agents.map((agent) => ({ ...agent, registerTime: toDate(agent.registerTime) }));
  }

  /** The gateways, by id. */
  async gateways(): Promise<GatewayInfo[]> {
    const { gateways } = await this.connections.unary((c) => c.fleet.listGateways.bind(c.fleet), {});
    return gateways.map((gateway) => ({ ...gateway, startTime: toDate(gateway.startTime) }));
  }
}
