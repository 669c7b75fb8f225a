import { readFile } from "node:fs/promises";
import type { Bus } from "./bus/bus.js";
import { type BusCredentials, connectBus } from "./bus/nats-bus.js";
import type { EventLog } from "./call/event-log.js";
import type { GatewayConfig, NatsConfig } from "./config/config-types.js";
import type { ContextStore } from "./context/context-store.js";
import { openContextStore } from "./context/open-context-store.js";
import { eventWire } from "./contract/event-wire.js";
import { openEmbeddedEventLog } from "./events/embedded-event-log.js";
import { JetStreamEventLog } from "./events/jetstream-event-log.js";
import { contextStoreSource } from "./ops/context-store-source.js";
import type { ContextStoreSource, EventStoreSource } from "./ops/ops-sources.js";
import type { Logger } from "./util/logger.js";

/** The bus of the configuration; undefined without NATS. Comes back at once: NATS may be away. */
export async function openBus(
  config: GatewayConfig,
  gatewayId: string,
  logger: Logger,
): Promise<Bus | undefined> {
  const { nats } = config;
  if (!nats) return undefined;
  const { caFile, certFile, keyFile } = nats.tls ?? {};
  const tls = nats.tls && {
    ...(caFile ? { ca: await readFile(caFile, "utf8") } : {}),
    ...(certFile ? { cert: await readFile(certFile, "utf8") } : {}),
    ...(keyFile ? { key: await readFile(keyFile, "utf8") } : {}),
  };
  return connectBus({
    urls: nats.urls,
    name: `callweave ${gatewayId}`,
    credentials: () => credentialsOf(nats),
    ...(tls ? { tls } : {}),
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

async function credentialsOf(nats: NatsConfig): Promise<BusCredentials> {
  if (nats.credentialsFile) return { kind: "creds", text: await readFile(nats.credentialsFile, "utf8") };
  if (nats.nkeySeedFile) return { kind: "nkey", seed: (await readFile(nats.nkeySeedFile, "utf8")).trim() };
  if (nats.user !== undefined) return { kind: "password", user: nats.user, password: nats.password ?? "" };
  if (nats.token !== undefined) return { kind: "token", token: nats.token };
  return { kind: "none" };
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
  const { nats, events, gateway } = config;
  if (!bus || !nats) {
    const log = await openEmbeddedEventLog(gateway.stateDir, { ...events, onError: news.onError });
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
    ...(mongodb && { mongodb }),
    ...(bus && { bus }),
    spool: { ...spool, replicas: spool.replicas || (config.nats?.replicas ?? 1) },
    logger,
    onError,
  });
  return { store, source: stats && contextStoreSource(stats) };
}
