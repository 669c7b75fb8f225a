import { randomBytes } from "node:crypto";
import { CallError } from "../call/call-error.js";
import type { Credential } from "../contract/authenticator.js";

/** What a link or a card may show: one call, to be read. */
export interface EmbedRight {
  readonly callId: string;
  /** Of whoever made the link. */
  readonly credential: Credential;
}

/** Secrets that stand for the right to read one call for a while. In memory alone, never written anywhere. */
export class EmbedTokens {
  private readonly open = new Map<string, EmbedRight & { readonly expiresMs: number }>();

  /** `limit` names the option in errors. */
  constructor(
    private readonly lifeMs: number,
    private readonly max: number,
    private readonly limit: string,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** A new one. Throws LIMIT_REACHED when there are too many. */
  issue(right: EmbedRight): string {
    const nowMs = this.nowMs();
    for (const [token, { expiresMs }] of this.open) {
      // They are in the order of their end.
      if (expiresMs > nowMs) break;
      this.open.delete(token);
    }
    if (this.open.size >= this.max)
      throw new CallError("LIMIT_REACHED", `at most ${this.max} at a time`, {
        limit: this.limit,
        max: String(this.max),
      });
    const token = randomBytes(24).toString("base64url");
    this.open.set(token, { ...right, expiresMs: nowMs + this.lifeMs });
    return token;
  }

  /** What it stands for; undefined when it is none, or too old. */
  look(token: string): EmbedRight | undefined {
    const found = this.open.get(token);
    return found && this.nowMs() < found.expiresMs ? found : undefined;
  }

  /** The same for this call, and used up, also when the call is another one. */
  use(token: string, callId: string): EmbedRight | undefined {
    const found = this.look(token);
    this.open.delete(token);
    return found?.callId === callId ? found : undefined;
  }
}
