import { randomBytes, randomUUID } from "node:crypto";
import type { Actor } from "../call/call-commands.js";
import { CallError } from "../call/call-error.js";
import type { EventLog } from "../call/event-log.js";
import type { AgentInfo, PoolInfo } from "../gateway-api.js";
import type { Clock, Timer } from "../util/clock.js";
import type {
  AgentHub,
  AgentStream,
  AgentStreamHandler,
  ReattachCall,
  RegisteredInfo,
  Registration,
} from "./agent-port.js";
import { AgentSession } from "./agent-session.js";
import type { Dispatcher } from "./dispatcher.js";
import type { Pools } from "./pool.js";
import { NO_RELAY, type SessionRelay } from "./session-relay.js";

/** Options of the hub. */
export interface HubOptions {
  readonly gatewayId: string;
  /** Sessions in all. Default 10,000. */
  readonly maxSessions: number;
  /** Told to agents. Default 256. */
  readonly maxItems: number;
  /** Told to agents. Default 262,144. */
  readonly maxMessageBytes: number;
  /** Told to agents: the playback ring. Default 30,000. */
  readonly maxPlaybackMs: number;
  /** How often the progress of playback is told. Default 500. */
  readonly progressIntervalMs: number;
}

/** Defaults of HubOptions, except the id. */
export const HUB_DEFAULTS: Omit<HubOptions, "gatewayId"> = {
  maxSessions: 10_000,
  maxItems: 256,
  maxMessageBytes: 262_144,
  maxPlaybackMs: 30_000,
  progressIntervalMs: 500,
};

/** Where agents register, join and come back. */
export class Hub implements AgentHub {
  private readonly byToken = new Map<string, AgentSession>();
  private readonly byInstance = new Map<string, AgentSession>();
  private goingAway = false;
  private stopped = false;
  private progressTimer: Timer | undefined;

  constructor(
    private readonly options: HubOptions,
    private readonly clock: Clock,
    private readonly pools: Pools,
    private readonly dispatcher: Dispatcher,
    private readonly log: EventLog,
    private readonly relay: SessionRelay = NO_RELAY,
  ) {}

  register(actor: Actor, registration: Registration, stream: AgentStream): AgentStreamHandler {
    // An agent of another gateway has gone away from here, or never was here: it may take the calls that are left.
    if (this.stopped || registration.relayedBy === undefined) this.requireStaying();
    const pool = this.pools.find(actor.tenant, registration.pool);
    if (!pool) throw new CallError("POOL_NOT_FOUND", "no such pool", { pool: registration.pool });
    this.forgetEnded();
    if (this.byToken.size >= this.options.maxSessions) {
      throw new CallError("LIMIT_REACHED", `at most ${this.options.maxSessions} agent sessions`, {
        limit: "max_sessions",
        max: String(this.options.maxSessions),
      });
    }
    const instanceId = registration.instanceId || randomUUID();
    const key = instanceKey(actor.tenant, instanceId);
    const older = this.byInstance.get(key);
    // An agent that lost its way to one gateway and comes by another keeps its seats; the same way twice is a new start.
    const moved =
      older !== undefined &&
      !older.ended &&
      (older.relayedBy !== undefined || (registration.relayedBy !== undefined && !older.connected));
    // The gateway that relays has not seen yet that its agent is here.
    if (older && !older.ended && registration.relayedBy !== undefined && !moved)
      throw new CallError("SUPERSEDED", "this instance is connected here", { instance_id: instanceId });
    const supersede = () =>
      older?.end(
        "LOST",
        new CallError("SUPERSEDED", "the same instance_id registered again", { instance_id: instanceId }),
      );
    if (!moved) supersede();
    const token = randomBytes(24).toString("base64url");
    const session = new AgentSession(
      actor,
      registration,
      instanceId,
      token,
      pool,
      this.clock,
      this.dispatcher,
      registration.relayedBy === undefined ? this.relay : NO_RELAY,
    );
    this.byToken.set(token, session);
    this.byInstance.set(key, session);
    const handler = session.attach(stream);
    stream.send({ type: "registered", info: this.info(session) });
    pool.sessions.add(session);
    if (older && moved) {
      this.dispatcher.adopt(older, session);
      supersede();
    }
    this.dispatcher.pumpPool(pool);
    this.tellProgress();
    if (registration.relayedBy === undefined) this.relay.added(session);
    return handler;
  }

  join(actor: Actor, sessionToken: string, stream: AgentStream): AgentStreamHandler {
    this.requireStaying();
    const session = this.session(actor, sessionToken);
    const handler = session.attach(stream);
    stream.send({ type: "registered", info: this.info(session) });
    if (session.relayedBy === undefined) this.relay.attached(session, [], stream);
    this.dispatcher.pumpPool(session.pool);
    return handler;
  }

  reattach(
    actor: Actor,
    sessionToken: string,
    calls: readonly ReattachCall[],
    stream: AgentStream,
  ): AgentStreamHandler {
    const session = this.session(actor, sessionToken);
    const handler = session.attach(stream);
    stream.send({ type: "registered", info: this.info(session) });
    const abandoned = new Set<AgentStream>();
    // A call that is named twice counts once, as it was named last.
    const elsewhere: ReattachCall[] = [];
    for (const wanted of new Map(calls.map((call) => [call.callId, call])).values()) {
      if (session.remoteSeats.has(wanted.callId)) {
        elsewhere.push(wanted);
        continue;
      }
      const from = this.reattachCall(session, wanted, stream);
      if (from && from !== stream) abandoned.add(from);
    }
    // The agent gave these up before their loss was seen here.
    for (const old of abandoned) {
      session.streamGone(old);
      old.end();
    }
    if (session.relayedBy === undefined) this.relay.attached(session, elsewhere, stream);
    this.dispatcher.pumpPool(session.pool);
    return handler;
  }

  /** What the gateway of a relayed agent says about it when the relay opens. */
  relayedState(
    token: string,
    state: { readonly takenElsewhere: number; readonly load: number; readonly draining: boolean },
  ): void {
    const session = this.byToken.get(token);
    if (!session) return;
    session.load = state.load;
    if (state.draining) session.drain();
    session.setTakenElsewhere(state.takenElsewhere);
  }

  /** No more registrations; every agent that is connected here is told. Those of other gateways go on taking offers. */
  goAway(deadlineMs: number): void {
    this.goingAway = true;
    for (const session of this.byToken.values()) {
      if (session.relayedBy !== undefined) continue;
      session.drain();
      for (const stream of session.streams) stream.send({ type: "goAway", deadlineMs });
    }
  }

  /** Ends every stream and every timer. */
  stop(): void {
    this.goingAway = true;
    this.stopped = true;
    this.progressTimer?.cancel();
    const error = new CallError("GOING_AWAY", "the gateway is going away");
    for (const session of [...this.byToken.values()]) session.end("LOST", error);
    this.byToken.clear();
    this.byInstance.clear();
  }

  /** The pools of a tenant. */
  poolInfos(tenant: string): PoolInfo[] {
    return this.pools.ofTenant(tenant).map((pool) => {
      // Agents of other gateways are counted there.
      const direct = [...pool.sessions].filter((s) => s.relayedBy === undefined);
      const sessions = direct.filter((s) => s.takesOffers);
      return {
        name: pool.options.name,
        agentCount: sessions.length,
        capacity: sum(sessions, (s) => s.registration.capacity),
        busy: sum(direct, (s) => s.callIds.length),
        waiting: this.dispatcher.waiting(pool),
      };
    });
  }

  /** The sessions of a tenant. */
  agentInfos(tenant: string, poolName: string): AgentInfo[] {
    return this.pools
      .ofTenant(tenant)
      .filter((pool) => poolName === "" || pool.options.name === poolName)
      .flatMap((pool) =>
        [...pool.sessions]
          .filter((s) => s.relayedBy === undefined)
          .sort((a, b) => a.registerTime.getTime() - b.registerTime.getTime())
          .map((s) => ({
            agentId: s.registration.agentId,
            instanceId: s.instanceId,
            pool: pool.options.name,
            capacity: s.registration.capacity,
            callIds: s.callIds,
            load: s.load,
            draining: s.draining,
            connected: s.connected,
            labels: s.registration.labels,
            registerTime: s.registerTime,
          })),
      );
  }

  /** Answers the stream the call was bound to before. */
  private reattachCall(
    session: AgentSession,
    wanted: ReattachCall,
    stream: AgentStream,
  ): AgentStream | undefined {
    const assignment = session.assignments.get(wanted.callId);
    const call = assignment?.call;
    const ours = assignment && call && call.seat.holder === assignment && assignment.epoch === wanted.epoch;
    const suspended = ours && call.seat.state === "SUSPENDED";
    if (!ours || call.lifecycle.ended) {
      const error = new CallError("SEAT_TAKEN", "the seat is not this session's any more", {
        call_id: wanted.callId,
        epoch: String(wanted.epoch),
      });
      stream.send({ type: "itemRefused", handle: 0, item: "reattach", error });
      return undefined;
    }
    const from = assignment.stream;
    assignment.holdBack(wanted.lastEventSequence);
    if (suspended) call.resumeSeat(wanted.epoch, assignment);
    session.bind(assignment, stream, "REATTACHED");
    const { tenant, callId } = call.facts;
    this.log.ofCall(tenant, callId, wanted.lastEventSequence).then(
      (events) => assignment.replay(events),
      () => assignment.replay([]),
    );
    return from;
  }

  poolOf(tenant: string, sessionToken: string): string | undefined {
    return this.find(tenant, sessionToken)?.pool.options.name;
  }

  private find(tenant: string, token: string): AgentSession | undefined {
    const session = this.byToken.get(token);
    return session && !session.ended && session.actor.tenant === tenant ? session : undefined;
  }

  private session(actor: Actor, token: string): AgentSession {
    const session = this.find(actor.tenant, token);
    if (!session)
      throw new CallError("SESSION_NOT_FOUND", "the session token is unknown or its session has ended");
    return session;
  }

  private info(session: AgentSession): RegisteredInfo {
    const { options } = session.pool;
    return {
      sessionToken: session.token,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      reattachGraceMs: options.reattachGraceMs,
      maxItems: this.options.maxItems,
      maxMessageBytes: this.options.maxMessageBytes,
      maxPlaybackMs: this.options.maxPlaybackMs,
      gatewayId: this.options.gatewayId,
      instanceId: session.instanceId,
      pool: session.pool.options.name,
    };
  }

  private requireStaying(): void {
    if (this.goingAway) throw new CallError("GOING_AWAY", "the gateway is going away and takes no agents");
  }

  private forgetEnded(): void {
    for (const [token, session] of this.byToken) {
      if (!session.ended) continue;
      this.byToken.delete(token);
      const key = instanceKey(session.actor.tenant, session.instanceId);
      if (this.byInstance.get(key) === session) this.byInstance.delete(key);
    }
  }

  /** One timer for all calls, while there are agents. */
  private tellProgress(): void {
    if (this.progressTimer) return;
    this.progressTimer = this.clock.after(this.options.progressIntervalMs, () => {
      this.progressTimer = undefined;
      this.forgetEnded();
      for (const session of this.byToken.values()) {
        for (const assignment of session.assignments.values()) {
          if (assignment.stream) assignment.playback(assignment.call.playback.snapshot());
        }
      }
      // Also while it goes away: agents wait for it before they send more.
      if (this.byToken.size > 0) this.tellProgress();
    });
  }
}

function instanceKey(tenant: string, instanceId: string): string {
  return `${tenant}\n${instanceId}`;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
