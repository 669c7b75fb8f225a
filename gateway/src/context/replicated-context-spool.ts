import { type Bus, type BusBucket, BusError, type BusSubscription, encodeToken } from "../bus/bus.js";
import type { Clock, Timer } from "../util/clock.js";
import {
  type ContextSpool,
  decodeRecord,
  encodeRecord,
  SpoolAway,
  type SpoolEntry,
  type SpoolRecord,
  spoolKey,
} from "./context-spool.js";
import { ContextSpoolFull } from "./context-store.js";

/** The bucket of contexts that wait for the database. */
export const SPOOL_BUCKET = "callweave_contexts_spool";
/** Beside the value, a message holds a subject and headers. */
const MESSAGE_OVERHEAD = 2048;

/** What an entry takes beside its value, about. */
const ENTRY_OVERHEAD = 512;
/**
 * Room of the bucket beyond what is taken: removing an entry is a message too, and a bucket without room for it would
 * stay full for ever.
 */
const HEADROOM = { factor: 1.25, bytes: 2 ** 24 };
/** Nothing waits for so long; what is left of removed entries goes with it. */
const MAX_AGE_MS = 90 * 86_400_000;

/** Options of the replicated spool. */
export interface ReplicatedSpoolOptions {
  readonly maxBytes: number;
  /** 1, 3 or 5. */
  readonly replicas: number;
  /** How long a write may take, in ms. After one that took longer, the spool counts as away for `pauseMs`. */
  readonly timeoutMs: number;
  readonly pauseMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** A spool in a bucket of the bus, which every gateway reads. What is written is in the replicated log. */
export class ReplicatedContextSpool implements ContextSpool {
  readonly kind = "replicated";
  readonly durability = "REPLICATED_LOG";
  readonly entries = new Map<string, SpoolEntry>();
  bytes = 0;
  private readonly calls = new Map<string, { readonly key: string; readonly entry: SpoolEntry }>();
  /** Revisions at which keys were removed by us, until the bucket tells so itself. */
  private readonly removed = new Map<string, number>();
  private bucket: BusBucket | undefined;
  private watching: BusSubscription | undefined;
  private retry: Timer | undefined;
  private pausedUntilMs = Number.NEGATIVE_INFINITY;
  private listener: () => void = () => {};
  private closed = false;
  private opening = false;
  private readonly stopStatus: () => void;
  private markReady: () => void = () => {};
  /** Resolves when what waits is known for the first time. */
  readonly ready = new Promise<void>((resolve) => {
    this.markReady = resolve;
  });

  constructor(
    private readonly bus: Bus,
    private readonly options: ReplicatedSpoolOptions,
  ) {
    this.stopStatus = bus.onStatus(() => {
      this.pausedUntilMs = Number.NEGATIVE_INFINITY;
      void this.open();
      this.listener();
    });
    void this.open();
  }

  get maxBytes(): number {
    return this.options.maxBytes;
  }

  get available(): boolean {
    const paused = this.options.clock.nowMs() < this.pausedUntilMs;
    return !this.closed && this.bucket !== undefined && this.bus.connected && !paused;
  }

  get(tenant: string, callId: string): SpoolEntry | undefined {
    return this.entries.get(spoolKey(tenant, callId));
  }

  async fetch(tenant: string, callId: string): Promise<SpoolEntry | undefined> {
    const key = bucketKey(tenant, callId);
    const found = await this.ask((bucket) => bucket.get(key));
    if (found) this.see(key, found.value, found.revision);
    else this.forget(key);
    return this.calls.get(key)?.entry;
  }

  async put(record: SpoolRecord, before: SpoolEntry | undefined): Promise<SpoolEntry | undefined> {
    const { tenant, callId } = record.context;
    const key = bucketKey(tenant, callId);
    const value = Buffer.from(encodeRecord(record));
    if (value.length + MESSAGE_OVERHEAD > this.bus.maxPayloadBytes)
      throw new SpoolAway("the context is larger than a message may be");
    // The mirror knows the size of what others wrote too; the bucket has the last word.
    const bytes = value.length + ENTRY_OVERHEAD;
    if (this.bytes - (before?.bytes ?? 0) + bytes > this.options.maxBytes)
      throw new ContextSpoolFull("the replicated spool is full");
    try {
      const revision = await this.ask((bucket) =>
        before ? bucket.update(key, value, before.revision) : bucket.create(key, value),
      );
      const entry = { record, revision, bytes };
      this.keep(key, entry);
      this.listener();
      return entry;
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.fetch(tenant, callId);
      return undefined;
    }
  }

  async remove(entry: SpoolEntry): Promise<boolean> {
    const { tenant, callId } = entry.record.context;
    const key = bucketKey(tenant, callId);
    try {
      await this.ask((bucket) => bucket.delete(key, entry.revision));
    } catch (error) {
      // Without room even for that; it is tried again.
      if (error instanceof ContextSpoolFull) throw new SpoolAway("the bucket is full", { cause: error });
      if (!isConflict(error)) throw error;
      await this.fetch(tenant, callId);
      return false;
    }
    if (this.calls.get(key)?.entry.revision === entry.revision) {
      this.removed.set(key, entry.revision);
      this.forget(key);
    }
    this.listener();
    return true;
  }

  onChange(listener: () => void): void {
    this.listener = listener;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.retry?.cancel();
    this.stopStatus();
    this.watching?.stop();
  }

  private async open(): Promise<void> {
    if (this.bucket || this.opening || this.closed || !this.bus.connected) return;
    this.opening = true;
    const { maxBytes, replicas } = this.options;
    try {
      const bucket = await this.bus.bucket({
        name: SPOOL_BUCKET,
        ttlMs: MAX_AGE_MS,
        maxBytes: Math.ceil(maxBytes * HEADROOM.factor) + HEADROOM.bytes,
        replicas,
        storage: "file",
      });
      if (this.closed) return;
      this.bucket = bucket;
      this.watching = bucket.watch(
        ({ key, value, revision }) => this.told(key, value, revision),
        () => {
          this.markReady();
          this.listener();
        },
      );
      this.listener();
    } catch (error) {
      if (!(error instanceof BusError && error.kind === "away")) this.options.onError(error);
      this.retry = this.options.clock.after(this.options.pauseMs, () => void this.open());
    } finally {
      this.opening = false;
    }
  }

  /** One step at the bucket within the time. Rejects with SpoolAway, ContextSpoolFull, or a conflict as it is. */
  private async ask<T>(step: (bucket: BusBucket) => Promise<T>): Promise<T> {
    const { bucket } = this;
    if (!bucket || !this.available) throw new SpoolAway("the bus is away");
    const { clock, timeoutMs, pauseMs } = this.options;
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = clock.after(timeoutMs, () => reject(new SpoolAway("the bus does not answer")));
    });
    try {
      return await Promise.race([step(bucket), late]);
    } catch (error) {
      if (isConflict(error)) throw error;
      if (error instanceof BusError && error.kind === "full")
        throw new ContextSpoolFull("the replicated spool is full", { cause: error });
      this.pausedUntilMs = clock.nowMs() + pauseMs;
      throw error instanceof SpoolAway ? error : new SpoolAway("the bus failed", { cause: error });
    } finally {
      timer?.cancel();
    }
  }

  /** The bucket tells of a key. */
  private told(key: string, value: Uint8Array | undefined, revision: number): void {
    if (value) this.see(key, value, revision);
    else {
      if ((this.removed.get(key) ?? 0) < revision) this.removed.delete(key);
      const known = this.calls.get(key);
      if (known && known.entry.revision < revision) this.forget(key);
    }
    this.listener();
  }

  private see(key: string, value: Uint8Array, revision: number): void {
    const known = this.calls.get(key)?.entry.revision ?? this.removed.get(key) ?? 0;
    if (revision <= known) return;
    try {
      const record = decodeRecord(Buffer.from(value).toString());
      this.keep(key, { record, revision, bytes: value.length + ENTRY_OVERHEAD });
    } catch (error) {
      this.options.onError(new Error("a waiting context in the bucket cannot be read", { cause: error }));
    }
  }

  private keep(key: string, entry: SpoolEntry): void {
    const known = this.calls.get(key);
    if (known && known.entry.revision >= entry.revision) return;
    const { tenant, callId } = entry.record.context;
    const at = spoolKey(tenant, callId);
    this.bytes += entry.bytes - (known?.entry.bytes ?? 0);
    this.removed.delete(key);
    this.calls.set(key, { key: at, entry });
    this.entries.set(at, entry);
  }

  private forget(key: string): void {
    const known = this.calls.get(key);
    if (!known) return;
    this.calls.delete(key);
    this.entries.delete(known.key);
    this.bytes -= known.entry.bytes;
  }
}

function bucketKey(tenant: string, callId: string): string {
  return `${encodeToken(tenant)}.${encodeToken(callId)}`;
}

function isConflict(error: unknown): boolean {
  return error instanceof BusError && error.kind === "conflict";
}
