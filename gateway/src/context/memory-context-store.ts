import { decodeContext, encodeContext } from "./context-codec.js";
import type { ContextQuery, ContextStore, QueriedContexts, VersionedContext } from "./context-store.js";
import type { CallContext } from "./context-types.js";

interface MemoryRecord {
  readonly text: string;
  readonly version: number;
}

/** Contexts in memory, encoded as on disk. For tests. */
export class MemoryContextStore implements ContextStore {
  private readonly records = new Map<string, MemoryRecord>();
  private readonly known = new WeakMap<CallContext, MemoryRecord>();
  /** When set, everything fails with it. */
  failure: Error | undefined;
  /** Called before a put compares: what another process could do in between. */
  beforePut: () => void = () => {};
  /** Called after a put is done and before it is answered: where a connection may be lost. */
  afterPut: () => void = () => {};

  async get(tenant: string, callId: string): Promise<VersionedContext | undefined> {
    await this.step();
    const record = this.records.get(key(tenant, callId));
    if (!record) return undefined;
    const context = decodeContext(record.text);
    this.known.set(context, record);
    return { context, version: record.version, durability: "STORE" };
  }

  versionOf(context: CallContext): VersionedContext | undefined {
    const record = this.known.get(context);
    return record && { context, version: record.version, durability: "STORE" };
  }

  async getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined> {
    const found = (await this.all()).find((c) => c.tenant === tenant && c.sessionId === sessionId);
    return found && this.get(tenant, found.callId);
  }

  async put(context: CallContext, before: VersionedContext | undefined) {
    await this.step();
    this.beforePut();
    const expected = before?.version ?? 0;
    const at = key(context.tenant, context.callId);
    const there = this.records.get(at);
    if ((there?.version ?? 0) !== expected) return undefined;
    const known = before && this.known.get(before.context);
    if (known && known.text !== there?.text) return undefined;
    const record = { text: encodeContext(context), version: expected + 1 };
    this.records.set(at, record);
    this.known.set(context, record);
    this.afterPut();
    return "STORE" as const;
  }

  async remove(tenant: string, callId: string): Promise<boolean> {
    await this.step();
    return this.records.delete(key(tenant, callId));
  }

  async query(query: ContextQuery): Promise<QueriedContexts> {
    const { tenant, caller, callee, statuses, sinceMs, after, limit } = query;
    const contexts = (await this.all())
      .filter(
        (c) =>
          c.tenant === tenant &&
          (caller === undefined || c.caller === caller) &&
          (callee === undefined || c.callee === callee) &&
          (statuses.length === 0 || statuses.includes(c.status)) &&
          c.createTime.getTime() >= sinceMs,
      )
      .map((c) => ({ c, createTimeMs: c.createTime.getTime(), callId: c.callId }))
      .filter((place) => !after || newerFirst(after, place) < 0)
      .sort(newerFirst)
      .slice(0, limit)
      .map(({ c }) => c);
    return { contexts, partial: false };
  }

  async removeExpired(nowMs: number, limit: number): Promise<number> {
    const expired = (await this.all()).filter((c) => c.expireTime.getTime() <= nowMs).slice(0, limit);
    for (const { tenant, callId } of expired) this.records.delete(key(tenant, callId));
    return expired.length;
  }

  async close(): Promise<void> {}

  private async all(): Promise<CallContext[]> {
    await this.step();
    return [...this.records.values()].map((record) => decodeContext(record.text));
  }

  private async step(): Promise<void> {
    await Promise.resolve();
    if (this.failure) throw this.failure;
  }
}

interface Place {
  readonly createTimeMs: number;
  readonly callId: string;
}

function newerFirst(a: Place, b: Place): number {
  return b.createTimeMs - a.createTimeMs || (a.callId < b.callId ? 1 : a.callId > b.callId ? -1 : 0);
}

function key(tenant: string, callId: string): string {
  return `${tenant}\0${callId}`;
}
