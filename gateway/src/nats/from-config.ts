import type { GatewayConfig, NatsConfig } from "../config/config-types.js";
import type { NatsWireOptions } from "./options.js";
import { isLocalServer } from "./wire.js";

/** The options of the wire as the configuration says; its keys are those of gRPC. */
export function natsWireOptions(
  config: GatewayConfig,
  nats: NatsConfig,
  gatewayId: string,
  version: string,
): NatsWireOptions {
  const { wire, urls } = nats;
  return {
    gatewayId,
    version,
    keys: config.gateway.grpc.keys,
    serverIsLocal: isLocalServer(urls),
    maxConcurrentRequests: wire.maxConcurrentRequests,
    maxSessions: wire.maxSessions,
    maxAudioPublishers: wire.maxAudioPublishers,
    listenLeaseMs: wire.listenLeaseSeconds * 1000,
    maxListenMs: wire.maxListenMs,
    listenBundleMs: wire.listenBundleMs,
  };
}
