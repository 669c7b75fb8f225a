import type { Clock, Timer } from "../../util/clock.js";
import { Backoff } from "./backoff.js";
import type { ControlConnection } from "./control-connection.js";
import type { TelcoflowCounters } from "./counters.js";
import type { Logger } from "./logger.js";
import type { TelcoflowSettings } from "./options.js";
import { redactRemote } from "./redact.js";
import { type RestClient, RestError } from "./rest.js";
import type { LiveSession, SessionBook } from "./session-book.js";
import type { SessionView } from "./validators.js";
import { SESSION_GONE } from "./vendor-error.js";

/** What the reconciler works with. */
export interface ReconcilerPorts {
  readonly control: Pick<ControlConnection, "request" | "send" | "signedIn">;
  readonly rest: Pick<RestClient, "openSessions">;
  readonly book: SessionBook;
  /** An open session of the connector that this process does not know. */
  onFound(session: SessionView): void;
}

/** Retries of the list before it is left to the next sign-in. */
const LIST_ATTEMPTS = 5;

/**
 * Finds out after a sign-in what was missed. Own live calls are claimed again, keep their media and get the new address;
 * those that the provider does not know any more are told as closed, but never one whose media is up. Sessions that
 * nobody here knows are offered to the claim policy.
 *
 * Assumption A1 (docs/limits.md): that a session of a process that died can be claimed again, and that its second call.in
 * carries a usable address and token. The vendor's SDK shows only that active sessions are announced again after a
 * control reconnect.
 */
export class Reconciler {
  private generation = 0;
  private retries: Timer[] = [];

  constructor(
    private readonly settings: TelcoflowSettings,
    private readonly clock: Clock,
    private readonly counters: TelcoflowCounters,
    private readonly log: Logger,
    private readonly ports: ReconcilerPorts,
    private readonly random: () => number,
  ) {}

  /** Starts after a sign-in. `list`: ask REST for sessions too. */
  signedIn(list: boolean): void {
    const generation = ++this.generation;
    for (const live of this.ports.book.live()) live.claimed = false;
    void this.reclaimAll(generation);
    if (list) this.list();
  }

  /** Asks REST for the open sessions; what is not known here goes to `onFound`. Nothing while not signed in. */
  list(): void {
    if (!this.ports.control.signedIn) return;
    void this.reconcile(this.generation, new Backoff(this.settings.reconnect, this.clock, this.random));
  }

  /** The control connection is gone: everything under way is void. */
  lost(): void {
    this.generation++;
    for (const timer of this.retries.splice(0)) timer.cancel();
  }

  stop(): void {
    this.lost();
  }

  /** An own live call was notified: if its claim is gone, it is claimed again. */
  reclaimSoon(live: LiveSession): void {
    if (!live.claimed) void this.reclaim(live, this.generation);
  }

  /** Whether the provider lists the session as open; undefined when it cannot be asked. */
  async isAlive(sessionId: string): Promise<boolean | undefined> {
    try {
      const sessions = await this.ports.rest.openSessions();
      return sessions.some((session) => session.id === sessionId);
    } catch (error) {
      this.log.warn({ sessionId, detail: messageOf(error) }, "the provider cannot be asked for its sessions");
      return undefined;
    }
  }

  private async reclaimAll(generation: number): Promise<void> {
    const queue = this.ports.book.live();
    const worker = async () => {
      for (let live = queue.shift(); live; live = queue.shift()) await this.reclaim(live, generation);
    };
    await Promise.all(Array.from({ length: Math.max(1, this.settings.reclaimConcurrency) }, worker));
  }

  private async reclaim(live: LiveSession, generation: number, backoff?: Backoff): Promise<void> {
    const { control, book } = this.ports;
    const { sessionId } = live;
    const isCurrent = () => generation === this.generation && book.get(sessionId) === live;
    if (!isCurrent() || live.claimed) return;
    // Set before the answer, so that a notice meanwhile does not claim twice.
    live.claimed = true;
    const answer = await control.request({ type: "session.open", sessionId });
    if (!isCurrent()) return;
    if (answer.kind === "ok") {
      this.counters.reclaims++;
      control.send({ type: "session.ready", sessionId });
      return;
    }
    live.claimed = false;
    if (answer.kind === "refused" && SESSION_GONE.has(answer.code)) {
      this.gone(live);
      return;
    }
    // SESSION_BUSY on our own call: the provider still sees the old connection. The media stays; try again.
    const waits = backoff ?? new Backoff(this.settings.reconnect, this.clock, this.random);
    this.later(waits.next(), () => void this.reclaim(live, generation, waits));
    this.log.debug({ sessionId, code: redactRemote(answer.code) }, "own call not claimed again yet");
  }

  private async reconcile(generation: number, backoff: Backoff): Promise<void> {
    const { rest, book } = this.ports;
    const before = new Set(book.live());
    let sessions: SessionView[];
    try {
      sessions = await rest.openSessions();
    } catch (error) {
      if (generation !== this.generation) return;
      const last = backoff.attempts + 1 >= LIST_ATTEMPTS;
      this.log[last ? "warn" : "debug"]({ detail: messageOf(error) }, "the list of sessions failed");
      if (!last) this.later(backoff.next(), () => void this.reconcile(generation, backoff));
      return;
    }
    if (generation !== this.generation) return;
    const listed = new Set(sessions.map((session) => session.id));
    // Only calls from before the question: one that came since is not in the answer.
    for (const live of before)
      if (book.get(live.sessionId) === live && !listed.has(live.sessionId)) this.gone(live);
    for (const session of sessions) if (!book.get(session.id)) this.ports.onFound(session);
  }

  /** The provider does not know the session: over, unless its media says otherwise. */
  private gone(live: LiveSession): void {
    if (live.leg.mediaUp) return;
    live.leg.sessionEnded("");
  }

  private later(delayMs: number, fn: () => void): void {
    const timer = this.clock.after(delayMs, () => {
      this.retries = this.retries.filter((other) => other !== timer);
      fn();
    });
    this.retries.push(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof RestError ? error.message : "unexpected error";
}
