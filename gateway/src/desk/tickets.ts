import { randomBytes } from "node:crypto";
import { CallError } from "../call/call-error.js";
import type { Credential } from "../contract/authenticator.js";

/** What a ticket lets in. */
export interface Admission {
  readonly credential: Credential;
  /** Of the page that asked for it; only that page may use it. */
  readonly origin: string;
}

/**
 * Single-use tickets: a page asks for one by POST, with its key, and shows it when it opens the WebSocket, whose
 * headers browsers do not let it choose. They are kept in memory alone and never written anywhere.
 */
export class Tickets {
  private readonly open = new Map<string, Admission & { readonly expiresMs: number }>();

  constructor(
    private readonly lifeMs: number,
    private readonly max: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** A new ticket. Throws LIMIT_REACHED when too many wait to be used. */
  issue(admission: Admission): string {
    this.forgetExpired();
    if (this.open.size >= this.max)
      throw new CallError("LIMIT_REACHED", `at most ${this.max} unused tickets`, {
        limit: "max_tickets",
        max: String(this.max),
      });
    const ticket = randomBytes(24).toString("base64url");
    this.open.set(ticket, { ...admission, expiresMs: this.nowMs() + this.lifeMs });
    return ticket;
  }

  /** Uses a ticket up, also when it is too old or another origin's. Undefined when it is not, or no longer, one. */
  redeem(ticket: string, origin: string): Admission | undefined {
    const found = this.open.get(ticket);
    this.open.delete(ticket);
    if (!found || this.nowMs() >= found.expiresMs || found.origin !== origin) return undefined;
    return found;
  }

  /** They are in the order of their end. */
  private forgetExpired(): void {
    const nowMs = this.nowMs();
    for (const [ticket, { expiresMs }] of this.open) {
      if (expiresMs > nowMs) return;
      this.open.delete(ticket);
    }
  }
}
