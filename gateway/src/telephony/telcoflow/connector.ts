import { type Clock, systemClock } from "../../util/clock.js";
import type { CallNotice, Connector, ConnectorHandler, IncomingCall } from "../telephony.js";
import { TelcoflowLeg } from "./call-leg.js";
import { ControlConnection, type SessionMessage } from "./control-connection.js";
import { TelcoflowCounters } from "./counters.js";
import { type Logger, silentLogger, withFields } from "./logger.js";
import { isMediaUrlAllowed } from "./media-host.js";
import { dispatch } from "./messages.js";
import {
  nextIdentity,
  resolveOptions,
  type TelcoflowCredentials,
  type TelcoflowOptions,
  type TelcoflowSettings,
} from "./options.js";
import { Reconciler } from "./reconciler.js";
import { redactRemote, redactUrl } from "./redact.js";
import { RestClient } from "./rest.js";
import { type LiveSession, type OpenSession, SessionBook } from "./session-book.js";
import { parseSession, type SessionView } from "./validators.js";

/** What a connector is made of beside its options; all have defaults. */
export interface TelcoflowParts {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** 0 to 1, 1 excluded; for jitter. */
  readonly random?: () => number;
}

type Notify = Extract<SessionMessage, { type: "session.notify" }>;
type CallIn = Extract<SessionMessage, { type: "call.in" }>;

/** Activities of a session that say that there is a call to claim. */
const CALL_ACTIVITIES: ReadonlySet<string> = new Set(["NEW_INCOMING_CALL", "RESUME"]);

/**
 * Telcoflow as a connector: signs in, asks the handler which notified sessions to claim, and hands over each claimed call
 * once. A lost control connection ends no call; after it, own calls are claimed again and what was missed is found out.
 * Sessions of other channels and sessions made by a client are never claimed.
 */
export class TelcoflowConnector implements Connector {
  readonly name: string;
  /** What happened since the connector was made. */
  readonly counters = new TelcoflowCounters();
  private readonly settings: TelcoflowSettings;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly control: ControlConnection;
  private readonly rest: RestClient;
  private readonly book: SessionBook;
  private readonly reconciler: Reconciler;
  private handler: ConnectorHandler | undefined;
  private claiming = true;

  /** Throws RangeError naming the option that is wrong. Connects nothing. */
  constructor(options: TelcoflowOptions, parts: TelcoflowParts = {}) {
    const random = parts.random ?? Math.random;
    this.settings = resolveOptions(options);
    this.name = options.name;
    this.clock = parts.clock ?? systemClock;
    this.log = withFields(parts.log ?? silentLogger, { connector: options.name });
    this.rest = new RestClient(this.settings, this.clock);
    this.book = new SessionBook(this.settings, this.clock);
    this.control = new ControlConnection(
      this.settings,
      this.clock,
      this.counters,
      this.log,
      {
        onSignedIn: () => this.signedIn(),
        onLost: () => this.controlLost(),
        onMessage: (message) => this.receive(message),
      },
      random,
    );
    this.reconciler = new Reconciler(
      this.settings,
      this.clock,
      this.counters,
      this.log,
      {
        control: this.control,
        rest: this.rest,
        book: this.book,
        onFound: (session) => this.found(session),
      },
      random,
    );
  }

  get ready(): boolean {
    return this.control.signedIn;
  }

  /** Calls that were handed over and are not over. */
  get liveCalls(): number {
    return this.book.liveCount;
  }

  start(handler: ConnectorHandler): Promise<void> {
    this.handler = handler;
    return this.control.start();
  }

  /**
   * Checks credentials that are to replace those there are; the answer takes them up: connections that are open go on,
   * later ones show the new ones. Throws RangeError naming the option that is wrong, or that another connector is meant.
   */
  prepareCredentials(credentials: TelcoflowCredentials): () => void {
    const identity = nextIdentity(this.settings, credentials);
    return () => {
      this.settings.identity = identity;
      this.rest.renew();
    };
  }

  lookForCalls(): void {
    this.reconciler.list();
  }

  isOpen(sessionId: string): Promise<boolean | undefined> {
    return this.reconciler.isAlive(sessionId);
  }

  stopClaiming(): void {
    this.claiming = false;
    for (const open of this.book.waiting()) {
      open.timer?.cancel();
      this.lose(open, "STOPPED_CLAIMING");
    }
  }

  async stop(): Promise<void> {
    this.stopClaiming();
    this.reconciler.stop();
    const wasReady = this.ready;
    const stopped = this.control.stop();
    for (const live of this.book.live()) live.leg.abandon();
    for (const open of this.book.claiming()) this.lose(open, "STOPPED");
    this.rest.close();
    if (wasReady) this.tell((handler) => handler.onReady(false));
    await stopped;
  }

  private signedIn(): void {
    this.tell((handler) => handler.onReady(true));
    const { callFlow } = this.settings;
    if (callFlow) void this.sendCallFlow(callFlow);
    this.reconciler.signedIn(this.counters.signIns > 1 || this.settings.reconcileAtStart);
  }

  private async sendCallFlow(data: NonNullable<TelcoflowSettings["callFlow"]>): Promise<void> {
    const answer = await this.control.request({ type: "call_flow.setup", data });
    if (answer.kind === "ok") return;
    this.log.error({ code: redactRemote(answer.code) }, "the call flow was not accepted");
  }

  private controlLost(): void {
    this.reconciler.lost();
    this.tell((handler) => handler.onReady(false));
    // Their claims are gone with the connection; those that still ring are notified again.
    for (const open of this.book.claiming()) this.lose(open, "CONTROL_LOST");
  }

  private receive(message: SessionMessage): void {
    dispatch<SessionMessage>(message, {
      "session.notify": (notify) => this.notified(notify),
      "call.in": (callIn) => this.callIn(callIn),
      "session.closed": ({ sessionId, reason }) => {
        const entry = this.book.get(sessionId);
        if (entry?.t === "live") entry.leg.sessionEnded(reason);
        else if (entry) this.lose(entry, redactRemote(reason) || "SESSION_CLOSED");
      },
      "wa.msg.in": () => {
        this.counters.ignoredMessages++;
      },
    });
  }

  private notified(message: Notify): void {
    if (message.channel !== "TELCO") {
      this.counters.ignoredNotices++;
      return;
    }
    const entry = this.book.get(message.sessionId);
    if (entry?.t === "live") {
      this.reconciler.reclaimSoon(entry);
      return;
    }
    if (!CALL_ACTIVITIES.has(message.activity)) {
      this.counters.ignoredNotices++;
      return;
    }
    this.consider({
      sessionId: message.sessionId,
      remoteAddress: message.remoteAddress,
      localAddress: message.localAddress,
    });
  }

  /** An open session of the REST list that is not ours. */
  private found(session: SessionView): void {
    // Made by a client, perhaps this very moment: not an incoming call.
    if (session.initiator === "SDK") return;
    this.consider({ ...session, sessionId: session.id });
  }

  private consider(session: { sessionId: string; remoteAddress: string; localAddress: string }): void {
    const { sessionId } = session;
    if (!this.claiming || this.book.get(sessionId) || this.book.hasEnded(sessionId)) return;
    if (this.book.isFull) {
      this.log.warn({ sessionId }, "too many sessions: a call is ignored");
      return;
    }
    const notice: CallNotice = {
      connector: this.name,
      sessionId,
      from: session.remoteAddress,
      to: session.localAddress,
    };
    const policy = this.tell((handler) => handler.claim(notice));
    if (!policy?.claim) return;
    const open: OpenSession = { t: "waiting", sessionId, notice, timer: undefined };
    this.book.add(open);
    if (policy.delayMs > 0) open.timer = this.clock.after(policy.delayMs, () => void this.claim(open));
    else void this.claim(open);
  }

  private async claim(open: OpenSession): Promise<void> {
    if (this.book.get(open.sessionId) !== open) return;
    open.t = "claiming";
    this.counters.claims++;
    const { sessionId } = open;
    let answer = await this.control.request({ type: "session.open", sessionId });
    // The session may be ours and only the answer lost: who holds it may open it again.
    if (answer.kind === "lost" && answer.code === "TIMEOUT" && this.book.get(sessionId) === open) {
      answer = await this.control.request({ type: "session.open", sessionId });
    }
    // Closed or cut off meanwhile: told already.
    if (this.book.get(sessionId) !== open) return;
    if (answer.kind !== "ok") {
      this.lose(open, redactRemote(answer.code));
      return;
    }
    const content = answer.content as { session?: unknown } | null | undefined;
    const session = parseSession(content?.session);
    if (session && (session.channel !== "TELCO" || session.initiator === "SDK")) {
      this.lose(open, "NOT_AN_INCOMING_CALL");
      return;
    }
    open.t = "claimed";
    this.control.send({ type: "session.ready", sessionId });
    open.timer = this.clock.after(this.settings.callInTimeoutMs, () => this.lose(open, "NO_CALL_IN"));
  }

  private callIn(message: CallIn): void {
    const { sessionId, callId } = message;
    const entry = this.book.get(sessionId);
    const mine = entry && (entry.t === "live" ? entry.call.callId === callId : entry.t !== "waiting");
    if (!entry || !mine) {
      this.counters.unexpectedCalls++;
      this.log.debug({ sessionId, callId }, "call of a session that is not ours ignored");
      return;
    }
    const address = { url: message.mediaUrl, token: message.mediaToken };
    if (!isMediaUrlAllowed(address.url, this.settings.baseUrl, this.settings.mediaHosts)) {
      this.counters.mediaHostRefused++;
      this.log.error(
        { callId, url: redactUrl(address.url) },
        "media host is not allowed: see the option mediaHosts",
      );
      if (entry.t !== "live") this.lose(entry, "MEDIA_HOST_REFUSED");
      return;
    }
    if (entry.t === "live") {
      entry.leg.renew(address);
      return;
    }
    entry.timer?.cancel();
    this.handOver(entry, message, address);
  }

  private handOver(open: OpenSession, message: CallIn, address: { url: string; token: string }): void {
    const { sessionId, callId } = message;
    const call: IncomingCall = {
      connector: this.name,
      callId,
      sessionId,
      from: message.from,
      to: message.to,
      sampleRateHz: this.settings.sampleRateHz,
      audioMode: this.settings.audioMode,
    };
    const leg = new TelcoflowLeg(
      address,
      this.settings,
      this.clock,
      this.counters,
      withFields(this.log, { callId }),
      {
        onLegOver: () => this.book.end(sessionId),
        isAlive: () => this.reconciler.isAlive(sessionId),
      },
    );
    const live: LiveSession = { t: "live", sessionId, notice: open.notice, call, leg, claimed: true };
    this.book.add(live);
    this.counters.calls++;
    this.log.info({ callId, sessionId }, "call claimed");
    this.tell((handler) => handler.onCall(call, leg));
    if (leg.attached || leg.over) return;
    this.log.error({ callId }, "nobody took the call");
    leg.abandon();
  }

  private lose(open: OpenSession, reason: string): void {
    if (this.book.get(open.sessionId) !== open) return;
    open.timer?.cancel();
    this.book.remove(open.sessionId);
    this.counters.claimsLost++;
    this.log.debug({ sessionId: open.sessionId, reason }, "call not claimed");
    this.tell((handler) => handler.onCallLost(open.notice, reason));
  }

  private tell<T>(what: (handler: ConnectorHandler) => T): T | undefined {
    if (!this.handler) return undefined;
    try {
      return what(this.handler);
    } catch (error) {
      this.counters.handlerErrors++;
      this.log.error({ err: error }, "error in the handler of the connector");
      return undefined;
    }
  }
}
