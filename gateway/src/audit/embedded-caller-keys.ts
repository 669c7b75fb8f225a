import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open as openFile } from "node:fs/promises";
import { join } from "node:path";
import type { Database, RootDatabase } from "lmdb";
import { type FolderLock, lockFolder } from "../util/folder-lock.js";
import { openLmdb } from "../util/open-lmdb.js";
import { CALLER_KEY_BYTES, type CallerKeyStore, dayOf, type SharedSalt } from "./caller-keys.js";

/** Where the key stands in the file, and the day of its last use. */
type Row = [slot: number, day: number];

const SALT = "salt";
const NEXT = "next";
const DESTROYED = Buffer.alloc(CALLER_KEY_BYTES);

/**
 * Keys of callers in the state folder: where they stand in LMDB, the keys themselves in a file of equal places. A
 * database keeps freed pages as they were; in the file a destroyed key is written over.
 */
class LmdbCallerKeys implements CallerKeyStore {
  /** One change after the other. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly root: RootDatabase,
    private readonly lock: FolderLock,
    private readonly file: FileHandle,
    private readonly rows: Database<Row, string>,
    private readonly days: Database<boolean, [day: number, id: string]>,
    /** Places that may be used again. */
    private readonly free: Database<boolean, number>,
    private readonly notes: Database<string | number, string>,
  ) {}

  shared(made: SharedSalt): Promise<SharedSalt> {
    return this.root.transaction(() => {
      const known = this.notes.get(SALT);
      if (typeof known === "string") {
        const [salt = "", check = ""] = known.split(" ");
        return { salt: Buffer.from(salt, "hex"), check };
      }
      this.notes.put(SALT, `${made.salt.toString("hex")} ${made.check}`);
      return made;
    });
  }

  async find(id: string): Promise<Buffer | undefined> {
    const row = this.rows.get(id);
    return row && this.keyAt(row[0]);
  }

  ensure(ids: readonly string[], nowMs: number): Promise<ReadonlyMap<string, Buffer>> {
    return this.inTurn(async () => {
      const day = dayOf(nowMs);
      const keys = new Map<string, Buffer>();
      const fresh: { readonly id: string; readonly row: Row | undefined }[] = [];
      for (const id of ids) {
        const row = this.rows.get(id);
        const key = row && (await this.keyAt(row[0]));
        if (key) keys.set(id, key);
        if (!key || row[1] < day) fresh.push({ id, row });
      }
      if (fresh.length === 0) return keys;
      const slots = await this.takeSlots(fresh.filter(({ row }) => !row).length);
      const rows = fresh.map(({ id, row }) => ({ id, row, slot: row?.[0] ?? slots.shift() ?? 0 }));
      // The keys first: a place that nobody points to is lost, a key that is not there would be worse.
      for (const { id, slot } of rows) {
        if (keys.has(id)) continue;
        const key = randomBytes(CALLER_KEY_BYTES);
        await this.file.write(key, 0, CALLER_KEY_BYTES, slot * CALLER_KEY_BYTES);
        keys.set(id, key);
      }
      await this.file.datasync();
      await this.root.transaction(() => {
        for (const { id, row, slot } of rows) {
          if (row) this.days.remove([row[1], id]);
          this.days.put([day, id], true);
          this.rows.put(id, [slot, day]);
        }
      });
      return keys;
    });
  }

  destroy(id: string): Promise<Buffer | undefined> {
    return this.inTurn(() => this.destroyNow(id));
  }

  removeUnused(sinceMs: number, limit: number): Promise<number> {
    return this.inTurn(async () => {
      const range = this.days.getKeys({ start: [0, ""], end: [dayOf(sinceMs), ""], limit });
      const old = Array.from(range, ([, id]) => id);
      for (const id of old) await this.destroyNow(id);
      return old.length;
    });
  }

  async close(): Promise<void> {
    await this.inTurn(async () => {});
    await this.file.close();
    await this.root.close();
    await this.lock.release();
  }

  private async destroyNow(id: string): Promise<Buffer | undefined> {
    const row = this.rows.get(id);
    if (!row) return undefined;
    const [slot, day] = row;
    const key = await this.keyAt(slot);
    await this.file.write(DESTROYED, 0, CALLER_KEY_BYTES, slot * CALLER_KEY_BYTES);
    await this.file.datasync();
    await this.root.transaction(() => {
      this.rows.remove(id);
      this.days.remove([day, id]);
      this.free.put(slot, true);
    });
    return key;
  }

  private takeSlots(count: number): Promise<number[]> {
    return this.root.transaction(() => {
      const slots = Array.from(this.free.getKeys({ limit: count }));
      for (const slot of slots) this.free.remove(slot);
      let next = Number(this.notes.get(NEXT) ?? 0);
      while (slots.length < count) slots.push(next++);
      this.notes.put(NEXT, next);
      return slots;
    });
  }

  /** Undefined where it was written over, or never written because of a crash. */
  private async keyAt(slot: number): Promise<Buffer | undefined> {
    const key = Buffer.alloc(CALLER_KEY_BYTES);
    const { bytesRead } = await this.file.read(key, 0, CALLER_KEY_BYTES, slot * CALLER_KEY_BYTES);
    return bytesRead < CALLER_KEY_BYTES || key.equals(DESTROYED) ? undefined : key;
  }

  private inTurn<T>(job: () => Promise<T>): Promise<T> {
    const result = this.tail.then(job);
    this.tail = result.catch(() => {});
    return result;
  }
}

/**
 * Opens (or makes) the keys of callers in the folder `callers` of the state folder. Rejects when the folder cannot be
 * written, or when another process has it open.
 */
export async function openEmbeddedCallerKeys(stateDir: string): Promise<CallerKeyStore> {
  const path = join(stateDir, "callers");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(path);
  try {
    const name = join(path, "keys");
    // Made if it is not there, then written in place.
    await (await openFile(name, "a", 0o600)).close();
    const file = await openFile(name, "r+");
    const root = openLmdb(path, 4);
    const table = <V, K extends string | number | [number, string]>(of: string) =>
      root.openDB<V, K>({ name: of });
    return new LmdbCallerKeys(root, lock, file, table("rows"), table("days"), table("free"), table("notes"));
  } catch (error) {
    await lock.release();
    throw error;
  }
}
