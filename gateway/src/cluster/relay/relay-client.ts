import type { Bus } from "../../bus/bus.js";
import type { AgentStream, ReattachCall } from "../../dispatch/agent-port.js";
import type { AgentSession } from "../../dispatch/agent-session.js";
import type { SessionRelay } from "../../dispatch/session-relay.js";
import type { Clock } from "../../util/clock.js";
import type { Logger } from "../../util/logger.js";
import type { Link } from "../link.js";
import type { Peer, Roster } from "../roster.js";
import { FRAME_DEFAULTS, type FrameOptions } from "./frames.js";
import { Relay } from "./relay.js";
import type { RelayedSeat } from "./relayed-seat.js";

/** Options of relays on the side of the agent. */
export interface RelayClientOptions {
  /** How long a seat at a gateway that died or cannot be reached is kept. Default 15,000. */
  readonly takeoverGraceMs: number;
  /** First wait before a relay is tried again; doubled up to 5 s. Default 200. */
  readonly retryMs: number;
  readonly frames: FrameOptions;
}

/** What relays need. */
export interface RelayClientDeps {
  readonly bus: Bus;
  readonly link: Link;
  readonly roster: Roster;
  readonly gatewayId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options?: Partial<RelayClientOptions>;
}

/** Shows the agents of this gateway to every other gateway and carries what is said between them. */
export class RelayClient implements SessionRelay {
  readonly options: RelayClientOptions;
  private readonly sessions = new Map<AgentSession, Map<string, Relay>>();
  private readonly stops: (() => void)[];
  private stopped = false;

  constructor(readonly deps: RelayClientDeps) {
    const { roster, bus } = deps;
    this.options = { takeoverGraceMs: 15_000, retryMs: 200, frames: FRAME_DEFAULTS, ...deps.options };
    this.stops = [
      roster.onJoin((peer) => {
        for (const session of this.sessions.keys()) this.show(session, peer);
      }),
      roster.onLeave((peer) => {
        for (const relays of this.sessions.values()) {
          relays.get(peer.gatewayId)?.peerGone();
          relays.delete(peer.gatewayId);
        }
      }),
      bus.onStatus((connected) => {
        for (const relays of this.sessions.values())
          for (const relay of relays.values()) {
            if (connected) relay.open();
            else relay.busAway();
          }
      }),
    ];
  }

  /** Ends all relays. */
  stop(): void {
    this.stopped = true;
    for (const stop of this.stops) stop();
    for (const relays of this.sessions.values()) for (const relay of relays.values()) relay.close();
    this.sessions.clear();
  }

  // ---- SessionRelay ---------------------------------------------------------------------------------------------

  added(session: AgentSession): void {
    if (this.stopped) return;
    this.sessions.set(session, new Map());
    for (const peer of this.deps.roster.peers()) this.show(session, peer);
  }

  changed(session: AgentSession): void {
    for (const relay of this.relaysOf(session)) relay.stateChanged();
  }

  streamsLost(session: AgentSession): void {
    for (const relay of this.relaysOf(session)) relay.streamsLost();
  }

  attached(session: AgentSession, calls: readonly ReattachCall[], stream: AgentStream): void {
    for (const relay of this.relaysOf(session)) relay.attached(calls, stream);
    // Seats of a gateway that is dead, or that is not shown again yet: on the stream, to be taken over.
    for (const wanted of calls) {
      const seat = session.remoteSeats.get(wanted.callId) as RelayedSeat | undefined;
      const relays = [...this.relaysOf(session)];
      if (seat?.detached && !seat.stream && !relays.some((relay) => relay.isMine(seat)))
        seat.bind(stream, "REATTACHED");
    }
  }

  ended(session: AgentSession): void {
    for (const relay of this.relaysOf(session)) relay.bye();
    for (const seat of session.remoteSeats.values()) (seat as RelayedSeat).giveUp?.cancel();
    this.sessions.delete(session);
  }

  private relaysOf(session: AgentSession): Iterable<Relay> {
    return this.sessions.get(session)?.values() ?? [];
  }

  private show(session: AgentSession, peer: Peer): void {
    const relays = this.sessions.get(session);
    const { tenant, name } = session.pool.options;
    if (!relays || relays.has(peer.gatewayId) || session.ended) return;
    if (!peer.pools.some((pool) => pool.tenant === tenant && pool.name === name)) return;
    const relay = new Relay(this, session, peer.gatewayId);
    relays.set(peer.gatewayId, relay);
    relay.open();
  }
}
