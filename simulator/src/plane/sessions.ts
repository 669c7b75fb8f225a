import { randomUUID } from "node:crypto";
import type { Channel, SessionCloseReason, SessionView } from "./messages.js";

/** A session of the control plane: what is notified, claimed and closed. */
export interface Session {
  readonly id: string;
  readonly connectorUuid: string;
  readonly channel: Channel;
  readonly initiator: "CONNECTOR" | "SDK";
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Unix seconds. */
  readonly openedAt: number;
  /** Unix seconds; null while open. */
  closedAt: number | null;
  closeReason: SessionCloseReason | undefined;
  /** The control connection (`smWsId`) that claimed it. */
  boundTo: string | undefined;
  /** The claimant sent `session.ready`. */
  ready: boolean;
  /** The connector was told of it (with MISSED_ONLY that comes late, with NO never). */
  notified: boolean;
  /** A claim was lost with its control connection. */
  claimLost: boolean;
  /** Answer claims with SESSION_BUSY until this time of the simulator's clock. */
  busyUntilMs: number;
  /** The connection named in those answers. */
  busyBoundTo: string;
}

/** Result of a claim. */
export type ClaimResult =
  | { readonly ok: true; readonly session: Session }
  | { readonly ok: false; readonly errorCode: string; readonly errorContent: unknown };

/** Closed sessions remembered at most; the oldest is forgotten first. */
const MAX_CLOSED = 10_000;

/**
 * The sessions of all connectors and who holds them. Knows no socket: connections are ids. The first claim
 * wins; a claim lives as long as its control connection.
 */
export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  #closed: string[] = [];

  /** Makes an open, unclaimed session. `openedAtSeconds`: unix time. */
  create(
    input: Pick<Session, "connectorUuid" | "channel" | "initiator" | "remoteAddress" | "localAddress">,
    openedAtSeconds: number,
  ): Session {
    const session: Session = {
      ...input,
      id: randomUUID(),
      openedAt: openedAtSeconds,
      closedAt: null,
      closeReason: undefined,
      boundTo: undefined,
      ready: false,
      notified: false,
      claimLost: false,
      busyUntilMs: Number.NEGATIVE_INFINITY,
      busyBoundTo: "",
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** A session of this connector; another connector's is not found. */
  find(id: string, connectorUuid: string): Session | undefined {
    const session = this.#sessions.get(id);
    return session?.connectorUuid === connectorUuid ? session : undefined;
  }

  /** The open session of a remote address, if any. */
  findOpen(connectorUuid: string, channel: Channel, remoteAddress: string): Session | undefined {
    for (const session of this.#sessions.values())
      if (
        session.connectorUuid === connectorUuid &&
        session.channel === channel &&
        session.remoteAddress === remoteAddress &&
        session.closedAt === null
      )
        return session;
    return undefined;
  }

  /**
   * `session.open`: binds the session to a connection. Opening what one holds already succeeds again;
   * what another holds answers SESSION_BUSY.
   */
  claim(id: string, connectorUuid: string, smWsId: string, nowMs: number): ClaimResult {
    const session = this.find(id, connectorUuid);
    if (!session) return { ok: false, errorCode: "SESSION_NOT_FOUND", errorContent: null };
    if (session.closedAt !== null) return { ok: false, errorCode: "SESSION_CLOSED", errorContent: null };
    const busyWith =
      session.boundTo !== undefined && session.boundTo !== smWsId
        ? session.boundTo
        : nowMs < session.busyUntilMs
          ? session.busyBoundTo
          : undefined;
    if (busyWith !== undefined)
      return { ok: false, errorCode: "SESSION_BUSY", errorContent: { boundSmWsId: busyWith } };
    if (session.boundTo !== smWsId) session.ready = false;
    session.boundTo = smWsId;
    session.claimLost = false;
    return { ok: true, session };
  }

  /** `session.ready`: true when the connection holds the session and it becomes ready now. */
  markReady(session: Session, smWsId: string): boolean {
    if (session.boundTo !== smWsId || session.ready) return false;
    session.ready = true;
    return true;
  }

  /** The connection is gone: its claims too. Returns the open sessions it held. */
  release(smWsId: string): Session[] {
    const released: Session[] = [];
    for (const session of this.#sessions.values()) {
      if (session.boundTo !== smWsId || session.closedAt !== null) continue;
      session.boundTo = undefined;
      session.ready = false;
      session.claimLost = true;
      released.push(session);
    }
    return released;
  }

  /** Closes a session; false when it was closed already. */
  close(session: Session, reason: SessionCloseReason, closedAtSeconds: number): boolean {
    if (session.closedAt !== null) return false;
    session.closedAt = closedAtSeconds;
    session.closeReason = reason;
    this.#closed.push(session.id);
    if (this.#closed.length > MAX_CLOSED) {
      for (const id of this.#closed.splice(0, this.#closed.length - MAX_CLOSED)) this.#sessions.delete(id);
    }
    return true;
  }

  /** Sessions of a connector, oldest first. Absent filters match everything. */
  list(
    connectorUuid: string,
    filter: { channel?: string; remoteAddress?: string; state?: string } = {},
  ): Session[] {
    return [...this.#sessions.values()].filter(
      (session) =>
        session.connectorUuid === connectorUuid &&
        (filter.channel === undefined || session.channel === filter.channel) &&
        (filter.remoteAddress === undefined || session.remoteAddress === filter.remoteAddress) &&
        (filter.state === undefined || filter.state === (session.closedAt === null ? "OPEN" : "CLOSED")),
    );
  }
}

/** A session as the wire shows it. */
export function sessionView(session: Session): SessionView {
  return {
    id: session.id,
    channel: session.channel,
    initiator: session.initiator,
    state: session.closedAt === null ? "OPEN" : "CLOSED",
    remoteAddress: session.remoteAddress,
    localAddress: session.localAddress,
    openedAt: session.openedAt,
    closedAt: session.closedAt,
  };
}
