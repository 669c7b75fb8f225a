import type { CallCommand, CommandReply } from "../call/call-commands.js";
import { CallError } from "../call/call-error.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { Gateway } from "../gateway.js";
import type {
  AgentInfo,
  CallApi,
  CallFilter,
  FleetApi,
  GatewayApi,
  GatewayInfo,
  PoolInfo,
} from "../gateway-api.js";
import { localApi } from "../local-api.js";
import { ClusterContexts } from "./cluster-contexts.js";
import type { Link } from "./link.js";
import type { OwnedCall, Ownership } from "./ownership.js";
import type { RemoteListeners } from "./remote-listen.js";
import type { Roster } from "./roster.js";

/** Options of questions to all gateways. */
export interface ClusterApiOptions {
  /** How long a list waits for each gateway. Default 1,000. */
  readonly listTimeoutMs: number;
  /** How long a question about one call waits; with a command its own `wait` is added. Default 2,000. */
  readonly callTimeoutMs: number;
}

/** Beyond `callTimeoutMs`: what a provider may take for a command that does not answer at once. */
const COMMAND_MS = 10_000;

/** Calls of one page of a list among gateways: a message holds about 1,000. */
const LIST_PAGE = 500;

interface ListPage {
  readonly calls: CallSnapshot[];
  readonly more: boolean;
}

/** What the wires get from a gateway that is not alone: everybody's calls and agents. */
export function clusterApi(
  gateway: Gateway,
  parts: {
    readonly link: Link;
    readonly roster: Roster;
    readonly ownership: Ownership;
    readonly listeners: RemoteListeners;
    readonly gatewayId: string;
    /** True: the contexts of all gateways are in one store. */
    readonly sharedContexts: boolean;
    readonly options: ClusterApiOptions;
  },
): GatewayApi {
  const local = localApi(gateway);
  const remote = new RemoteCalls(gateway, parts);
  answerOthers(gateway, parts.link);
  return {
    ...local,
    calls: remote,
    fleet: new ClusterFleet(gateway, parts),
    contexts: new ClusterContexts({
      own: gateway.contexts,
      link: parts.link,
      roster: parts.roster,
      otherOwner: (tenant, callId) => {
        const owner = parts.ownership.ownerOf(tenant, callId);
        const other = owner !== undefined && owner.gatewayId !== parts.gatewayId;
        return other && parts.ownership.isLive(owner) ? owner : undefined;
      },
      shared: parts.sharedContexts,
      timeoutMs: parts.options.callTimeoutMs,
    }),
  };
}

/** The other side: what gateways ask about the calls here. */
function answerOthers(gateway: Gateway, link: Link): void {
  link.handle("call-get", async (body) => {
    const { tenant, callId } = body as { tenant: string; callId: string };
    return gateway.calls.get(tenant, callId);
  });
  link.handle("call-list", async (body): Promise<ListPage> => {
    const { tenant, filter, offset } = body as { tenant: string; filter: CallFilter; offset: number };
    const calls = gateway.calls.list(tenant, filter);
    return { calls: calls.slice(offset, offset + LIST_PAGE), more: calls.length > offset + LIST_PAGE };
  });
  link.handle("call-execute", async (body) => {
    const [actor, callId, requestId, command, waitMs] = body as Parameters<CallApi["execute"]>;
    return gateway.calls.execute(actor, callId, requestId, command, waitMs);
  });
  link.handle("pools", async (body) => gateway.fleet.pools((body as { tenant: string }).tenant));
  link.handle("agents", async (body) => {
    const { tenant, pool } = body as { tenant: string; pool: string };
    return gateway.fleet.agents(tenant, pool);
  });
}

type Parts = Parameters<typeof clusterApi>[1];

class RemoteCalls implements CallApi {
  constructor(
    private readonly gateway: Gateway,
    private readonly parts: Parts,
  ) {}

  async get(tenant: string, callId: string): Promise<CallSnapshot> {
    const owner = this.otherOwner(tenant, callId);
    if (owner) return this.ask<CallSnapshot>(owner, "call-get", { tenant, callId });
    try {
      return this.gateway.calls.get(tenant, callId);
    } catch (error) {
      // Perhaps ended at another gateway a short while ago.
      const found = await this.askAll<CallSnapshot>("call-get", { tenant, callId });
      const [first] = found.answers;
      if (first) return first;
      throw error;
    }
  }

  async list(tenant: string, filter: CallFilter) {
    const own = this.gateway.calls.list(tenant, filter);
    const byId = new Map(own.map((call) => [call.callId, call]));
    const unreachable: string[] = [];
    await Promise.all(
      this.parts.roster.peers().map(async ({ gatewayId }) => {
        try {
          for (const call of await this.pages(gatewayId, tenant, filter)) {
            const known = byId.get(call.callId);
            // A call that moved is known twice: the one that still lives, else the later one, is meant.
            if (!known || newer(call, known)) byId.set(call.callId, call);
          }
        } catch {
          unreachable.push(gatewayId);
        }
      }),
    );
    const calls = [...byId.values()].sort(
      (a, b) => b.createTime.getTime() - a.createTime.getTime() || (a.callId < b.callId ? 1 : -1),
    );
    return { calls, unreachableGateways: unreachable.sort() };
  }

  async execute(
    ...[actor, callId, requestId, command, waitMs]: Parameters<CallApi["execute"]>
  ): Promise<CommandReply> {
    const owner = this.otherOwner(actor.tenant, callId);
    if (!owner) return this.gateway.calls.execute(actor, callId, requestId, command, waitMs);
    const question: Parameters<CallApi["execute"]> = [
      actor,
      callId,
      requestId,
      command as CallCommand,
      waitMs,
    ];
    return this.ask<CommandReply>(owner, "call-execute", question, waitMs + COMMAND_MS);
  }

  async listen(...[actor, callId, source, format, listener]: Parameters<CallApi["listen"]>) {
    const owner = this.otherOwner(actor.tenant, callId);
    if (!owner) return this.gateway.calls.listen(actor, callId, source, format, listener);
    this.requireLive(owner);
    return this.parts.listeners.listen(owner.gatewayId, actor, callId, source, format, listener);
  }

  private async pages(gatewayId: string, tenant: string, filter: CallFilter): Promise<CallSnapshot[]> {
    const { link, options } = this.parts;
    const calls: CallSnapshot[] = [];
    for (;;) {
      const question = { tenant, filter, offset: calls.length };
      const page = (await link.request(gatewayId, "call-list", question, options.listTimeoutMs)) as ListPage;
      calls.push(...page.calls);
      if (!page.more) return calls;
    }
  }

  /** The owner of a live call when that is not this gateway. */
  private otherOwner(tenant: string, callId: string): OwnedCall | undefined {
    const owner = this.parts.ownership.ownerOf(tenant, callId);
    return owner && owner.gatewayId !== this.parts.gatewayId ? owner : undefined;
  }

  private requireLive(owner: OwnedCall): void {
    if (this.parts.ownership.isLive(owner)) return;
    throw new CallError(
      "CALL_OWNER_AWAY",
      "the gateway of this call is dead and none has taken the call over yet",
      { call_id: owner.callId, gateway_id: owner.gatewayId },
    );
  }

  private async ask<T>(owner: OwnedCall, method: string, body: unknown, extraMs = 0): Promise<T> {
    this.requireLive(owner);
    const { link, options } = this.parts;
    try {
      return (await link.request(owner.gatewayId, method, body, options.callTimeoutMs + extraMs)) as T;
    } catch (error) {
      if (!(error instanceof CallError) || error.reason !== "CALL_OWNER_AWAY") throw error;
      const metadata = { call_id: owner.callId, ...error.metadata };
      throw new CallError(error.reason, error.message, metadata, { cause: error });
    }
  }

  private async askAll<T>(method: string, body: unknown): Promise<{ readonly answers: T[] }> {
    const { link, roster, options } = this.parts;
    const settled = await Promise.allSettled(
      roster.peers().map(({ gatewayId }) => link.request(gatewayId, method, body, options.listTimeoutMs)),
    );
    return { answers: settled.flatMap((one) => (one.status === "fulfilled" ? [one.value as T] : [])) };
  }
}

function newer(a: CallSnapshot, b: CallSnapshot): boolean {
  const over = (call: CallSnapshot) => (call.state === "DISCONNECTED" ? 1 : 0);
  return over(a) - over(b) < 0 || (over(a) === over(b) && a.lastEventSequence > b.lastEventSequence);
}

class ClusterFleet implements FleetApi {
  constructor(
    private readonly gateway: Gateway,
    private readonly parts: Parts,
  ) {}

  async pools(tenant: string) {
    const byName = new Map<string, PoolInfo>();
    const add = (pool: PoolInfo) => {
      const known = byName.get(pool.name);
      byName.set(
        pool.name,
        known
          ? {
              name: pool.name,
              agentCount: known.agentCount + pool.agentCount,
              capacity: known.capacity + pool.capacity,
              busy: known.busy + pool.busy,
              waiting: known.waiting + pool.waiting,
            }
          : pool,
      );
    };
    for (const pool of this.gateway.fleet.pools(tenant)) add(pool);
    const { found, unreachableGateways } = await this.ask<PoolInfo>("pools", { tenant });
    for (const pool of found) add(pool);
    const pools = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return { pools, unreachableGateways };
  }

  async agents(tenant: string, pool: string) {
    const { found, unreachableGateways } = await this.ask<AgentInfo>("agents", { tenant, pool });
    const agents = [...this.gateway.fleet.agents(tenant, pool), ...found].sort((a, b) =>
      a.pool === b.pool ? a.registerTime.getTime() - b.registerTime.getTime() : a.pool < b.pool ? -1 : 1,
    );
    return { agents, unreachableGateways };
  }

  async gateways(): Promise<readonly GatewayInfo[]> {
    const others = this.parts.roster.peers().map((peer) => ({
      gatewayId: peer.gatewayId,
      version: peer.version,
      callCount: peer.callCount,
      draining: peer.draining,
      connectors: peer.connectors,
      startTime: peer.startTime,
    }));
    return [...this.gateway.fleet.gateways(), ...others].sort((a, b) => (a.gatewayId < b.gatewayId ? -1 : 1));
  }

  private async ask<T>(method: string, body: unknown) {
    const { roster, link, options } = this.parts;
    const found: T[] = [];
    const unreachableGateways: string[] = [];
    await Promise.all(
      roster.peers().map(async ({ gatewayId }) => {
        try {
          found.push(...((await link.request(gatewayId, method, body, options.listTimeoutMs)) as T[]));
        } catch {
          unreachableGateways.push(gatewayId);
        }
      }),
    );
    return { found, unreachableGateways: unreachableGateways.sort() };
  }
}
