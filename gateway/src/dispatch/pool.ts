import type { AgentSession } from "./agent-session.js";

/** Options of a pool; see the configuration reference. */
export interface PoolOptions {
  readonly name: string;
  readonly tenant: string;
  /** How long an agent may think about an offer. Default 2,000. */
  readonly offerTimeoutMs: number;
  /** How long a seat waits for its agent after a lost stream. Default 2,000. */
  readonly reattachGraceMs: number;
  /** Default 500. */
  readonly heartbeatIntervalMs: number;
  /** Heartbeats missed before an agent counts as frozen. Default 3. */
  readonly heartbeatMisses: number;
  /** What becomes of audio queued by an agent that was lost. Default CUT. */
  readonly onAgentLost: "CUT" | "FINISH";
  /** Answer a call that has to wait, so that it hears hold audio instead of ringing. Default false. */
  readonly answerOnQueue: boolean;
  /** Waiting longer, a call rings its original callee. Default 600,000. */
  readonly maxQueueMs: number;
  /** The same for a call that has had an agent and lost it. Default 60,000. */
  readonly maxReofferMs: number;
  /** Pause after a round in which every agent declined. Default 1,000. */
  readonly reofferPauseMs: number;
}

/** Defaults of PoolOptions. */
export const POOL_DEFAULTS: Omit<PoolOptions, "name" | "tenant"> = {
  offerTimeoutMs: 2_000,
  reattachGraceMs: 2_000,
  heartbeatIntervalMs: 500,
  heartbeatMisses: 3,
  onAgentLost: "CUT",
  answerOnQueue: false,
  maxQueueMs: 600_000,
  maxReofferMs: 60_000,
  reofferPauseMs: 1_000,
};

/**
 * An agent at another gateway has to be less busy by this share of its places to be asked before one that is connected
 * here: each frame of its audio would go through two gateways. Calls are claimed where agents are free, so that little
 * is left to even out.
 */
export const RELAY_HANDICAP = 0.25;

/** The agents of one pool. */
export class Pool {
  readonly sessions = new Set<AgentSession>();
  /** Items of its agents that were refused, by reason, since the start. */
  readonly refusedItems = new Map<string, number>();

  constructor(readonly options: PoolOptions) {}

  /**
   * Sessions with a free place, the least busy first; among equals the one that has waited longest. One at another
   * gateway counts as busier by {@link RELAY_HANDICAP}.
   */
  candidates(): AgentSession[] {
    return [...this.sessions]
      .filter((s) => s.takesOffers && s.freePlaces > 0)
      .sort((a, b) => rank(a) - rank(b) || a.lastOfferMs - b.lastOfferMs);
  }

  /** True when agents of other gateways may take calls of this one, now or later. */
  get hasAgentsElsewhere(): boolean {
    for (const { relayedBy, draining } of this.sessions)
      if (relayedBy !== undefined && !draining) return true;
    return false;
  }

  /** Counts an item that was refused. */
  itemRefused(reason: string): void {
    this.refusedItems.set(reason, (this.refusedItems.get(reason) ?? 0) + 1);
  }

  /** True when some agent could take a call now. */
  get hasFreePlace(): boolean {
    for (const session of this.sessions) if (session.takesOffers && session.freePlaces > 0) return true;
    return false;
  }
}

/** Pools by tenant and name. */
export class Pools {
  private readonly byKey = new Map<string, Pool>();

  constructor(options: readonly PoolOptions[]) {
    for (const pool of options) this.byKey.set(key(pool.tenant, pool.name), new Pool(pool));
  }

  /** The pool, if it is configured for the tenant. */
  find(tenant: string, name: string): Pool | undefined {
    return this.byKey.get(key(tenant, name));
  }

  /** All pools of a tenant, by name. */
  ofTenant(tenant: string): Pool[] {
    return [...this.byKey.values()]
      .filter((p) => p.options.tenant === tenant)
      .sort((a, b) => (a.options.name < b.options.name ? -1 : 1));
  }

  /** All pools. */
  all(): Iterable<Pool> {
    return this.byKey.values();
  }
}

function rank({ busyness, relayedBy }: AgentSession): number {
  return relayedBy === undefined ? busyness : busyness + RELAY_HANDICAP;
}

function key(tenant: string, name: string): string {
  return `${tenant}\n${name}`;
}
