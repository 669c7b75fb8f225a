import type { IncomingMessage, ServerResponse } from "node:http";
import { CallError, invalidField } from "../call/call-error.js";

/** The largest body of a POST, in bytes. */
const MAX_BODY_BYTES = 16 * 1024;

/**
 * Headers of every answer. No script, style, frame, font or connection but our own; nothing inline; nobody may put the
 * page into a frame; the microphone is ours alone.
 */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
};

/** Sets the headers of every answer; with TLS also that the browser is to stay with it. */
export function secure(response: ServerResponse, tls: boolean): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
  if (tls) response.setHeader("Strict-Transport-Security", "max-age=31536000");
}

/** HTTP statuses by the names of gRPC ones. */
const HTTP_STATUS: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
  UNAVAILABLE: 503,
};

/** An answer as JSON that no cache keeps. */
export function json(response: ServerResponse, status: number, body: unknown): void {
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  response.setHeader("Content-Type", "application/json");
  response.setHeader("Cache-Control", "no-store");
  response.setHeader("Content-Length", text.length);
  response.writeHead(status).end(text);
}

/** An error as JSON: reason, message and metadata as on the other wires. */
export function jsonError(response: ServerResponse, error: CallError): void {
  const { reason, message, metadata } = error;
  json(response, HTTP_STATUS[error.status] ?? 500, { error: { reason, message, metadata } });
}

/** The object in the body of a POST; an empty body is an empty object. Rejects with INVALID_FIELD. */
export async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const type = String(request.headers["content-type"] ?? "").split(";")[0];
  // A form of another site cannot send this type without asking first.
  if (type !== "application/json") throw invalidField("Content-Type", "application/json", type);
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) throw invalidField("body", `at most ${MAX_BODY_BYTES} bytes`, size);
    pieces.push(piece);
  }
  if (size === 0) return {};
  try {
    const body: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    if (typeof body === "object" && body !== null && !Array.isArray(body))
      return body as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw invalidField("body", "a JSON object");
}

/** A cookie of the request, decoded; empty when there is none. */
export function cookieOf({ headers }: IncomingMessage, name: string): string {
  for (const part of (headers.cookie ?? "").split(";")) {
    const at = part.indexOf("=");
    if (at <= 0 || part.slice(0, at).trim() !== name) continue;
    try {
      return decodeURIComponent(part.slice(at + 1).trim());
    } catch {
      return "";
    }
  }
  return "";
}

/** Too many wrong keys. */
export function tooManyRefusals(waitMs: number): CallError {
  return new CallError("LIMIT_REACHED", "too many wrong keys from this address; wait", {
    limit: "max_refusals_per_minute",
    retry_after_ms: String(Math.ceil(waitMs)),
  });
}
