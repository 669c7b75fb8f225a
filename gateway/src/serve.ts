import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { HoldSound, loadAnnouncement, loadHoldSound } from "./audio/hold-audio.js";
import { AuditLists } from "./audit/audit-lists.js";
import { NO_AUDIT } from "./audit/audit-sink.js";
import { CallEventAudit } from "./audit/call-events.js";
import { openAudit } from "./audit/open-audit.js";
import { authOptions } from "./auth/from-config.js";
import { PLAYBACK_DEFAULTS } from "./call/playback.js";
import type { RouteDecision, Router } from "./call-intake.js";
import { Cluster } from "./cluster/cluster.js";
import type { GatewayConfig, PoolConfig } from "./config/config-types.js";
import { routeCall } from "./config/routes.js";
import { makeConnector } from "./connectors.js";
import { StoredContextService } from "./context/context-service.js";
import { Authenticator } from "./contract/authenticator.js";
import { DeskServer, deskOptions } from "./desk/index.js";
import type { PoolOptions } from "./dispatch/pool.js";
import { Gateway } from "./gateway.js";
import type { EdgeTls, GrpcEdgeOptions } from "./grpc/options.js";
import { createGrpcServer, type GrpcEdge } from "./grpc/server.js";
import { localApi } from "./local-api.js";
import { ContextFeed, createNatsWire, natsWireOptions } from "./nats/index.js";
import { openRedactor } from "./open-redactor.js";
import { openBus, openContexts, openEventLog } from "./open-stores.js";
import { Admission } from "./ops/admission.js";
import { countingEventLog } from "./ops/counting-event-log.js";
import { LoopWatch } from "./ops/event-loop.js";
import { Ops } from "./ops/ops.js";
import { OwnCredentials } from "./own-credentials.js";
import { PortCertificates } from "./port-certificates.js";
import type { Connector } from "./telephony/telephony.js";
import type { Logger } from "./util/logger.js";
import { warmUp } from "./warm-up.js";
import { AllowedHosts, Webhooks } from "./webhooks/index.js";

/** The version of the gateway, as agents and operators see it. */
export const VERSION = "0.1.0";

/** A gateway that runs. */
export interface RunningGateway {
  readonly gateway: Gateway;
  readonly grpc: GrpcEdge;
  readonly gatewayId: string;
  /** The port that it listens on. */
  readonly port: number;
  /** The port of the desk; undefined without one. */
  readonly deskPort: number | undefined;
  readonly desk: DeskServer | undefined;
  /** Health, readiness and metrics; its `port` is undefined when `ops.enabled` is false. */
  readonly ops: Ops;
  /**
   * Credentials and certificates as this configuration says from now on, those too that the gateway shows to NATS and to its
   * providers at the next connection; everything else of it is left out. Calls and streams that there are go on. Rejects,
   * and changes nothing, when they cannot be used.
   */
  reload(config: GatewayConfig): Promise<void>;
  /** Takes nothing new and waits for the calls to end, at most `graceMs`; then ends. */
  drain(graceMs: number): Promise<void>;
  /** Ends at once: sockets closed without commands, stores flushed. */
  stop(): Promise<void>;
}

/** How long clients have to go once the last call is over. */
const DRAIN_CONNECTIONS_MS = 2_000;

/** Over so long the delay of the event loop is looked at, before new calls are left alone. */
const ADMISSION_WINDOW_MS = 1_000;

/** How long the start waits for the registry of calls; then it is read later. */
const CLUSTER_WAIT_MS = 3_000;

/** What may be put in the place of what the configuration says; for tests. */
export interface ServeOverrides {
  readonly connectors?: readonly Connector[];
  /** Default 50. */
  readonly claimJitterMs?: number;
}

/** An id for a gateway that has none: the name of the machine with a random end. At most 61 characters, as names may have. */
export function makeGatewayId(): string {
  const machine = hostname()
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 54);
  return `${machine}-${randomBytes(3).toString("hex")}`;
}

/**
 * Opens the stores, listens, signs in at the connectors. Agents can register before the first connector is ready.
 * Rejects, with everything closed again, when a credential is refused, a port is taken or a store cannot be opened.
 */
export async function startGateway(
  config: GatewayConfig,
  logger: Logger,
  overrides: ServeOverrides = {},
): Promise<RunningGateway> {
  const gatewayId = config.gateway.id ?? makeGatewayId();
  // First and last: probes see the start and the drain.
  const ops = await new Ops({ config: config.ops, version: VERSION, gatewayId, logger }).start();
  try {
    return await startBehind(ops, gatewayId, config, logger, overrides);
  } catch (error) {
    await ops.stop();
    throw error;
  }
}

async function startBehind(
  ops: Ops,
  gatewayId: string,
  config: GatewayConfig,
  logger: Logger,
  overrides: ServeOverrides,
): Promise<RunningGateway> {
  const onError = (error: unknown) => logger.error({ err: String(error) }, "store failed");
  const holds = await loadHolds(config.pools);
  // Before anything is opened that a failure would have to close.
  const certificates = new PortCertificates(config);
  const own = new OwnCredentials(config);
  ops.sources.certificates = { views: () => [...certificates.views(), ...own.views()] };
  const redactor = await openRedactor(config.contexts.redaction, logger);
  warmUp({
    sounds: [HoldSound.generated(), ...holds.values()],
    sampleRatesHz: config.connectors.map(({ sampleRateHz }) => sampleRateHz),
    json: config.nats !== undefined,
  });
  const bus = await openBus(config, own, gatewayId, logger);
  const opened = await openEventLog(config, bus, {
    onError,
    onFenced: (tenant, callId) => cluster?.intruder(tenant, callId),
    onLost: (tenant, callId, ownerEpoch) => {
      logger.error({ call_id: callId }, "events of a call were lost: NATS was away for too long");
      gateway.eventsLost(tenant, callId, ownerEpoch);
    },
  });
  const auditLog = await openAudit(config, gatewayId, logger).catch(async (error: unknown) => {
    await opened.log.close();
    await bus?.close();
    throw error;
  });
  const seats = auditLog && new CallEventAudit(auditLog);
  const counted = ops.counting(opened.log);
  const events = seats ? countingEventLog(counted, (event) => seats.onEvent(event)) : counted;
  const stored = await openContexts(config, bus, logger, onError).catch(async (error: unknown) => {
    await auditLog?.close();
    await events.close();
    await bus?.close();
    throw error;
  });
  const contextFeed =
    bus &&
    new ContextFeed(bus, { gatewayId, ...(config.nats && { encoding: config.nats.eventEncoding }) }, logger);
  const contexts: StoredContextService = new StoredContextService(stored.store, {
    retentionDays: config.contexts.retentionDays,
    defaultCountryCode: config.contexts.defaultCountryCode,
    callOf: (tenant, callId) => findCall(gateway, tenant, callId),
    eraseCaller: async (tenant, caller) => {
      await events.eraseCaller(tenant, caller);
      await auditLog?.eraseCaller(tenant, caller);
    },
    redactor,
    onWritten: (context) => {
      contextFeed?.publish(context);
      gateway.contextWritten(context);
    },
    onError,
  });
  const connectors = overrides.connectors ?? config.connectors.map((c) => makeConnector(c, logger));
  const { maxCalls } = config.gateway.limits;
  const replicas = config.nats?.replicas ?? 1;
  const cluster: Cluster | undefined =
    bus &&
    new Cluster({
      bus,
      gatewayId,
      version: VERSION,
      logger,
      maxCalls,
      connectors,
      events,
      contexts,
      sharedContexts: config.contexts.mongodb !== undefined,
      options: { ...config.cluster, replicas },
    });
  const { shedAboveMs, resumeBelowMs, shedWindows } = config.gateway.limits;
  const loop = new LoopWatch({ windowMs: ADMISSION_WINDOW_MS });
  const admission = new Admission(loop, { shedAboveMs, resumeBelowMs, windows: shedWindows }, logger);
  const gateway: Gateway = new Gateway({
    admission,
    gatewayId,
    version: VERSION,
    connectors,
    ...(cluster ? { neighbours: cluster, relay: cluster.relay } : {}),
    router: routerOf(config),
    pools: config.pools.map(poolOptions),
    events,
    contexts,
    hold: (facts) => {
      const sound = holds.get(`${facts.tenant}\n${facts.pool}`) ?? HoldSound.generated();
      return sound.open(facts.sampleRateHz);
    },
    logger,
    call: {
      playback: {
        ...PLAYBACK_DEFAULTS,
        maxQueuedMs: config.playback.maxSeconds * 1000,
        drainMarginMs: config.playback.drainMarginMs,
      },
      mediaGiveUpMs: config.gateway.limits.mediaGiveUpMs,
      maxListeners: config.gateway.limits.maxListenersPerCall,
      redact: (value) => redactor.value(value),
    },
    hub: { maxSessions: config.gateway.limits.maxSessions, maxPlaybackMs: config.playback.maxSeconds * 1000 },
    maxCalls,
    agentsMoveMs: config.serve.drain.agentsMoveMs,
    ...(overrides.claimJitterMs === undefined ? {} : { claimJitterMs: overrides.claimJitterMs }),
  });
  ops.sources.gateway = gateway.opsSource;
  if (bus) ops.sources.bus = bus;
  if (opened.source) ops.sources.eventStore = opened.source;
  if (stored.source) ops.sources.contextStore = stored.source;
  if (cluster) ops.sources.cluster = cluster.opsSource;
  const audit = auditLog && (cluster ? cluster.audit(auditLog) : new AuditLists(auditLog, gatewayId));
  const api = { ...(cluster ? cluster.bind(gateway) : localApi(gateway)), audit };
  const authenticator = new Authenticator(authOptions(config), { logger, audit: auditLog ?? NO_AUDIT });
  const shared = { authenticator, audit: auditLog ?? NO_AUDIT };
  const natsWire =
    bus && config.nats?.wire.enabled
      ? createNatsWire(
          api,
          bus,
          { ...natsWireOptions(config, config.nats, gatewayId, VERSION), ...shared },
          logger,
        )
      : undefined;
  const webhooks =
    config.webhooks.length > 0
      ? new Webhooks({
          hooks: config.webhooks,
          hosts: new AllowedHosts(config.webhooksAllowedHosts),
          events,
          contexts: api.contexts,
          stateDir: config.gateway.stateDir,
          bus,
          replicas,
          gatewayId,
          logger,
        })
      : undefined;
  if (webhooks) ops.sources.webhooks = webhooks;
  let grpc: GrpcEdge | undefined;
  let desk: DeskServer | undefined;
  const stop = async () => {
    grpc?.setServing(false);
    desk?.leave();
    await gateway.stop();
    await cluster?.stop();
    natsWire?.stop();
    await Promise.all([grpc?.stop(), desk?.stop()]);
    contextFeed?.stop();
    await webhooks?.stop();
    await contexts.close();
    await events.close();
    await auditLog?.close();
    await bus?.close();
    admission.stop();
    loop.stop();
    await ops.stop();
  };
  try {
    await authenticator.start();
    grpc = createGrpcServer(api, { ...grpcOptions(config, certificates.grpc), ...shared }, logger);
    const port = await grpc.listen();
    desk =
      config.desk &&
      new DeskServer(api, { ...deskOptions(config, config.desk, certificates.desk), ...shared }, logger);
    const deskPort = await desk?.listen();
    if (desk) ops.sources.desk = desk;
    const edge = grpc;
    ops.sources.grpc = edge;
    await cluster?.start(CLUSTER_WAIT_MS);
    contextFeed?.start((context) => {
      contexts.writtenElsewhere(context);
      gateway.contextWritten(context);
    });
    await webhooks?.start();
    await natsWire?.start();
    await gateway.start();
    edge.setServing(true);
    ops.serving();
    logger.info({ gateway_id: gatewayId, port, ops_port: ops.port, desk_port: deskPort }, "serving");
    return {
      gateway,
      grpc: edge,
      gatewayId,
      port,
      deskPort,
      desk,
      ops,
      stop,
      async reload(fresh) {
        const hand = certificates.prepare(fresh);
        const takeUp = own.prepare(fresh, connectors);
        await authenticator.reload(authOptions(fresh));
        hand({ grpc: edge, desk });
        takeUp();
      },
      async drain(graceMs) {
        edge.setServing(false);
        cluster?.drain();
        natsWire?.leave();
        await gateway.drain(graceMs);
        desk?.leave();
        // The calls are over: watchers and listeners are told, connections are closed.
        await Promise.all([edge.drain(DRAIN_CONNECTIONS_MS), natsWire?.drain(DRAIN_CONNECTIONS_MS)]);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function findCall(gateway: Gateway, tenant: string, callId: string) {
  try {
    return gateway.calls.get(tenant, callId);
  } catch {
    return undefined;
  }
}

async function loadHolds(pools: readonly PoolConfig[]): Promise<Map<string, HoldSound>> {
  const holds = new Map<string, HoldSound>();
  for (const pool of pools) {
    if (pool.hold.file) holds.set(`${pool.tenant}\n${pool.name}`, await loadHoldSound(pool.hold.file));
  }
  return holds;
}

function poolOptions(pool: PoolConfig): PoolOptions {
  return {
    name: pool.name,
    tenant: pool.tenant,
    offerTimeoutMs: pool.offerTimeoutMs,
    reattachGraceMs: pool.reattachGraceMs,
    heartbeatIntervalMs: pool.heartbeatIntervalMs,
    heartbeatMisses: pool.heartbeatMisses,
    onAgentLost: pool.onAgentLost === "finish" ? "FINISH" : "CUT",
    answerOnQueue: pool.answerOnQueue,
    maxQueueMs: pool.maxQueueSeconds * 1000,
    maxReofferMs: pool.maxReofferSeconds * 1000,
    reofferPauseMs: pool.reofferPauseMs,
  };
}

const UNSERVED = {
  connect: "CONNECT",
  queue: "QUEUE",
  answer_and_hold: "ANSWER_AND_HOLD",
  announce: "ANNOUNCE",
  leave: "LEAVE",
} as const;

function routerOf(config: GatewayConfig): Router {
  return (question): RouteDecision => {
    const routed = routeCall(config, question);
    const { announcement } = routed;
    return {
      take: routed.taken,
      tenant: routed.tenant,
      pool: routed.pool,
      locale: routed.locale,
      unserved: {
        action: UNSERVED[routed.unserved],
        ringTimeSeconds: routed.ringTimeSeconds,
        ...(announcement ? { announcement: (rate: number) => loadAnnouncement(announcement, rate) } : {}),
      },
    };
  };
}

function grpcOptions(config: GatewayConfig, tls: EdgeTls | undefined): GrpcEdgeOptions {
  const { tls: _files, ...options } = config.gateway.grpc;
  const stream = { expiryWarningMs: config.auth.expiryWarningSeconds * 1000 };
  return { ...options, stream, ...(tls && { tls }) };
}
