import { CallError } from "../call/call-error.js";
import type { Principal } from "./principal.js";

/** The longest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Tells when a credential is about to end, and when it has ended. Used by whatever lasts longer than a request. */
export class ExpiryWatch {
  private warnTimer: NodeJS.Timeout | undefined;
  private endTimer: NodeJS.Timeout | undefined;
  private told: number | undefined;

  /**
   * `warningMs` before the credential expires `onExpiring` is told, of a short-lived one when half of what is left of it is
   * over; and `onEnded` when its leeway is over too.
   */
  constructor(
    private readonly warningMs: number,
    private readonly onExpiring: (expireTimeMs: number) => void,
    private readonly onEnded: () => void,
  ) {}

  /** Watches this credential from now on, and the one before no more. */
  follow({ expireTimeMs, endTimeMs }: Principal): void {
    this.stop();
    if (expireTimeMs === undefined) return;
    // The same credential once more is not told again: whoever answers each warning would never stop.
    if (expireTimeMs !== this.told) {
      const halfMs = (expireTimeMs + Date.now()) / 2;
      this.at(Math.max(expireTimeMs - this.warningMs, halfMs), "warnTimer", () => {
        this.told = expireTimeMs;
        this.onExpiring(expireTimeMs);
      });
    }
    this.at(endTimeMs ?? expireTimeMs, "endTimer", this.onEnded);
  }

  stop(): void {
    clearTimeout(this.warnTimer);
    clearTimeout(this.endTimer);
  }

  private at(timeMs: number, timer: "warnTimer" | "endTimer", run: () => void): void {
    const waitMs = Math.max(0, timeMs - Date.now());
    // By the wall clock, which may be set meanwhile; a longer wait is made of several.
    const step = Math.min(waitMs, MAX_TIMER_MS);
    this[timer] = setTimeout(() => (Date.now() < timeMs ? this.at(timeMs, timer, run) : run()), step);
    this[timer]?.unref();
  }
}

/** The error of a stream whose credential has ended. */
export function credentialEnded(): CallError {
  return new CallError("UNAUTHENTICATED", "the credential of the stream has expired");
}
