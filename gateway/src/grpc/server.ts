import { createServer, type Server as NetServer, type Socket } from "node:net";
import {
  AgentServiceDefinition,
  AuditServiceDefinition,
  CallServiceDefinition,
  ContextServiceDefinition,
  FleetServiceDefinition,
} from "@callweave/proto";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { Authenticator, isLoopback } from "../contract/authenticator.js";
import { operations } from "../contract/operations.js";
import { serveStats } from "../contract/serve-session.js";
import { watches } from "../contract/watches.js";
import type { GatewayApi } from "../gateway-api.js";
import { agentService } from "./agent-service.js";
import { auditService } from "./audit-service.js";
import { callService } from "./call-service.js";
import { contextService } from "./context-service.js";
import { fleetService } from "./fleet-service.js";
import { widenReceiveWindow } from "./flow-window.js";
import { addHealth } from "./health.js";
import { edgeInterceptor } from "./interceptors.js";
import {
  type EdgeLogger,
  type EdgeTls,
  type GrpcEdgeOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./options.js";
import { addReflection } from "./reflection.js";
import { type EdgeContext, type EdgeStats, goingAway, guarded } from "./unary.js";

/** The gRPC face of the gateway. */
export interface GrpcEdge {
  /** Counters for metrics. */
  readonly stats: Readonly<EdgeStats>;
  /** Connections open now. */
  readonly connections: number;
  /** Listens and answers the port. Rejects when the address is taken, or not loopback without keys. */
  listen(): Promise<number>;
  /** New connections see these certificates from now on; those there are go on. Throws when they cannot be used. */
  reloadTls(tls: EdgeTls | undefined): void;
  /** What grpc.health.v1 answers; NOT_SERVING until told. */
  setServing(serving: boolean): void;
  /**
   * NOT_SERVING, no new connections, GOAWAY on those there are; watchers and listeners end with GOING_AWAY. Resolves
   * when all connections are closed, at most after `graceMs`, when those still open are cut.
   */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything and closes. May be called more than once. */
  stop(): Promise<void>;
}

/** Makes the gRPC face over the core. Throws on keys that protect nothing. */
export function createGrpcServer(api: GatewayApi, options: GrpcEdgeOptions, logger: EdgeLogger): GrpcEdge {
  return new Edge(api, resolveOptions(options), logger);
}

class Edge implements GrpcEdge {
  readonly stats: EdgeStats = {
    ...serveStats(),
    malformed: 0,
  };
  readonly setServing: (serving: boolean) => void;
  private readonly context: EdgeContext;
  private readonly server: Server;
  private readonly listener: NetServer;
  /** The newest takes connections; those before it keep theirs, with the certificate of their time. */
  private readonly injectors: ReturnType<Server["createConnectionInjector"]>[];
  private readonly sockets = new Set<Socket>();
  private closing: Promise<void> | undefined;

  constructor(
    api: GatewayApi,
    private readonly options: ResolvedOptions,
    private readonly logger: EdgeLogger,
  ) {
    const { audit } = options;
    const authenticator =
      options.authenticator ?? new Authenticator({ keys: options.keys }, { logger, audit });
    this.context = {
      api,
      operations: operations(api, audit),
      watches: watches(api, audit),
      authenticator,
      options,
      logger,
      stats: this.stats,
      lasting: new Set(),
    };
    this.server = new Server({
      "grpc.max_receive_message_length": options.maxReceiveBytes,
      "grpc.max_concurrent_streams": options.maxConcurrentStreams,
      "grpc.keepalive_time_ms": options.keepaliveTimeMs,
      "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs,
      "grpc.enable_channelz": 0,
      interceptors: [edgeInterceptor(authenticator, logger)],
    });
    if (!widenReceiveWindow(this.server, options.receiveWindowBytes)) {
      logger.warn(
        {},
        "this version of grpc-js keeps the receive window of 64 KiB: few calls fit a slow connection",
      );
    }
    this.setServing = this.addServices();
    this.injectors = [this.server.createConnectionInjector(credentials(options.tls))];
    this.listener = createServer({ noDelay: true }, (socket) => this.connected(socket));
    this.listener.maxConnections = options.maxConnections;
  }

  get connections(): number {
    return this.sockets.size;
  }

  listen(): Promise<number> {
    const { host, port } = this.options;
    const { hasKeys, isOpenToAll } = this.context.authenticator;
    if (!hasKeys && !isOpenToAll && !isLoopback(host)) {
      return Promise.reject(new Error(`without keys gRPC listens on loopback alone, not on ${host}`));
    }
    return new Promise((resolve, reject) => {
      this.listener.once("error", reject);
      this.listener.listen(port, host, () => {
        this.listener.off("error", reject);
        this.listener.on("error", (err) => this.logger.error({ err }, "gRPC listener failed"));
        const address = this.listener.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  reloadTls(tls: EdgeTls | undefined): void {
    this.injectors.push(this.server.createConnectionInjector(credentials(tls)));
  }

  async drain(graceMs: number): Promise<void> {
    this.setServing(false);
    const closed = this.closeListener();
    for (const leave of [...this.context.lasting]) leave(goingAway());
    // GOAWAY after the statuses above are on their way.
    await new Promise((resolve) => setImmediate(resolve));
    for (const injector of this.injectors) injector.drain(graceMs);
    const cut = setTimeout(() => this.cutSockets(), graceMs);
    await closed;
    clearTimeout(cut);
  }

  async stop(): Promise<void> {
    this.setServing(false);
    const closed = this.closeListener();
    this.server.forceShutdown();
    this.cutSockets();
    await closed;
  }

  private addServices(): (serving: boolean) => void {
    const { server, context, stats } = this;
    const { maxReceiveBytes, stream, reflection } = this.options;
    const agent = guarded(AgentServiceDefinition, stats, stream.maxMessageBytes);
    server.addService(agent, { ...agentService(context) });
    server.addService(guarded(CallServiceDefinition, stats, maxReceiveBytes), { ...callService(context) });
    server.addService(guarded(ContextServiceDefinition, stats, maxReceiveBytes), {
      ...contextService(context),
    });
    server.addService(guarded(FleetServiceDefinition, stats, maxReceiveBytes), { ...fleetService(context) });
    server.addService(guarded(AuditServiceDefinition, stats, maxReceiveBytes), { ...auditService(context) });
    if (reflection) addReflection(server);
    return addHealth(server);
  }

  private connected(socket: Socket): void {
    // Fail closed even where the listening address was not what it seemed.
    const { hasKeys, isOpenToAll } = this.context.authenticator;
    if (!hasKeys && !isOpenToAll && !isLoopback(socket.remoteAddress ?? "")) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.on("error", (err) => this.logger.debug({ err }, "gRPC connection failed"));
    socket.once("close", () => this.sockets.delete(socket));
    this.injectors.at(-1)?.injectConnection(socket);
  }

  /** Resolves when the listener and all connections are closed. */
  private closeListener(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      // Also called back, with an error that does not matter, when it never listened.
      this.listener.close(() => resolve());
    });
    return this.closing;
  }

  private cutSockets(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

function credentials(tls: EdgeTls | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = [{ cert_chain: tls.cert, private_key: tls.key }];
  return ServerCredentials.createSsl(tls.clientCa ?? null, pair, tls.clientCa !== undefined);
}
