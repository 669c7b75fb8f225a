import { CallError, invalidField } from "../call/call-error.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { CallContexts, ContextPatch, ContextStatus, ContextWrite } from "../call/context-port.js";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import {
  addTurns,
  applyMask,
  applySave,
  type ContextLimits,
  cleanInput,
  cleanNote,
  cleanTurn,
  cutTo,
  emptyContext,
  headerOf,
  limitReached,
  requireCallId,
  requireNumber,
} from "./context-rules.js";
import type { ContextPlace, ContextStore } from "./context-store.js";
import type {
  CallContext,
  ContextInput,
  ContextService,
  MaskField,
  Turn,
  WrittenContext,
} from "./context-types.js";
import { ContextWatchers } from "./context-watchers.js";
import { KeyedQueue } from "./keyed-queue.js";
import { decodePlace, encodePlace } from "./place-token.js";

/** Options of the contexts. */
export interface ContextServiceOptions {
  /** Days that a context is kept after its last write. Default 30. */
  readonly retentionDays?: number;
  /** How often expired contexts are removed, in ms. Default 10 minutes. */
  readonly sweepIntervalMs?: number;
  /** Turns of one context at most; beyond it LIMIT_REACHED. Default 5,000. */
  readonly maxTurns?: number;
  /** UTF-8 bytes of the words of one context at most; beyond it LIMIT_REACHED. Default 4 MiB. */
  readonly maxTurnBytes?: number;
  /** Notes of one context at most; beyond it LIMIT_REACHED. Default 200. */
  readonly maxNotes?: number;
  /** Calls with an unread state per watcher at most; beyond it the longest waiting is dropped. Default 10,000. */
  readonly maxWaitingPerWatcher?: number;
  /** Country of numbers that are written without one ("1", "49"). Default none. */
  readonly defaultCountryCode?: string;
  /** A live call, so that a first write by an agent gets the call's facts. Default none. */
  readonly callOf?: (tenant: string, callId: string) => CallSnapshot | undefined;
  /** Told when removing expired contexts fails. */
  readonly onError?: (error: unknown) => void;
  readonly clock?: Clock;
}

const DAY_MS = 86_400_000;
const FIND_BYTES = 32_768;
const SWEEP_BATCH = 500;
const MAX_ATTEMPTS = 8;

/** The rules of contexts over any store: who may write what, in which form, for how long. */
export class StoredContextService implements ContextService, CallContexts {
  private readonly options: Required<ContextServiceOptions>;
  private readonly limits: ContextLimits;
  private readonly watchers: ContextWatchers;
  private readonly writes = new KeyedQueue();
  private timer: Timer | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly store: ContextStore,
    options: ContextServiceOptions = {},
  ) {
    this.options = {
      retentionDays: 30,
      sweepIntervalMs: 600_000,
      maxTurns: 5000,
      maxTurnBytes: 4 * 2 ** 20,
      maxNotes: 200,
      maxWaitingPerWatcher: 10_000,
      defaultCountryCode: "",
      callOf: () => undefined,
      onError: () => {},
      clock: systemClock,
      ...options,
    };
    this.limits = this.options;
    this.watchers = new ContextWatchers(this.options.maxWaitingPerWatcher);
    this.planSweep();
  }

  async save(tenant: string, input: ContextInput): Promise<WrittenContext> {
    const clean = cleanInput(input, this.options.defaultCountryCode);
    if ((clean.turns?.length ?? 0) > this.limits.maxTurns)
      throw limitReached("max_turns", this.limits.maxTurns);
    return this.change(tenant, clean.callId, "create", (context) =>
      grown(applySave(context, clean, this.limits)),
    );
  }

  async update(
    tenant: string,
    input: ContextInput,
    mask: readonly MaskField[],
    revision: number,
    addNote: string,
    author: string,
  ): Promise<WrittenContext> {
    if (mask.length === 0 && addNote === "")
      throw invalidField("update_mask", "at least one field unless a note is added");
    const clean = cleanInput(input, this.options.defaultCountryCode);
    const note = addNote === "" ? undefined : cleanNote(addNote);
    return this.change(tenant, clean.callId, "existing", (context) => {
      if (revision !== 0 && revision !== context.revision) {
        throw new CallError("REVISION_CONFLICT", "the context changed since it was read", {
          call_id: clean.callId,
          revision: String(revision),
          current_revision: String(context.revision),
        });
      }
      const next = applyMask(context, clean, mask);
      if (note === undefined) return grown(next);
      if (next.notes.length >= this.limits.maxNotes) throw limitReached("max_notes", this.limits.maxNotes);
      const time = this.options.clock.wallNow();
      return grown({ ...next, notes: [...next.notes, { time, author, text: note }] });
    });
  }

  async appendTurns(tenant: string, callId: string, turns: readonly Turn[]) {
    requireCallId(callId);
    if (turns.length < 1 || turns.length > 100) throw invalidField("turns", "1 to 100 turns", turns.length);
    const clean = turns.map(cleanTurn);
    const { context, durability } = await this.change(tenant, callId, "live", (before) =>
      addTurns(before, clean, this.limits),
    );
    return { turnCount: context.turnCount, durability };
  }

  async get(tenant: string, key: { callId: string } | { sessionId: string }): Promise<CallContext> {
    const found = this.unexpired(
      "callId" in key
        ? await this.store.get(tenant, key.callId)
        : await this.store.getBySession(tenant, key.sessionId),
    );
    if (!found) throw notFound(key);
    return found.context;
  }

  async head(tenant: string, callId: string, maxBytes: number): Promise<CallContext | undefined> {
    const found = this.unexpired(await this.store.get(tenant, callId));
    return found && cutTo(found.context, maxBytes);
  }

  async find(
    tenant: string,
    number: { caller: string } | { callee: string },
    withinMs: number,
    pageSize: number,
  ): Promise<CallContext[]> {
    const [field, raw] = "caller" in number ? ["caller", number.caller] : ["callee", number.callee];
    const canonical = this.number(field as string, raw as string);
    const limit = pageOf(pageSize, 10, 100);
    if (withinMs < 0) throw invalidField("within", "not negative", withinMs);
    const nowMs = this.options.clock.wallNow().getTime();
    const found = await this.store.query({
      tenant,
      [field as "caller" | "callee"]: canonical,
      statuses: [],
      sinceMs: nowMs - (withinMs || DAY_MS),
      limit,
    });
    return found
      .filter((context) => context.expireTime.getTime() > nowMs)
      .map((context) => cutTo(context, FIND_BYTES));
  }

  async list(
    tenant: string,
    filter: { statuses: readonly ContextStatus[]; caller: string },
    pageSize: number,
    pageToken: string,
  ): Promise<{ contexts: CallContext[]; nextPageToken: string }> {
    const limit = pageOf(pageSize, 100, 1000);
    const caller = filter.caller === "" ? "" : this.number("caller", filter.caller);
    const scope = JSON.stringify([tenant, [...filter.statuses].sort(), caller]);
    const after: ContextPlace | undefined = pageToken === "" ? undefined : decodePlace(pageToken, scope);
    const found = await this.store.query({
      tenant,
      ...(caller !== "" && { caller }),
      statuses: filter.statuses,
      sinceMs: 0,
      ...(after && { after }),
      limit: limit + 1,
    });
    const page = found.slice(0, limit);
    const last = page.at(-1);
    const nextPageToken =
      found.length > limit && last
        ? encodePlace({ createTimeMs: last.createTime.getTime(), callId: last.callId }, scope)
        : "";
    const nowMs = this.options.clock.wallNow().getTime();
    return {
      contexts: page.filter((context) => context.expireTime.getTime() > nowMs).map(headerOf),
      nextPageToken,
    };
  }

  /** As the port says; a slow reader gets the newest state of each call, not every step to it. */
  watch(tenant: string, callId: string, signal: AbortSignal): AsyncIterable<CallContext> {
    return this.watchers.watch(tenant, callId, signal);
  }

  async delete(tenant: string, target: { callId: string } | { caller: string }): Promise<number> {
    if ("callId" in target) return this.removeOne(tenant, requireCallId(target.callId));
    const caller = this.number("caller", target.caller);
    let deleted = 0;
    for (;;) {
      const found = await this.store.query({ tenant, caller, statuses: [], sinceMs: 0, limit: 100 });
      if (found.length === 0) return deleted;
      for (const context of found) deleted += await this.removeOne(tenant, context.callId);
    }
  }

  async merge(call: CallSnapshot, patch: ContextPatch): Promise<ContextWrite> {
    const clean = cleanInput({ ...patch, callId: call.callId }, this.options.defaultCountryCode);
    const { context, durability } = await this.change(
      call.tenant,
      call.callId,
      "create",
      (before) => grown(applySave(before, clean, this.limits)),
      call,
    );
    return { revision: context.revision, turnCount: context.turnCount, durability };
  }

  async callEnded(call: CallSnapshot): Promise<ContextWrite | undefined> {
    const { tenant, callId } = call;
    const found = this.unexpired(await this.store.get(tenant, callId));
    if (!found || !isOpen(found.context)) return undefined;
    const { context, durability } = await this.change(tenant, callId, "existing", (before) => {
      if (!isOpen(before)) return before;
      return grown({ ...before, status: before.status === "ESCALATING" ? "ABANDONED" : "ENDED" });
    });
    return { revision: context.revision, turnCount: context.turnCount, durability };
  }

  /** Removes expired contexts now. Also runs by itself every `sweepIntervalMs`. */
  sweep(): Promise<void> {
    this.sweeping = this.sweeping.then(async () => {
      try {
        while (!this.closed) {
          const nowMs = this.options.clock.wallNow().getTime();
          if ((await this.store.removeExpired(nowMs, SWEEP_BATCH)) < SWEEP_BATCH) return;
        }
      } catch (error) {
        this.options.onError(error);
      }
    });
    return this.sweeping;
  }

  /** Waits for what is being written, ends all watchers, closes the store. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.watchers.close();
    await this.writes.idle();
    await this.sweeping;
    await this.store.close();
  }

  private number(field: string, raw: string): string {
    const number = requireNumber(field, raw, this.options.defaultCountryCode);
    if (number === "") throw invalidField(field, "a phone number");
    return number;
  }

  private unexpired<T extends { readonly context: CallContext }>(found: T | undefined): T | undefined {
    return found && found.context.expireTime.getTime() > this.options.clock.wallNow().getTime()
      ? found
      : undefined;
  }

  /**
   * Reads, changes and writes a context, one change after the other per call. `change` answers the same object when
   * there is nothing to write. Missing contexts: "create" makes one, "live" does for a live call only.
   */
  private change(
    tenant: string,
    callId: string,
    missing: "create" | "live" | "existing",
    change: (context: CallContext) => CallContext,
    call?: CallSnapshot,
  ): Promise<WrittenContext> {
    return this.writes.run(`${tenant}\0${callId}`, async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const stored = await this.attempt(callId, () => this.store.get(tenant, callId));
        const live = this.unexpired(stored);
        const now = this.options.clock.wallNow();
        const facts = live ? undefined : (call ?? this.options.callOf(tenant, callId));
        if (!live && (missing === "existing" || (missing === "live" && !facts))) throw notFound({ callId });
        const before =
          live?.context ?? emptyContext(tenant, callId, now, this.options.defaultCountryCode, facts);
        const changed = change(before);
        const { durability } = this.store;
        if (changed === before && live) return { context: before, durability };
        const context: CallContext = {
          ...changed,
          // A first write counts, also one of turns alone.
          revision: Math.max(1, changed.revision),
          updateTime: now,
          expireTime: new Date(now.getTime() + this.options.retentionDays * DAY_MS),
        };
        if (await this.attempt(callId, () => this.store.put(context, stored?.version ?? 0))) {
          this.watchers.publish(context);
          return { context, durability };
        }
      }
      throw notSaved(callId, new Error("another process writes all the time"));
    });
  }

  private async attempt<T>(callId: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw notSaved(callId, error);
    }
  }

  private async removeOne(tenant: string, callId: string): Promise<number> {
    return this.writes.run(`${tenant}\0${callId}`, async () =>
      (await this.attempt(callId, () => this.store.remove(tenant, callId))) ? 1 : 0,
    );
  }

  private planSweep(): void {
    this.timer = this.options.clock.after(this.options.sweepIntervalMs, () => {
      void this.sweep();
      this.planSweep();
    });
  }
}

function grown(context: CallContext): CallContext {
  return { ...context, revision: context.revision + 1 };
}

function isOpen(context: CallContext): boolean {
  return context.status === "ACTIVE" || context.status === "ESCALATING";
}

function pageOf(size: number, standard: number, max: number): number {
  if (size === 0) return standard;
  if (!Number.isInteger(size) || size < 1 || size > max)
    throw invalidField("page_size", `1 to ${max}, or 0 for ${standard}`, size);
  return size;
}

function notFound(key: { callId: string } | { sessionId: string }): CallError {
  const metadata: Record<string, string> =
    "callId" in key ? { call_id: key.callId } : { session_id: key.sessionId };
  return new CallError("CONTEXT_NOT_FOUND", "there is no such context", metadata);
}

function notSaved(callId: string, cause: unknown): CallError {
  return new CallError(
    "CONTEXT_NOT_SAVED",
    "the context could not be written",
    { call_id: callId },
    { cause },
  );
}
