import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type WebSocket from "ws";
import { WebSocketServer } from "ws";
import type { Refusal } from "../faults/sim-faults.js";

/** Path of the control connection. */
export const CONTROL_PATH = "/v1/agent/session-manager";
/** Paths of media connections begin with this; the call's id follows. Clients take the URL from `call.in`. */
export const MEDIA_PATH = "/v1/agent/media/";

/** Path of the connections of the page for people. */
export const PAGE_SOCKET_PATH = "/page/socket";

/** Certificates; all PEM. */
export interface TlsOptions {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  /** Asks for client certificates signed by this authority (mTLS). */
  readonly clientCa?: string | Buffer;
}

/** Where the server listens. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsOptions | undefined;
  /** Largest frame taken from a client, bytes. */
  readonly maxPayloadBytes: number;
}

/** Who asks to be let in. */
export interface Credentials {
  readonly apiKey: string | undefined;
  readonly connectorUuid: string | undefined;
  /** Common name of a verified client certificate. */
  readonly certificateName: string | undefined;
  readonly sdkVersion: string | undefined;
}

/** A decision about an upgrade: the value to go on with, or a refusal. */
export type Admission<T> = { readonly admitted: T } | { readonly refused: Refusal };

/** What the server asks of the simulator. */
export interface ServerHandler<C, M> {
  admitControl(credentials: Credentials): Admission<C>;
  openControl(admitted: C, socket: WebSocket, baseUrl: string, credentials: Credentials): void;
  admitMedia(callId: string, bearer: string | undefined): Admission<M>;
  openMedia(admitted: M, socket: WebSocket): void;
  /** Whether the page for people may connect, and its connection. */
  admitPage(request: IncomingMessage): boolean;
  openPage(socket: WebSocket): void;
  /** A request that is not an upgrade. */
  request(request: IncomingMessage, response: ServerResponse, credentials: Credentials): void;
}

/** HTTP and WebSocket plumbing of the simulator on one port. */
export class ProviderServer<C, M> {
  readonly #handler: ServerHandler<C, M>;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #scheme: { readonly ws: string; readonly http: string };
  readonly #open = new Set<Duplex>();

  constructor(handler: ServerHandler<C, M>, options: ListenOptions) {
    this.#handler = handler;
    this.#scheme = options.tls ? { ws: "wss", http: "https" } : { ws: "ws", http: "http" };
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      try {
        handler.request(request, response, credentialsOf(request));
      } catch {
        // A URL that cannot be parsed.
        response.writeHead(400).end();
      }
    };
    this.#http = options.tls
      ? createTlsServer(
          {
            key: options.tls.key,
            cert: options.tls.cert,
            ...(options.tls.clientCa
              ? { ca: options.tls.clientCa, requestCert: true, rejectUnauthorized: false }
              : {}),
          },
          onRequest,
        )
      : createServer(onRequest);
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: options.maxPayloadBytes,
    });
    this.#http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      try {
        this.#upgrade(request, socket, head);
      } catch {
        socket.destroy();
      }
    });
    this.#http.on("connection", (socket: Duplex) => {
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
    });
  }

  /** Starts listening; resolves with the port. */
  async listen(options: ListenOptions): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(options.port, options.host, () => {
        this.#http.off("error", reject);
        resolve();
      });
    });
    return (this.#http.address() as AddressInfo).port;
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(1001, "simulator stops");
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    // A client that does not answer the closing handshake must not hold the process.
    const killer = setTimeout(() => {
      for (const socket of this.#open) socket.destroy();
    }, 300);
    await closed;
    clearTimeout(killer);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const path = pathOf(request);
    const credentials = credentialsOf(request);
    if (path === CONTROL_PATH) {
      const admission = this.#handler.admitControl(credentials);
      if ("refused" in admission) {
        refuse(socket, admission.refused);
        return;
      }
      const baseUrl = `${this.#scheme.ws}://${request.headers.host ?? "127.0.0.1"}`;
      this.#sockets.handleUpgrade(request, socket, head, (ws) =>
        this.#handler.openControl(admission.admitted, ws, baseUrl, credentials),
      );
      return;
    }
    if (path.startsWith(MEDIA_PATH)) {
      const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
      const admission = this.#handler.admitMedia(decodeURIComponent(path.slice(MEDIA_PATH.length)), bearer);
      if ("refused" in admission) {
        refuse(socket, admission.refused);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) =>
        this.#handler.openMedia(admission.admitted, ws),
      );
      return;
    }
    if (path === PAGE_SOCKET_PATH && this.#handler.admitPage(request)) {
      this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#handler.openPage(ws));
      return;
    }
    refuse(socket, { status: 404, body: "Not found", retryAfterSeconds: undefined });
  }
}

/** Path of a request, without its query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] as string;
}

function credentialsOf(request: IncomingMessage): Credentials {
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const socket = request.socket as TLSSocket;
  const verified = typeof socket.getPeerCertificate === "function" && socket.authorized;
  const name = verified ? socket.getPeerCertificate().subject?.CN : undefined;
  return {
    apiKey: header("x-api-key"),
    connectorUuid: header("x-connector-uuid"),
    certificateName: Array.isArray(name) ? name[0] : name,
    sdkVersion: header("x-sdk-version"),
  };
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  410: "Gone",
  426: "Upgrade Required",
  429: "Too Many Requests",
  503: "Service Unavailable",
};

function refuse(socket: Duplex, refusal: Refusal): void {
  const body = Buffer.from(refusal.body);
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_TEXT[refusal.status] ?? "Refused"}`,
    "content-type: text/plain; charset=utf-8",
    `content-length: ${body.length}`,
    "connection: close",
  ];
  if (refusal.retryAfterSeconds !== undefined) lines.push(`retry-after: ${refusal.retryAfterSeconds}`);
  socket.end(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), body]));
}
