import type { IncomingMessage, ServerResponse } from "node:http";
import type { Refusal } from "../faults/sim-faults.js";
import type { ControlPlane } from "./control-plane.js";
import type { Session } from "./sessions.js";
import { sessionView } from "./sessions.js";

/** What REST needs of the simulator. @internal */
export interface RestHost {
  readonly plane: ControlPlane;
  /** Ends what belongs to the session (its call) and closes it. */
  closeByRest(session: Session): void;
}

/** Answers a request with JSON. @internal */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** Answers with the provider's error shape. @internal */
export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { code, message });
}

/** Answers a refused request. @internal */
export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  if (refusal.retryAfterSeconds !== undefined)
    response.setHeader("retry-after", String(refusal.retryAfterSeconds));
  const code = refusal.status === 401 ? "UNAUTHORIZED" : refusal.status === 403 ? "FORBIDDEN" : "REFUSED";
  sendError(response, refusal.status, code, refusal.body);
}

/** The public REST API: list and close sessions of the authenticated connector. @internal */
export function handleRest(
  request: IncomingMessage,
  response: ServerResponse,
  connectorUuid: string,
  host: RestHost,
): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname === "/public/v1/sessions" && request.method === "GET") {
    const filter: { channel?: string; remoteAddress?: string; state?: string } = {};
    for (const key of ["channel", "remoteAddress", "state"] as const) {
      const value = url.searchParams.get(key);
      if (value !== null) filter[key] = value;
    }
    sendJson(response, 200, { items: host.plane.sessions.list(connectorUuid, filter).map(sessionView) });
    return;
  }
  const close = /^\/public\/v1\/sessions\/([^/]+)\/close$/.exec(url.pathname);
  if (close && request.method === "POST") {
    const session = host.plane.sessions.find(decodeURIComponent(close[1] as string), connectorUuid);
    if (!session || session.closedAt !== null) {
      sendError(response, 404, "SESSION_NOT_FOUND", "no open session with this id");
      return;
    }
    host.closeByRest(session);
    sendJson(response, 200, { closedAt: session.closedAt, reason: session.closeReason });
    return;
  }
  sendError(response, 404, "NOT_FOUND", "no such resource");
}
