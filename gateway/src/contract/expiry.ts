import { CallError } from "../call/call-error.js";
import type { Principal } from "./principal.js";

/** The longest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Where it is known that a credential was taken away. */
export interface CredentialNews {
  /** Tells `end` once; answers how to stop. */
  onTakenAway(principal: Principal, end: () => void): () => void;
}

/**
 * Tells when a credential is about to end, and when it has ended or was taken away. Used by whatever lasts longer than a
 * request.
 */
export class ExpiryWatch {
  private warnTimer: NodeJS.Timeout | undefined;
  private endTimer: NodeJS.Timeout | undefined;
  private told: number | undefined;
  private forget: () => void = () => {};

  /**
   * `warningMs` before the credential expires `onExpiring` is told, of a short-lived one when half of what is left of it is
   * over; and `onEnded` when its leeway is over too, or as soon as `news` tells that it was taken away.
   */
  constructor(
    private readonly news: CredentialNews,
    private readonly warningMs: number,
    private readonly onExpiring: (expireTimeMs: number) => void,
    private readonly onEnded: (why: CallError) => void,
  ) {}

  /** Watches this credential from now on, and the one before no more. */
  follow(principal: Principal): void {
    this.stop();
    const { expireTimeMs, endTimeMs } = principal;
    this.forget = this.news.onTakenAway(principal, () => this.end("revoked"));
    if (expireTimeMs === undefined) return;
    // The same credential once more is not told again: whoever answers each warning would never stop.
    if (expireTimeMs !== this.told) {
      const halfMs = (expireTimeMs + Date.now()) / 2;
      this.at(Math.max(expireTimeMs - this.warningMs, halfMs), "warnTimer", () => {
        this.told = expireTimeMs;
        this.onExpiring(expireTimeMs);
      });
    }
    this.at(endTimeMs ?? expireTimeMs, "endTimer", () => this.end("expired"));
  }

  stop(): void {
    clearTimeout(this.warnTimer);
    clearTimeout(this.endTimer);
    this.forget();
  }

  private end(why: "expired" | "revoked"): void {
    this.stop();
    this.onEnded(credentialEnded(why));
  }

  private at(timeMs: number, timer: "warnTimer" | "endTimer", run: () => void): void {
    const waitMs = Math.max(0, timeMs - Date.now());
    // By the wall clock, which may be set meanwhile; a longer wait is made of several.
    const step = Math.min(waitMs, MAX_TIMER_MS);
    this[timer] = setTimeout(() => (Date.now() < timeMs ? this.at(timeMs, timer, run) : run()), step);
    this[timer]?.unref();
  }
}

/** The error of whatever lasted longer than its credential. */
function credentialEnded(why: "expired" | "revoked"): CallError {
  const how = why === "expired" ? "has expired" : "was taken away";
  return new CallError("UNAUTHENTICATED", `the credential of the stream ${how}`, { why });
}
