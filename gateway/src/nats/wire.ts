import type { Bus, BusSubscription } from "../bus/bus.js";
import { Authenticator, isLoopback } from "../contract/authenticator.js";
import { operations } from "../contract/operations.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Logger } from "../util/logger.js";
import { NatsAgents } from "./agents.js";
import { AudioOnDemand } from "./listen.js";
import { type NatsWireOptions, resolveNatsOptions } from "./options.js";
import { endpointOf, unaryMethods } from "./requests.js";
import { type NatsStats, natsStats, type WireContext } from "./wire-context.js";

/** The name of the service, as NATS tools show it. */
export const SERVICE_NAME = "callweave";

/** The public wire on NATS: services, agents and audio on demand. */
export interface NatsWire {
  /** Begins to serve; resolves when the subscriptions are made. They outlive reconnects. */
  start(): Promise<void>;
  /** The gateway is leaving: agents that register here are passed on to other gateways. All else goes on. */
  leave(): void;
  /** The calls are over. No new requests, which other gateways get; waits for those under way, at most `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Ends at once: streams of agents, audio, services. */
  stop(): void;
  readonly stats: Readonly<NatsStats>;
}

/** Whether all these URLs are of this machine: then a gateway without keys serves what comes by NATS, as on gRPC. */
export function isLocalServer(urls: readonly string[]): boolean {
  return urls.every((url) => {
    try {
      const { hostname } = new URL(url.includes("://") ? url : `nats://${url}`);
      return isLoopback(hostname.replace(/^\[|\]$/g, ""));
    } catch {
      return false;
    }
  });
}

/** Makes the wire; nothing is served before `start`. Throws on keys that cannot protect anything. */
export function createNatsWire(
  api: GatewayApi,
  bus: Bus,
  options: NatsWireOptions,
  logger: Logger,
): NatsWire {
  return new Wire(api, bus, options, logger);
}

class Wire implements NatsWire {
  readonly stats = natsStats();
  private readonly context: WireContext;
  private readonly agents: NatsAgents;
  private readonly audio: AudioOnDemand;
  private service: BusSubscription | undefined;
  private readonly methods;

  constructor(api: GatewayApi, bus: Bus, options: NatsWireOptions, logger: Logger) {
    const resolved = resolveNatsOptions(options);
    const { audit, keys } = resolved;
    const authenticator = resolved.authenticator ?? new Authenticator({ keys }, { logger, audit });
    if (!authenticator.hasKeys && !resolved.serverIsLocal) {
      logger.warn(
        {},
        "without keys nobody is served on NATS, since its server is not on this machine: set gateway.grpc.keys or auth",
      );
    }
    this.context = {
      api,
      bus,
      authenticator,
      options: resolved,
      logger,
      stats: this.stats,
      peer: resolved.serverIsLocal ? "127.0.0.1:0" : "nats:0",
    };
    this.agents = new NatsAgents(this.context);
    this.audio = new AudioOnDemand(this.context);
    this.methods = unaryMethods(operations(api, audit));
  }

  async start(): Promise<void> {
    const { bus, options } = this.context;
    this.agents.start();
    this.audio.start();
    this.service = await bus.service(
      {
        name: SERVICE_NAME,
        version: options.version,
        description: "Callweave: calls, contexts and agents. See docs/nats-subjects.md.",
      },
      [
        ...this.methods.map((method) => endpointOf(this.context, method)),
        endpointOf(this.context, this.audio.method),
        endpointOf(this.context, this.agents.method),
      ],
    );
  }

  leave(): void {
    this.agents.leave();
  }

  async drain(graceMs: number): Promise<void> {
    this.service?.stop();
    this.service = undefined;
    const until = performance.now() + graceMs;
    while (this.stats.requestsRunning > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  stop(): void {
    this.service?.stop();
    this.service = undefined;
    this.agents.stop();
    this.audio.stop();
  }
}
