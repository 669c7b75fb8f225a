import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { DEFAULT_PORTS } from "../config/member-config.js";
import { Authenticator, isLoopback } from "../contract/authenticator.js";
import { operations } from "../contract/operations.js";
import { publicError } from "../contract/public-error.js";
import { serveStats } from "../contract/serve-session.js";
import { watches } from "../contract/watches.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Logger } from "../util/logger.js";
import { DeskConnection } from "./connection.js";
import { EmbedCards } from "./embed.js";
import { json, jsonError, secure } from "./http.js";
import { deskMethods } from "./methods.js";
import { type DeskOptions, resolveDeskOptions } from "./options.js";
import { Origins } from "./origins.js";
import { builtPage } from "./page-build.js";
import { PageFiles } from "./page-files.js";
import { SignIn } from "./sign-in.js";
import type { DeskStats, DeskWire } from "./wire.js";

/** The subprotocol of the WebSocket; beside it the browser offers "ticket.<ticket>". */
export const SUBPROTOCOL = "callweave.v1";
/** Where the WebSocket is. */
export const SOCKET_PATH = "/api/socket";
const TICKET_PREFIX = "ticket.";
/** How long a request, or its headers, may take, ms. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is looked at, ms. */
const REQUEST_CHECK_MS = 1_000;
/** Sockets beyond two for each browser that may be there: pages and sign-ins come on connections of their own. */
const MORE_SOCKETS = 64;
/** Pieces that a frame may come in; a browser sends one. */
const MAX_FRAGMENTS = 256;
/** The smallest piece in which the network is expected to bring a long frame, in bytes. */
const SMALL_CHUNK_BYTES = 256;

/** The face of the gateway for browsers: a page, and the contract on a WebSocket. */
export class DeskServer {
  readonly stats: DeskStats = {
    connections: 0,
    frames: 0,
    malformed: 0,
    slowedDown: 0,
    tooSlow: 0,
    refused: 0,
    ...serveStats(),
  };
  private readonly wire: DeskWire;
  private readonly origins: Origins;
  private readonly signIn: SignIn;
  private readonly cards: EmbedCards;
  private readonly server: Server;
  private readonly sockets: WebSocketServer;
  private readonly connections = new Set<DeskConnection>();
  private page: PageFiles | undefined;
  private pageError = "the page is being built; try again in a moment";
  private leaving = false;

  /** Throws on keys that protect nothing and on origins that are none. */
  constructor(
    api: GatewayApi,
    options: DeskOptions,
    private readonly logger: Logger,
  ) {
    const resolved = resolveDeskOptions(options);
    const { audit, keys } = resolved;
    const authenticator = resolved.authenticator ?? new Authenticator({ keys }, { logger, audit });
    this.wire = {
      api,
      methods: deskMethods(operations(api, audit), watches(api, audit)),
      authenticator,
      options: resolved,
      logger,
      stats: this.stats,
    };
    this.origins = new Origins(resolved.origins);
    this.signIn = new SignIn(this.wire, this.origins);
    this.cards = new EmbedCards(this.wire, this.origins, (request) => this.signIn.credentialOf(request));
    const limits = {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      maxHeaderSize: 16_384,
    };
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.answer(request, response);
    this.server = resolved.tls
      ? createHttpsServer({ ...limits, ...resolved.tls }, answer)
      : createHttpServer(limits, answer);
    this.server.maxConnections = 2 * resolved.maxConnections + MORE_SOCKETS;
    this.server.on("upgrade", (request, socket, head) => this.upgrade(request, socket, head));
    this.server.on("clientError", (_error, socket) => socket.destroy());
    this.sockets = new WebSocketServer({
      noServer: true,
      maxPayload: resolved.maxFrameBytes,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: Math.ceil(resolved.maxFrameBytes / SMALL_CHUNK_BYTES),
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
  }

  /** Listens; answers the port. The page is there a moment later. Rejects when the address is taken or exposed without keys. */
  listen(): Promise<number> {
    const { host, port } = this.wire.options;
    const { hasKeys, isOpenToAll } = this.wire.authenticator;
    if (!hasKeys && !isOpenToAll && !isLoopback(host))
      return Promise.reject(new Error(`without keys the desk listens on loopback alone, not on ${host}`));
    void this.loadPage();
    return this.tryListen(port ?? DEFAULT_PORTS.desk).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE" || port !== undefined) throw error;
      return this.tryListen(0);
    });
  }

  private tryListen(port: number): Promise<number> {
    const { server } = this;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, this.wire.options.host, () => {
        server.off("error", reject);
        server.on("error", (err) => this.logger.error({ err: err.message }, "desk listener failed"));
        const address = server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  /** New connections see this certificate from now on; those there are go on. Throws when it cannot be used. */
  reloadTls({ cert, key }: NonNullable<DeskOptions["tls"]>): void {
    if (this.server instanceof HttpsServer) this.server.setSecureContext({ cert, key });
  }

  /** No new connections; those there are are told and closed. */
  leave(): void {
    this.leaving = true;
    this.cards.leave();
    for (const connection of [...this.connections]) connection.leave();
  }

  /** Cuts everything and closes. May be called more than once. */
  stop(): Promise<void> {
    this.leave();
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
      for (const socket of this.sockets.clients) socket.terminate();
    });
  }

  private async loadPage(): Promise<void> {
    try {
      this.page = new PageFiles(this.wire.options.pageDir ?? (await builtPage()));
    } catch (error) {
      this.pageError = "the page cannot be served; the log of the gateway says why";
      this.logger.error({ err: String(error) }, "no page for the desk");
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    secure(response, this.wire.options.tls !== undefined);
    const path = pathOf(request);
    try {
      if (!this.origins.knowsHost(request)) {
        json(response, 421, { error: { message: "this port does not answer to that host" } });
      } else if (request.method === "POST") {
        const taken =
          (await this.signIn.answer(path, request, response)) ||
          (await this.cards.answer(path, request, response));
        if (!taken) notFound(response);
      } else if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("Allow", "GET, HEAD, POST");
        json(response, 405, { error: { message: "GET, HEAD or POST" } });
      } else if (this.cards.page(path, request, response)) {
        // Answered.
      } else if (/^\/(?:api|embed|v1)\//.test(path)) {
        notFound(response);
      } else if (!this.page) {
        response.setHeader("Retry-After", "2");
        response.setHeader("Content-Type", "text/plain; charset=utf-8");
        response.writeHead(503).end(`${this.pageError}\n`);
      } else if (!this.page.answer(path, request, response)) notFound(response);
    } catch (error) {
      jsonError(response, publicError(error, this.logger, `desk ${path}`));
      request.resume();
    }
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.refusalOf(request);
    if (typeof refusal === "number") {
      this.stats.refused++;
      const status = { 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable" }[
        refusal
      ];
      socket.on("error", () => {});
      socket.end(`HTTP/1.1 ${refusal} ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const { remoteAddress = "", remotePort = 0 } = request.socket;
    this.sockets.handleUpgrade(request, socket, head, (opened: WebSocket) => {
      const peer = `${remoteAddress}:${remotePort}`;
      const connection = new DeskConnection(this.wire, opened, { credential: refusal.credential, peer }, () =>
        this.connections.delete(connection),
      );
      this.connections.add(connection);
    });
  }

  /** What lets the browser in, or the status that keeps it out. */
  private refusalOf(request: IncomingMessage) {
    if (pathOf(request) !== SOCKET_PATH) return 404 as const;
    if (this.leaving || this.connections.size >= this.wire.options.maxConnections) return 503 as const;
    const origin = this.origins.knowsHost(request) ? this.origins.allowedOrigin(request) : undefined;
    if (origin === undefined) return 403 as const;
    const offered = String(request.headers["sec-websocket-protocol"] ?? "")
      .split(",")
      .map((one) => one.trim());
    const ticket = offered.find((one) => one.startsWith(TICKET_PREFIX));
    if (!offered.includes(SUBPROTOCOL) || ticket === undefined) return 401 as const;
    return this.signIn.tickets.redeem(ticket.slice(TICKET_PREFIX.length), origin) ?? (401 as const);
  }
}

function pathOf(request: IncomingMessage): string {
  const [path = "/"] = (request.url ?? "/").split(/[?#]/);
  return path;
}

function notFound(response: ServerResponse): void {
  json(response, 404, { error: { message: "nothing here" } });
}
