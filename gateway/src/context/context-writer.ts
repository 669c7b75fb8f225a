import type { CallSnapshot } from "../call/call-state.js";
import type { Clock } from "../util/clock.js";
import { notFound, notSaved, storeAway } from "./context-errors.js";
import { emptyContext } from "./context-rules.js";
import {
  type ContextStore,
  ContextStoreAway,
  UNKNOWN_VERSION,
  type VersionedContext,
} from "./context-store.js";
import type { CallContext, WrittenContext } from "./context-types.js";
import { KeyedQueue } from "./keyed-queue.js";

/** What a writer needs to know. */
export interface ContextWriterOptions {
  /** Days that a context is kept after its last write. */
  readonly retentionDays: number;
  /** Country of numbers that are written without one; empty: none. */
  readonly defaultCountryCode: string;
  /** A live call, so that a first write gets the call's facts. */
  readonly callOf: (tenant: string, callId: string) => CallSnapshot | undefined;
  readonly clock: Clock;
}

const DAY_MS = 86_400_000;
const MAX_ATTEMPTS = 8;

/** Changes contexts of any store: one change after the other per call, by compare and set. */
export class ContextWriter {
  private readonly writes = new KeyedQueue();

  /** `announce`: told of every context that was written. */
  constructor(
    private readonly store: ContextStore,
    private readonly options: ContextWriterOptions,
    private readonly announce: (context: CallContext) => void,
  ) {}

  /** Runs `step` while nothing else writes the context of the call here. */
  alone<T>(tenant: string, callId: string, step: () => Promise<T>): Promise<T> {
    return this.writes.run(`${tenant}\0${callId}`, step);
  }

  /** Resolves when nothing is being written. */
  idle(): Promise<void> {
    return this.writes.idle();
  }

  /** Undefined also for what has expired and was not removed yet. */
  unexpired<T extends { readonly context: CallContext }>(found: T | undefined): T | undefined {
    return found && found.context.expireTime.getTime() > this.options.clock.wallNow().getTime()
      ? found
      : undefined;
  }

  /**
   * Reads, changes and writes a context, one change after the other per call. `change` answers the same object when
   * there is nothing to write. Missing contexts: "create" makes one, "live" does for a live call only.
   */
  change(
    tenant: string,
    callId: string,
    missing: "create" | "live" | "existing",
    change: (context: CallContext) => CallContext,
    call?: CallSnapshot,
  ): Promise<WrittenContext> {
    return this.alone(tenant, callId, async () => {
      const quick = await this.changeRemembered(tenant, callId, change);
      if (quick) return quick;
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const stored = await this.readForWrite(tenant, callId);
        const known = stored !== "unknown";
        const live = known ? this.unexpired(stored) : undefined;
        const now = this.options.clock.wallNow();
        const facts = live ? undefined : (call ?? this.options.callOf(tenant, callId));
        if (!live && (missing === "existing" || (missing === "live" && !facts)))
          throw known ? notFound({ callId }) : storeAway({ callId });
        const before =
          live?.context ?? emptyContext(tenant, callId, now, this.options.defaultCountryCode, facts);
        const changed = change(before);
        if (changed === before && live) return { context: before, durability: live.durability };
        const base = known
          ? stored
          : { context: before, version: UNKNOWN_VERSION, durability: "LOCAL_DISK" as const };
        const written = await this.write(changed, base, now);
        if (written) return written;
      }
      throw notSaved(callId, new Error("another process writes all the time"));
    });
  }

  /**
   * Writes on what the store remembers, without reading. Undefined when that is outdated or nothing is remembered, and when
   * nothing would be written or the change is refused: that is for a state that was read to say.
   */
  private async changeRemembered(
    tenant: string,
    callId: string,
    change: (context: CallContext) => CallContext,
  ): Promise<WrittenContext | undefined> {
    const remembered = this.unexpired(this.store.recall?.(tenant, callId));
    if (!remembered) return undefined;
    let changed: CallContext;
    try {
      changed = change(remembered.context);
    } catch {
      return undefined;
    }
    if (changed === remembered.context) return undefined;
    return this.write(changed, remembered, this.options.clock.wallNow());
  }

  /** Undefined when something else was there. */
  private async write(
    changed: CallContext,
    base: VersionedContext | undefined,
    now: Date,
  ): Promise<WrittenContext | undefined> {
    const context: CallContext = {
      ...changed,
      // A first write counts, also one of turns alone.
      revision: Math.max(1, changed.revision),
      updateTime: now,
      expireTime: new Date(now.getTime() + this.options.retentionDays * DAY_MS),
    };
    const durability = await this.attempt(context.callId, () => this.store.put(context, base));
    if (!durability) return undefined;
    this.announce(context);
    return { context, durability };
  }

  private async readForWrite(tenant: string, callId: string) {
    try {
      return await this.store.get(tenant, callId);
    } catch (error) {
      if (error instanceof ContextStoreAway) return "unknown";
      throw notSaved(callId, error);
    }
  }

  private async attempt<T>(callId: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw notSaved(callId, error);
    }
  }
}
