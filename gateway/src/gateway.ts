import { AFTER_DEFAULTS } from "./call/after-wait.js";
import type { Call } from "./call/call.js";
import { type CallFacts, type CallOptions, within } from "./call/call-core.js";
import { CallRegistry } from "./call/call-registry.js";
import type { CallContexts } from "./call/context-port.js";
import type { EventLog } from "./call/event-log.js";
import { type HoldSource, PLAYBACK_DEFAULTS } from "./call/playback.js";
import { CallIntake, type Neighbours, type Router } from "./call-intake.js";
import { Calls } from "./calls.js";
import type { CallContext, ContextService } from "./context/context-types.js";
import { Dispatcher } from "./dispatch/dispatcher.js";
import { HUB_DEFAULTS, Hub, type HubOptions } from "./dispatch/hub.js";
import { type PoolOptions, Pools } from "./dispatch/pool.js";
import type { SessionRelay } from "./dispatch/session-relay.js";
import { Unserved } from "./dispatch/unserved.js";
import type { AgentInfo, GatewayInfo, PoolInfo } from "./gateway-api.js";
import type { AdmissionSource } from "./ops/admission.js";
import { gatewaySource } from "./ops/gateway-source.js";
import type { GatewaySource } from "./ops/ops-sources.js";
import type { Connector } from "./telephony/telephony.js";
import { type Clock, systemClock } from "./util/clock.js";
import type { Logger } from "./util/logger.js";

/** Everything a gateway is made of. */
export interface GatewayParts {
  readonly gatewayId: string;
  readonly version: string;
  readonly connectors: readonly Connector[];
  readonly router: Router;
  readonly pools: readonly PoolOptions[];
  readonly events: EventLog;
  readonly contexts: ContextService & CallContexts;
  /** Hold audio of a call; s16le mono at its rate, endless. */
  readonly hold: (facts: CallFacts) => HoldSource;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Shows the agents of this gateway to others. Default: to none. */
  readonly relay?: SessionRelay;
  /** The other gateways. Default: none. */
  readonly neighbours?: Neighbours;
  readonly call?: Partial<CallOptions>;
  readonly hub?: Partial<HubOptions>;
  /** Default 50. */
  readonly claimJitterMs?: number;
  /** How long the earlier events of a call taken over are waited for. Default 1,500. */
  readonly historyWaitMs?: number;
  /** Default 2,000. */
  readonly maxCalls?: number;
  /** Whether new calls are taken, by how busy the process is. Default: always. */
  readonly admission?: AdmissionSource & { admit(): boolean };
  /** How long calls without an agent wait, in a drain, for agents to come by another gateway. Default 5,000. */
  readonly agentsMoveMs?: number;
  /** How long start() waits for a connector. Default 5,000. */
  readonly connectorWaitMs?: number;
  /** UTF-8 bytes of turns in an offer. Default 32,768. */
  readonly offerContextBytes?: number;
}

/** Who is at this gateway. */
export interface LocalFleet {
  pools(tenant: string): PoolInfo[];
  agents(tenant: string, pool: string): AgentInfo[];
  gateways(): GatewayInfo[];
}

/** A gateway without its wires: connectors in, its own calls and agents out. See local-api.ts for what wires get. */
export class Gateway {
  readonly calls: Calls;
  readonly agents: Hub;
  readonly contexts: ContextService;
  readonly events: EventLog;
  readonly fleet: LocalFleet;
  /** What metrics and readiness look at. */
  readonly opsSource: GatewaySource;
  private readonly clock: Clock;
  private readonly pools: Pools;
  private readonly registry: CallRegistry;
  private readonly intake: CallIntake;
  private readonly dispatcher: Dispatcher;
  private readonly startTime: Date;
  private draining = false;

  constructor(private readonly parts: GatewayParts) {
    const clock = parts.clock ?? systemClock;
    const { logger, contexts } = parts;
    this.clock = clock;
    this.startTime = clock.wallNow();
    this.contexts = contexts;
    this.events = parts.events;
    this.registry = new CallRegistry(clock);
    const pools = new Pools(parts.pools);
    this.pools = pools;
    const options: CallOptions = {
      playback: PLAYBACK_DEFAULTS,
      after: AFTER_DEFAULTS,
      mediaGiveUpMs: 10_000,
      finalSaveMs: 1_500,
      maxListeners: 1_000,
      ...parts.call,
    };
    const unserved = new Unserved(
      clock,
      (call) => this.intake.policyOf(call),
      (call) => this.dispatcher.stopSeeking(call),
      (call, message) => logger.warn({ call_id: call.facts.callId }, message),
    );
    this.dispatcher = new Dispatcher({
      clock,
      pools,
      contextHead: (call) =>
        contexts.head(call.facts.tenant, call.facts.callId, parts.offerContextBytes ?? 32_768),
      eventsOf: (tenant, callId, after) => parts.events.ofCall(tenant, callId, after),
      unserved: (call, why) => unserved.handle(call, why),
    });
    this.agents = new Hub(
      {
        ...HUB_DEFAULTS,
        maxPlaybackMs: options.playback.maxQueuedMs,
        ...parts.hub,
        gatewayId: parts.gatewayId,
      },
      clock,
      pools,
      this.dispatcher,
      parts.events,
      parts.relay,
    );
    this.calls = new Calls(this.registry, options.maxListeners);
    this.intake = new CallIntake({
      clock,
      contexts,
      seating: this.dispatcher,
      hold: parts.hold,
      options,
      gatewayId: parts.gatewayId,
      router: parts.router,
      registry: this.registry,
      pools,
      dispatcher: this.dispatcher,
      unserved,
      log: parts.events,
      neighbours: parts.neighbours,
      logger,
      onTakenOver: (call) => this.pauseAgain(call),
      claimJitterMs: parts.claimJitterMs ?? 50,
      historyWaitMs: parts.historyWaitMs ?? 1_500,
      maxCalls: parts.maxCalls ?? 2_000,
      ...(parts.admission ? { admission: parts.admission } : {}),
    });
    this.opsSource = gatewaySource({
      isDraining: () => this.draining,
      maxCalls: parts.maxCalls ?? 2_000,
      admission: parts.admission,
      leftAtMaxCalls: () => this.intake.leftAtMaxCalls,
      connectors: parts.connectors,
      registry: this.registry,
      pools,
      dispatcher: this.dispatcher,
    });
    this.fleet = {
      pools: (tenant) => this.agents.poolInfos(tenant),
      agents: (tenant, pool) => this.agents.agentInfos(tenant, pool),
      gateways: () => [
        {
          gatewayId: parts.gatewayId,
          version: parts.version,
          callCount: this.registry.size,
          draining: this.draining,
          connectors: parts.connectors.map((c) => ({ name: c.name, ready: c.ready })),
          startTime: this.startTime,
        },
      ],
    };
  }

  /** Live calls. */
  get callCount(): number {
    return this.registry.size;
  }

  /** Free places of the agents that are connected here, by pool. */
  freePlaces(): { readonly tenant: string; readonly name: string; readonly freePlaces: number }[] {
    return [...this.pools.all()].map(({ options, sessions }) => ({
      tenant: options.tenant,
      name: options.name,
      freePlaces: [...sessions]
        .filter((session) => session.takesOffers && session.relayedBy === undefined)
        .reduce((sum, session) => sum + Math.max(0, session.freePlaces), 0),
    }));
  }

  /** A context was written: while its consent is paused nobody but the seat holder hears the call. */
  contextWritten({ tenant, callId, consent }: CallContext): void {
    this.registry.find(tenant, callId)?.audio.setPaused(consent?.paused ?? false);
  }

  /** What its earlier owner kept from listeners stays so; until it is known that nothing was, nobody hears it. */
  private pauseAgain({ audio, facts }: Call): void {
    audio.setPaused(true);
    this.contexts.get(facts.tenant, { callId: facts.callId }).then(
      ({ consent }) => audio.setPaused(consent?.paused ?? false),
      () => audio.setPaused(false),
    );
  }

  /** Events of a call that were told will never be in the store: whoever reads the history later is told so. */
  eventsLost(tenant: string, callId: string, ownerEpoch: number): void {
    this.registry.find(tenant, callId)?.record({ type: "eventsLost", fromEpoch: ownerEpoch });
  }

  /** Another gateway has the call now: closes what is here without a command. Answers whether there was any. */
  fence(tenant: string, callId: string): boolean {
    const call = this.registry.find(tenant, callId);
    call?.fence();
    return call !== undefined;
  }

  /**
   * Signs in at every connector. Resolves when each is ready, or after `connectorWaitMs`: a connector that is away goes on
   * trying by itself. Rejects when a credential is refused within that time; later that is an error in the log.
   */
  async start(onReady: (name: string, ready: boolean) => void = () => {}): Promise<void> {
    await Promise.all(this.parts.connectors.map((c) => this.startConnector(c, onReady)));
  }

  private async startConnector(c: Connector, onReady: (name: string, ready: boolean) => void): Promise<void> {
    const { logger } = this.parts;
    let waited = false;
    const signedIn = c
      .start(this.intake.handlerFor(c.name, (ready) => onReady(c.name, ready)))
      .catch((error: unknown) => {
        if (!waited) throw error;
        logger.error({ connector: c.name, err: String(error) }, "connector refused");
      });
    await within(signedIn, this.parts.connectorWaitMs ?? 5_000, this.clock, () => {
      waited = true;
      logger.warn({ connector: c.name }, "connector away, goes on trying");
    });
  }

  /**
   * Takes nothing new, tells the agents, and waits for the calls and for claims that are on their way, at most `graceMs`.
   * What is left then is closed without a command: the provider decides.
   */
  async drain(graceMs: number): Promise<void> {
    this.draining = true;
    this.intake.stopAccepting();
    for (const connector of this.parts.connectors) connector.stopClaiming();
    // First: what is offered to an agent of this gateway goes to one of another, where there is one.
    this.dispatcher.close(this.parts.neighbours?.othersStay() ? (this.parts.agentsMoveMs ?? 5_000) : 0);
    this.agents.goAway(graceMs);
    const endMs = this.clock.nowMs() + graceMs;
    while (this.registry.size + this.intake.claimsUnderWay > 0 && this.clock.nowMs() < endMs) {
      await new Promise<void>((resolve) => this.clock.after(50, resolve));
    }
  }

  /** Ends everything that runs; stores are closed by who opened them. */
  async stop(): Promise<void> {
    this.draining = true;
    this.intake.stopAccepting();
    const calls = [...this.registry.all()];
    for (const call of calls) call.end("MEDIA_LOST");
    await Promise.all(calls.map((call) => call.finished()));
    this.dispatcher.stop();
    this.agents.stop();
    await Promise.all(this.parts.connectors.map((c) => c.stop()));
    this.registry.close();
  }
}
