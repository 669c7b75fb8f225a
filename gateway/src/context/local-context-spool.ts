import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Database, RootDatabase } from "lmdb";
import { type FolderLock, lockFolder } from "../util/folder-lock.js";
import { openLmdb } from "../util/open-lmdb.js";
import {
  type ContextSpool,
  decodeRecord,
  encodeRecord,
  type SpoolEntry,
  type SpoolRecord,
  spoolKey,
} from "./context-spool.js";
import { ContextSpoolFull } from "./context-store.js";

type Stored = [revision: number, text: string];

/** A spool in the gateway's own folder. What is written is on the disk (fsync) before it is answered. */
class LocalContextSpool implements ContextSpool {
  readonly kind = "local";
  readonly durability = "LOCAL_DISK";
  readonly entries = new Map<string, SpoolEntry>();
  bytes = 0;
  private listener: () => void = () => {};
  private closed = false;

  constructor(
    private readonly root: RootDatabase,
    private readonly records: Database<Stored, string[]>,
    private readonly lock: FolderLock,
    readonly maxBytes: number,
    onError: (error: unknown) => void,
  ) {
    const found: SpoolEntry[] = [];
    for (const { key, value } of records.getRange()) {
      try {
        found.push(entryOf(decodeRecord(value[1]), value[0], value[1]));
      } catch (error) {
        // It stays in the file: a newer gateway may read it.
        onError(new Error(`a waiting context of call ${key[1]} cannot be read`, { cause: error }));
      }
    }
    found.sort((a, b) => a.record.spooledMs - b.record.spooledMs);
    for (const entry of found) this.keep(entry);
  }

  get available(): boolean {
    return !this.closed;
  }

  get(tenant: string, callId: string): SpoolEntry | undefined {
    return this.entries.get(spoolKey(tenant, callId));
  }

  async fetch(tenant: string, callId: string): Promise<SpoolEntry | undefined> {
    return this.get(tenant, callId);
  }

  async put(record: SpoolRecord, before: SpoolEntry | undefined): Promise<SpoolEntry | undefined> {
    const { tenant, callId } = record.context;
    const text = encodeRecord(record);
    const entry = entryOf(record, (before?.revision ?? 0) + 1, text);
    if (this.bytes - (before?.bytes ?? 0) + entry.bytes > this.maxBytes)
      throw new ContextSpoolFull("the local spool is full");
    const written = await this.write(() => {
      const stored = this.records.get([tenant, callId]);
      if ((stored?.[0] ?? 0) !== (before?.revision ?? 0)) return false;
      this.records.put([tenant, callId], [entry.revision, text]);
      return true;
    });
    if (!written) return undefined;
    this.keep(entry);
    this.listener();
    return entry;
  }

  async remove(entry: SpoolEntry): Promise<boolean> {
    const { tenant, callId } = entry.record.context;
    const removed = await this.write(() => {
      if (this.records.get([tenant, callId])?.[0] !== entry.revision) return false;
      this.records.remove([tenant, callId]);
      return true;
    });
    if (!removed) return false;
    this.entries.delete(spoolKey(tenant, callId));
    this.bytes -= entry.bytes;
    this.listener();
    return true;
  }

  onChange(listener: () => void): void {
    this.listener = listener;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.root.close();
    await this.lock.release();
  }

  private async write(change: () => boolean): Promise<boolean> {
    try {
      return await this.root.transaction(change);
    } catch (error) {
      // The disk is full, or does not take it for another reason.
      throw new ContextSpoolFull("the local spool cannot be written", { cause: error });
    }
  }

  private keep(entry: SpoolEntry): void {
    const key = spoolKey(entry.record.context.tenant, entry.record.context.callId);
    this.bytes += entry.bytes - (this.entries.get(key)?.bytes ?? 0);
    this.entries.set(key, entry);
  }
}

function entryOf(record: SpoolRecord, revision: number, text: string): SpoolEntry {
  return { record, revision, bytes: Buffer.byteLength(text) };
}

/**
 * Opens (or makes) the spool in the folder `context-spool` of the gateway's state folder, with what waits there.
 * `maxBytes`: beyond it writes are refused with ContextSpoolFull. Rejects when the folder cannot be written, or when
 * another process has it open.
 */
export async function openLocalContextSpool(
  stateDir: string,
  maxBytes: number,
  onError: (error: unknown) => void,
): Promise<ContextSpool> {
  const path = join(stateDir, "context-spool");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(path);
  const root = openLmdb(path, 1);
  return new LocalContextSpool(root, root.openDB({ name: "contexts" }), lock, maxBytes, onError);
}
