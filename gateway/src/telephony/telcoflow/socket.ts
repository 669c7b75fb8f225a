import type { IncomingMessage } from "node:http";
import WebSocket, { type ClientOptions } from "ws";
import type { Clock, Timer } from "../../util/clock.js";
import { clientFrame } from "./client-frame.js";
import type { TelcoflowCounters } from "./counters.js";
import { SplitConnection } from "./split-connection.js";

/** Bytes of a refused upgrade's body that are read. */
const MAX_REFUSAL_BYTES = 2048;

const TEXT = { binary: false };

/** Limits of one socket. */
export interface SocketOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM texts. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly handshakeTimeoutMs: number;
  readonly pingMs: number;
  readonly pongTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly maxPayloadBytes: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
}

/** Why a socket is gone. */
export interface SocketEnd {
  /** Whether it had been open. */
  readonly opened: boolean;
  /** A word for logs and the core: a close code, "HTTP 401", an error code like ECONNREFUSED, or NO_PONG. */
  readonly detail: string;
  /** The close code; 1006 when there was none. */
  readonly code: number;
  /** The upgrade was refused with this status. */
  readonly httpStatus?: number;
  /** The provider asked to be left alone for so long (Retry-After in seconds). */
  readonly retryAfterMs?: number;
  /** What the provider said with it; not redacted. */
  readonly text: string;
}

/** What a socket tells. Nothing comes after onEnd. */
export interface SocketHandler {
  onOpen(): void;
  onText(text: string): void;
  /** What came is at `start` to `end` of `bytes`, until this returns. */
  onBinary(bytes: Buffer, start: number, end: number): void;
  onEnd(end: SocketEnd): void;
}

/**
 * A websocket of which we are the client, with every limit set: handshake, message size, fragments, pings. Compression is
 * off. Never throws; every end is told once.
 */
export class ProviderSocket {
  private readonly ws: WebSocket | undefined;
  private readonly connection: SplitConnection;
  private ended = false;
  private opened = false;
  private failed = false;
  private heard = false;
  private detail = "";
  private pingTimer: Timer | undefined;

  constructor(
    private readonly options: SocketOptions,
    private readonly clock: Clock,
    private readonly counters: TelcoflowCounters,
    private readonly handler: SocketHandler,
  ) {
    this.connection = new SplitConnection({
      secure: options.url.startsWith("wss:"),
      maxPayloadBytes: options.maxPayloadBytes,
      takes: () => this.opened && !this.ended && !this.failed,
      onBinary: (bytes, start, end) => {
        this.heard = true;
        handler.onBinary(bytes, start, end);
      },
    });
    // The types lack closeTimeout.
    const clientOptions: ClientOptions & { closeTimeout: number } = {
      headers: { ...options.headers },
      handshakeTimeout: options.handshakeTimeoutMs,
      maxPayload: options.maxPayloadBytes,
      maxFragments: options.maxFragments,
      maxBufferedChunks: options.maxBufferedChunks,
      closeTimeout: options.closeTimeoutMs,
      perMessageDeflate: false,
      followRedirects: false,
      createConnection: this.connection.open,
      ...options.tls,
    };
    let ws: WebSocket;
    try {
      ws = new WebSocket(options.url, clientOptions);
    } catch {
      clock.after(0, () => this.end({ code: 1006, detail: "BAD_ADDRESS", text: "" }));
      return;
    }
    this.ws = ws;
    ws.on("open", () => {
      this.opened = true;
      this.schedulePing();
      handler.onOpen();
    });
    ws.on("message", (data, isBinary) => {
      this.heard = true;
      if (this.ended) return;
      if (isBinary) handler.onBinary(data as Buffer, 0, (data as Buffer).length);
      else handler.onText(data.toString());
    });
    ws.on("pong", () => {
      this.heard = true;
      this.schedulePing();
    });
    ws.on("ping", () => {
      this.heard = true;
    });
    ws.on("unexpected-response", (_request, response) => this.refused(response));
    ws.on("error", (error: NodeJS.ErrnoException) => {
      this.failed = true;
      const code = error.code ?? "ERROR";
      if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" || code === "WS_ERR_TOO_MANY_BUFFERED_PARTS") {
        this.counters.oversizeFrames++;
      }
      this.detail ||= /timed out/i.test(error.message) ? "TIMEOUT" : code;
      // A protocol error starts the closing handshake; a peer that goes on sending must not hold us in it.
      if (this.opened) clock.after(options.closeTimeoutMs, () => this.ws?.terminate());
    });
    ws.on("close", (code, reason) => {
      this.end({ code, detail: this.detail || String(code), text: reason.toString() });
    });
  }

  /** True while messages can be sent. */
  get isOpen(): boolean {
    return !this.ended && this.ws?.readyState === WebSocket.OPEN;
  }

  /** Bytes given to send() and sendBinary() that the network has not taken yet. */
  get bufferedAmount(): number {
    return this.connection.waitingBytes;
  }

  /** Sends, or drops the message when the socket is not open. */
  send(text: string): boolean {
    if (!this.isOpen) return false;
    // An error of a write comes as the end of the socket.
    this.ws!.send(text, TEXT);
    return true;
  }

  /**
   * The same with a binary message, the first `length` bytes of `payload`, which may be used again at once. `sent` is called when
   * the network has taken it.
   */
  sendBinary(payload: Buffer, length: number, sent?: () => void): boolean {
    if (!this.isOpen) return false;
    this.connection.write(clientFrame(payload, length), sent);
    return true;
  }

  /** Starts the closing handshake. */
  close(code: number, reason = ""): void {
    this.ws?.close(code, reason);
  }

  /** Cuts the connection. */
  terminate(detail: string): void {
    this.detail ||= detail;
    this.ws?.terminate();
  }

  private schedulePing(): void {
    this.pingTimer?.cancel();
    if (this.ended) return;
    this.pingTimer = this.clock.after(this.options.pingMs, () => {
      if (!this.isOpen) return;
      this.heard = false;
      this.ws!.ping();
      this.pingTimer = this.clock.after(this.options.pongTimeoutMs, () => {
        if (this.heard) this.schedulePing();
        else this.terminate("NO_PONG");
      });
    });
  }

  private refused(response: IncomingMessage): void {
    const httpStatus = response.statusCode ?? 0;
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = () => {
      timer.cancel();
      response.destroy();
      this.ws?.terminate();
      const text = Buffer.concat(chunks).toString("utf8", 0, MAX_REFUSAL_BYTES);
      const retryAfter = response.headers["retry-after"] ?? "";
      const retryAfterMs = /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
      this.end({ code: 1006, detail: `HTTP ${httpStatus}`, httpStatus, retryAfterMs, text });
    };
    const timer = this.clock.after(this.options.closeTimeoutMs, finish);
    response.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= MAX_REFUSAL_BYTES) finish();
    });
    response.on("end", finish);
    response.on("error", finish);
    response.on("close", finish);
  }

  private end(end: Omit<SocketEnd, "opened">): void {
    if (this.ended) return;
    this.ended = true;
    this.pingTimer?.cancel();
    this.handler.onEnd({ ...end, opened: this.opened });
  }
}
