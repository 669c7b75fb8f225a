import type { Clock, Timer } from "../util/clock.js";
import { type Call, callNotFound } from "./call.js";
import type { CallSnapshot } from "./call-state.js";
import type { EndedCall } from "./ended-call.js";

/** How long an ended call is kept whole, for what its stores still answer. ms. */
const KEPT_WHOLE_MS = 5_000;

interface Kept {
  /** Whole at first, then what remains of it. */
  call: Call | EndedCall;
  readonly endedMs: number;
  readonly untilMs: number;
}

/** The calls of this gateway: live ones as themselves, ended ones as what was last known of them. */
export class CallRegistry {
  private readonly live = new Map<string, Call>();
  private readonly bySession = new Map<string, Call>();
  /** In the order of their end. */
  private readonly ended = new Map<string, Kept>();
  /** Those of them that are kept whole, in the order of their end. */
  private readonly whole = new Map<Kept, Call>();
  private sweep: Timer | undefined;

  /**
   * @param keepEndedMs How long ended calls can still be read and their commands repeated. Default 600,000.
   * @param maxEnded Ended calls kept at most; the oldest is forgotten. Default 10,000.
   */
  constructor(
    private readonly clock: Clock,
    private readonly keepEndedMs = 600_000,
    private readonly maxEnded = 10_000,
  ) {}

  /** Live calls. */
  get size(): number {
    return this.live.size;
  }

  /** Adds a call; moves it to the ended ones by itself. */
  add(call: Call): void {
    const key = keyOf(call.facts.tenant, call.facts.callId);
    const sessionKey = `${call.facts.connector}\n${call.facts.sessionId}`;
    this.live.set(key, call);
    this.bySession.set(sessionKey, call);
    call.over.addEventListener(
      "abort",
      () => {
        if (this.live.get(key) === call) this.live.delete(key);
        if (this.bySession.get(sessionKey) === call) this.bySession.delete(sessionKey);
        this.keep(key, call);
      },
      { once: true },
    );
  }

  /** A call of the tenant, live or ended. Throws CALL_NOT_FOUND. */
  get(tenant: string, callId: string): Call | EndedCall {
    const key = keyOf(tenant, callId);
    const call = this.live.get(key) ?? this.ended.get(key)?.call;
    if (!call) throw callNotFound(callId);
    return call;
  }

  /** A live call of the tenant. */
  find(tenant: string, callId: string): Call | undefined {
    return this.live.get(keyOf(tenant, callId));
  }

  /** The live call of a provider's session. */
  ofSession(connector: string, sessionId: string): Call | undefined {
    return this.bySession.get(`${connector}\n${sessionId}`);
  }

  /** All live calls. */
  all(): Iterable<Call> {
    return this.live.values();
  }

  /** The calls of a tenant that `matches` wants, newest first. Named ones are looked up, not searched for. */
  snapshots(
    tenant: string,
    callIds: readonly string[],
    matches: (call: Call | EndedCall) => boolean,
  ): CallSnapshot[] {
    const found: CallSnapshot[] = [];
    for (const call of callIds.length > 0 ? this.named(tenant, callIds) : this.everything()) {
      if (call.facts.tenant === tenant && matches(call)) found.push(call.snapshot());
    }
    return found.sort(
      (a, b) => b.createTime.getTime() - a.createTime.getTime() || (a.callId < b.callId ? 1 : -1),
    );
  }

  private *named(tenant: string, callIds: readonly string[]): Iterable<Call | EndedCall> {
    for (const callId of new Set(callIds)) {
      const key = keyOf(tenant, callId);
      const call = this.live.get(key) ?? this.ended.get(key)?.call;
      if (call) yield call;
    }
  }

  private *everything(): Iterable<Call | EndedCall> {
    yield* this.live.values();
    for (const { call } of this.ended.values()) yield call;
  }

  /** Forgets everything. */
  close(): void {
    this.sweep?.cancel();
    this.live.clear();
    this.ended.clear();
    this.whole.clear();
    this.bySession.clear();
  }

  private keep(key: string, call: Call): void {
    this.forget(key);
    const endedMs = this.clock.nowMs();
    const kept: Kept = { call, endedMs, untilMs: endedMs + this.keepEndedMs };
    this.ended.set(key, kept);
    this.whole.set(kept, call);
    if (this.ended.size > this.maxEnded) {
      const oldest = this.ended.keys().next().value;
      if (oldest !== undefined) this.forget(oldest);
    }
    this.sweepLater();
  }

  private forget(key: string): void {
    const kept = this.ended.get(key);
    if (!kept) return;
    this.ended.delete(key);
    this.whole.delete(kept);
  }

  private sweepLater(): void {
    if (this.sweep || this.ended.size === 0) return;
    const delayMs = this.whole.size > 0 ? KEPT_WHOLE_MS : 30_000;
    this.sweep = this.clock.after(Math.min(this.keepEndedMs, delayMs), () => {
      this.sweep = undefined;
      const now = this.clock.nowMs();
      for (const [key, entry] of this.ended) {
        if (entry.untilMs > now) break;
        this.forget(key);
      }
      this.shrink(now);
      this.sweepLater();
    });
  }

  /** Of calls that ended a while ago only what remains is kept. */
  private shrink(nowMs: number): void {
    for (const [kept, call] of this.whole) {
      if (kept.endedMs + KEPT_WHOLE_MS > nowMs) break;
      const remains = call.remains();
      if (!remains) continue;
      kept.call = remains;
      this.whole.delete(kept);
    }
  }
}

function keyOf(tenant: string, callId: string): string {
  return `${tenant}\n${callId}`;
}
