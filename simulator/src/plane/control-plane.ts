import type { SimCall } from "../call.js";
import type { SimClock } from "../clock.js";
import type { OrphanPolicy } from "../faults/orphan.js";
import type { ConnectorOptions } from "../options.js";
import type { ControlAnswer, ControlConnection, ControlHandler } from "./control-connection.js";
import { type CallFlow, type Channel, type ControlPush, parseCallFlow } from "./messages.js";
import { type Session, SessionTable, sessionView } from "./sessions.js";

/** What the control plane needs of the simulator. @internal */
export interface ControlPlaneHost {
  readonly clock: SimClock;
  readonly orphan: OrphanPolicy;
  readonly orphanDelayMs: number;
  readonly renotifyDelayMs: number;
  connector(uuid: string): ConnectorOptions | undefined;
  /** The call of a TELCO session. */
  callOf(session: Session): SimCall | undefined;
  /** `session.create` of a call: makes it. */
  createOutbound(session: Session): void;
  /** `session.ready` of a call: delivers `call.in`, or rings first. */
  callReady(call: SimCall, connection: ControlConnection): void;
}

const ALL: CallFlow = { inboundCall: "ALL", outboundCall: true, inboundMessage: true, outboundMessage: true };

/** Connections, sessions, claims and notifications of all connectors. @internal */
export class ControlPlane implements ControlHandler {
  readonly sessions = new SessionTable();
  readonly #host: ControlPlaneHost;
  readonly #connections = new Map<string, ControlConnection>();
  /** Sent by connections that still live, oldest first. */
  readonly #flows: { readonly connection: ControlConnection; readonly flow: CallFlow }[] = [];
  /** Frames of a session that wait for `session.ready`. */
  readonly #waiting = new Map<string, ControlPush[]>();
  /** WhatsApp messages sent by agents, newest last (the last 1000). */
  readonly sentMessages: { readonly sessionId: string; readonly data: unknown }[] = [];

  constructor(host: ControlPlaneHost) {
    this.#host = host;
  }

  /** Connections that completed setup. */
  get connections(): readonly ControlConnection[] {
    return [...this.#connections.values()];
  }

  /** Unix time in seconds. */
  get nowSeconds(): number {
    return Math.floor(this.#host.clock.wallNow().getTime() / 1000);
  }

  /** What the connector wants delivered now. */
  flowOf(connectorUuid: string): CallFlow {
    for (let i = this.#flows.length - 1; i >= 0; i--) {
      const entry = this.#flows[i];
      if (entry?.connection.connectorUuid === connectorUuid) return entry.flow;
    }
    return this.#host.connector(connectorUuid)?.callFlow ?? ALL;
  }

  /** Broadcasts `session.notify` to every connection of the connector. */
  notify(session: Session, activity: string): void {
    session.notified = true;
    for (const connection of this.#connections.values())
      if (connection.connectorUuid === session.connectorUuid) this.#notifyOne(connection, session, activity);
  }

  /**
   * Sends a frame of a session to who holds it, after `session.ready`. Of an unclaimed call nobody is told;
   * messages wait for a claim (the last 100).
   */
  deliver(session: Session, frame: ControlPush): void {
    const connection = session.boundTo ? this.#connections.get(session.boundTo) : undefined;
    if (!connection && session.channel === "TELCO") return;
    this.#host.callOf(session)?.log("control", "out", frame.type, redact(frame));
    if (connection && session.ready) connection.push(frame);
    else this.#waiting.set(session.id, [...(this.#waiting.get(session.id) ?? []), frame].slice(-100));
  }

  /** Closes a session and tells its holder. */
  closeSession(session: Session, reason: "SDK_REQUEST" | "FORCE_CLOSE" | "CALL_TERMINATED"): void {
    if (!this.sessions.close(session, reason, this.nowSeconds)) return;
    this.deliver(session, { type: "session.closed", sessionId: session.id, reason });
  }

  /** A call lost its media connection. If its claim is gone too, it is an orphan. */
  mediaLost(call: SimCall): void {
    if (call.session.boundTo === undefined) this.#orphaned(call);
  }

  onSetup(connection: ControlConnection): void {
    this.#connections.set(connection.id, connection);
    this.#host.clock.setTimeout(() => this.#renotify(connection), this.#host.renotifyDelayMs);
  }

  onClose(connection: ControlConnection): void {
    this.#connections.delete(connection.id);
    const flow = this.#flows.findIndex((entry) => entry.connection === connection);
    if (flow >= 0) this.#flows.splice(flow, 1);
    const { orphan, clock } = this.#host;
    for (const session of this.sessions.release(connection.id)) {
      const call = this.#host.callOf(session);
      call?.log("control", "none", "claim.lost", { smWsId: connection.id });
      if (typeof orphan === "object") {
        session.busyUntilMs = clock.now() + orphan.seconds * 1000;
        session.busyBoundTo = connection.id;
        clock.setTimeout(() => this.#notifyIfFree(session), orphan.seconds * 1000 + 1);
      }
      if (call && !call.mediaConnected) this.#orphaned(call);
    }
  }

  onFrame(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    switch (frame.type) {
      case "call_flow.setup":
        return this.#setFlow(connection, frame);
      case "session.open":
        return this.#open(connection, frame);
      case "session.ready":
        return this.#ready(connection, frame);
      case "session.create":
        return this.#create(connection, frame);
      case "wa.msg.out":
        return this.#sendMessage(connection, frame);
      default:
        return { ok: false, errorCode: "INVALID_REQUEST", errorContent: { message: "unknown type" } };
    }
  }

  #setFlow(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    const flow = parseCallFlow(frame.data);
    if (!flow) return { ok: false, errorCode: "INVALID_REQUEST" };
    const earlier = this.#flows.findIndex((entry) => entry.connection === connection);
    if (earlier >= 0) this.#flows.splice(earlier, 1);
    this.#flows.push({ connection, flow });
    return { ok: true };
  }

  #open(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    const id = String(frame.sessionId ?? "");
    const result = this.sessions.claim(id, connection.connectorUuid, connection.id, this.#host.clock.now());
    const session = this.sessions.find(id, connection.connectorUuid);
    const call = session && this.#host.callOf(session);
    call?.log("control", "in", "session.open", {
      smWsId: connection.id,
      ...(result.ok ? { ok: true } : { errorCode: result.errorCode }),
    });
    if (!result.ok) return result;
    if (call) this.#waiting.delete(id);
    call?.claimed(connection.sampleRate, connection.isolated);
    return { ok: true, content: { session: sessionView(result.session) } };
  }

  #ready(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    const session = this.sessions.find(String(frame.sessionId ?? ""), connection.connectorUuid);
    if (!session) return { ok: false, errorCode: "SESSION_NOT_FOUND" };
    const call = this.#host.callOf(session);
    call?.log("control", "in", "session.ready", { smWsId: connection.id });
    if (!this.sessions.markReady(session, connection.id)) return { ok: false, errorCode: "SESSION_NOT_OPEN" };
    const waiting = this.#waiting.get(session.id) ?? [];
    this.#waiting.delete(session.id);
    if (call && session.closedAt === null) this.#host.callReady(call, connection);
    for (const push of waiting) connection.push(push);
    return { ok: true };
  }

  #create(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    const { channel, remoteAddress } = frame;
    if (
      (channel !== "TELCO" && channel !== "WA") ||
      typeof remoteAddress !== "string" ||
      remoteAddress === ""
    )
      return { ok: false, errorCode: "INVALID_REQUEST" };
    const connector = this.#host.connector(connection.connectorUuid);
    if (!(connector?.channels ?? ["TELCO", "WA"]).includes(channel))
      return { ok: false, errorCode: "CHANNEL_NOT_CONFIGURED" };
    const open = this.sessions.findOpen(connection.connectorUuid, channel, remoteAddress);
    if (open) return { ok: true, content: { sessionId: open.id, created: false } };
    const count = this.sessions.list(connection.connectorUuid, { state: "OPEN" }).length;
    if (count >= (connector?.maxSessions ?? Number.POSITIVE_INFINITY))
      return { ok: false, errorCode: "QUOTA_EXCEEDED" };
    const session = this.createSession(connection.connectorUuid, channel, "SDK", remoteAddress);
    if (channel === "TELCO") this.#host.createOutbound(session);
    return { ok: true, content: { sessionId: session.id, created: true } };
  }

  /** Makes a session of a connector. */
  createSession(
    connectorUuid: string,
    channel: Channel,
    initiator: "CONNECTOR" | "SDK",
    remoteAddress: string,
    localAddress = this.#host.connector(connectorUuid)?.localAddress ?? "+15550100",
  ): Session {
    return this.sessions.create(
      { connectorUuid, channel, initiator, remoteAddress, localAddress },
      this.nowSeconds,
    );
  }

  #sendMessage(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer {
    const data = (typeof frame.data === "object" && frame.data !== null ? frame.data : {}) as Record<
      string,
      unknown
    >;
    const session = this.sessions.find(String(data.sessionId ?? ""), connection.connectorUuid);
    if (!session) return { ok: false, errorCode: "SESSION_NOT_FOUND" };
    if (session.channel !== "WA") return { ok: false, errorCode: "INVALID_CHANNEL" };
    if (session.boundTo !== connection.id) return { ok: false, errorCode: "SESSION_NOT_OPEN" };
    this.sentMessages.push({ sessionId: session.id, data });
    if (this.sentMessages.length > 1000) this.sentMessages.shift();
    return { ok: true, content: { messages: [{ id: data.clientMsgId ?? null }] } };
  }

  #orphaned(call: SimCall): void {
    const { orphan, clock, orphanDelayMs } = this.#host;
    call.log("call", "none", "orphaned", { policy: orphan });
    if (orphan === "renotify") clock.setTimeout(() => this.#notifyIfFree(call.session), orphanDelayMs);
    if (orphan === "end_call")
      clock.setTimeout(() => {
        if (call.session.boundTo === undefined && !call.mediaConnected) call.end("orphaned");
      }, orphanDelayMs);
  }

  #notifyIfFree(session: Session): void {
    if (session.closedAt === null && session.boundTo === undefined) this.notify(session, "RESUME");
  }

  /** After a connect: sessions nobody holds are told again. */
  #renotify(connection: ControlConnection): void {
    if (!this.#connections.has(connection.id)) return;
    for (const session of this.sessions.list(connection.connectorUuid, { state: "OPEN" })) {
      if (session.boundTo !== undefined || !session.notified) continue;
      if (!session.claimLost) this.#notifyOne(connection, session, "RESUME");
      else if (this.#host.orphan !== "list_only") this.notify(session, "RESUME");
    }
  }

  #notifyOne(connection: ControlConnection, session: Session, activity: string): void {
    this.#host.callOf(session)?.log("control", "out", "session.notify", { activity, smWsId: connection.id });
    connection.push({
      type: "session.notify",
      sessionId: session.id,
      channel: session.channel,
      remoteAddress: session.remoteAddress,
      localAddress: session.localAddress,
      activity,
      createdAt: this.nowSeconds,
    });
  }
}

function redact(frame: ControlPush): unknown {
  return frame.type === "call.in" ? { ...frame, token: "redacted" } : frame;
}
