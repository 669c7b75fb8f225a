import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { CallContext as PbCallContext } from "@callweave/proto";
import { CallError } from "../call/call-error.js";
import { toPbContext } from "../contract/convert-context.js";
import { ExpiryWatch } from "../contract/expiry.js";
import { operations } from "../contract/operations.js";
import { outwardContext } from "../contract/outward-context.js";
import type { Principal } from "../contract/principal.js";
import { protoJson } from "../contract/proto-json.js";
import { text } from "../contract/validate.js";
import { CARD_FILES, CARD_PAGE } from "./embed-page.js";
import { type EmbedRight, EmbedTokens } from "./embed-tokens.js";
import { bodyOf, json } from "./http.js";
import type { Origins } from "./origins.js";
import type { DeskWire } from "./wire.js";

const CARD_PATH = /^\/embed\/context\/([^/]+)$/;
const CONTEXT = protoJson("CallContext", PbCallContext);

/** Words in a card, bytes: beyond it the oldest turns are left out. */
const MAX_CONTEXT_BYTES = 256 * 1024;
/** Between two updates of a card. */
const UPDATE_PAUSE_MS = 200;
/** An empty line after this long without an update: a connection that is gone is noticed. */
const SIGN_OF_LIFE_MS = 15_000;

/**
 * The context of one call as a card in somebody else's page. `POST /v1/embed-links`, with a credential that may read it,
 * answers a link; its fragment is exchanged for a session of the card, once; the session reads this one call.
 */
export class EmbedCards {
  private readonly links: EmbedTokens;
  private readonly sessions: EmbedTokens;
  private readonly operations;
  private readonly leaving = new AbortController();
  private streams = 0;

  constructor(
    private readonly wire: DeskWire,
    private readonly origins: Origins,
    private readonly credentialOf: (request: IncomingMessage) => Promise<Principal>,
  ) {
    const { linkMs, sessionMs, maxLinks, maxSessions } = wire.options.embed;
    this.links = new EmbedTokens(linkMs, maxLinks, "embed.max_links");
    this.sessions = new EmbedTokens(sessionMs, maxSessions, "embed.max_sessions");
    this.operations = operations(wire.api, wire.options.audit);
  }

  /** Ends every card's stream: they try again. */
  leave(): void {
    this.leaving.abort();
  }

  /** Answers a GET of the card or its files; false when it is neither. */
  page(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const file = CARD_FILES.get(path);
    if (!file && !CARD_PATH.test(path)) return false;
    this.framed(response);
    const body = Buffer.from(file?.text ?? CARD_PAGE);
    response.setHeader("Content-Type", file?.type ?? "text/html; charset=utf-8");
    response.setHeader("Cache-Control", "no-cache");
    response.setHeader("Content-Length", body.length);
    response.writeHead(200).end(request.method === "HEAD" ? undefined : body);
    return true;
  }

  /** Answers a POST of /v1/embed-links or /embed/…; false when there is no such. Rejects with CallError. */
  async answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    switch (path) {
      case "/v1/embed-links":
        await this.link(request, response);
        return true;
      case "/embed/exchange":
        await this.exchange(request, response);
        return true;
      case "/embed/updates":
        await this.updates(request, response);
        return true;
      default:
        return false;
    }
  }

  /** Asked for by a server, which sends no origin, or by a page of ours. */
  private async link(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.origin !== undefined) this.needOrigin(request);
    const credential = await this.credentialOf(request);
    const callId = idOf(await bodyOf(request));
    await this.read({ callId, credential });
    const token = this.links.issue({ callId, credential });
    const { tls, origins, embed } = this.wire.options;
    const base = origins[0] ?? `${tls ? "https" : "http"}://${request.headers.host}`;
    json(response, 200, {
      url: `${base}/embed/context/${encodeURIComponent(callId)}#t=${token}`,
      expires_in_ms: embed.linkMs,
    });
  }

  /** A link becomes a session of the card. */
  private async exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.needOrigin(request);
    const body = await bodyOf(request);
    const right = this.links.use(secretOf(body, "token"), idOf(body));
    if (!right) throw this.refused("the link was used, is too old or is another call's");
    // Whoever made it may have lost the right meanwhile.
    await this.read(right);
    json(response, 200, {
      session: this.sessions.issue(right),
      expires_in_ms: this.wire.options.embed.sessionMs,
    });
  }

  /** The context now and whenever it is written, one line of JSON each, until the browser goes. */
  private async updates(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.needOrigin(request);
    const right = this.sessions.look(secretOf(await bodyOf(request), "session"));
    if (!right) throw this.refused("the session of the card is over");
    const { maxSessions } = this.wire.options.embed;
    if (this.streams >= maxSessions)
      throw new CallError("LIMIT_REACHED", `at most ${maxSessions} cards`, {
        limit: "embed.max_sessions",
        max: String(maxSessions),
      });
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.leaving.signal]);
    const end = () => ending.abort();
    const expiry = new ExpiryWatch(this.wire.authenticator, 0, () => {}, end);
    response.once("close", end);
    expiry.follow(right.credential);
    this.streams++;
    const life = setInterval(() => response.write("\n"), SIGN_OF_LIFE_MS);
    try {
      await this.stream(right, response, signal);
    } finally {
      clearInterval(life);
      expiry.stop();
      this.streams--;
    }
    response.end();
  }

  private async stream(right: EmbedRight, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { callId, credential } = right;
    const { contexts } = this.wire.api;
    // The watch first: what is written while the context is read is seen.
    const changes = contexts.watch(credential.tenant, callId, signal)[Symbol.asyncIterator]();
    let change = changes.next();
    const first = await this.lineOf(right);
    response.setHeader("Content-Type", "application/x-ndjson");
    response.setHeader("Cache-Control", "no-store");
    response.writeHead(200);
    response.write(first);
    try {
      while (!(await change).done && !signal.aborted) {
        change = changes.next();
        const line = await this.lineOf(right);
        if (!response.write(line)) await drained(response, signal);
        await pause(UPDATE_PAUSE_MS, undefined, { signal }).catch(() => {});
      }
    } catch (error) {
      // The head is sent: the card sees the end and asks again, and is told then.
      this.wire.logger.debug({ call_id: callId, err: String(error) }, "a context card ended");
    }
    change.catch(() => {});
  }

  private async lineOf({ callId, credential }: EmbedRight): Promise<string> {
    const context = await this.wire.api.contexts.get(credential.tenant, { callId });
    const pb = toPbContext(outwardContext(context, MAX_CONTEXT_BYTES), true);
    return `${CONTEXT.encode(pb).toString("utf8")}\n`;
  }

  /** By the rules, and written down in the audit log. Throws CallError. */
  private async read({ callId, credential }: EmbedRight): Promise<void> {
    await this.operations.context.getContext({ key: { $case: "callId", value: callId } }, credential);
  }

  private needOrigin(request: IncomingMessage): void {
    if (this.origins.allowedOrigin(request) === undefined)
      throw new CallError("UNAUTHENTICATED", "the page comes from an origin that is not configured");
  }

  private refused(message: string): CallError {
    this.wire.stats.refused++;
    return new CallError("UNAUTHENTICATED", message);
  }

  /** The card may be in frames of the pages that are configured; it needs nothing but its own files. */
  private framed(response: ServerResponse): void {
    const { frameAncestors } = this.wire.options.embed;
    const ancestors = frameAncestors.length > 0 ? frameAncestors.join(" ") : "'none'";
    response.setHeader(
      "Content-Security-Policy",
      `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ${ancestors}`,
    );
    response.setHeader("Permissions-Policy", "microphone=(), camera=(), geolocation=(), payment=(), usb=()");
    if (frameAncestors.length === 0) return;
    response.removeHeader("X-Frame-Options");
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
  }
}

function idOf(body: Record<string, unknown>): string {
  return text("call_id", typeof body.call_id === "string" ? body.call_id : "", 1, 200);
}

function secretOf(body: Record<string, unknown>, field: string): string {
  const value = body[field];
  return text(field, typeof value === "string" ? value : "", 1, 100);
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    response.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
