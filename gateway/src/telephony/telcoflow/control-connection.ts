import { randomUUID } from "node:crypto";
import type { Clock, Timer } from "../../util/clock.js";
import { Backoff, RateMeter } from "./backoff.js";
import type { TelcoflowCounters } from "./counters.js";
import type { Logger } from "./logger.js";
import { type ControlMessage, type ControlRequest, dispatch } from "./messages.js";
import type { TelcoflowSettings } from "./options.js";
import { redactRemote } from "./redact.js";
import { ProviderSocket, type SocketEnd } from "./socket.js";
import { parseControlFrame } from "./validators.js";
import { isCredentialRefused } from "./vendor-error.js";

/** Messages that are not for the connection itself. */
export type SessionMessage = Exclude<ControlMessage, { type: "setup.done" | "response" }>;

/** Answer to a request. `lost`: no answer came, because of the time or the connection. */
export type ControlAnswer =
  | { readonly kind: "ok"; readonly content: unknown }
  | { readonly kind: "refused"; readonly code: string; readonly boundConnectionId: string }
  | { readonly kind: "lost"; readonly code: "CONTROL_LOST" | "TIMEOUT" | "TOO_MANY_REQUESTS" };

/** What the connection tells its owner. */
export interface ControlHandler {
  /** `setup.done` came. Requests may be made. */
  onSignedIn(): void;
  /** The connection is gone after a sign-in; all its requests are lost. It comes back by itself. */
  onLost(): void;
  onMessage(message: SessionMessage): void;
}

/** Where the connection stands. */
export type ControlState = "idle" | "connecting" | "signedIn" | "waiting" | "stopped";

/** The provider does not accept our credential or version. */
export class SignInRefused extends Error {
  override readonly name = "SignInRefused";
  constructor(
    /** 401, 403 or 426. */
    readonly httpStatus: number,
    text: string,
  ) {
    super(`sign-in refused (HTTP ${httpStatus})${text ? `: ${text}` : ""}`);
  }
}

interface PendingRequest {
  readonly timer: Timer;
  settle(answer: ControlAnswer): void;
}

/**
 * The control connection: signs in, answers to nothing, pings, and comes back for ever with growing waits. Holds no
 * sessions; see the connector.
 */
export class ControlConnection {
  private state: ControlState = "idle";
  private socket: ProviderSocket | undefined;
  private setupTimer: Timer | undefined;
  private retryTimer: Timer | undefined;
  private readonly pending = new Map<string, PendingRequest>();
  private readonly backoff: Backoff;
  private first: { resolve(): void; reject(error: Error): void } | undefined;
  private ended: (() => void) | undefined;

  constructor(
    private readonly settings: TelcoflowSettings,
    private readonly clock: Clock,
    private readonly counters: TelcoflowCounters,
    private readonly log: Logger,
    private readonly handler: ControlHandler,
    random: () => number = Math.random,
  ) {
    this.backoff = new Backoff(settings.reconnect, clock, random);
  }

  get signedIn(): boolean {
    return this.state === "signedIn";
  }

  /** Connects. Resolves at the first sign-in, however long it takes; rejects with SignInRefused, and then stops. */
  start(): Promise<void> {
    if (this.state !== "idle") return Promise.reject(new Error("started twice"));
    return new Promise((resolve, reject) => {
      this.first = { resolve, reject };
      this.connect();
    });
  }

  /** Closes for good. Requests are lost. Resolves when the socket is gone. */
  stop(): Promise<void> {
    if (this.state === "stopped") return Promise.resolve();
    const socket = this.socket;
    this.state = "stopped";
    this.retryTimer?.cancel();
    this.setupTimer?.cancel();
    this.failPending();
    this.first?.reject(new Error("stopped before the first sign-in"));
    this.first = undefined;
    if (!socket) return Promise.resolve();
    return new Promise((resolve) => {
      this.ended = resolve;
      socket.close(1000);
    });
  }

  /** Sends a frame with a `reqId` and waits for its answer. Never rejects. */
  request(frame: ControlRequest): Promise<ControlAnswer> {
    const socket = this.socket;
    if (!this.signedIn || !socket) return Promise.resolve({ kind: "lost", code: "CONTROL_LOST" });
    if (this.pending.size >= this.settings.maxPendingRequests) {
      return Promise.resolve({ kind: "lost", code: "TOO_MANY_REQUESTS" });
    }
    const reqId = randomUUID();
    return new Promise((settle) => {
      const timer = this.clock.after(this.settings.requestTimeoutMs, () => {
        this.pending.delete(reqId);
        settle({ kind: "lost", code: "TIMEOUT" });
      });
      this.pending.set(reqId, { timer, settle });
      socket.send(JSON.stringify({ ...frame, reqId }));
    });
  }

  /** Sends a frame that has no answer; false when there is no connection. */
  send(frame: ControlRequest): boolean {
    return this.signedIn && this.socket?.send(JSON.stringify(frame)) === true;
  }

  private connect(): void {
    const { settings } = this;
    this.state = "connecting";
    const meter = new RateMeter(settings.badFramesPerMinute, 60_000, this.clock);
    const socket: ProviderSocket = new ProviderSocket(
      {
        url: `${settings.baseUrl}/v1/agent/session-manager`,
        headers: settings.identity.headers,
        tls: settings.identity.tls,
        handshakeTimeoutMs: settings.handshakeTimeoutMs,
        pingMs: settings.controlPingMs,
        pongTimeoutMs: settings.controlPongTimeoutMs,
        closeTimeoutMs: settings.closeTimeoutMs,
        maxPayloadBytes: settings.controlMaxPayloadBytes,
        maxFragments: settings.maxFragments,
        maxBufferedChunks: settings.maxBufferedChunks,
      },
      this.clock,
      this.counters,
      {
        onOpen: () => this.setUp(socket),
        onText: (text) => this.receive(text, socket, meter),
        onBinary: () => this.badFrame("binary frame", "", socket, meter),
        onEnd: (end) => this.lost(end),
      },
    );
    this.socket = socket;
  }

  private setUp(socket: ProviderSocket): void {
    if (this.state === "stopped") {
      socket.close(1000);
      return;
    }
    const { sampleRateHz, audioMode, setupTimeoutMs } = this.settings;
    const setup: ControlRequest = { type: "setup", data: { sampleRate: sampleRateHz, audioMode } };
    socket.send(JSON.stringify(setup));
    this.setupTimer = this.clock.after(setupTimeoutMs, () => socket.terminate("NO_SETUP_DONE"));
  }

  private receive(text: string, socket: ProviderSocket, meter: RateMeter): void {
    if (this.state === "stopped") return;
    this.settings.observer?.("control", text);
    const parsed = parseControlFrame(text);
    if (!parsed.ok) {
      if (parsed.problem === "unknownType") {
        this.counters.unknownTypes++;
        this.log.debug({ type: redactRemote(parsed.detail) }, "unknown control frame ignored");
      } else this.badFrame(`${parsed.problem} ${parsed.detail}`, text, socket, meter);
      return;
    }
    const pass = (message: SessionMessage) => this.pass(message);
    dispatch<ControlMessage>(parsed.message, {
      "setup.done": () => this.setupDone(),
      response: (message) => {
        const request = this.pending.get(message.requestId);
        if (!request) {
          this.counters.lateResponses++;
          return;
        }
        this.pending.delete(message.requestId);
        request.timer.cancel();
        request.settle(
          message.ok
            ? { kind: "ok", content: message.content }
            : {
                kind: "refused",
                code: message.errorCode || "UNKNOWN",
                boundConnectionId: message.boundConnectionId,
              },
        );
      },
      "session.notify": pass,
      "call.in": pass,
      "session.closed": pass,
      "wa.msg.in": pass,
    });
  }

  /** Session messages before the sign-in cannot be ours. */
  private pass(message: SessionMessage): void {
    if (!this.signedIn) return;
    try {
      this.handler.onMessage(message);
    } catch (error) {
      this.counters.handlerErrors++;
      this.log.error({ err: error, type: message.type }, "error while handling a control frame");
    }
  }

  private setupDone(): void {
    if (this.state !== "connecting") return;
    this.setupTimer?.cancel();
    this.state = "signedIn";
    this.backoff.opened();
    if (this.counters.signIns++ > 0) this.counters.reconnects++;
    this.log.info({ attempts: this.backoff.attempts }, "signed in");
    this.first?.resolve();
    this.first = undefined;
    this.handler.onSignedIn();
  }

  private badFrame(problem: string, text: string, socket: ProviderSocket, meter: RateMeter): void {
    this.counters.badFrames++;
    const over = meter.hit();
    if (meter.inWindow === 1) {
      const shown = redactRemote(text, this.settings.identity.secrets);
      this.log.warn({ problem: redactRemote(problem), frame: shown }, "bad control frame ignored");
    }
    if (!over || !socket.isOpen) return;
    this.counters.badFrameCloses++;
    this.log.error({ limit: this.settings.badFramesPerMinute }, "too many bad control frames: reconnecting");
    socket.close(1008, "too many bad frames");
  }

  private lost(end: SocketEnd): void {
    const wasSignedIn = this.signedIn;
    this.socket = undefined;
    this.setupTimer?.cancel();
    this.failPending();
    if (this.state === "stopped") {
      this.ended?.();
      return;
    }
    const text = redactRemote(end.text, this.settings.identity.secrets);
    if (wasSignedIn) {
      this.counters.controlLost++;
      this.state = "waiting";
      this.handler.onLost();
    } else this.counters.connectFailures++;
    if (end.httpStatus !== undefined && isCredentialRefused(end.httpStatus)) {
      this.log.error({ status: end.httpStatus, text }, "sign-in refused");
      if (this.first) {
        this.state = "stopped";
        this.first.reject(new SignInRefused(end.httpStatus, text));
        this.first = undefined;
        return;
      }
    }
    this.state = "waiting";
    const asked = Math.min(end.retryAfterMs ?? 0, this.settings.maxRetryAfterMs);
    const waitMs = Math.max(this.backoff.next(), asked);
    // One line per series of failures; a flapping connection does not flood the log.
    const level = this.backoff.attempts <= 1 ? "warn" : "debug";
    this.log[level]({ detail: end.detail, text, waitMs: Math.round(waitMs) }, "no control connection");
    this.retryTimer = this.clock.after(waitMs, () => this.connect());
  }

  private failPending(): void {
    const requests = [...this.pending.values()];
    this.pending.clear();
    for (const request of requests) {
      request.timer.cancel();
      request.settle({ kind: "lost", code: "CONTROL_LOST" });
    }
  }
}
