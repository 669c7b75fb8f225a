import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";

const FOLDER = new URL("../../page/", import.meta.url);

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page/page.css": ["page.css", "text/css; charset=utf-8"],
  "/page/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/page/line.js": ["line.js", "text/javascript; charset=utf-8"],
  "/page/worklet.js": ["worklet.js", "text/javascript; charset=utf-8"],
};

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
  "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
};

/** Answers a GET of the page or one of its files; false for anything else. @internal */
export function answerPage(path: string, request: IncomingMessage, response: ServerResponse): boolean {
  const known = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (!known || request.method !== "GET") return false;
  const [file, type] = known;
  const body = readFileSync(new URL(file, FOLDER));
  response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": body.length });
  response.end(body);
  return true;
}

/**
 * Whether a request comes from the page itself: its host is this machine (a foreign name that was made to lead here is
 * none of ours), and its origin that host.
 * @internal
 */
export function isOwnPage({ headers }: IncomingMessage): boolean {
  const { host = "", origin } = headers;
  const name = host.replace(/:\d+$/, "");
  if (!/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(name)) return false;
  return origin === `http://${host}` || origin === `https://${host}`;
}
