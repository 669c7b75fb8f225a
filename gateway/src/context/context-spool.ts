import type { ContextDurability } from "../call/call-commands.js";
import { isObject, parseTagged, stringifyTagged } from "../util/tagged-json.js";
import type { MergeBase } from "./context-merge.js";
import type { CallContext } from "./context-types.js";

/** A whole context that waits for the database. */
export interface SpoolRecord {
  readonly context: CallContext;
  readonly base: MergeBase;
  /** Unix time in ms of the first write since the call's context was last in the database. */
  readonly spooledMs: number;
}

/** A record in a spool. */
export interface SpoolEntry {
  readonly record: SpoolRecord;
  /** For compare and set. */
  readonly revision: number;
  /** Bytes that it takes. */
  readonly bytes: number;
}

/** Contexts that wait for the database: at most one state per call, all of them also in memory. */
export interface ContextSpool {
  readonly kind: "replicated" | "local";
  /** What a resolved `put` means. */
  readonly durability: ContextDurability;
  /** False: a write would fail. What is known is still readable. */
  readonly available: boolean;
  readonly bytes: number;
  readonly maxBytes: number;
  /** What is known to wait, oldest first. */
  readonly entries: ReadonlyMap<string, SpoolEntry>;
  /** What waits for the call, as known. */
  get(tenant: string, callId: string): SpoolEntry | undefined;
  /** The same, asked anew. Rejects with SpoolAway. */
  fetch(tenant: string, callId: string): Promise<SpoolEntry | undefined>;
  /**
   * Writes if `before` is still what waits (undefined: nothing); answers undefined otherwise. Rejects with
   * ContextSpoolFull or SpoolAway.
   */
  put(record: SpoolRecord, before: SpoolEntry | undefined): Promise<SpoolEntry | undefined>;
  /** Removes if the entry is still what waits; answers whether it did. Rejects with SpoolAway. */
  remove(entry: SpoolEntry): Promise<boolean>;
  /** Told after every change of what waits, and of `available`. One listener. */
  onChange(listener: () => void): void;
  close(): Promise<void>;
}

/** A spool cannot be written now, or not with this record. */
export class SpoolAway extends Error {
  override readonly name = "SpoolAway";
}

/** The key of a call in maps. */
export function spoolKey(tenant: string, callId: string): string {
  return `${tenant}\0${callId}`;
}

/** Grows only when an old reader would misread. */
const RECORD_VERSION = 1;

/** The stored form of a record: JSON of one line. */
export function encodeRecord(record: SpoolRecord): string {
  return stringifyTagged({ v: RECORD_VERSION, ...record });
}

/** A record from its stored form. Throws when it is none, or of a newer version. */
export function decodeRecord(text: string): SpoolRecord {
  const value = parseTagged(text);
  if (!isObject(value) || typeof value.v !== "number" || !isObject(value.context) || !isObject(value.base))
    throw new Error("not a waiting context");
  if (value.v > RECORD_VERSION)
    throw new Error(`waiting context of version ${value.v}, newer than this gateway`);
  return {
    context: value.context as unknown as CallContext,
    base: value.base as unknown as MergeBase,
    spooledMs: Number(value.spooledMs),
  };
}
