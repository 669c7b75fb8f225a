import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { DEFAULT_LIMITS, resolveOptions, type TelcoflowLimits, type TelcoflowSettings } from "./options.js";

/** A websocket server on a free loopback port that does what a test tells it; for unit tests only. */
export class FakeProvider {
  readonly sockets: WebSocket[] = [];
  readonly received: string[] = [];
  readonly binary: Buffer[] = [];
  onConnection: (socket: WebSocket) => void = () => {};
  onMessage: (socket: WebSocket, text: string) => void = () => {};

  private constructor(
    readonly http: Server,
    readonly url: string,
  ) {}

  /** `autoPong` false: pings have no answer. `upgrade`: handles upgrades instead of accepting them. */
  static async start(
    options: { autoPong?: boolean; upgrade?: (socket: Duplex) => void } = {},
  ): Promise<FakeProvider> {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const provider = new FakeProvider(http, `ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
    if (options.upgrade) {
      http.on("upgrade", (_request, socket) => {
        // Whoever gives up before the answer is read resets the connection.
        socket.on("error", () => {});
        options.upgrade?.(socket);
      });
      return provider;
    }
    const server = new WebSocketServer({ server: http, autoPong: options.autoPong ?? true });
    server.on("connection", (socket) => {
      provider.sockets.push(socket);
      socket.on("error", () => {});
      socket.on("message", (data, isBinary) => {
        if (isBinary) provider.binary.push(data as Buffer);
        else {
          provider.received.push(data.toString());
          provider.onMessage(socket, data.toString());
        }
      });
      provider.onConnection(socket);
    });
    return provider;
  }

  /** Answers `setup` with `setup.done`, as a provider does. */
  signIn(): void {
    this.onMessage = (socket, text) => {
      if (JSON.parse(text).type === "setup") socket.send('{"type":"setup.done","smWsId":"w-1"}');
    };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  /** Settings that point here, with short waits. */
  settings(limits: Partial<TelcoflowLimits> = {}): TelcoflowSettings {
    return resolveOptions({
      name: "main",
      auth: { apiKey: "k-secret", connectorUuid: "u-1" },
      baseUrl: this.url,
      reconnect: { ...DEFAULT_LIMITS.reconnect, minMs: 10, maxMs: 50 },
      ...limits,
    });
  }
}

/** Waits until `check` holds; rejects naming `what` after 10 s. */
export async function until(check: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not seen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}
