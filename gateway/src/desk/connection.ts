import { BrowserRequest, BrowserResponse, decodeMessage, encodeMessage } from "@callweave/proto";
import type { WebSocket } from "ws";
import { CallError, invalidField } from "../call/call-error.js";
import { toPbError } from "../contract/convert.js";
import { ExpiryWatch } from "../contract/expiry.js";
import { publicError } from "../contract/public-error.js";
import { FrameRate } from "./frame-rate.js";
import { type BrowserStream, openStream, type StreamSink } from "./streams.js";
import type { DeskWire, Visitor } from "./wire.js";

/** Codes that a WebSocket is closed with, beside those of ws itself: 1009 is a frame that is too large. */
export const CLOSE = {
  GOING_AWAY: 1001,
  PROTOCOL: 1002,
  NOT_BINARY: 1003,
  MALFORMED: 1007,
  /** The credential of the connection has expired or was taken away. Sign in again. */
  EXPIRED: 4001,
  /** The browser does not read. Reconnect and resume by cursor. */
  TOO_SLOW: 4008,
} as const;

/** How long the closing handshake may take, then the socket is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/** One WebSocket: many streams side by side, each a method of the contract. */
export class DeskConnection {
  private readonly streams = new Map<number, BrowserStream>();
  private readonly rate: FrameRate;
  private newest = 0;
  private pongSeen = true;
  private closing = false;
  private resumeTimer: NodeJS.Timeout | undefined;
  private readonly held: { readonly data: Buffer; readonly isBinary: boolean }[] = [];
  private readonly pingTimer: NodeJS.Timeout;
  private readonly expiry: ExpiryWatch;

  constructor(
    private readonly wire: DeskWire,
    private readonly socket: WebSocket,
    private readonly visitor: Visitor,
    private readonly onOver: () => void,
  ) {
    this.rate = new FrameRate(wire.options.maxFramesPerSecond);
    wire.stats.connections++;
    this.pingTimer = setInterval(() => this.ping(), wire.options.pingIntervalMs);
    this.pingTimer.unref();
    this.expiry = new ExpiryWatch(
      wire.authenticator,
      0,
      () => {},
      (why) => this.signOut(why),
    );
    this.expiry.follow(visitor.credential);
    socket.on("message", (data, isBinary) => this.frame(data as Buffer, isBinary));
    socket.on("pong", () => {
      this.pongSeen = true;
    });
    socket.on("error", (error) => {
      wire.stats.malformed++;
      wire.logger.debug({ err: error.message }, "desk connection failed");
    });
    socket.once("close", () => this.over());
  }

  /** Ends every stream with GOING_AWAY and closes. */
  leave(): void {
    const error = new CallError("GOING_AWAY", "the gateway is going away; connect again");
    for (const stream of [...this.streams.values()]) stream.end(error);
    this.close(CLOSE.GOING_AWAY, "going away");
  }

  private signOut(why: CallError): void {
    for (const stream of [...this.streams.values()]) stream.end(why);
    this.close(
      CLOSE.EXPIRED,
      why.metadata.why === "revoked" ? "the credential was taken away" : "the credential has expired",
    );
  }

  private frame(data: Buffer, isBinary: boolean): void {
    if (this.closing) return;
    this.wire.stats.frames++;
    if (this.resumeTimer) {
      this.held.push({ data, isBinary });
      return;
    }
    const waitMs = this.rate.count();
    this.read(data, isBinary);
    if (waitMs > 0) this.readLater(waitMs);
  }

  private read(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      this.refuse(CLOSE.NOT_BINARY, "frames are binary");
      return;
    }
    let request: BrowserRequest;
    try {
      request = decodeMessage(BrowserRequest, data);
    } catch {
      this.refuse(CLOSE.MALFORMED, "not a BrowserRequest");
      return;
    }
    this.take(request);
  }

  private take({ stream: id, item }: BrowserRequest): void {
    if (item?.$case === "open") {
      if (id <= this.newest)
        this.refuse(CLOSE.PROTOCOL, "the number of a new stream must be larger than all before");
      else this.open(id, item.value);
      return;
    }
    // A stream that has ended meanwhile: what was on its way is of no use any more.
    const stream = this.streams.get(id);
    switch (item?.$case) {
      case "message":
        stream?.message(item.value);
        break;
      case "halfClose":
        stream?.halfClose();
        break;
      case "cancel":
        this.streams.delete(id);
        stream?.cancel();
        break;
      default:
        this.refuse(CLOSE.PROTOCOL, "an item that this gateway does not know");
    }
  }

  private open(id: number, { method: name, request }: { method: string; request: Uint8Array }): void {
    this.newest = id;
    const sink = this.sinkOf(id, name);
    const { maxStreams } = this.wire.options;
    if (this.streams.size >= maxStreams) {
      sink.end(
        new CallError("LIMIT_REACHED", `at most ${maxStreams} streams on a connection`, {
          limit: "max_streams",
          max: String(maxStreams),
        }),
      );
      return;
    }
    const method = this.wire.methods.get(name);
    if (!method) {
      sink.end(invalidField("method", 'one of the contract ("CallService/GetCall")', name));
      return;
    }
    try {
      this.streams.set(id, openStream(this.wire, this.visitor, method, request, sink));
    } catch (error) {
      sink.end(error);
    }
  }

  /** Where a stream writes. After its end, or that of the connection, it writes to nobody. */
  private sinkOf(id: number, name: string): StreamSink {
    let ended = false;
    return {
      name: `desk ${name}`,
      send: (message, done) => {
        if (ended) done?.(new Error("the stream is over"));
        else this.send({ stream: id, item: { $case: "message", value: message } }, done);
      },
      end: (error) => {
        if (ended) return;
        ended = true;
        this.streams.delete(id);
        const told = error === undefined ? undefined : publicError(error, this.wire.logger, `desk ${name}`);
        this.send({ stream: id, item: { $case: "end", value: { error: told && toPbError(told) } } });
      },
    };
  }

  private send(response: BrowserResponse, done?: (error?: Error | null) => void): void {
    const { socket, wire } = this;
    if (socket.readyState !== socket.OPEN) {
      done?.(new Error("the connection is closed"));
      return;
    }
    socket.send(encodeMessage(BrowserResponse, response), { binary: true }, done);
    if (socket.bufferedAmount <= wire.options.maxBufferedBytes || this.closing) return;
    wire.stats.tooSlow++;
    this.close(CLOSE.TOO_SLOW, "the browser does not read");
  }

  /**
   * The sender is faster than allowed: what it sends waits in its own socket. What was read from there in one piece with
   * the last frame, 64 KiB at most, waits here.
   */
  private readLater(waitMs: number): void {
    this.wire.stats.slowedDown++;
    this.socket.pause();
    this.resumeTimer = setTimeout(() => {
      this.resumeTimer = undefined;
      while (!this.closing) {
        const next = this.held.shift();
        if (!next) break;
        const laterMs = this.rate.count();
        this.read(next.data, next.isBinary);
        if (laterMs > 0) {
          this.readLater(laterMs);
          return;
        }
      }
      this.socket.resume();
    }, waitMs);
  }

  private ping(): void {
    // A paused socket does not hear its pongs.
    if (!this.pongSeen && !this.resumeTimer) {
      this.socket.terminate();
      return;
    }
    this.pongSeen = false;
    this.socket.ping();
  }

  private refuse(code: number, why: string): void {
    this.wire.stats.malformed++;
    this.close(code, why);
  }

  private close(code: number, why: string): void {
    if (this.closing) return;
    this.closing = true;
    this.socket.close(code, why);
    const cut = setTimeout(() => this.socket.terminate(), CLOSE_TIMEOUT_MS);
    cut.unref();
    this.socket.once("close", () => clearTimeout(cut));
  }

  private over(): void {
    this.closing = true;
    clearInterval(this.pingTimer);
    clearTimeout(this.resumeTimer);
    this.expiry.stop();
    this.wire.stats.connections--;
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.cancel();
    this.onOver();
  }
}
