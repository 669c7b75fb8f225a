import { randomUUID } from "node:crypto";
import { bounded } from "./bounded.js";
import type { Call } from "./call.js";
import type { CallImpl } from "./call-impl.js";
import { type ConnectionOptions, connectionConfig, RotatingConnection } from "./connection.js";
import { Contexts } from "./contexts.js";
import { CallweaveError, closedError, invalidField } from "./errors.js";
import { type Offer, Session, type SessionConfig } from "./session.js";
import type { AudioFormat } from "./types.js";

/** What the worker does with its connection. */
export type WorkerStatus =
  /** Registered, or reattached. */
  | { readonly type: "connected"; readonly gatewayId: string }
  /** The stream broke; the next attempt is in this long. */
  | { readonly type: "disconnected"; readonly error: CallweaveError; readonly retryInMs: number }
  /** The gateway goes away: its calls go on until the deadline, new ones are taken elsewhere. */
  | { readonly type: "goingAway"; readonly deadlineMs: number }
  | { readonly type: "draining" }
  | { readonly type: "closed" };

/** Options of an agent. */
export interface AgentOptions extends ConnectionOptions {
  /** The agent, shared by its processes: 1 to 64 of A-Z a-z 0-9 . _ - */
  readonly agentId: string;
  /** This process. Default: a UUID. */
  readonly instanceId?: string;
  /** The pool to take calls from. Default: "default". */
  readonly pool?: string;
  /**
   * How many calls at a time, 1 to 1,000: so many come back with one message of 256 KiB after a lost stream. For more,
   * run more processes. Default: 1.
   */
  readonly capacity?: number;
  /** The format of audio both ways. Default: s16le at the rate of each call. */
  readonly audioFormat?: AudioFormat;
  /** At most 16, for people: language, version. Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Taking a call answers it; the handler runs once it is answered (or in PENDING, if that failed). Off: the handler
   * runs in PENDING and calls `call.answer()`. Default: true.
   */
  readonly answerOnAccept?: boolean;
  /** The agent is found frozen when its event loop stands still. Default: true. */
  readonly heartbeat?: boolean;
  /** The agent only speaks and commands; `audio()` stays empty. Default: false. */
  readonly noAudio?: boolean;
  /** Which offers to take: false, or a text for people, declines. Default: all, up to the capacity. */
  readonly accept?: (offer: Offer) => boolean | string | Promise<boolean | string>;
  /**
   * 0 to 1: offers go to low loads first. What it throws, or an answer that is no finite number, goes to `onError` once,
   * and calls by capacity are told instead. Default: calls by capacity.
   */
  readonly load?: () => number;
  /**
   * What happens when the handler returns and the agent still has the call. `leave`: in CONNECTED the agent leaves, in
   * ANSWERED the call ends when all audio was heard, in PENDING the seat is given back. `keep`: nothing. A handler that
   * throws gives the seat back in any case. Default: `leave`.
   */
  readonly whenHandlerReturns?: "leave" | "keep";
  /** How far beyond what was heard audio is sent. Whole milliseconds, 100 to 20,000. Default: 1,000. */
  readonly sendAheadMs?: number;
  /**
   * How much a call may have waiting to be played; full: `play` rejects with QUEUE_FULL. Whole milliseconds, 100 to
   * 3,600,000. Default: 60,000.
   */
  readonly maxPlaybackQueuedMs?: number;
  /**
   * How much unread audio of a call is kept; full: the oldest is dropped, told as a gap. Whole milliseconds, 20 to
   * 600,000. Default: 2,000.
   */
  readonly maxAudioQueuedMs?: number;
  /** How many marks of a call may wait; full: `mark` rejects with QUEUE_FULL. 1 to 1,000. Default: 1,000. */
  readonly maxMarks?: number;
  /**
   * How many events of a call may wait for a reader of `events()`; full: it reads what waits, then its loop throws
   * QUEUE_FULL. 1 to 100,000. Default: 1,000.
   */
  readonly maxEventsQueued?: number;
  /**
   * How many control items may wait for the stream; full: the stream is given up and reattached. 100 to 1,000,000.
   * Default: 10,000.
   */
  readonly maxControlItems?: number;
  /**
   * How many streams the agent may have, each on its own connection; one carries a few hundred calls at 16 kHz, more streams
   * carry more. Each call stays on its stream; when that breaks, its calls go to another at once. A stream once opened stays.
   * 1 to 16. Default: 4.
   */
  readonly maxStreams?: number;
  /** A further stream is opened when there are so many calls for each that is open. 1 to 1,000. Default: 50. */
  readonly callsPerStream?: number;
  /**
   * How long the token and the answer of a gateway to a new stream may take together; passed: the next attempt. Whole
   * milliseconds, 100 to 600,000. Default: 5,000.
   */
  readonly connectTimeoutMs?: number;
  /**
   * After a lost stream calls end here with `LOST` after this long: time to come back, or, when the gateway died, for
   * another one to take its calls over. Whole milliseconds, 0 to 3,600,000. Default: the gateway's grace + 13,000.
   */
  readonly reattachTimeoutMs?: number;
  /**
   * How long `drain` waits for calls to end before it gives them back. Whole milliseconds, 0 to 86,400,000.
   * Default: 30,000.
   */
  readonly drainTimeoutMs?: number;
  /** What became of the connection. Default: one line on standard error when it is lost or cannot be made. */
  readonly onStatus?: (status: WorkerStatus) => void;
  /** A handler or listener threw, or an item was refused. Default: one line on standard error. */
  readonly onError?: (error: unknown, callId: string | undefined) => void;
}

/** What an agent does with a call. Runs once per call; what it throws after the end of the call is not an error. */
export type CallHandler = (call: Call) => Promise<void> | void;

/** So many calls with ids of 200 bytes fit a Reattach of 256 KiB. */
const MAX_CAPACITY = 1_000;
const MAX_DRAIN_MS = 86_400_000;
const TICK_MS = 50;
const MAX_ITEM_MS = 100;

/** Makes an agent; `run` or `start` lets it take calls. Throws INVALID_FIELD. */
export function agent(options: AgentOptions, handler: CallHandler): Worker {
  return new Worker(options, handler);
}

/** An agent process: registers, takes calls, runs the handler for each, comes back after lost connections. */
export class Worker {
  private readonly config: SessionConfig;
  private readonly drainTimeoutMs: number;
  /** Apart from the streams, so that contexts can be written while one is being reattached. */
  private readonly requests: RotatingConnection;
  private readonly contexts: Contexts;
  private readonly sessions = new Set<Session>();
  private current: Session | undefined;
  private started: Promise<void> | undefined;
  private resolveStarted: () => void = () => {};
  private rejectStarted: (error: unknown) => void = () => {};
  private readonly closed: Promise<void>;
  private resolveClosed!: () => void;
  private rejectClosed!: (error: unknown) => void;
  private outage = false;
  private ending: "draining" | "closing" | "closed" | undefined;
  private drained: Promise<void> | undefined;
  private wakeDrain: () => void = () => {};

  /** @internal Use `agent`. */
  constructor(
    private readonly options: AgentOptions,
    private readonly handler: CallHandler,
  ) {
    const capacity = bounded("capacity", options.capacity ?? 1, 1, MAX_CAPACITY);
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(options.agentId)) {
      throw invalidField("agentId", "1 to 64 of A-Z a-z 0-9 . _ -", options.agentId);
    }
    const { maxAudioQueuedMs = 2_000, maxPlaybackQueuedMs = 60_000, sendAheadMs = 1_000 } = options;
    const { maxMarks = 1_000, maxEventsQueued = 1_000, maxControlItems = 10_000 } = options;
    const { maxStreams = 4, callsPerStream = 50 } = options;
    const { connectTimeoutMs = 5_000, reattachTimeoutMs, drainTimeoutMs = 30_000 } = options;
    this.drainTimeoutMs = bounded("drainTimeoutMs", drainTimeoutMs, 0, MAX_DRAIN_MS);
    this.config = {
      connection: connectionConfig(options),
      register: {
        agentId: options.agentId,
        instanceId: options.instanceId ?? randomUUID(),
        pool: options.pool ?? "default",
        capacity,
        audioFormat: options.audioFormat,
        labels: options.labels ?? {},
        answerOnAccept: options.answerOnAccept ?? true,
        heartbeat: options.heartbeat ?? true,
        noAudio: options.noAudio ?? false,
      },
      callLimits: {
        maxAudioQueuedMs: bounded("maxAudioQueuedMs", maxAudioQueuedMs, 20, 600_000),
        maxPlaybackQueuedMs: bounded("maxPlaybackQueuedMs", maxPlaybackQueuedMs, 100, 3_600_000),
        sendAheadMs: bounded("sendAheadMs", sendAheadMs, 100, 20_000),
        maxItemMs: MAX_ITEM_MS,
        maxMarks: bounded("maxMarks", maxMarks, 1, 1_000),
        maxEventsQueued: bounded("maxEventsQueued", maxEventsQueued, 1, 100_000),
      },
      connectTimeoutMs: bounded("connectTimeoutMs", connectTimeoutMs, 100, 600_000),
      reattachTimeoutMs:
        reattachTimeoutMs === undefined
          ? undefined
          : bounded("reattachTimeoutMs", reattachTimeoutMs, 0, 3_600_000),
      maxControlItems: bounded("maxControlItems", maxControlItems, 100, 1_000_000),
      tickMs: TICK_MS,
      maxStreams: bounded("maxStreams", maxStreams, 1, 16),
      callsPerStream: bounded("callsPerStream", callsPerStream, 1, 1_000),
    };
    this.requests = new RotatingConnection(this.config.connection);
    this.contexts = new Contexts(this.requests);
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    this.closed.catch(() => {});
  }

  /** The calls that the agent has now. */
  get calls(): Call[] {
    return [...this.sessions].flatMap((session) => [...session.calls.values()]);
  }

  /** This process, as registered first. */
  get instanceId(): string {
    return this.config.register.instanceId;
  }

  /**
   * Registers and takes calls; resolves when the first gateway has answered, however long that takes. Rejects when it
   * can never work: UNAUTHENTICATED, POOL_NOT_FOUND, INVALID_FIELD, or when it is closed meanwhile.
   */
  start(): Promise<void> {
    if (this.ending) return Promise.reject(closedError("worker"));
    if (!this.started) {
      this.started = new Promise((resolve, reject) => {
        this.resolveStarted = resolve;
        this.rejectStarted = reject;
      });
      this.started.catch(() => {});
      this.begin(0, this.config);
    }
    return this.started;
  }

  /**
   * Takes calls until the signal, `drain` or `close` ends it; at the signal it drains. Rejects when it cannot go on:
   * UNAUTHENTICATED, POOL_NOT_FOUND, INVALID_FIELD, SUPERSEDED.
   */
  async run(signal?: AbortSignal): Promise<void> {
    const drain = () => void this.drain();
    if (signal?.aborted) return;
    signal?.addEventListener("abort", drain, { once: true });
    this.start().catch(() => {});
    try {
      await this.closed;
    } finally {
      signal?.removeEventListener("abort", drain);
    }
  }

  /**
   * Takes no more calls, waits for those there are, at most `timeoutMs`, then gives the rest back and closes. A second
   * call waits for the first. `timeoutMs`: whole milliseconds, 0 to 86,400,000; default: `drainTimeoutMs`. Rejects with
   * INVALID_FIELD, draining nothing.
   */
  async drain(timeoutMs = this.drainTimeoutMs): Promise<void> {
    this.drained ??= this.drainOnce(bounded("timeoutMs", timeoutMs, 0, MAX_DRAIN_MS));
    return this.drained;
  }

  /** Gives all calls back at once and closes. */
  async close(): Promise<void> {
    if (this.ending === "closing" || this.ending === "closed") return this.closed.catch(() => {});
    this.ending = "closing";
    this.wakeDrain();
    await Promise.all([...this.sessions].map((session) => session.close()));
    this.finish(undefined);
  }

  /**
   * Drains at the first of these signals of the process and closes at the second. Answers how to stop that.
   * Default: SIGTERM and SIGINT.
   */
  drainOnSignals(signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"]): () => void {
    const onSignal = () => void (this.ending ? this.close() : this.drain());
    for (const signal of signals) process.on(signal, onSignal);
    const stop = () => {
      for (const signal of signals) process.off(signal, onSignal);
    };
    this.closed.then(stop, stop);
    return stop;
  }

  /** Sends a fresh token on the streams there are, before the old one expires. New streams ask the `token` option. */
  reauthenticate(token: string): void {
    for (const session of this.sessions) session.reauthenticate(token);
  }

  private async drainOnce(timeoutMs: number): Promise<void> {
    if (this.ending) return this.closed.catch(() => {});
    this.ending = "draining";
    this.status({ type: "draining" });
    for (const session of this.sessions) session.drain();
    const timer = setTimeout(() => this.wakeDrain(), timeoutMs);
    await new Promise<void>((resolve) => {
      this.wakeDrain = resolve;
      this.checkDrained();
    });
    clearTimeout(timer);
    await this.close();
  }

  private checkDrained(): void {
    if (this.ending !== "draining") return;
    const busy = [...this.sessions].some((s) => s.calls.size > 0 || s.pendingOffers > 0);
    if (!busy) this.wakeDrain();
  }

  private begin(endpoint: number, config: SessionConfig): void {
    const session: Session = new Session(
      config,
      {
        contexts: this.contexts,
        accept: (offer) => this.accept(offer),
        assigned: (call) => this.assigned(call),
        connected: (_, gatewayId) => {
          this.resolveStarted();
          this.status({ type: "connected", gatewayId });
        },
        disconnected: (_, error, retryInMs) => {
          this.status({ type: "disconnected", error, retryInMs });
          this.checkDrained();
        },
        goingAway: (from, deadlineMs) => this.goingAway(from, deadlineMs),
        load: () => this.options.load?.() ?? this.calls.length / this.config.register.capacity,
        error: (error, callId) => this.error(error, callId),
      },
      endpoint,
    );
    this.current = session;
    this.sessions.add(session);
    session.finished.then(
      () => this.sessionEnded(session),
      (error) => {
        this.sessionEnded(session);
        if (session === this.current) this.finish(error);
      },
    );
  }

  private sessionEnded(session: Session): void {
    this.sessions.delete(session);
    this.checkDrained();
  }

  private goingAway(session: Session, deadlineMs: number): void {
    this.status({ type: "goingAway", deadlineMs });
    session.drain();
    if (session.calls.size === 0) void session.close();
    if (session !== this.current || this.ending) return;
    // Another instance id: the old session lives on for its calls.
    const register = { ...this.config.register, instanceId: randomUUID() };
    this.begin(session.endpoint + 1, { ...this.config, register });
  }

  private accept(offer: Offer): boolean | string | Promise<boolean | string> {
    if (this.ending) return "draining";
    const pending = [...this.sessions].reduce((sum, session) => sum + session.pendingOffers, 0);
    if (this.calls.length + pending >= this.config.register.capacity) return "at capacity";
    return this.options.accept ? this.options.accept(offer) : true;
  }

  private assigned(call: CallImpl): void {
    const begin = () => void this.handle(call).catch((error) => this.error(error, call.id));
    if (this.config.register.answerOnAccept && call.state === "PENDING") onceAnswered(call, begin);
    else begin();
    void call.ended.then(() => {
      for (const session of this.sessions) {
        if (session !== this.current && session.calls.size === 0) void session.close();
      }
      this.checkDrained();
    });
  }

  private async handle(call: CallImpl): Promise<void> {
    if (call.isOver) return;
    try {
      await this.handler(call);
    } catch (error) {
      if (call.isOver) return;
      this.error(error, call.id);
      await call.release().catch(ignoreEnd);
      return;
    }
    if (call.isOver || this.options.whenHandlerReturns === "keep") return;
    // A command of the handler that still waits or runs goes first: then this one is refused, which is right.
    if (call.state === "CONNECTED") await call.close().catch(ignoreEnd);
    else if (call.state === "PENDING") await call.release().catch(ignoreEnd);
    else {
      await call
        .disconnect({ after: "drained", afterDeadlineMs: 120_000, onInterrupt: "PROCEED" })
        .catch(ignoreEnd);
    }
  }

  private finish(error: unknown): void {
    if (this.ending === "closed") return;
    this.ending = "closed";
    this.requests.close();
    this.rejectStarted(error ?? closedError("worker"));
    this.status({ type: "closed" });
    if (error) this.rejectClosed(error);
    else this.resolveClosed();
  }

  private status(status: WorkerStatus): void {
    try {
      if (this.options.onStatus) this.options.onStatus(status);
      else this.logStatus(status);
    } catch (error) {
      this.error(error, undefined);
    }
  }

  /** Once per outage, so that an agent without a gateway does not look as if it worked. */
  private logStatus(status: WorkerStatus): void {
    if (status.type === "connected" && this.outage) console.error("callweave: connected");
    if (status.type === "disconnected" && !this.outage) {
      console.error(`callweave: no connection, trying again: ${describe(status.error)}`);
    }
    if (status.type === "connected" || status.type === "disconnected") {
      this.outage = status.type === "disconnected";
    }
  }

  private error(error: unknown, callId: string | undefined): void {
    try {
      if (this.options.onError) this.options.onError(error, callId);
      else console.error(`callweave: ${callId ? `call ${callId}: ` : ""}${describe(error)}`);
    } catch {
      // Nobody is left to be told.
    }
  }
}

/** Calls `begin` when the call is answered, when that failed, or when it is over; in the turn that told it. */
function onceAnswered(call: CallImpl, begin: () => void): void {
  const go = () => {
    for (const stop of stops.splice(0)) stop();
    begin();
  };
  const stops = [
    call.on("state", (state) => state !== "PENDING" && go()),
    call.on("event", (event) => event.type === "commandDone" && event.verb === "AnswerCall" && go()),
    call.on("ended", go),
  ];
}

/** The call ended meanwhile, or is ending in another way: what was wanted. */
function ignoreEnd(error: unknown): void {
  const { reason } = CallweaveError.from(error);
  const expected = [
    "CALL_OVER",
    "CALL_STATE",
    "PENDING_COMMAND",
    "SEAT_NOT_HELD",
    "COMMAND_CANCELLED",
    "CALL_NOT_FOUND",
  ];
  if (!expected.includes(reason)) throw error;
}

function describe(error: unknown): string {
  if (error instanceof CallweaveError) return `${error.reason}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
