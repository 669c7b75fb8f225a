import { randomUUID } from "node:crypto";
import { Call } from "../call/call.js";
import type { EscalationReason } from "../call/call-commands.js";
import { type CallCore, type SeatingPort, within } from "../call/call-core.js";
import { CallError } from "../call/call-error.js";
import type { StoredEvent } from "../call/call-events.js";
import type { SeatCause } from "../call/call-state.js";
import type { SeatHolder } from "../call/seat.js";
import type { CallContext } from "../context/context-types.js";
import type { Clock, Timer } from "../util/clock.js";
import type { AgentSession, SessionEvents } from "./agent-session.js";
import { Assignment } from "./assignment.js";
import type { Offer, Search } from "./offer.js";
import type { Pool, Pools } from "./pool.js";

/** What the dispatcher needs from outside. */
export interface DispatcherDeps {
  readonly clock: Clock;
  readonly pools: Pools;
  /** The context's header and newest turns, for an offer; undefined for a new call or when it cannot be read. */
  readonly contextHead: (call: Call) => Promise<CallContext | undefined>;
  /** How long an offer waits for that; then it goes out without. Default 300. */
  readonly contextWaitMs?: number;
  /** The stored events of a call after a sequence. */
  readonly eventsOf: (tenant: string, callId: string, afterSequence: number) => Promise<StoredEvent[]>;
  /** Nobody took the call in a whole round, or it waited too long: the route decides. */
  readonly unserved: (call: Call, why: "NOBODY_FREE" | "ALL_DECLINED" | "WAITED_TOO_LONG") => void;
}

/** Events told again when a call moves to a sibling stream: more than can be on their way. */
const MOVED_REPLAY_EVENTS = 20;

/** Finds agents for seats: one offer at a time per search, never the same agent twice before all were asked. */
export class Dispatcher implements SeatingPort, SessionEvents {
  private readonly searches = new Map<CallCore, Search>();
  /** The pool of the last holder, for re-offers after a transfer. */
  private readonly lastPool = new Map<CallCore, Pool>();
  private closing = false;
  /** Runs while agents move to other gateways. */
  private agentsMove: Timer | undefined;

  constructor(private readonly deps: DispatcherDeps) {}

  /** Calls that wait for a seat in a pool. */
  waiting(pool: Pool): number {
    let count = 0;
    for (const search of this.searches.values()) if (search.pool === pool) count++;
    return count;
  }

  /** A new call, or one whose seat is free, looks for an agent of the pool. */
  seekSeat(call: Call, pool: Pool, alreadyTried?: AgentSession): void {
    const search = this.start(
      {
        call,
        pool,
        cause: "ACCEPTED",
        excluded: undefined,
        tried: new Set(alreadyTried ? [alreadyTried] : []),
        roundOver: () => {
          if (call.seat.epoch === 0) this.deps.unserved(call, "ALL_DECLINED");
        },
        done: () => {},
      },
      call.seat.epoch > 0 ? pool.options.maxReofferMs : pool.options.maxQueueMs,
      () => this.deps.unserved(call, "WAITED_TOO_LONG"),
    );
    this.pump(search);
  }

  /**
   * A call from an earlier owner: the agent that had its seat gets it back without an offer, as soon as it is here, at
   * most after the pool's grace; then others are asked.
   */
  reseat(call: Call, pool: Pool, instanceId: string): void {
    const search = this.start(
      {
        call,
        pool,
        instanceId,
        cause: "TAKEN_OVER",
        excluded: undefined,
        tried: new Set(),
        roundOver: () => {},
        done: () => {},
      },
      pool.options.reattachGraceMs,
      () => this.offerAgain(call),
    );
    this.pump(search);
  }

  /** Stops looking for somebody for this call. */
  stopSeeking(call: CallCore): void {
    const search = this.searches.get(call);
    if (search) this.finish(search, false);
  }

  /**
   * The gateway is going away, and the agents that are connected to it take nothing new. Agents of other gateways do, and
   * for so long calls wait for agents that move there; after that, calls of a pool that has none do not wait for a seat.
   */
  close(agentsMoveMs = 0): void {
    this.closing = true;
    if (agentsMoveMs > 0)
      this.agentsMove ??= this.deps.clock.after(agentsMoveMs, () => {
        this.agentsMove = undefined;
        this.pumpAll();
      });
    this.pumpAll();
  }

  /** Ends every timer that is not of a call. */
  stop(): void {
    this.agentsMove?.cancel();
    this.agentsMove = undefined;
  }

  // ---- SeatingPort ----------------------------------------------------------------------------------------------

  seatVacated(core: CallCore, cause: SeatCause, last: SeatHolder | undefined): void {
    const call = asCall(core);
    if (call.lifecycle.ended) return;
    // Whoever gave it back is asked last.
    const released = cause === "RELEASED" && last instanceof Assignment ? last.session : undefined;
    if (cause === "RELEASED" || cause === "GRACE_EXPIRED" || cause === "LOST")
      this.offerAgain(call, released);
  }

  seek(
    core: CallCore,
    to: { readonly pool: string } | { readonly instanceId: string },
    durationMs: number,
    cause: "TRANSFERRED" | "ESCALATED",
    escalationReason?: EscalationReason,
  ): { readonly done: Promise<boolean>; cancel(): void } {
    const call = asCall(core);
    const target = this.target(call, to);
    let search: Search | undefined;
    const done = new Promise<boolean>((resolve) => {
      search = this.start(
        {
          call,
          pool: target.pool,
          ...(target.instanceId ? { instanceId: target.instanceId } : {}),
          cause,
          ...(escalationReason ? { escalationReason } : {}),
          excluded: this.holderSession(call),
          tried: new Set(),
          roundOver: () => {},
          done: resolve,
        },
        durationMs,
        () => {},
      );
    });
    if (search) this.pump(search);
    return { done, cancel: () => search && this.finish(search, false) };
  }

  callEnded(call: CallCore): void {
    this.stopSeeking(call);
    this.lastPool.delete(call);
  }

  // ---- SessionEvents --------------------------------------------------------------------------------------------

  accepted(session: AgentSession, offer: Offer): void {
    const { search } = offer;
    const { call } = search;
    this.closeOffer(offer);
    const stream = session.quietestStream();
    const assignment = new Assignment(session, call, offer.offerId, offer.attempt);
    // The epoch the seat will have if this offer wins; set before anybody is told.
    assignment.epoch = offer.epoch + 1;
    if (!stream || !call.takeSeat(offer.epoch, assignment, search.cause)) {
      const error = new CallError("OFFER_GONE", "the call is over or somebody was faster", {
        offer_id: offer.offerId,
      });
      stream?.send({ type: "itemRefused", handle: 0, item: "accept", error });
      this.pump(search);
      return;
    }
    session.bind(assignment, stream, "NEW");
    this.lastPool.set(call, session.pool);
    this.finish(search, true);
    answerFor(session, call);
  }

  offerEnded(offer: Offer, end: "DECLINED" | "REVOKED" | "EXPIRED"): void {
    if (!this.closeOffer(offer)) return;
    const { call } = offer.search;
    if (!call.lifecycle.ended) {
      const { agentId } = offer.session.registration;
      const { instanceId } = offer.session;
      call.record({ type: "offerEnded", offerId: offer.offerId, agentId, instanceId, end });
    }
    if (end !== "DECLINED") {
      offer.session.quietestStream()?.send({ type: "offerRevoked", offerId: offer.offerId });
    }
    this.pump(offer.search);
    this.pumpPool(offer.session.pool);
  }

  placeFreed(session: AgentSession): void {
    this.pumpPool(session.pool);
  }

  moved(assignment: Assignment, bind: () => void): void {
    const { tenant, callId } = assignment.call.facts;
    const afterSequence = Math.max(0, assignment.lastEventSequence - MOVED_REPLAY_EVENTS);
    assignment.holdBack(afterSequence);
    bind();
    this.deps.eventsOf(tenant, callId, afterSequence).then(
      (events) => assignment.replay(events),
      () => assignment.replay([]),
    );
  }

  drained(session: AgentSession): void {
    // It may have been the last one that calls waited for.
    if (this.closing) this.pumpPool(session.pool);
  }

  sessionEnded(session: AgentSession): void {
    session.pool.sessions.delete(session);
    this.drained(session);
  }

  /** Offers what waits in the pool, oldest first. */
  pumpPool(pool: Pool): void {
    for (const search of [...this.searches.values()]) {
      if (search.pool === pool && !search.offer && !search.pause) this.pump(search);
    }
  }

  private pumpAll(): void {
    for (const search of [...this.searches.values()]) this.pump(search);
  }

  // ---- offers ---------------------------------------------------------------------------------------------------

  private offerAgain(call: Call, askedLast?: AgentSession): void {
    if (call.lifecycle.ended || call.seat.state !== "VACANT" || this.searches.has(call)) return;
    if (call.flags.seatLeftEmpty) return;
    if (call.escalatingAlone) {
      // The escalation goes on without its agent; only if it does not reach a human is somebody else needed.
      const again = () => this.offerAgain(call, askedLast);
      call.commandsIdle().then(again, again);
      return;
    }
    const pool = this.lastPool.get(call) ?? this.deps.pools.find(call.facts.tenant, call.facts.pool);
    if (!pool) return;
    this.seekSeat(call, pool, askedLast);
  }

  private start(parts: Omit<Search, "offer" | "pause" | "limit">, limitMs: number, late: () => void): Search {
    this.stopSeeking(parts.call);
    const search: Search = { ...parts, offer: undefined, pause: undefined, limit: undefined };
    this.searches.set(parts.call, search);
    search.limit = this.deps.clock.after(limitMs, () => {
      this.finish(search, false);
      late();
    });
    return search;
  }

  private finish(search: Search, taken: boolean): void {
    const { call } = search;
    if (this.searches.get(call) !== search) return;
    this.searches.delete(call);
    search.limit?.cancel();
    search.pause?.cancel();
    const { offer } = search;
    search.done(taken);
    if (offer) this.offerEnded(offer, "REVOKED");
    // A transfer that found nobody leaves an empty seat empty: look again in its own pool.
    if (!taken && (search.cause === "TRANSFERRED" || search.cause === "ESCALATED"))
      queueMicrotask(() => this.offerAgain(call));
  }

  private pump(search: Search): void {
    const { call } = search;
    if (this.searches.get(call) !== search || search.offer || search.pause) return;
    if (call.lifecycle.ended) {
      this.finish(search, false);
      return;
    }
    if (search.cause === "TAKEN_OVER") {
      this.giveBack(search);
      return;
    }
    const candidates = search.pool
      .candidates()
      .filter((s) => s !== search.excluded && (!search.instanceId || s.instanceId === search.instanceId))
      .filter((s) => !this.closing || s.relayedBy !== undefined);
    const next = candidates.find((s) => !search.tried.has(s));
    if (next) {
      this.makeOffer(search, next);
      return;
    }
    if (candidates.length === 0) {
      if (search.cause !== "ACCEPTED" || this.agentsMove) return;
      const nobodyComes = this.closing && !search.pool.hasAgentsElsewhere;
      this.deps.unserved(call, nobodyComes ? "WAITED_TOO_LONG" : "NOBODY_FREE");
      return;
    }
    search.tried.clear();
    search.pause = this.deps.clock.after(search.pool.options.reofferPauseMs, () => {
      search.pause = undefined;
      this.pump(search);
    });
    search.roundOver();
  }

  /** Without asking: it had the seat. */
  private giveBack(search: Search): void {
    const { call, instanceId } = search;
    const { callId } = call.facts;
    const session = [...search.pool.sessions].find(
      (s) => s.instanceId === instanceId && s.connected && (s.freePlaces > 0 || s.remoteSeats.has(callId)),
    );
    // Seating it changes places, which leads here again.
    if (!session || search.tried.has(session)) return;
    search.tried.add(session);
    if (!this.seatAgain(call, session)) {
      search.tried.delete(session);
      return;
    }
    this.finish(search, true);
    // Its gateway died between the acceptance and the answer.
    answerFor(session, call);
  }

  /** The agent has the seat again, under a new epoch; what it saw of the call before is not known here. */
  private seatAgain(call: Call, session: AgentSession): boolean {
    const stream = session.quietestStream();
    const assignment = new Assignment(session, call, "", call.seat.snapshot().attempt);
    const { epoch } = call.seat;
    assignment.epoch = epoch + 1;
    if (!stream || !call.takeSeat(epoch, assignment, "TAKEN_OVER")) return false;
    const { tenant, callId } = call.facts;
    const afterSequence = Math.max(0, call.events.last - MOVED_REPLAY_EVENTS);
    assignment.holdBack(afterSequence);
    session.bind(assignment, stream, "TAKEN_OVER");
    this.deps.eventsOf(tenant, callId, afterSequence).then(
      (events) => assignment.replay(events),
      () => assignment.replay([]),
    );
    this.lastPool.set(call, session.pool);
    return true;
  }

  /** The seats of a session that comes by another way now: directly instead of relayed, or the other way round. */
  adopt(from: AgentSession, to: AgentSession): void {
    for (const { call } of [...from.assignments.values()]) if (to.freePlaces > 0) this.seatAgain(call, to);
  }

  private makeOffer(search: Search, session: AgentSession): void {
    const { call } = search;
    const { clock } = this.deps;
    const { offerTimeoutMs } = search.pool.options;
    search.tried.add(session);
    const offer: Offer = {
      offerId: randomUUID(),
      search,
      session,
      epoch: call.seat.epoch,
      attempt: call.seat.offered(),
      timer: clock.after(offerTimeoutMs, () => this.offerEnded(offer, "EXPIRED")),
    };
    search.offer = offer;
    session.offers.set(offer.offerId, offer);
    session.lastOfferMs = clock.nowMs();
    const startedMs = clock.nowMs();
    const deadline = new Date(clock.wallNow().getTime() + offerTimeoutMs);
    const tell = (context: CallContext | undefined) => {
      if (session.offers.get(offer.offerId) !== offer) return;
      session.quietestStream()?.send({
        type: "offer",
        offerId: offer.offerId,
        call: call.snapshot(),
        ...(context ? { context } : {}),
        attempt: offer.attempt,
        deadline,
        timeLeftMs: Math.max(0, offerTimeoutMs - (clock.nowMs() - startedMs)),
        ...(search.escalationReason ? { escalationReason: search.escalationReason } : {}),
      });
    };
    const { agentId } = session.registration;
    const { instanceId } = session;
    call.record({ type: "offered", offerId: offer.offerId, agentId, instanceId, attempt: offer.attempt });
    // A new call has no context worth a look into the store.
    if (offer.attempt === 1 && call.seat.epoch === 0) {
      tell(undefined);
      return;
    }
    const head = this.deps.contextHead(call).catch(() => undefined);
    within(head, this.deps.contextWaitMs ?? 300, clock, () => undefined).then(tell, () => {});
  }

  /** Takes an offer off all lists; false when it was already closed. */
  private closeOffer(offer: Offer): boolean {
    if (!offer.session.offers.delete(offer.offerId)) return false;
    offer.timer.cancel();
    offer.search.call.seat.offerEnded();
    if (offer.search.offer === offer) offer.search.offer = undefined;
    return true;
  }

  private holderSession(call: Call): AgentSession | undefined {
    return call.seat.holder instanceof Assignment ? call.seat.holder.session : undefined;
  }

  private target(
    call: Call,
    to: { readonly pool: string } | { readonly instanceId: string },
  ): { pool: Pool; instanceId?: string } {
    const { tenant } = call.facts;
    if ("pool" in to) {
      const pool = this.deps.pools.find(tenant, to.pool);
      if (!pool) throw new CallError("POOL_NOT_FOUND", "no such pool", { pool: to.pool });
      return { pool };
    }
    for (const pool of this.deps.pools.ofTenant(tenant)) {
      for (const session of pool.sessions) {
        if (session.instanceId === to.instanceId) return { pool, instanceId: to.instanceId };
      }
    }
    throw new CallError("AGENT_NOT_FOUND", "no agent session has this instance id", {
      instance_id: to.instanceId,
    });
  }
}

/** Answers for an agent that wants that. */
function answerFor({ registration }: AgentSession, call: Call): void {
  if (!registration.answerOnAccept || call.lifecycle.state !== "PENDING") return;
  const actor = { tenant: call.facts.tenant, name: `agent:${registration.agentId}` };
  call.execute(actor, "", { verb: "AnswerCall" }, 0).catch(() => {
    // The state of the call tells; COMMAND_DONE carries the error.
  });
}

/** Every call of this gateway is a Call; the core names it by what its behaviours see. */
function asCall(core: CallCore): Call {
  if (core instanceof Call) return core;
  throw new TypeError("not a call of this gateway");
}
