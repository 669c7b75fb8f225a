import type { ContextDurability } from "../call/call-commands.js";
import type { ContextStatus } from "../call/context-port.js";
import type { CallContext } from "./context-types.js";

/** A context as the store has it. Given back to `put` as it was answered, it says on what a write stands. */
export interface VersionedContext {
  readonly context: CallContext;
  /** Changes with every write to the store, from 1; for compare and set. */
  readonly version: number;
  /** Where this state is safe. */
  readonly durability: ContextDurability;
}

/** The version of a context of which the store could not say whether there is one. */
export const UNKNOWN_VERSION = -1;

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
  /** True: turns are not needed; the store may leave them out (`truncated`). */
  readonly headersOnly?: boolean;
}

/** What a query answers. */
export interface QueriedContexts {
  readonly contexts: CallContext[];
  /** True: the database was away, there may be more. */
  readonly partial: boolean;
}

/**
 * A database of contexts. It knows no rules. Rejects with ContextStoreAway when it cannot be asked, with
 * ContextStoreRefused when it does not take a context, with ContextSpoolFull when it is away and so much waits for it
 * that no more is taken.
 */
export interface ContextStore {
  get(tenant: string, callId: string): Promise<VersionedContext | undefined>;
  getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined>;
  /**
   * Writes the context if what the store has is still `before` (undefined: nothing; UNKNOWN_VERSION: whatever is there
   * is merged with it later); answers where it is safe, or undefined when something else was there. Resolves when it is
   * safe.
   */
  put(context: CallContext, before: VersionedContext | undefined): Promise<ContextDurability | undefined>;
  /**
   * What this process last wrote or read of the call, to write on it without reading it first. It may be outdated: then `put`
   * answers undefined. Undefined when it is not remembered. Not for readers.
   */
  recall?(tenant: string, callId: string): VersionedContext | undefined;
  /** As `recall`, of a context that whoever asks has kept: what this store gave or took, the very object. */
  versionOf?(context: CallContext): VersionedContext | undefined;
  /** Answers whether there was one. */
  remove(tenant: string, callId: string): Promise<boolean>;
  query(query: ContextQuery): Promise<QueriedContexts>;
  /** Removes at most `limit` contexts that expired before the time; answers how many. */
  removeExpired(nowMs: number, limit: number): Promise<number>;
  /** Tells of contexts that the store itself changed, by merging two writes. One listener. */
  onMerged?(listener: (context: CallContext) => void): void;
  close(): Promise<void>;
}

/** The database cannot be asked now: not reachable, not answering in time, without a primary, or refusing us. */
export class ContextStoreAway extends Error {
  override readonly name = "ContextStoreAway";

  constructor(
    message = "the database of the contexts is away",
    /** credentials: it answers, and refuses user, password or rights; waiting alone does not help. */
    readonly kind: "away" | "credentials" = "away",
  ) {
    super(message);
  }
}

/** The database answers and does not take this context, and would not later: too large, not valid. */
export class ContextStoreRefused extends Error {
  override readonly name = "ContextStoreRefused";
}

/** The database is away and the spools are full. */
export class ContextSpoolFull extends Error {
  override readonly name = "ContextSpoolFull";
}
