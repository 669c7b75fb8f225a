import {
  BrowserRequest,
  BrowserResponse,
  ErrorReason,
  type Error as PbError,
} from "@callweave/proto/messages";
import { signal } from "@preact/signals";
import { type Me, SignInError, ticket } from "./sign-in.js";

/** How the page stands to the gateway. */
export type ConnectionStatus = "connecting" | "live" | "reconnecting" | "signedOut";

/** What a message of the contract can do. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array<ArrayBuffer> };
  decode(bytes: Uint8Array): T;
}

/** A refusal of the gateway, or the loss of the connection (reason `LOST`). */
export class WireError extends Error {
  override readonly name = "WireError";
  constructor(
    /** As in the contract: "SEAT_TAKEN"; "LOST" when the connection broke, "TIMEOUT" when no answer came. */
    readonly reason: string,
    message: string,
    readonly metadata: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** What a stream tells. */
export interface StreamHandlers {
  message(bytes: Uint8Array): void;
  /** The stream is over; an error unless it ended well. */
  end(error?: WireError): void;
}

/** A stream that is open. */
export interface OpenStream {
  send(message: Uint8Array): void;
  halfClose(): void;
  cancel(): void;
}

const FIRST_PAUSE_MS = 300;
/** Short, since a seat is kept for seconds only. */
const LONGEST_PAUSE_MS = 1_500;
/** How long an answer may take, beside what the request itself waits. */
const ANSWER_MS = 10_000;
const PROBE_INTERVAL_MS = 10_000;
const PROBE_ANSWER_MS = 5_000;
/** Bytes waiting in the browser before its microphone is dropped. */
const MAX_WAITING_BYTES = 256 * 1024;

const EMPTY = new Uint8Array();

/**
 * The WebSocket to the gateway: a ticket, a socket, many streams; comes back by itself. Streams end with `LOST` when it
 * breaks; whoever wants them again opens them in `onLive`.
 */
export class Connection {
  readonly status = signal<ConnectionStatus>("connecting");
  readonly me = signal<Me | undefined>(undefined);
  /** When the connection was lost, for people; undefined while it is live. */
  readonly lostAt = signal<Date | undefined>(undefined);
  private socket: WebSocket | undefined;
  private readonly streams = new Map<number, StreamHandlers>();
  private newest = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private retryTimer = 0;
  private probeTimer = 0;
  private readonly liveListeners: (() => void)[] = [];

  /** Called each time the connection is live. */
  onLive(listener: () => void): void {
    this.liveListeners.push(listener);
  }

  /** Connects, and again whenever it is lost. */
  start(): void {
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    void this.connect();
  }

  /** Tries at once instead of after the pause. */
  retryNow(): void {
    if (this.status.value === "live" || this.retryTimer === 0) return;
    clearTimeout(this.retryTimer);
    this.retryTimer = 0;
    void this.connect();
  }

  /** Connects anew, as after signing in. */
  async again(): Promise<void> {
    clearTimeout(this.retryTimer);
    this.retryTimer = 0;
    this.status.value = "connecting";
    await this.connect();
  }

  /** Breaks the connection, as after signing out. */
  leave(): void {
    this.status.value = "signedOut";
    this.socket?.close(1000);
  }

  /** One request, one answer. Rejects with WireError. `waitMs`: what the request itself asks the gateway to wait. */
  call<Q, S>(method: string, q: Codec<Q>, s: Codec<S>, request: Q, waitMs = 0): Promise<S> {
    return new Promise((resolve, reject) => {
      let answer: S | undefined;
      const timer = setTimeout(() => {
        stream.cancel();
        reject(new WireError("TIMEOUT", "no answer came"));
      }, ANSWER_MS + waitMs);
      const stream = this.open(method, q.encode(request).finish(), {
        message: (bytes) => {
          answer = s.decode(bytes);
        },
        end: (error) => {
          clearTimeout(timer);
          if (error) reject(error);
          else if (answer === undefined) reject(new WireError("INTERNAL", "an empty answer"));
          else resolve(answer);
        },
      });
    });
  }

  /** Opens a stream. Without a connection it ends at once with `LOST`. */
  open(method: string, request: Uint8Array, handlers: StreamHandlers): OpenStream {
    const id = ++this.newest;
    if (this.socket?.readyState !== WebSocket.OPEN) {
      queueMicrotask(() => handlers.end(lost()));
      return { send() {}, halfClose() {}, cancel() {} };
    }
    this.streams.set(id, handlers);
    this.send({ stream: id, item: { $case: "open", value: { method, request } } });
    return {
      send: (message) => this.send({ stream: id, item: { $case: "message", value: message } }),
      halfClose: () => this.send({ stream: id, item: { $case: "halfClose", value: {} } }),
      cancel: () => {
        if (this.streams.delete(id)) this.send({ stream: id, item: { $case: "cancel", value: {} } });
      },
    };
  }

  /** True while what is sent does not leave: audio is better dropped than late. */
  get congested(): boolean {
    return (this.socket?.bufferedAmount ?? 0) > MAX_WAITING_BYTES;
  }

  private send(request: BrowserRequest): void {
    if (this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(BrowserRequest.encode(request).finish() as Uint8Array<ArrayBuffer>);
  }

  private async connect(): Promise<void> {
    this.retryTimer = 0;
    try {
      const { ticket: pass, me } = await ticket();
      this.me.value = me;
      const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/socket`;
      const socket = new WebSocket(url, ["callweave.v1", `ticket.${pass}`]);
      socket.binaryType = "arraybuffer";
      this.socket = socket;
      socket.onopen = () => this.live(socket);
      socket.onmessage = ({ data }) => this.frame(new Uint8Array(data as ArrayBuffer));
      socket.onclose = () => this.broken(socket);
    } catch (error) {
      if (error instanceof SignInError && error.status === 401) {
        this.status.value = "signedOut";
        return;
      }
      this.retry();
    }
  }

  private live(socket: WebSocket): void {
    this.pauseMs = FIRST_PAUSE_MS;
    this.newest = 0;
    this.lostAt.value = undefined;
    this.status.value = "live";
    this.probeTimer = window.setInterval(() => this.probe(socket), PROBE_INTERVAL_MS);
    for (const listener of this.liveListeners) listener();
  }

  /** Browsers do not tell of a network that is silently gone: a small question does. */
  private probe(socket: WebSocket): void {
    const timer = setTimeout(() => {
      socket.close();
      this.broken(socket);
    }, PROBE_ANSWER_MS);
    this.open("FleetService/ListGateways", EMPTY, { message() {}, end: () => clearTimeout(timer) });
  }

  private frame(bytes: Uint8Array): void {
    const { stream, item } = BrowserResponse.decode(bytes);
    const handlers = this.streams.get(stream);
    if (!handlers || !item) return;
    if (item.$case === "message") handlers.message(item.value);
    else {
      this.streams.delete(stream);
      handlers.end(item.value.error && toWireError(item.value.error));
    }
  }

  private broken(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    clearInterval(this.probeTimer);
    const streams = [...this.streams.values()];
    this.streams.clear();
    if (this.status.value !== "signedOut") {
      this.lostAt.value ??= new Date();
      this.status.value = "reconnecting";
    }
    for (const stream of streams) stream.end(lost());
    if (this.status.value !== "signedOut") this.retry();
  }

  private retry(): void {
    if (this.status.value === "live") this.lostAt.value = new Date();
    this.status.value = "reconnecting";
    this.lostAt.value ??= new Date();
    if (this.retryTimer !== 0) return;
    const pause = this.pauseMs * (0.7 + Math.random() * 0.6);
    this.pauseMs = Math.min(LONGEST_PAUSE_MS, this.pauseMs * 2);
    this.retryTimer = window.setTimeout(() => void this.connect(), pause);
  }
}

function lost(): WireError {
  return new WireError("LOST", "the connection was lost");
}

/** An error of the contract as the page's own. */
export function toWireError({ reason, message, metadata }: PbError): WireError {
  const name = ErrorReason[reason] ?? "UNKNOWN";
  return new WireError(name, message, metadata);
}
