import type { ContextDurability } from "../call/call-commands.js";
import type { ContextStatus } from "../call/context-port.js";
import type { CallContext } from "./context-types.js";

/** A context as the store has it. */
export interface VersionedContext {
  readonly context: CallContext;
  /** Changes with every write to the store, from 1; for compare and set. */
  readonly version: number;
}

/** A place in the order newest first: create time, then call id. */
export interface ContextPlace {
  readonly createTimeMs: number;
  readonly callId: string;
}

/** Which contexts, newest first. */
export interface ContextQuery {
  readonly tenant: string;
  /** At most one of both. */
  readonly caller?: string;
  readonly callee?: string;
  /** Empty: all. */
  readonly statuses: readonly ContextStatus[];
  /** Not created before. */
  readonly sinceMs: number;
  /** Only what comes after this place in the order. */
  readonly after?: ContextPlace;
  readonly limit: number;
}

/** A database of contexts. It knows no rules. Rejects with whatever error it has when it is away. */
export interface ContextStore {
  /** What a resolved `put` means. */
  readonly durability: ContextDurability;
  get(tenant: string, callId: string): Promise<VersionedContext | undefined>;
  getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined>;
  /**
   * Writes the context as version `expected` + 1 if the store still has version `expected` (0: none); answers whether
   * it did. Resolves when it is safe.
   */
  put(context: CallContext, expected: number): Promise<boolean>;
  /** Answers whether there was one. */
  remove(tenant: string, callId: string): Promise<boolean>;
  query(query: ContextQuery): Promise<CallContext[]>;
  /** Removes at most `limit` contexts that expired before the time; answers how many. */
  removeExpired(nowMs: number, limit: number): Promise<number>;
  close(): Promise<void>;
}
