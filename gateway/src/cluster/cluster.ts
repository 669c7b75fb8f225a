import { randomUUID } from "node:crypto";
import { AuditLists, type AuditPage, type AuditQuestion } from "../audit/audit-lists.js";
import type { AuditReader } from "../audit/audit-sink.js";
import type { Bus } from "../bus/bus.js";
import type { CallContexts } from "../call/context-port.js";
import type { EventLog } from "../call/event-log.js";
import type { ClaimQuestion, Neighbours, OwnCall } from "../call-intake.js";
import type { Gateway } from "../gateway.js";
import type { GatewayApi } from "../gateway-api.js";
import type { ClusterSource } from "../ops/ops-sources.js";
import type { CallNotice, Connector } from "../telephony/telephony.js";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import { claimants, claimRank } from "./claims.js";
import { clusterApi } from "./cluster-api.js";
import { BusLink, type Link } from "./link.js";
import { Ownership } from "./ownership.js";
import { RelayClient } from "./relay/relay-client.js";
import { RelayHost } from "./relay/relay-host.js";
import { ListenHost, RemoteListeners } from "./remote-listen.js";
import { BusRoster, type PoolPlaces, type Roster } from "./roster.js";
import { Takeover } from "./takeover.js";

/** Options of several gateways on one bus. */
export interface ClusterOptions {
  /** How often a gateway shows that it lives. Default 500. */
  readonly beatIntervalMs: number;
  /** Silent for this long it counts as dead and its calls are taken over. Default 2,000. */
  readonly leaseMs: number;
  /** Later claim per place in the order of claims. Default 100. */
  readonly claimRankDelayMs: number;
  /** How long a question to the gateway of a call waits. Default 2,000. */
  readonly callTimeoutMs: number;
  /** How long a list waits for each gateway. Default 1,000. */
  readonly listTimeoutMs: number;
  /** Questions of other gateways under way at a time. Default 2,000. */
  readonly maxLinkRequests: number;
  /** First and longest pause between two looks for calls of a dead gateway. Defaults 250 and 3,000. */
  readonly takeoverFirstPauseMs: number;
  readonly takeoverMaxPauseMs: number;
  /** A call that nobody could take over is written off after this long. Default 30,000. */
  readonly takeoverGiveUpMs: number;
  /** How long an agent's seat at a gateway that died or cannot be reached is kept. Default 15,000. */
  readonly takeoverGraceMs: number;
  /** A remote listener that does not show up for this long is dropped. Default 10,000. */
  readonly listenLeaseMs: number;
  /** Copies of each bucket: 1, 3 or 5. Default 1. */
  readonly replicas: number;
}

/** Defaults of ClusterOptions. */
export const CLUSTER_DEFAULTS: ClusterOptions = {
  beatIntervalMs: 500,
  leaseMs: 2_000,
  claimRankDelayMs: 100,
  callTimeoutMs: 2_000,
  listTimeoutMs: 1_000,
  maxLinkRequests: 2_000,
  takeoverFirstPauseMs: 250,
  takeoverMaxPauseMs: 3_000,
  takeoverGiveUpMs: 30_000,
  takeoverGraceMs: 15_000,
  listenLeaseMs: 10_000,
  replicas: 1,
};

const LOOK_INTERVAL_MS = 10_000;

/** What a cluster is made of. */
export interface ClusterParts {
  readonly bus: Bus;
  readonly gatewayId: string;
  readonly version: string;
  readonly logger: Logger;
  readonly maxCalls: number;
  readonly connectors: readonly Connector[];
  readonly events: EventLog;
  readonly contexts: CallContexts;
  /** True: the contexts of all gateways are in one store (MongoDB). Default false. */
  readonly sharedContexts?: boolean;
  readonly options?: Partial<ClusterOptions>;
  readonly clock?: Clock;
}

/**
 * This gateway among others on one bus: who lives, who has which call, who claims first, who takes over. Made before the
 * gateway (which asks it about claims), then bound to it.
 */
export class Cluster implements Neighbours {
  readonly roster: Roster;
  readonly link: Link;
  readonly ownership: Ownership;
  private readonly busRoster: BusRoster;
  private readonly busLink: BusLink;
  private readonly takeover: Takeover;
  /** For the gateway to be made with. */
  readonly relay: RelayClient;
  private relayHost: RelayHost | undefined;
  private readonly options: ClusterOptions;
  private readonly clock: Clock;
  private gateway: Gateway | undefined;
  private listenHost: ListenHost | undefined;
  private lookTimer: Timer | undefined;
  private draining = false;
  /** When the bus was back after it had been away; undefined: it never was. */
  private busBackTime: Date | undefined;
  private stopBusStatus: (() => void) | undefined;
  private readonly counts = { takeovers: 0, fenced: 0 };
  private readonly incarnation = randomUUID();
  private readonly startTime: Date;

  constructor(private readonly parts: ClusterParts) {
    const { bus, gatewayId, logger } = parts;
    const options = { ...CLUSTER_DEFAULTS, ...parts.options };
    this.options = options;
    this.clock = parts.clock ?? systemClock;
    this.startTime = this.clock.wallNow();
    this.busRoster = new BusRoster(bus, this.clock, logger, options, () => this.beat());
    this.roster = this.busRoster;
    this.busLink = new BusLink(bus, gatewayId, logger, {
      timeoutMs: options.callTimeoutMs,
      maxInFlight: options.maxLinkRequests,
    });
    this.link = this.busLink;
    this.ownership = new Ownership({
      bus,
      clock: this.clock,
      logger,
      roster: this.busRoster,
      self: { gatewayId, incarnation: this.incarnation },
      replicas: options.replicas,
      onFenced: ({ tenant, callId }) => this.fenced(tenant, callId),
    });
    this.relay = new RelayClient({
      bus,
      link: this.link,
      roster: this.roster,
      gatewayId,
      clock: this.clock,
      logger,
      options: { takeoverGraceMs: options.takeoverGraceMs },
    });
    this.takeover = new Takeover({
      clock: this.clock,
      logger,
      connectors: parts.connectors,
      ownership: this.ownership,
      events: parts.events,
      contexts: parts.contexts,
      options: {
        firstPauseMs: options.takeoverFirstPauseMs,
        maxPauseMs: options.takeoverMaxPauseMs,
        giveUpMs: options.takeoverGiveUpMs,
      },
    });
  }

  /** Lists of the audit logs of all gateways; `own` is that of this one, for the others too. */
  audit(own: AuditReader): AuditLists {
    const { link, roster } = this;
    link.handle("audit-list", (body) => own.list(...(body as AuditQuestion)));
    return new AuditLists(own, this.parts.gatewayId, {
      ids: () => roster.peers().map(({ gatewayId }) => gatewayId),
      ask: (id, question) => link.request(id, "audit-list", question) as Promise<AuditPage>,
    });
  }

  /** Binds it to its gateway; answers what the wires get. Then `start`. */
  bind(gateway: Gateway): GatewayApi {
    this.gateway = gateway;
    const { bus, gatewayId } = this.parts;
    const listenOptions = { leaseMs: this.options.listenLeaseMs, maxQueuedMs: 2_000 };
    const listeners = new RemoteListeners(bus, this.link, this.clock, gatewayId, listenOptions);
    this.listenHost = new ListenHost(
      bus,
      this.link,
      this.clock,
      listenOptions,
      (tenant, callId) => gateway.calls.get(tenant, callId).sampleRateHz,
      (actor, callId, source, format, listener) =>
        gateway.calls.listen(actor, callId, source, format, listener),
    );
    const { link, roster } = this;
    this.relayHost = new RelayHost({
      bus,
      link,
      roster,
      gatewayId,
      hub: gateway.agents,
    });
    return clusterApi(gateway, {
      link: this.link,
      roster: this.roster,
      ownership: this.ownership,
      sharedContexts: this.parts.sharedContexts ?? false,
      listeners,
      gatewayId,
      options: { listTimeoutMs: this.options.listTimeoutMs, callTimeoutMs: this.options.callTimeoutMs },
    });
  }

  /**
   * Begins to show itself and to look at others. Resolves when the registry of calls was read, at most after `waitMs`:
   * only then is it known which notified calls are others'.
   */
  async start(waitMs: number): Promise<void> {
    this.roster.onLeave(() => this.takeover.look());
    let away = false;
    this.stopBusStatus = this.parts.bus.onStatus((connected) => {
      if (connected && away) this.busBackTime = this.clock.wallNow();
      away = !connected;
    });
    this.busLink.start();
    this.busRoster.start();
    this.ownership.start();
    const ready = await this.ownership.ready(waitMs);
    if (!ready)
      this.parts.logger.warn({}, "the bus is away: other gateways and their calls are not known yet");
    // What is left of a gateway that died before this one came is seen one lease from now.
    this.lookLater(this.options.leaseMs + this.options.beatIntervalMs);
  }

  /** And now and then after that: the bus may have been away when somebody died. */
  private lookLater(ms: number): void {
    this.lookTimer = this.clock.after(ms, () => {
      this.takeover.look();
      this.lookLater(LOOK_INTERVAL_MS);
    });
  }

  /** The gateway takes nothing new: others claim in its place. */
  drain(): void {
    this.draining = true;
  }

  /** Says goodbye. Calls that are left are orphans from then on. */
  async stop(): Promise<void> {
    this.lookTimer?.cancel();
    this.stopBusStatus?.();
    this.takeover.stop();
    this.relay.stop();
    this.relayHost?.stop();
    this.listenHost?.stop();
    this.busLink.stop();
    this.ownership.stop();
    await this.busRoster.stop();
  }

  /** What metrics and readiness see. */
  get opsSource(): ClusterSource {
    const { busRoster, counts } = this;
    return {
      get gateways() {
        return busRoster.peers().length + 1;
      },
      get takeovers() {
        return counts.takeovers;
      },
      get fenced() {
        return counts.fenced;
      },
    };
  }

  /** The newest owner's number, as far as the registry knows. */
  ownerEpoch(tenant: string, callId: string): number {
    return this.ownership.ownerOf(tenant, callId)?.ownerEpoch ?? 0;
  }

  /** Whether another gateway may have had the call, or this one before a restart. */
  mayKnow(tenant: string, callId: string): boolean {
    return !this.ownership.isReady || this.ownership.ownerOf(tenant, callId) !== undefined;
  }

  /** Another writer was found in the events of a call; it counts if the registry does not say that the call is ours. */
  intruder(tenant: string, callId: string): void {
    const { logger } = this.parts;
    if (this.ownership.isConfirmed(tenant, callId)) {
      logger.error(
        { call_id: callId },
        "another process wrote events of this call; they are not stored any more",
      );
    } else this.fenced(tenant, callId);
  }

  private fenced(tenant: string, callId: string): void {
    if (!this.gateway?.fence(tenant, callId)) return;
    this.counts.fenced++;
    this.ownership.released(tenant, callId);
  }

  // ---- Neighbours -----------------------------------------------------------------------------------------------

  claim({ notice, tenant, pool }: ClaimQuestion): { readonly claim: boolean; readonly delayMs: number } {
    const { connector, sessionId } = notice;
    const owner = this.ownership.ownerOfSession(connector, sessionId);
    if (owner && owner.gatewayId !== this.parts.gatewayId && this.ownership.isLive(owner))
      return { claim: false, delayMs: 0 };
    const own = {
      gatewayId: this.parts.gatewayId,
      freePlaces: this.places().find((one) => one.tenant === tenant && one.name === pool)?.freePlaces ?? 0,
    };
    const others = claimants(this.roster.peers(), connector, tenant, pool);
    return { claim: true, delayMs: claimRank(own, others, sessionId) * this.options.claimRankDelayMs };
  }

  hadOwner({ connector, sessionId }: CallNotice): boolean {
    return this.ownership.ownerOfSession(connector, sessionId) !== undefined;
  }

  othersStay(): boolean {
    return this.roster.peers().some(({ draining }) => !draining);
  }

  mayHaveLostEvents(since: Date): boolean {
    return this.busBackTime !== undefined && since < this.busBackTime;
  }

  taken(call: OwnCall): void {
    if (call.ownerEpoch > 1) this.counts.takeovers++;
    this.ownership.taken(call);
  }

  released(tenant: string, callId: string): void {
    this.ownership.released(tenant, callId);
  }

  private places(): readonly PoolPlaces[] {
    return this.gateway?.freePlaces() ?? [];
  }

  private beat() {
    const { gateway, parts } = this;
    return {
      gatewayId: parts.gatewayId,
      incarnation: this.incarnation,
      version: parts.version,
      callCount: gateway?.callCount ?? 0,
      maxCalls: parts.maxCalls,
      draining: this.draining,
      connectors: parts.connectors.map(({ name, ready }) => ({ name, ready })),
      pools: this.places(),
      startTime: this.startTime,
    };
  }
}
