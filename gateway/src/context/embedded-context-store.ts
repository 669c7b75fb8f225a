import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Database, Key, RootDatabase } from "lmdb";
import { type FolderLock, lockFolder } from "../util/folder-lock.js";
import { type LmdbRestOptions, RestingLmdb } from "../util/resting-lmdb.js";
import { decodeContext, encodeContext } from "./context-codec.js";
import type { ContextQuery, ContextStore, QueriedContexts, VersionedContext } from "./context-store.js";
import type { CallContext } from "./context-types.js";

type ContextKey = [tenant: string, callId: string];
type StoredContext = [version: number, text: string];
/** Kinds of index entries: session, all by time, caller by time, callee by time, expiry. */
type IndexKey = [kind: "s" | "t" | "r" | "e" | "x", ...rest: (string | number)[]];

/** Sorts after every call id. */
const LAST = "\u{10ffff}";

interface Tables {
  readonly contexts: Database<StoredContext, ContextKey>;
  readonly index: Database<ContextKey, Key>;
}

/** Contexts in LMDB: one record per call, and index entries that change with it in one transaction. */
class LmdbContextStore implements ContextStore {
  constructor(
    private readonly file: RestingLmdb<Tables>,
    private readonly lock: FolderLock,
  ) {}

  async get(tenant: string, callId: string): Promise<VersionedContext | undefined> {
    const stored = this.file.tables.contexts.get([tenant, callId]);
    return stored && { version: stored[0], context: decodeContext(stored[1]), durability: "STORE" };
  }

  async getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined> {
    const found = this.file.tables.index.get(["s", tenant, sessionId]);
    return found && this.get(...found);
  }

  put(context: CallContext, before: VersionedContext | undefined): Promise<"STORE" | undefined> {
    const { tenant, callId } = context;
    const expected = before?.version ?? 0;
    const text = encodeContext(context);
    return this.file.transaction(() => {
      const { contexts, index } = this.file.tables;
      const stored = contexts.get([tenant, callId]);
      if ((stored?.[0] ?? 0) !== expected) return undefined;
      const old = stored && indexKeys(decodeContext(stored[1]));
      const after = indexKeys(context);
      const kept = new Set(after.map((key) => JSON.stringify(key)));
      for (const key of old ?? []) if (!kept.has(JSON.stringify(key))) index.remove(key);
      for (const key of after) index.put(key, [tenant, callId]);
      contexts.put([tenant, callId], [expected + 1, text]);
      return "STORE" as const;
    });
  }

  remove(tenant: string, callId: string): Promise<boolean> {
    return this.file.transaction(() => this.removeNow([tenant, callId]));
  }

  async query(query: ContextQuery): Promise<QueriedContexts> {
    const { tenant, caller, callee, statuses, sinceMs, after, limit } = query;
    const prefix: IndexKey =
      caller !== undefined
        ? ["r", tenant, caller]
        : callee !== undefined
          ? ["e", tenant, callee]
          : ["t", tenant];
    const start = after ? [after.createTimeMs, after.callId] : [Number.MAX_SAFE_INTEGER, LAST];
    const { contexts, index } = this.file.tables;
    const range = index.getRange({
      start: [...prefix, ...start],
      end: [...prefix, sinceMs - 1, LAST],
      reverse: true,
    });
    const found: CallContext[] = [];
    for (const { value: key } of range) {
      if (after && key[1] === after.callId) continue;
      const stored = contexts.get(key);
      const context = stored && decodeContext(stored[1]);
      if (!context || (statuses.length > 0 && !statuses.includes(context.status))) continue;
      if (found.push(context) === limit) break;
    }
    return { contexts: found, partial: false };
  }

  removeExpired(nowMs: number, limit: number): Promise<number> {
    return this.file.transaction(() => {
      const range = this.file.tables.index.getRange({ start: ["x", 0], end: ["x", nowMs, LAST], limit });
      const keys = Array.from(range, ({ value }) => value);
      for (const key of keys) this.removeNow(key);
      return keys.length;
    });
  }

  async close(): Promise<void> {
    await this.file.close();
    await this.lock.release();
  }

  /** Inside a transaction. */
  private removeNow(key: ContextKey): boolean {
    const { contexts, index } = this.file.tables;
    const stored = contexts.get(key);
    if (!stored) return false;
    for (const entry of indexKeys(decodeContext(stored[1]))) index.remove(entry);
    contexts.remove(key);
    return true;
  }
}

function indexKeys(context: CallContext): IndexKey[] {
  const { tenant, callId, sessionId, caller, callee } = context;
  const created = context.createTime.getTime();
  const keys: IndexKey[] = [
    ["t", tenant, created, callId],
    ["x", context.expireTime.getTime(), tenant, callId],
  ];
  if (sessionId !== "") keys.push(["s", tenant, sessionId]);
  if (caller !== "") keys.push(["r", tenant, caller, created, callId]);
  if (callee !== "") keys.push(["e", tenant, callee, created, callId]);
  return keys;
}

/**
 * Opens (or makes) the contexts in the folder `contexts` of the gateway's state folder. Rejects when the folder cannot
 * be written, or when another process has it open.
 */
export async function openEmbeddedContextStore(
  stateDir: string,
  rest: LmdbRestOptions = {},
): Promise<ContextStore> {
  const path = join(stateDir, "contexts");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(path);
  const tablesOf = (root: RootDatabase): Tables => ({
    contexts: root.openDB({ name: "contexts" }),
    index: root.openDB({ name: "index" }),
  });
  return new LmdbContextStore(new RestingLmdb(path, 2, tablesOf, rest), lock);
}
