import type { ContextDurability } from "../call/call-commands.js";
import type { Timer } from "../util/clock.js";
import { descended, knownBase, type MergeBase, unknownBase } from "./context-merge.js";
import { matches, newerFirst, overlay } from "./context-query.js";
import { promoteEntry, replayEntry } from "./context-replay.js";
import {
  type ContextSpool,
  SpoolAway,
  type SpoolEntry,
  type SpoolRecord,
  spoolKey,
} from "./context-spool.js";
import {
  type ContextQuery,
  ContextSpoolFull,
  type ContextStore,
  ContextStoreAway,
  ContextStoreRefused,
  type QueriedContexts,
  UNKNOWN_VERSION,
  type VersionedContext,
} from "./context-store.js";
import type { CallContext } from "./context-types.js";
import {
  type FailoverOptions,
  type FailoverStats,
  type SpoolState,
  withDefaults,
} from "./failover-options.js";
import { KeyedQueue } from "./keyed-queue.js";
import { RecentContexts } from "./recent-contexts.js";
import { SpoolAlarm } from "./spool-alarm.js";

/** A spool that is filled less is not called full any more. */
const ROOM_BELOW = 0.8;

/** What was found, and where. */
interface Found extends VersionedContext {
  readonly from: "database" | "memory" | ContextSpool;
  /** As the database gave it. */
  readonly stored?: VersionedContext;
  /** As it waits. */
  readonly entry?: SpoolEntry;
}

/** A place for one waiting context. */
interface Waiting {
  readonly spool: ContextSpool;
  readonly entry: SpoolEntry;
}

/**
 * A database of contexts that may be away. What cannot be written waits in the first spool that takes it, is read from
 * there, and is written to the database, merged with what others wrote meanwhile, as soon as that answers. While it is
 * away nobody waits for it: it is asked in the background.
 */
export class FailoverContextStore implements ContextStore {
  private readonly options: Required<FailoverOptions>;
  private readonly recent: RecentContexts;
  private readonly locks = new KeyedQueue();
  private readonly alarms = new Map<ContextSpool, SpoolAlarm>();
  private readonly full = new Set<ContextSpool>();
  /** Contexts that the database refused, until when they are left alone. */
  private readonly refusedUntil = new Map<string, number>();
  private readonly counts = { spooled: 0, replayed: 0, merged: 0, conflicts: 0 };
  private away = false;
  private awayKind: ContextStoreAway["kind"] | undefined;
  private closed = false;
  private timer: Timer | undefined;
  private dueMs = Number.POSITIVE_INFINITY;
  private rounds: Promise<void> = Promise.resolve();
  private merged: (context: CallContext) => void = () => {};

  /** `spools`: the best first. They and the database are closed with this store. */
  constructor(
    private readonly database: ContextStore,
    private readonly spools: readonly ContextSpool[],
    options: FailoverOptions = {},
  ) {
    this.options = withDefaults(options);
    const { recentCount: maxCount, recentBytes: maxBytes, recentMs: maxAgeMs } = this.options;
    this.recent = new RecentContexts({ maxCount, maxBytes, maxAgeMs }, this.options.clock);
    for (const spool of spools) {
      this.alarms.set(spool, new SpoolAlarm(this.options.logger));
      spool.onChange(() => this.spoolChanged(spool));
    }
    database.onMerged?.((context) => this.merged(context));
  }

  /** Asks the database for the first time, so that what follows does not have to wait for one that is away. */
  async start(): Promise<void> {
    await this.probe();
    this.plan(0);
  }

  onMerged(listener: (context: CallContext) => void): void {
    this.merged = listener;
  }

  stats(): FailoverStats {
    const spools = this.spools.map((spool) => this.stateOf(spool));
    return {
      away: this.away,
      spools,
      ...this.counts,
      refused: this.refusedUntil.size,
      recent: this.recent.size,
    };
  }

  async get(tenant: string, callId: string): Promise<VersionedContext | undefined> {
    const waiting = this.waitingFor(tenant, callId);
    if (waiting) return this.fromSpool(waiting);
    if (!this.away) {
      const stored = await this.tryDatabase(() => this.database.get(tenant, callId));
      const since = this.waitingFor(tenant, callId);
      if (since) return this.fromSpool(since);
      if (stored !== "away") return this.fromDatabase(stored);
    }
    return this.withoutDatabase(tenant, callId);
  }

  /** Nothing while the database is away, or while something waits for it: then it is asked who knows. */
  recall(tenant: string, callId: string): VersionedContext | undefined {
    if (this.away || this.waitingFor(tenant, callId)) return undefined;
    const context = this.recent.get(tenant, callId);
    const stored = context && this.database.versionOf?.(context);
    if (!stored) return undefined;
    const found: Found = { ...stored, from: "database", stored };
    return found;
  }

  async getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined> {
    for (const spool of [...this.spools].reverse())
      for (const { record } of spool.entries.values()) {
        const { context } = record;
        if (context.tenant === tenant && context.sessionId === sessionId)
          return this.get(tenant, context.callId);
      }
    if (!this.away) {
      const stored = await this.tryDatabase(() => this.database.getBySession(tenant, sessionId));
      if (stored === undefined) return undefined;
      if (stored !== "away") {
        const waiting = this.waitingFor(tenant, stored.context.callId);
        return waiting ? this.fromSpool(waiting) : this.fromDatabase(stored);
      }
    }
    for (const context of this.recent.of(tenant))
      if (context.sessionId === sessionId) return this.withoutDatabase(tenant, context.callId);
    throw this.awayError();
  }

  put(context: CallContext, before: VersionedContext | undefined): Promise<ContextDurability | undefined> {
    const { tenant, callId } = context;
    return this.locks.run(spoolKey(tenant, callId), async () => {
      const waiting = this.waitingFor(tenant, callId);
      const found = before as Found | undefined;
      if (waiting) {
        const isSame = found?.from === waiting.spool && found.version === waiting.entry.revision;
        if (!isSame) return undefined;
        const { record } = waiting.entry;
        return this.spool({ ...record, context: descended(context, record.context) }, waiting);
      }
      const isUnknown = before?.version === UNKNOWN_VERSION;
      // What this stands on was replayed meanwhile.
      if (found?.entry) return undefined;
      if (!this.away) {
        // The database is back: what is there now has to be read first.
        if (isUnknown || found?.from === "memory") return undefined;
        const done = await this.tryDatabase(() => this.database.put(context, found?.stored));
        if (done !== "away") {
          if (done) this.recent.keep(context);
          return done;
        }
      }
      const base: MergeBase = !before
        ? { kind: "none" }
        : isUnknown
          ? unknownBase(before.context)
          : knownBase(before.context);
      const spooledMs = this.options.clock.wallNow().getTime();
      return this.spool({ context, base, spooledMs }, undefined);
    });
  }

  remove(tenant: string, callId: string): Promise<boolean> {
    return this.locks.run(spoolKey(tenant, callId), async () => {
      // What cannot be removed everywhere is not removed at all, and the caller is told to ask again.
      if (this.away) throw this.awayError();
      let removed = false;
      for (const spool of this.spools)
        for (let entry = spool.get(tenant, callId); entry; entry = spool.get(tenant, callId)) {
          try {
            removed = (await spool.remove(entry)) || removed;
          } catch (error) {
            throw error instanceof SpoolAway ? this.awayError() : error;
          }
        }
      const done = await this.tryDatabase(() => this.database.remove(tenant, callId));
      if (done === "away") throw this.awayError();
      this.recent.forget(tenant, callId);
      return done || removed;
    });
  }

  async query(query: ContextQuery): Promise<QueriedContexts> {
    const waiting = this.waitingOf(query.tenant);
    if (!this.away) {
      const found = await this.tryDatabase(() => overlay(query, waiting, (q) => this.database.query(q)));
      if (found !== "away") return found;
    }
    const known = new Map([...this.recent.of(query.tenant)].map((context) => [context.callId, context]));
    for (const [callId, context] of this.waitingOf(query.tenant)) known.set(callId, context);
    const contexts = [...known.values()].filter((context) => matches(query, context));
    return { contexts: contexts.sort(newerFirst).slice(0, query.limit), partial: true };
  }

  async removeExpired(nowMs: number, limit: number): Promise<number> {
    if (this.away) return 0;
    const removed = await this.tryDatabase(() => this.database.removeExpired(nowMs, limit));
    return removed === "away" ? 0 : removed;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    await this.rounds;
    await this.locks.idle();
    for (const spool of this.spools) await spool.close();
    await this.database.close();
  }

  /** What waits for the call: the most local is the newest, since it stands on the others. */
  private waitingFor(tenant: string, callId: string): Waiting | undefined {
    for (let i = this.spools.length - 1; i >= 0; i--) {
      const spool = this.spools[i] as ContextSpool;
      const entry = spool.get(tenant, callId);
      if (entry) return { spool, entry };
    }
    return undefined;
  }

  /** By call id. */
  private waitingOf(tenant: string): Map<string, CallContext> {
    const waiting = new Map<string, CallContext>();
    for (const spool of this.spools)
      for (const { record } of spool.entries.values())
        if (record.context.tenant === tenant) waiting.set(record.context.callId, record.context);
    return waiting;
  }

  private fromDatabase(stored: VersionedContext | undefined): Found | undefined {
    if (!stored) return undefined;
    this.recent.keep(stored.context);
    return { ...stored, from: "database", stored };
  }

  /** Remembered too: what waited is what the database has once it was replayed, by whomever. */
  private fromSpool({ spool, entry }: Waiting): Found {
    const { context } = entry.record;
    this.recent.keep(context);
    return { context, version: entry.revision, durability: spool.durability, from: spool, entry };
  }

  /** What another gateway spooled a moment ago, or what is remembered. */
  private async withoutDatabase(tenant: string, callId: string): Promise<Found> {
    for (const spool of this.spools) {
      if (!spool.available) continue;
      const entry = await spool.fetch(tenant, callId).catch((error: unknown) => {
        if (error instanceof SpoolAway) return undefined;
        throw error;
      });
      if (entry) return this.fromSpool({ spool, entry });
    }
    const context = this.recent.get(tenant, callId);
    if (!context) throw this.awayError();
    return { context, version: 0, durability: "STORE", from: "memory" };
  }

  /** Writes to the first spool that takes it. What waits locally already stays there. */
  private async spool(
    record: SpoolRecord,
    before: Waiting | undefined,
  ): Promise<ContextDurability | undefined> {
    let full: ContextSpoolFull | undefined;
    const first = before ? this.spools.indexOf(before.spool) : 0;
    for (const spool of this.spools.slice(first)) {
      if (!spool.available) continue;
      try {
        const entry = await spool.put(record, before?.spool === spool ? before.entry : undefined);
        if (!entry) return undefined;
        if (this.full.delete(spool)) this.report(spool);
        this.counts.spooled++;
        this.recent.keep(record.context);
        this.plan(this.options.retryIntervalMs);
        return spool.durability;
      } catch (error) {
        if (error instanceof ContextSpoolFull) {
          full = error;
          this.full.add(spool);
          this.report(spool);
        } else if (!(error instanceof SpoolAway)) throw error;
      }
    }
    throw full ?? this.awayError();
  }

  /** Asks the database; that it is away is an answer. */
  private async tryDatabase<T>(ask: () => Promise<T>): Promise<T | "away"> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ContextStoreAway)) throw error;
      this.goneAway(error);
      return "away";
    }
  }

  private goneAway(error: ContextStoreAway): void {
    if (this.closed) return;
    if (!this.away || this.awayKind !== error.kind) {
      const log = this.options.logger;
      if (error.kind === "credentials")
        log.error({ err: error.message }, "the database of contexts refuses us");
      else log.warn({ err: error.message }, "the database of contexts is away: contexts are spooled");
    }
    this.awayKind = error.kind;
    this.setAway(true);
    this.plan(this.options.retryIntervalMs);
  }

  private setAway(away: boolean): void {
    if (this.away === away) return;
    this.away = away;
    if (!away) {
      this.awayKind = undefined;
      this.options.logger.info({}, "the database of contexts is back");
    }
    for (const spool of this.spools) this.report(spool);
  }

  private awayError(): ContextStoreAway {
    return new ContextStoreAway(undefined, this.awayKind ?? "away");
  }

  private spoolChanged(spool: ContextSpool): void {
    if (this.closed) return;
    if (spool.bytes < spool.maxBytes * ROOM_BELOW) this.full.delete(spool);
    this.report(spool);
    if (spool.entries.size > 0) this.plan(this.options.replayJitterMs * this.options.random());
  }

  private report(spool: ContextSpool): void {
    const state = this.stateOf(spool);
    this.alarms.get(spool)?.see(state);
    this.options.onSpool(state);
  }

  private stateOf(spool: ContextSpool): SpoolState {
    const [oldest] = spool.entries.values();
    const nowMs = this.options.clock.wallNow().getTime();
    return {
      store: spool.kind,
      depth: spool.entries.size,
      bytes: spool.bytes,
      maxBytes: spool.maxBytes,
      full: this.full.has(spool),
      oldestMs: oldest ? Math.max(0, nowMs - oldest.record.spooledMs) : 0,
      away: this.away,
      available: spool.available,
    };
  }

  /** Sees to it that a round begins within `delayMs`. */
  private plan(delayMs: number): void {
    if (this.closed) return;
    const { clock } = this.options;
    // A database that is away is not asked more often because something changes.
    const delay = this.away ? Math.max(delayMs, this.options.retryIntervalMs) : delayMs;
    const dueMs = clock.nowMs() + delay;
    if (dueMs >= this.dueMs) return;
    this.timer?.cancel();
    this.dueMs = dueMs;
    this.timer = clock.after(delay, () => {
      this.dueMs = Number.POSITIVE_INFINITY;
      this.rounds = this.rounds.then(() => this.round());
    });
  }

  /** Asks whether the database is back, brings it what waits, or what waits locally to where others can read it. */
  private async round(): Promise<void> {
    try {
      if (this.away) await this.probe();
      if (!this.away) await this.replayAll();
      if (this.away) await this.promoteAll();
    } catch (error) {
      this.options.logger.error({ err: String(error) }, "replaying contexts failed");
    }
    if (this.away || this.spools.some((spool) => spool.entries.size > 0))
      this.plan(this.options.retryIntervalMs);
  }

  /** By what waits if something does: a database that can be read and not written is away. */
  private async probe(): Promise<void> {
    const [first] = this.waitingInOrder();
    try {
      if (!first || !(await this.replay(first))) await this.database.get("", "");
      this.setAway(false);
    } catch (error) {
      if (error instanceof ContextStoreAway) this.goneAway(error);
      else throw error;
    }
  }

  private async replayAll(): Promise<void> {
    for (const waiting of this.waitingInOrder()) {
      if (this.closed) return;
      try {
        await this.replay(waiting);
      } catch (error) {
        if (!(error instanceof ContextStoreAway)) throw error;
        this.goneAway(error);
        return;
      }
    }
  }

  private waitingInOrder(): Waiting[] {
    const nowMs = this.options.clock.nowMs();
    return this.spools
      .filter((spool) => spool.available)
      .flatMap((spool) => [...spool.entries.values()].map((entry) => ({ spool, entry })))
      .filter(({ entry }) => (this.refusedUntil.get(keyOf(entry)) ?? nowMs) <= nowMs)
      .sort((a, b) => a.entry.record.spooledMs - b.entry.record.spooledMs);
  }

  /** Answers whether the database was asked. */
  private replay({ spool, entry }: Waiting): Promise<boolean> {
    const { tenant, callId } = entry.record.context;
    return this.locks.run(keyOf(entry), async () => {
      if (spool.get(tenant, callId)?.revision !== entry.revision) return false;
      const { clock, logger, refusedRetryMs } = this.options;
      try {
        const { did, context, conflicts } = await replayEntry(entry, spool, this.database, clock.wallNow());
        this.refusedUntil.delete(keyOf(entry));
        if (!context) return true;
        this.recent.keep(context);
        this.counts.replayed++;
        if (did !== "merged") return true;
        this.counts.merged++;
        this.counts.conflicts += conflicts;
        logger.warn({ call_id: callId, conflicts }, "a context was written elsewhere too: both were merged");
        this.merged(context);
      } catch (error) {
        if (!(error instanceof ContextStoreRefused)) throw error;
        if (!this.refusedUntil.has(keyOf(entry)))
          logger.error(
            { call_id: callId, err: error.message },
            "the database refuses a waiting context: it stays in the spool",
          );
        this.refusedUntil.set(keyOf(entry), clock.nowMs() + refusedRetryMs);
      }
      return true;
    });
  }

  /** Moves what waits in a later spool to an earlier one that is back. */
  private async promoteAll(): Promise<void> {
    for (const [place, from] of this.spools.entries())
      for (const to of this.spools.slice(0, place))
        for (const entry of [...from.entries.values()]) {
          if (this.closed || !to.available) break;
          if (!(await this.promote(entry, from, to))) break;
        }
  }

  /** Answers false when the other spool takes no more. */
  private promote(entry: SpoolEntry, from: ContextSpool, to: ContextSpool): Promise<boolean> {
    const { tenant, callId } = entry.record.context;
    return this.locks.run(keyOf(entry), async () => {
      if (from.get(tenant, callId)?.revision !== entry.revision) return true;
      try {
        const merged = await promoteEntry(entry, from, to, this.options.clock.wallNow());
        if (merged) this.merged(merged);
        return true;
      } catch (error) {
        if (error instanceof ContextSpoolFull) return false;
        // Only this one, or nothing more either.
        if (error instanceof SpoolAway) return to.available;
        throw error;
      }
    });
  }
}

function keyOf({ record }: SpoolEntry): string {
  return spoolKey(record.context.tenant, record.context.callId);
}
