import type { Bus } from "./bus/bus.js";
import { connectBus } from "./bus/nats-bus.js";
import type { EventLog } from "./call/event-log.js";
import type { GatewayConfig } from "./config/config-types.js";
import type { ContextStore } from "./context/context-store.js";
import { openContextStore } from "./context/open-context-store.js";
import { eventWire } from "./contract/event-wire.js";
import { openEmbeddedEventLog } from "./events/embedded-event-log.js";
import { JetStreamEventLog } from "./events/jetstream-event-log.js";
import { contextStoreSource } from "./ops/context-store-source.js";
import type { ContextStoreSource, EventStoreSource } from "./ops/ops-sources.js";
import type { OwnCredentials } from "./own-credentials.js";
import type { Logger } from "./util/logger.js";

/** The bus of the configuration; undefined without NATS. Comes back at once: NATS may be away. */
export async function openBus(
  config: GatewayConfig,
  own: OwnCredentials,
  gatewayId: string,
  logger: Logger,
): Promise<Bus | undefined> {
  const { nats } = config;
  if (!nats) return undefined;
  return connectBus({
    urls: nats.urls,
    name: `callweave ${gatewayId}`,
    credentials: () => own.natsCredentials(),
    tls: () => own.natsTls,
    pingIntervalMs: nats.pingIntervalMs,
    onError: (error, permanent) =>
      logger[permanent ? "error" : "warn"](
        { err: error.message },
        permanent ? "NATS refuses this gateway" : "NATS failed",
      ),
    onStatus: (connected) =>
      logger[connected ? "info" : "warn"]({}, connected ? "NATS is there" : "NATS is away"),
  });
}

/** What an event log tells the gateway. */
export interface EventLogNews {
  readonly onError: (error: unknown) => void;
  /** Another owner wrote events of the call. */
  readonly onFenced: (tenant: string, callId: string) => void;
  /** Events were told that no store will ever have. */
  readonly onLost: (tenant: string, callId: string, ownerEpoch: number) => void;
}

/** The event log of the configuration: in JetStream with NATS, else in the state folder. */
export async function openEventLog(
  config: GatewayConfig,
  bus: Bus | undefined,
  news: EventLogNews,
): Promise<{ readonly log: EventLog; readonly source: EventStoreSource | undefined }> {
  const { nats, events, gateway, serve } = config;
  if (!bus || !nats) {
    const log = await openEmbeddedEventLog(gateway.stateDir, {
      ...events,
      onError: news.onError,
      restAfterMs: serve.heapRestSeconds * 1000,
    });
    return { log, source: undefined };
  }
  const log = new JetStreamEventLog(bus, {
    ...events,
    wire: eventWire(nats.eventEncoding),
    replicas: nats.replicas,
    onError: news.onError,
    onFenced: news.onFenced,
    onEventsLost: news.onLost,
  });
  return { log, source: log };
}

/** The contexts of the configuration: in MongoDB with its address, else in the state folder. */
export async function openContexts(
  config: GatewayConfig,
  bus: Bus | undefined,
  logger: Logger,
  onError: (error: unknown) => void,
): Promise<{ readonly store: ContextStore; readonly source: ContextStoreSource | undefined }> {
  const { mongodb, spool } = config.contexts;
  const { store, stats } = await openContextStore({
    stateDir: config.gateway.stateDir,
    rest: { restAfterMs: config.serve.heapRestSeconds * 1000 },
    ...(mongodb && { mongodb }),
    ...(bus && { bus }),
    spool: { ...spool, replicas: spool.replicas || (config.nats?.replicas ?? 1) },
    logger,
    onError,
  });
  return { store, source: stats && contextStoreSource(stats) };
}
