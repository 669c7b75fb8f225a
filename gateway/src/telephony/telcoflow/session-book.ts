import type { Clock, Timer } from "../../util/clock.js";
import type { CallNotice, IncomingCall } from "../telephony.js";
import type { TelcoflowLeg } from "./call-leg.js";
import type { TelcoflowLimits } from "./options.js";

/** A session to be claimed, being claimed, or claimed and without its call yet. */
export interface OpenSession {
  t: "waiting" | "claiming" | "claimed";
  readonly sessionId: string;
  readonly notice: CallNotice;
  /** The claim delay, or the wait for the call. */
  timer: Timer | undefined;
}

/** A session whose call was handed over. */
export interface LiveSession {
  readonly t: "live";
  readonly sessionId: string;
  readonly notice: CallNotice;
  readonly call: IncomingCall;
  readonly leg: TelcoflowLeg;
  /** Whether the present control connection holds the claim. */
  claimed: boolean;
}

/** The sessions of a connector that concern this process, and which of them ended a while ago. */
export class SessionBook {
  private readonly sessions = new Map<string, OpenSession | LiveSession>();
  /** When each ended, by the monotonic clock; oldest first. */
  private readonly ended = new Map<string, number>();

  constructor(
    private readonly limits: Pick<TelcoflowLimits, "maxSessions" | "endedMemoryMs">,
    private readonly clock: Clock,
  ) {}

  /** Sessions of which it is known that they ended. */
  get endedCount(): number {
    return this.ended.size;
  }

  /** True when no further session may be added. */
  get isFull(): boolean {
    return this.sessions.size >= this.limits.maxSessions;
  }

  get liveCount(): number {
    return this.live().length;
  }

  get(sessionId: string): OpenSession | LiveSession | undefined {
    return this.sessions.get(sessionId);
  }

  /** Adds or replaces. */
  add(session: OpenSession | LiveSession): void {
    this.sessions.set(session.sessionId, session);
  }

  remove(sessionId: string): void {
    this.sessions.delete(sessionId);
  }

  /** The call is over for us: its session is not to be claimed again for a while, even if the parties talk on. */
  end(sessionId: string): void {
    this.sessions.delete(sessionId);
    this.ended.delete(sessionId);
    const now = this.clock.nowMs();
    this.ended.set(sessionId, now);
    for (const [oldest, atMs] of this.ended) {
      if (this.ended.size <= this.limits.maxSessions && now - atMs < this.limits.endedMemoryMs) break;
      this.ended.delete(oldest);
    }
  }

  /** Whether it ended within `endedMemoryMs`. */
  hasEnded(sessionId: string): boolean {
    const atMs = this.ended.get(sessionId);
    if (atMs === undefined) return false;
    if (this.clock.nowMs() - atMs < this.limits.endedMemoryMs) return true;
    this.ended.delete(sessionId);
    return false;
  }

  live(): LiveSession[] {
    return [...this.sessions.values()].filter((session) => session.t === "live");
  }

  /** Sessions without a call. */
  claiming(): OpenSession[] {
    return [...this.sessions.values()].filter((session) => session.t !== "live");
  }

  /** Sessions whose claim delay runs. */
  waiting(): OpenSession[] {
    return this.claiming().filter((session) => session.t === "waiting");
  }
}
