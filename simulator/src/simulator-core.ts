import { randomUUID, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type WebSocket from "ws";
import { handleAdmin } from "./admin.js";
import { SimCall } from "./call.js";
import { realClock, type SimClock } from "./clock.js";
import { SimFaults } from "./faults/sim-faults.js";
import {
  type ConnectorOptions,
  DEFAULT_CONNECTOR,
  type PlaceCallOptions,
  type SimulatorOptions,
} from "./options.js";
import { PageConnection } from "./page/page-connection.js";
import { answerPage, isOwnPage } from "./page/page-files.js";
import { type CalleeBehaviour, callee } from "./party/script.js";
import { ControlConnection } from "./plane/control-connection.js";
import { ControlPlane } from "./plane/control-plane.js";
import { mediaSocketOf } from "./plane/media-link.js";
import { handleRest, sendError, sendRefusal } from "./plane/rest.js";
import { type Admission, type Credentials, MEDIA_PATH, pathOf, type ServerHandler } from "./plane/server.js";
import type { Session } from "./plane/sessions.js";
import { TokenMint } from "./plane/token.js";
import type { Simulator } from "./simulator.js";
import { FrameTicker } from "./ticker.js";
import { sharedVoice } from "./voice/voice.js";

/** The parts of a simulator before it listens; answers its server. @internal */
export class SimulatorCore implements ServerHandler<ConnectorOptions, SimCall> {
  /** Set once it listens; the control API of the CLI needs it. */
  simulator: Simulator | undefined;
  readonly options: SimulatorOptions;
  readonly clock: SimClock;
  readonly ticker: FrameTicker;
  readonly faults: SimFaults;
  readonly plane: ControlPlane;
  readonly calls = new Map<string, SimCall>();
  readonly waiters = new Set<() => void>();
  readonly counts = {
    callsPlaced: 0,
    controlConnections: 0,
    controlRefused: 0,
    mediaRefused: 0,
    skippedFrames: 0,
  };
  readonly firstConnector: ConnectorOptions;
  readonly #connectors = new Map<string, ConnectorOptions>();
  readonly #bySession = new Map<string, SimCall>();
  readonly #tokens = new TokenMint();
  #endedOrder: string[] = [];

  constructor(options: SimulatorOptions) {
    this.options = options;
    this.clock = options.clock ?? realClock;
    const connectors = options.connectors?.length ? options.connectors : [DEFAULT_CONNECTOR];
    for (const connector of connectors) this.#connectors.set(connector.uuid, connector);
    this.firstConnector = connectors[0] as ConnectorOptions;
    this.ticker = new FrameTicker(this.clock);
    this.faults = new SimFaults(this.clock, () => this.plane.connections);
    this.plane = new ControlPlane({
      clock: this.clock,
      orphan: options.orphan ?? "renotify",
      orphanDelayMs: options.orphanDelayMs ?? 200,
      renotifyDelayMs: options.renotifyDelayMs ?? 200,
      connector: (uuid) => this.#connectors.get(uuid),
      callOf: (session) => this.#bySession.get(session.id),
      createOutbound: (session) => this.#createOutbound(session),
      callReady: (call, connection) => this.#callReady(call, connection),
    });
  }

  placeCall(options: PlaceCallOptions): SimCall {
    const connector = this.#connectors.get(options.connector ?? this.firstConnector.uuid);
    if (!connector) throw new Error(`no connector ${options.connector}`);
    const to = options.to ?? connector.localAddress ?? DEFAULT_CONNECTOR.localAddress;
    const from = options.from ?? "+15550101";
    const session = this.plane.createSession(connector.uuid, "TELCO", "CONNECTOR", from, to);
    const call = this.#addCall(session, {
      direction: "inbound" as const,
      from,
      to,
      seed: options.seed ?? 1,
      callerScript: options.caller ?? [],
      subscriber: listOf(options.callee ?? callee.never()),
      remote: callee.never(),
      remoteRingsOnAnswer: false,
      options: { ...this.options, ...this.#rateOf(connector), ...options.options },
    });
    call.callerRings(options.patienceSeconds);
    this.#route(call);
    return call;
  }

  /** A WhatsApp message comes in. */
  queueMessage(session: Session, content: unknown): void {
    this.plane.deliver(session, {
      type: "wa.msg.in",
      sessionId: session.id,
      sender: session.remoteAddress,
      content,
    });
    if (session.boundTo === undefined && this.plane.flowOf(session.connectorUuid).inboundMessage)
      this.plane.notify(session, "NEW_INCOMING_MESSAGE");
  }

  // What the server asks.

  admitControl(credentials: Credentials): Admission<ConnectorOptions> {
    const refusal = this.faults.refusal("upgrade");
    const admission = refusal ? { refused: refusal } : this.#authenticate(credentials);
    if ("refused" in admission) this.counts.controlRefused += 1;
    return admission;
  }

  openControl(
    connector: ConnectorOptions,
    socket: WebSocket,
    baseUrl: string,
    credentials: Credentials,
  ): void {
    this.counts.controlConnections += 1;
    new ControlConnection(
      socket,
      {
        connectorUuid: connector.uuid,
        baseUrl: this.options.publicUrl ?? baseUrl,
        sdkVersion: credentials.sdkVersion ?? "",
      },
      this.clock,
      this.faults,
      this.plane,
    );
  }

  admitMedia(callId: string, bearer: string | undefined): Admission<SimCall> {
    const call = this.calls.get(callId);
    const why =
      bearer === undefined
        ? "missing bearer token"
        : this.#tokens.reject(bearer, callId, this.plane.nowSeconds);
    if (why !== undefined) {
      this.counts.mediaRefused += 1;
      return { refused: { status: 401, body: why, retryAfterSeconds: undefined } };
    }
    if (!call || call.state === "DISCONNECTED" || call.agentLeft) {
      this.counts.mediaRefused += 1;
      return { refused: { status: 410, body: "the call has ended", retryAfterSeconds: undefined } };
    }
    return { admitted: call };
  }

  openMedia(call: SimCall, socket: WebSocket): void {
    const link = mediaSocketOf(socket);
    socket.on("error", () => socket.terminate());
    if (call.state === "DISCONNECTED") {
      socket.close(1000, "the call has ended");
      return;
    }
    socket.on("message", (data, isBinary) => {
      if (isBinary) call.receiveBinary(data as Buffer);
      else call.receiveText((data as Buffer).toString());
    });
    socket.on("close", (code) => call.detachMedia(link, code));
    call.attachMedia(link);
  }

  admitPage(request: IncomingMessage): boolean {
    return this.options.page === true && isOwnPage(request);
  }

  openPage(socket: WebSocket): void {
    if (this.simulator) new PageConnection(socket, this.simulator);
  }

  request(request: IncomingMessage, response: ServerResponse, credentials: Credentials): void {
    if (this.options.page && answerPage(pathOf(request), request, response)) return;
    if (this.options.adminApi && this.simulator && pathOf(request).startsWith("/simulator/v1/")) {
      handleAdmin(request, response, this.simulator);
      return;
    }
    if (!pathOf(request).startsWith("/public/v1/")) {
      sendError(response, 404, "NOT_FOUND", "no such resource");
      return;
    }
    const refusal = this.faults.refusal("rest");
    if (refusal) {
      sendRefusal(response, refusal);
      return;
    }
    const admission = this.#authenticate(credentials);
    if ("refused" in admission) {
      sendRefusal(response, admission.refused);
      return;
    }
    handleRest(request, response, admission.admitted.uuid, {
      plane: this.plane,
      closeByRest: (session) => {
        const call = this.#bySession.get(session.id);
        if (call && !call.agentLeft) call.end("rest_closed", "SDK_REQUEST");
        this.plane.closeSession(session, "SDK_REQUEST");
      },
    });
  }

  #authenticate(credentials: Credentials): Admission<ConnectorOptions> {
    const refuse = (status: number, body: string): Admission<ConnectorOptions> => ({
      refused: { status, body, retryAfterSeconds: undefined },
    });
    const { minSdkVersion } = this.options;
    if (minSdkVersion !== undefined && isOlder(credentials.sdkVersion ?? "0", minSdkVersion))
      return refuse(426, `SDK version ${minSdkVersion} or newer is required`);
    if (credentials.certificateName !== undefined && credentials.apiKey === undefined) {
      for (const connector of this.#connectors.values())
        if (connector.certificateName === credentials.certificateName) return { admitted: connector };
      return refuse(403, "Unknown client certificate");
    }
    if (credentials.apiKey === undefined || credentials.connectorUuid === undefined)
      return refuse(401, "Missing credentials");
    const connector = this.#connectors.get(credentials.connectorUuid);
    if (!connector?.apiKey || !equal(connector.apiKey, credentials.apiKey))
      return refuse(403, "Invalid API key or connector");
    return { admitted: connector };
  }

  // Calls.

  #addCall(
    session: Session,
    setup: Omit<ConstructorParameters<typeof SimCall>[0], "id" | "session">,
  ): SimCall {
    this.counts.callsPlaced += 1;
    const call = new SimCall(
      { ...setup, id: randomUUID(), session },
      {
        clock: this.clock,
        ticker: this.ticker,
        voice: sharedVoice,
        closeSession: (which, reason) => this.plane.closeSession(which.session, reason),
        mediaLost: (which) => this.plane.mediaLost(which),
        ended: (which) => this.#forgetLater(which),
      },
    );
    this.calls.set(call.id, call);
    this.#bySession.set(session.id, call);
    return call;
  }

  #route(call: SimCall): void {
    const flow = this.plane.flowOf(call.session.connectorUuid).inboundCall;
    if (flow === "ALL") {
      this.plane.notify(call.session, "NEW_INCOMING_CALL");
      return;
    }
    const ringSeconds = flow === "MISSED_ONLY" ? (this.options.missedRingSeconds ?? 20) : 120;
    call.ringSubscriber(ringSeconds, (outcome) => {
      if (outcome === "picked_up") {
        call.connectParties(false);
        this.plane.closeSession(call.session, "CALL_TERMINATED");
      } else if (outcome === "unanswered") {
        if (flow === "MISSED_ONLY") this.plane.notify(call.session, "NEW_INCOMING_CALL");
        else call.end("unserved");
      }
    });
  }

  #createOutbound(session: Session): void {
    const people = this.options.outbound?.(session.remoteAddress) ?? { remote: callee.picksUp() };
    const connector = this.#connectors.get(session.connectorUuid) as ConnectorOptions;
    this.#addCall(session, {
      direction: "outbound" as const,
      from: session.localAddress,
      to: session.remoteAddress,
      seed: 1,
      callerScript: [],
      subscriber: listOf(people.subscriber ?? callee.never()),
      remote: people.remote,
      remoteRingsOnAnswer: this.options.outboundCourse === "ring_on_answer",
      options: { ...this.options, ...this.#rateOf(connector) },
    });
  }

  #callReady(call: SimCall, connection: ControlConnection): void {
    const deliver = () => this.#deliverCall(call, connection);
    const ringsFirst =
      call.direction === "outbound" &&
      this.options.outboundCourse !== "ring_on_answer" &&
      call.remote.state === "away";
    if (!ringsFirst) {
      deliver();
      return;
    }
    call.ringRemote(60, (outcome) => {
      if (outcome === "picked_up") deliver();
      else if (outcome === "unanswered") call.end("not_picked_up");
    });
  }

  #deliverCall(call: SimCall, connection: ControlConnection): void {
    const connector = this.#connectors.get(call.session.connectorUuid);
    this.plane.deliver(call.session, {
      type: "call.in",
      sessionId: call.session.id,
      callId: call.id,
      orgUuid: connector?.orgUuid ?? "00000000-0000-4000-8000-000000000000",
      from: call.from,
      to: call.to,
      url: `${connection.baseUrl}${MEDIA_PATH}${call.id}`,
      token: this.#tokens.issue(
        call.id,
        call.session.id,
        this.plane.nowSeconds,
        this.options.tokenLifetimeSeconds ?? 3600,
      ),
    });
  }

  #rateOf(connector: ConnectorOptions) {
    return connector.sampleRate ? { defaultSampleRate: connector.sampleRate } : {};
  }

  #forgetLater(call: SimCall): void {
    if (call.session.closedAt === null) this.plane.closeSession(call.session, "CALL_TERMINATED");
    this.#endedOrder.push(call.id);
    const keep = this.options.keepEndedCalls ?? 100;
    while (this.#endedOrder.length > keep) {
      const oldest = this.calls.get(this.#endedOrder.shift() as string);
      if (!oldest) continue;
      this.calls.delete(oldest.id);
      this.#bySession.delete(oldest.session.id);
    }
  }
}

function listOf(behaviour: CalleeBehaviour | readonly CalleeBehaviour[]): readonly CalleeBehaviour[] {
  return Array.isArray(behaviour) ? behaviour : [behaviour as CalleeBehaviour];
}

function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function isOlder(version: string, than: string): boolean {
  const a = version.split(".").map(Number);
  const b = than.split(".").map(Number);
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (Number.isNaN(difference)) return true;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
