import { CallError, invalidField } from "../call/call-error.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { CallContexts, ContextPatch, ContextStatus, ContextWrite } from "../call/context-port.js";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import { Redactor } from "../util/redact.js";
import { type ContextKey, notFound, storeAway } from "./context-errors.js";
import {
  addTurns,
  applyMask,
  applySave,
  type ContextLimits,
  cleanInput,
  cleanNote,
  cleanTurn,
  cutTo,
  headerOf,
  limitReached,
  requireCallId,
  requireNumber,
} from "./context-rules.js";
import {
  type ContextPlace,
  type ContextStore,
  ContextStoreAway,
  type VersionedContext,
} from "./context-store.js";
import type {
  CallContext,
  ContextInput,
  ContextService,
  FoundContexts,
  MaskField,
  Turn,
  WrittenContext,
} from "./context-types.js";
import { ContextWatchers } from "./context-watchers.js";
import { ContextWriter } from "./context-writer.js";
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
  /** Takes out of all words what must not be kept. Default: numbers of cards and accounts, e-mail addresses. */
  readonly redactor?: Redactor;
  /** A live call, so that a first write by an agent gets the call's facts. Default none. */
  readonly callOf?: (tenant: string, callId: string) => CallSnapshot | undefined;
  /**
   * Removes what else is kept of a caller (E.164) whose contexts are deleted; the deletion waits for it and fails with it
   * (CONTEXT_STORE_AWAY), so that whoever asked asks again. Default: nothing else.
   */
  readonly eraseCaller?: (tenant: string, caller: string) => Promise<unknown>;
  /** Told of every context that was written here, also by merging two writes; for watchers at other gateways. */
  readonly onWritten?: (context: CallContext) => void;
  /** Ends of calls that wait for the store to come back, at most; beyond it the oldest is dropped and told to onError. Default 10,000. */
  readonly maxWaitingEnds?: number;
  /** How often those are tried again, in ms. Default 5,000. */
  readonly endRetryIntervalMs?: number;
  /** Told when removing expired contexts fails. */
  readonly onError?: (error: unknown) => void;
  readonly clock?: Clock;
}

const DAY_MS = 86_400_000;
const FIND_BYTES = 32_768;
const SWEEP_BATCH = 500;

/** The rules of contexts over any store: who may write what, in which form, for how long. */
export class StoredContextService implements ContextService, CallContexts {
  private readonly options: Required<ContextServiceOptions>;
  private readonly limits: ContextLimits;
  private readonly watchers: ContextWatchers;
  private readonly writer: ContextWriter;
  /** Ended calls whose context could not be asked for. */
  private readonly ends = new Map<string, CallSnapshot>();
  private timer: Timer | undefined;
  private endTimer: Timer | undefined;
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
      redactor: new Redactor(),
      callOf: () => undefined,
      eraseCaller: async () => {},
      onWritten: () => {},
      maxWaitingEnds: 10_000,
      endRetryIntervalMs: 5_000,
      onError: () => {},
      clock: systemClock,
      ...options,
    };
    this.limits = this.options;
    this.writer = new ContextWriter(store, this.options, (context) => this.announce(context));
    this.watchers = new ContextWatchers(this.options.maxWaitingPerWatcher);
    store.onMerged?.((context) => this.announce(context));
    this.planSweep();
  }

  async save(tenant: string, input: ContextInput): Promise<WrittenContext> {
    const clean = this.clean(input);
    if ((clean.turns?.length ?? 0) > this.limits.maxTurns)
      throw limitReached("max_turns", this.limits.maxTurns);
    return this.writer.change(tenant, clean.callId, "create", (context) =>
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
    const clean = this.clean(input);
    const note = addNote === "" ? undefined : cleanNote(addNote, this.options.redactor);
    return this.writer.change(tenant, clean.callId, "existing", (context) => {
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
    const clean = turns.map((turn) => cleanTurn(turn, this.options.redactor));
    const { context, durability } = await this.writer.change(tenant, callId, "live", (before) =>
      addTurns(before, clean, this.limits),
    );
    return { turnCount: context.turnCount, durability };
  }

  async get(tenant: string, key: { callId: string } | { sessionId: string }): Promise<CallContext> {
    const found = this.writer.unexpired(
      await this.ask(
        () =>
          "callId" in key
            ? this.store.get(tenant, key.callId)
            : this.store.getBySession(tenant, key.sessionId),
        key,
      ),
    );
    if (!found) throw notFound(key);
    return found.context;
  }

  async head(tenant: string, callId: string, maxBytes: number): Promise<CallContext | undefined> {
    // An offer goes out without a context rather than not at all.
    const stored = await this.store.get(tenant, callId).catch((error: unknown) => {
      if (error instanceof ContextStoreAway) return undefined;
      throw error;
    });
    const found = this.writer.unexpired(stored);
    return found && cutTo(found.context, maxBytes);
  }

  async find(
    tenant: string,
    number: { caller: string } | { callee: string },
    withinMs: number,
    pageSize: number,
  ): Promise<FoundContexts> {
    const [field, raw] = "caller" in number ? ["caller", number.caller] : ["callee", number.callee];
    const canonical = this.number(field as string, raw as string);
    const limit = pageOf(pageSize, 10, 100);
    if (withinMs < 0) throw invalidField("within", "not negative", withinMs);
    const nowMs = this.options.clock.wallNow().getTime();
    const { contexts, partial } = await this.ask(() =>
      this.store.query({
        tenant,
        [field as "caller" | "callee"]: canonical,
        statuses: [],
        sinceMs: nowMs - (withinMs || DAY_MS),
        limit,
      }),
    );
    const live = contexts.filter((context) => context.expireTime.getTime() > nowMs);
    return { contexts: live.map((context) => cutTo(context, FIND_BYTES)), partial };
  }

  async list(
    tenant: string,
    filter: { statuses: readonly ContextStatus[]; caller: string },
    pageSize: number,
    pageToken: string,
  ): Promise<FoundContexts & { readonly nextPageToken: string }> {
    const limit = pageOf(pageSize, 100, 1000);
    const caller = filter.caller === "" ? "" : this.number("caller", filter.caller);
    const scope = JSON.stringify([tenant, [...filter.statuses].sort(), caller]);
    const after: ContextPlace | undefined = pageToken === "" ? undefined : decodePlace(pageToken, scope);
    const { contexts: found, partial } = await this.ask(() =>
      this.store.query({
        tenant,
        ...(caller !== "" && { caller }),
        statuses: filter.statuses,
        sinceMs: 0,
        ...(after && { after }),
        limit: limit + 1,
        headersOnly: true,
      }),
    );
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
      partial,
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
      const query = { tenant, caller, statuses: [], sinceMs: 0, limit: 100, headersOnly: true };
      const { contexts, partial } = await this.ask(() => this.store.query(query));
      // What cannot be seen cannot be erased: the caller has to ask again.
      if (partial) throw storeAway();
      if (contexts.length === 0) break;
      for (const context of contexts) deleted += await this.removeOne(tenant, context.callId);
    }
    await this.options.eraseCaller(tenant, caller).catch((error: unknown) => {
      throw storeAway(undefined, error);
    });
    return deleted;
  }

  async merge(call: CallSnapshot, patch: ContextPatch): Promise<ContextWrite> {
    const clean = this.clean({ ...patch, callId: call.callId });
    const { context, durability } = await this.writer.change(
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
    let stored: VersionedContext | undefined;
    try {
      stored = await this.store.get(tenant, callId);
    } catch (error) {
      if (!(error instanceof ContextStoreAway)) throw error;
      this.endLater(call);
      return undefined;
    }
    const found = this.writer.unexpired(stored);
    if (!found || !isOpen(found.context)) return undefined;
    const { context, durability } = await this.writer.change(tenant, callId, "existing", (before) => {
      if (!isOpen(before)) return before;
      return grown({ ...before, status: before.status === "ESCALATING" ? "ABANDONED" : "ENDED" });
    });
    return { revision: context.revision, turnCount: context.turnCount, durability };
  }

  /** A context was written at another gateway: watchers here are told. Without turns is enough. */
  writtenElsewhere(context: CallContext): void {
    this.watchers.publish(context);
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
    this.endTimer?.cancel();
    this.watchers.close();
    await this.writer.idle();
    await this.sweeping;
    await this.store.close();
  }

  private clean(input: ContextInput): ContextInput {
    return cleanInput(input, this.options.defaultCountryCode, this.options.redactor);
  }

  private number(field: string, raw: string): string {
    const number = requireNumber(field, raw, this.options.defaultCountryCode);
    if (number === "") throw invalidField(field, "a phone number");
    return number;
  }

  private announce(context: CallContext): void {
    this.watchers.publish(context);
    this.options.onWritten(context);
  }

  /** Reads; the store being away is an error of its own, not a context that is not there. */
  private async ask<T>(read: () => Promise<T>, key?: ContextKey): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof ContextStoreAway) throw storeAway(key, error);
      throw error;
    }
  }

  private endLater(call: CallSnapshot): void {
    this.ends.set(`${call.tenant}\0${call.callId}`, call);
    if (this.ends.size > this.options.maxWaitingEnds) {
      this.ends.delete(this.ends.keys().next().value as string);
      this.options.onError(
        new Error("too many ended calls wait for the context store: the oldest stays open"),
      );
    }
    if (this.endTimer || this.closed) return;
    this.endTimer = this.options.clock.after(this.options.endRetryIntervalMs, () => {
      this.endTimer = undefined;
      void this.retryEnds();
    });
  }

  private async retryEnds(): Promise<void> {
    const waiting = [...this.ends.values()];
    this.ends.clear();
    for (const [place, call] of waiting.entries()) {
      try {
        await this.callEnded(call);
      } catch (error) {
        this.options.onError(error);
      }
      if (this.ends.size === 0) continue;
      // Still away: the others wait with it.
      for (const other of waiting.slice(place + 1)) this.endLater(other);
      return;
    }
  }

  private async removeOne(tenant: string, callId: string): Promise<number> {
    return this.writer.alone(tenant, callId, async () =>
      (await this.ask(() => this.store.remove(tenant, callId), { callId })) ? 1 : 0,
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
