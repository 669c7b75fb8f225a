import { Call } from "./call/call.js";
import { type CallDeps, within } from "./call/call-core.js";
import type { CallRegistry } from "./call/call-registry.js";
import type { EventLog } from "./call/event-log.js";
import { type RestoredCall, type RestoredLife, restoreCall } from "./call/restore.js";
import { WaitingLeg } from "./call-arrival.js";
import { ClaimsUnderWay } from "./claims-under-way.js";
import type { Dispatcher } from "./dispatch/dispatcher.js";
import type { Pools } from "./dispatch/pool.js";
import type { Unserved, UnservedPolicy } from "./dispatch/unserved.js";
import type { CallLeg, CallNotice, ConnectorHandler, IncomingCall } from "./telephony/telephony.js";
import type { Logger } from "./util/logger.js";
import { canonicalNumber, maskNumber } from "./util/numbers.js";

/** What a route says about a call. */
export interface RouteDecision {
  /** False: not ours at all (`only_callers`, `inbound: false`, no route). */
  readonly take: boolean;
  readonly tenant: string;
  readonly pool: string;
  readonly locale: string;
  readonly unserved: UnservedPolicy;
}

/** Decides by configuration; the same call is asked for twice, at the notice and at the call. */
export type Router = (call: {
  readonly connector: string;
  readonly from: string;
  readonly to: string;
  readonly at: Date;
}) => RouteDecision;

/** A call that could be claimed. */
export interface ClaimQuestion {
  readonly notice: CallNotice;
  readonly tenant: string;
  readonly pool: string;
}

/** A call of this gateway. */
export interface OwnCall {
  readonly tenant: string;
  readonly callId: string;
  readonly connector: string;
  readonly sessionId: string;
  readonly ownerEpoch: number;
}

/** The other gateways, where there are some. */
export interface Neighbours {
  /** Whether a call may be claimed here, and how much later than by the first in the order. */
  claim(question: ClaimQuestion): { readonly claim: boolean; readonly delayMs: number };
  /** Whether the session was a gateway's before, and is over for nobody. */
  hadOwner(notice: CallNotice): boolean;
  /** Whether another gateway may have had the call, or this one before a restart. */
  mayKnow(tenant: string, callId: string): boolean;
  /** The number of the newest owner of a call that is known; 0 when none is. */
  ownerEpoch(tenant: string, callId: string): number;
  /**
   * Whether a gateway that died may have told events after this time that it could not store: the bus was away since
   * then.
   */
  mayHaveLostEvents(since: Date): boolean;
  /** Whether another gateway stays when this one goes away: its agents can move there. */
  othersStay(): boolean;
  /** This gateway has the call. */
  taken(call: OwnCall): void;
  /** The call is over. */
  released(tenant: string, callId: string): void;
}

/** What the intake needs. */
export interface IntakeDeps extends CallDeps {
  readonly gatewayId: string;
  readonly router: Router;
  readonly registry: CallRegistry;
  readonly pools: Pools;
  readonly dispatcher: Dispatcher;
  readonly unserved: Unserved;
  readonly log: EventLog;
  /** Unset: this gateway is alone. */
  readonly neighbours?: Neighbours | undefined;
  readonly logger: Logger;
  /** A live call was taken over; told before anybody can hear it. */
  readonly onTakenOver: (call: Call) => void;
  /** Largest claim delay by chance, so that gateways on one connector do not always race. Default 50. */
  readonly claimJitterMs: number;
  /** How long the earlier events of a call that was taken over are waited for. Default 1,500. */
  readonly historyWaitMs: number;
  /** Calls at a time; beyond it nothing is claimed. Default 2,000. */
  readonly maxCalls: number;
  /** Asked for each new call; calls that had an owner before are taken whatever it says. Default: always. */
  readonly admission?: { admit(): boolean };
}

/** Which calls are taken, and what becomes of them first: a claim policy and the way into the core. */
export class CallIntake {
  private readonly policies = new WeakMap<Call, UnservedPolicy>();
  private readonly claims: ClaimsUnderWay;
  private accepting = true;
  private leftFull = 0;

  constructor(private readonly deps: IntakeDeps) {
    this.claims = new ClaimsUnderWay(deps.clock);
  }

  /** Calls that were not claimed because `maxCalls` were up. */
  get leftAtMaxCalls(): number {
    return this.leftFull;
  }

  /** Claims that are neither calls nor somebody else's yet. */
  get claimsUnderWay(): number {
    return this.claims.size;
  }

  /** The policy of a call's route. */
  policyOf(call: Call): UnservedPolicy {
    return this.policies.get(call) ?? { action: "CONNECT", ringTimeSeconds: 60 };
  }

  /** From now on nothing new is claimed. */
  stopAccepting(): void {
    this.accepting = false;
  }

  /** The handler of one connector. */
  handlerFor(name: string, onReady: (ready: boolean) => void): ConnectorHandler {
    const { logger } = this.deps;
    return {
      claim: (notice) => this.claim(notice),
      onCall: (call, leg) => this.arrived(call, leg),
      onCallLost: (notice, reason) => {
        this.claims.end(notice.connector, notice.sessionId);
        logger.info(
          { connector: notice.connector, session_id: notice.sessionId, reason },
          "the call went to somebody else",
        );
      },
      onReady: (ready) => {
        logger.info({ connector: name, ready }, ready ? "connector signed in" : "connector away");
        onReady(ready);
      },
    };
  }

  private claim(notice: CallNotice): { claim: boolean; delayMs: number } {
    const { deps } = this;
    const no = { claim: false, delayMs: 0 };
    if (!this.accepting) return no;
    const route = deps.router({ ...notice, at: deps.clock.wallNow() });
    if (!route.take) return no;
    const pool = deps.pools.find(route.tenant, route.pool);
    if (!pool) return no;
    if (!pool.hasFreePlace && route.unserved.action === "LEAVE") return no;
    if (this.isFull(notice)) {
      this.leftFull++;
      return no;
    }
    // A caller who was promised somebody, by a gateway that is gone, is not left alone.
    if (!deps.neighbours?.hadOwner(notice) && deps.admission?.admit() === false) return no;
    const answer = deps.neighbours
      ? deps.neighbours.claim({ notice, tenant: route.tenant, pool: route.pool })
      : { claim: true, delayMs: Math.random() * deps.claimJitterMs };
    if (answer.claim) this.claims.begin(notice.connector, notice.sessionId);
    return answer;
  }

  /** Calls and claims together are as many as there may be. */
  private isFull({ connector, sessionId }: CallNotice): boolean {
    const { registry, maxCalls } = this.deps;
    return registry.size + this.claims.size >= maxCalls && !this.claims.has(connector, sessionId);
  }

  private arrived(incoming: IncomingCall, leg: CallLeg): void {
    const { deps } = this;
    const { tenant } = deps.router({ ...incoming, at: deps.clock.wallNow() });
    const mayKnow = deps.neighbours?.mayKnow(tenant, incoming.callId) ?? true;
    if (!mayKnow || !deps.log.knows(tenant, incoming.callId)) {
      this.begin(incoming, leg);
      return;
    }
    const waiting = new WaitingLeg(leg);
    const earlier = deps.log.ofCall(tenant, incoming.callId, 0).then(restoreCall);
    const late = () => {
      deps.logger.error(
        { call_id: incoming.callId },
        "the earlier events of a call could not be read in time",
      );
      // It begins anew, but as a later owner, so that its events are not taken for an intruder's.
      const ownerEpoch = deps.neighbours?.ownerEpoch(tenant, incoming.callId) ?? 0;
      return ownerEpoch > 0 ? { lastSequence: 0, ownerEpoch, fromGatewayId: "" } : undefined;
    };
    within(earlier, deps.historyWaitMs, deps.clock, late)
      .catch(late)
      .then((restored) => this.begin(incoming, waiting.open(), restored));
  }

  private begin(incoming: IncomingCall, leg: CallLeg, restored?: RestoredCall): void {
    const { deps } = this;
    const route = deps.router({ ...incoming, at: deps.clock.wallNow() });
    const call = new Call(
      {
        tenant: route.tenant,
        callId: incoming.callId,
        sessionId: incoming.sessionId,
        connector: incoming.connector,
        caller: canonicalNumber(incoming.from) ?? "",
        callee: canonicalNumber(incoming.to) ?? "",
        rawCaller: incoming.from,
        rawCallee: incoming.to,
        pool: route.pool,
        locale: route.locale,
        sampleRateHz: incoming.sampleRateHz,
        gatewayId: deps.gatewayId,
      },
      leg,
      deps,
      deps.log,
      restored,
    );
    const answerOnQueue = deps.pools.find(route.tenant, route.pool)?.options.answerOnQueue ?? false;
    this.policies.set(call, { ...route.unserved, answerOnQueue });
    deps.registry.add(call);
    this.claims.end(incoming.connector, incoming.sessionId);
    const { tenant, callId, connector, sessionId } = call.facts;
    deps.neighbours?.taken({ tenant, callId, connector, sessionId, ownerEpoch: call.events.ownerEpoch });
    if (restored?.live && deps.neighbours?.mayHaveLostEvents(restored.live.positionTime))
      call.record({ type: "eventsLost", fromEpoch: restored.ownerEpoch });
    void call.released.then(() => deps.neighbours?.released(tenant, callId));
    const fields = { call_id: incoming.callId, connector: incoming.connector, pool: route.pool };
    deps.logger.info(
      { ...fields, caller: maskNumber(incoming.from), callee: maskNumber(incoming.to) },
      "call arrived",
    );
    call.over.addEventListener(
      "abort",
      () => deps.logger.info({ ...fields, end_reason: call.lifecycle.endReason }, "call over"),
      { once: true },
    );
    if (restored?.live) {
      deps.logger.info(
        { ...fields, state: restored.live.state, from_gateway_id: restored.fromGatewayId },
        "call taken over",
      );
      deps.onTakenOver(call);
    }
    this.seat(call, route, restored?.live);
  }

  private seat(call: Call, route: RouteDecision, life: RestoredLife | undefined): void {
    const { deps } = this;
    if (life?.seatLeftEmpty) return;
    const pool = deps.pools.find(route.tenant, route.pool);
    if (!pool) {
      deps.unserved.handle(call, "NOBODY_FREE");
      return;
    }
    const had = life?.seat.instanceId;
    if (had) deps.dispatcher.reseat(call, pool, had);
    else deps.dispatcher.seekSeat(call, pool);
  }
}
