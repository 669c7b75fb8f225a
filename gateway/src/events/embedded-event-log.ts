import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Database, RootDatabase } from "lmdb";
import { type FolderLock, lockFolder } from "../util/folder-lock.js";
import { type LmdbRestOptions, RestingLmdb } from "../util/resting-lmdb.js";
import type { EventRecord, EventStorage } from "./event-storage.js";
import { type EventLogOptions, StoredEventLog } from "./stored-event-log.js";

/** Records removed in one transaction at most. */
const PRUNE_BATCH = 1000;

type StoredRecord = [tenant: string, callId: string, callSequence: number, timeMs: number, text: string];
type CallKey = [tenant: string, callId: string, callSequence: number];

interface Tables {
  readonly events: Database<StoredRecord, number>;
  readonly calls: Database<number, CallKey>;
  readonly meta: Database<string | number, string>;
}

/** Keeps events in LMDB: by store sequence, with an index per call. */
class LmdbEventStorage implements EventStorage {
  readonly storeId: string;
  lastSequence: number;
  prunedTo: number;
  private bytes: number;

  constructor(
    private readonly file: RestingLmdb<Tables>,
    private readonly lock: FolderLock,
  ) {
    const { events, meta } = file.tables;
    let storeId = meta.get("store_id");
    if (typeof storeId !== "string") {
      storeId = randomBytes(8).toString("hex");
      meta.putSync("store_id", storeId);
    }
    this.storeId = storeId;
    this.prunedTo = Number(meta.get("pruned_to") ?? 0);
    this.bytes = Number(meta.get("bytes") ?? 0);
    const [last] = events.getKeys({ reverse: true, limit: 1 });
    this.lastSequence = Math.max(this.prunedTo, last ?? 0);
  }

  async write(records: readonly EventRecord[]): Promise<void> {
    await this.changeBytes(sizeOf(records), () => {
      const { events, calls } = this.file.tables;
      for (const { sequence, tenant, callId, callSequence, timeMs, text } of records) {
        events.put(sequence, [tenant, callId, callSequence, timeMs, text]);
        calls.put([tenant, callId, callSequence], sequence);
      }
    });
    this.lastSequence = records.at(-1)?.sequence ?? this.lastSequence;
  }

  read(after: number, upTo: number, limit: number): EventRecord[] {
    const range = this.file.tables.events.getRange({ start: after + 1, end: upTo + 1, limit });
    return Array.from(range, ({ key, value }) => record(key, value));
  }

  ofCall(tenant: string, callId: string, afterCallSequence: number): EventRecord[] {
    const { events, calls } = this.file.tables;
    const range = calls.getRange({
      start: [tenant, callId, afterCallSequence + 1],
      end: [tenant, callId, Number.MAX_SAFE_INTEGER],
    });
    const records: EventRecord[] = [];
    for (const { value: sequence } of range) {
      const value = events.get(sequence);
      if (value) records.push(record(sequence, value));
    }
    return records;
  }

  async prune(beforeMs: number, maxBytes: number): Promise<number> {
    let bytes = this.bytes;
    const gone: EventRecord[] = [];
    for (const { key, value } of this.file.tables.events.getRange({ limit: PRUNE_BATCH })) {
      const next = record(key, value);
      if (next.timeMs >= beforeMs && bytes <= maxBytes) break;
      bytes -= Buffer.byteLength(next.text);
      gone.push(next);
    }
    const last = gone.at(-1);
    if (!last) return 0;
    await this.changeBytes(-sizeOf(gone), () => {
      this.removeRecords(gone);
      this.file.tables.meta.put("pruned_to", last.sequence);
    });
    this.prunedTo = last.sequence;
    return gone.length;
  }

  async remove(tenant: string, callId: string): Promise<number> {
    const gone = this.ofCall(tenant, callId, 0);
    if (gone.length > 0) await this.changeBytes(-sizeOf(gone), () => this.removeRecords(gone));
    return gone.length;
  }

  private removeRecords(records: readonly EventRecord[]): void {
    const { events, calls } = this.file.tables;
    for (const { sequence, tenant, callId, callSequence } of records) {
      events.remove(sequence);
      calls.remove([tenant, callId, callSequence]);
    }
  }

  async close(): Promise<void> {
    await this.file.close();
    await this.lock.release();
  }

  /** Runs a transaction that adds so many bytes of events. Writing and pruning may overlap in time. */
  private async changeBytes(delta: number, change: () => void): Promise<void> {
    let counted = false;
    try {
      await this.file.transaction(() => {
        this.bytes += delta;
        counted = true;
        change();
        this.file.tables.meta.put("bytes", this.bytes);
      });
    } catch (error) {
      if (counted) this.bytes -= delta;
      throw error;
    }
  }
}

function sizeOf(records: readonly EventRecord[]): number {
  return records.reduce((sum, r) => sum + Buffer.byteLength(r.text), 0);
}

function record(sequence: number, value: StoredRecord): EventRecord {
  const [tenant, callId, callSequence, timeMs, text] = value;
  return { sequence, tenant, callId, callSequence, timeMs, text };
}

/**
 * Opens (or makes) the event log in the folder `events` of the gateway's state folder. Rejects when the folder
 * cannot be written, or when another process has it open.
 */
export async function openEmbeddedEventLog(
  stateDir: string,
  options: EventLogOptions & LmdbRestOptions = {},
): Promise<StoredEventLog> {
  const path = join(stateDir, "events");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(path);
  let storage: LmdbEventStorage | undefined;
  const tablesOf = (root: RootDatabase): Tables => {
    const meta = root.openDB<string | number, string>({ name: "meta" });
    if (storage && meta.get("store_id") !== storage.storeId)
      throw new Error("the event log in the state folder was replaced by another");
    return { events: root.openDB({ name: "events" }), calls: root.openDB({ name: "calls" }), meta };
  };
  storage = new LmdbEventStorage(new RestingLmdb(path, 3, tablesOf, options), lock);
  return new StoredEventLog(storage, options);
}
