import type { IncomingMessage, ServerResponse } from "node:http";
import { CallError } from "../call/call-error.js";
import type { Credential } from "../contract/authenticator.js";
import { text } from "../contract/validate.js";
import { bodyOf, cookieOf, json, tooManyRefusals } from "./http.js";
import type { Origins } from "./origins.js";
import { Refusals } from "./refusals.js";
import { Tickets } from "./tickets.js";
import type { DeskWire } from "./wire.js";

const COOKIE = "callweave_desk";
/** Browsers drop cookies that are longer than 4 KiB with everything in them. */
const MAX_KEY_LENGTH = 3_800;
/** How long the browser keeps the key: one long shift. Seconds. */
const COOKIE_SECONDS = 12 * 60 * 60;

/**
 * Signing in by POST: the key goes into a cookie that no script can read, and a ticket for the WebSocket is given for
 * it. Every one of these needs an origin that is ours.
 */
export class SignIn {
  readonly tickets: Tickets;
  private readonly refusals: Refusals;

  constructor(
    private readonly wire: DeskWire,
    private readonly origins: Origins,
  ) {
    const { ticketMs, maxTickets, maxRefusalsPerMinute } = wire.options;
    this.tickets = new Tickets(ticketMs, maxTickets);
    this.refusals = new Refusals(maxRefusalsPerMinute);
  }

  /** Answers a POST to /api/…; false when there is no such. Rejects with CallError. */
  async answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (path !== "/api/login" && path !== "/api/logout" && path !== "/api/ticket") return false;
    const origin = this.origins.allowedOrigin(request);
    if (origin === undefined)
      throw new CallError("UNAUTHENTICATED", "the page comes from an origin that is not configured");
    const body = await bodyOf(request);
    if (path === "/api/logout") {
      response.setHeader("Set-Cookie", this.cookie("", 0, origin));
      json(response, 200, {});
    } else if (path === "/api/login") {
      const key = text("key", typeof body.key === "string" ? body.key.trim() : "", 1, MAX_KEY_LENGTH);
      const credential = await this.check(request, key);
      response.setHeader("Set-Cookie", this.cookie(encodeURIComponent(key), COOKIE_SECONDS, origin));
      json(response, 200, this.me(credential));
    } else {
      const credential = await this.credentialOf(request);
      const ticket = this.tickets.issue({ credential, origin });
      json(response, 200, { ticket, expires_in_ms: this.wire.options.ticketMs, me: this.me(credential) });
    }
    return true;
  }

  /** Whose request it is, by header or cookie. Rejects with UNAUTHENTICATED, or LIMIT_REACHED after many wrong ones. */
  async credentialOf(request: IncomingMessage): Promise<Credential> {
    const header = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    return this.check(request, header ?? cookieOf(request, COOKIE));
  }

  private async check(request: IncomingMessage, key: string): Promise<Credential> {
    const { authenticator } = this.wire;
    const { remoteAddress = "", remotePort = 0 } = request.socket;
    const waitMs = this.refusals.waitMs(remoteAddress);
    if (waitMs > 0) throw tooManyRefusals(waitMs);
    try {
      return await authenticator.authenticate(
        key === "" ? [] : [`Bearer ${key}`],
        `${remoteAddress}:${remotePort}`,
      );
    } catch (error) {
      this.wire.stats.refused++;
      // To have no key yet is no attempt.
      if (key !== "") this.refusals.count(remoteAddress);
      throw error;
    }
  }

  private cookie(value: string, seconds: number, origin: string): string {
    const secure = origin.startsWith("https:") ? "; Secure" : "";
    return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  }

  private me({ name, tenant, grants }: Credential) {
    const users = this.wire.options.users
      .filter((user) => user.tenant === tenant)
      .map(({ name: user, numbers, pools }) => ({ name: user, numbers, pools }));
    return { name, tenant, scopes: [...grants.keys()], users, keys: this.wire.authenticator.hasKeys };
  }
}
