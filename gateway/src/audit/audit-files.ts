import { randomBytes } from "node:crypto";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";

const SEGMENT = /^([0-9]{16})\.jsonl$/;
const HEAD = "head.json";
const KEY = "key";
const MIN_SECRET_BYTES = 32;

/** A file of the log. */
export interface Segment {
  readonly file: string;
  /** The first entry that stands in it. */
  readonly first: number;
}

/** The folder of the audit log of a state folder. */
export function auditFolder(stateDir: string): string {
  return join(stateDir, "audit");
}

/** The secret: of a file, or one that is made in the folder. Throws when it is too short or cannot be read. */
export async function auditSecret(folder: string, keyFile?: string, make = true): Promise<Buffer> {
  const file = keyFile ?? join(folder, KEY);
  if (keyFile === undefined && make) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(file, `${randomBytes(MIN_SECRET_BYTES).toString("hex")}\n`, {
      flag: "wx",
      mode: 0o600,
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
  const secret = Buffer.from((await readFile(file)).toString("latin1").trim(), "latin1");
  if (secret.length < MIN_SECRET_BYTES)
    throw new Error(`the key of the audit log needs ${MIN_SECRET_BYTES} bytes at least`);
  return secret;
}

/** The files of a folder, oldest first; none when there is no folder. */
export async function segmentsOf(folder: string): Promise<Segment[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const first = SEGMENT.exec(name)?.[1];
      return first === undefined ? [] : [{ file: join(folder, name), first: Number(first) }];
    })
    .sort((a, b) => a.first - b.first);
}

/** The file that begins with this entry. */
export function segmentFile(folder: string, first: number): string {
  return join(folder, `${String(first).padStart(16, "0")}.jsonl`);
}

/** The head as text; undefined when there is none. */
export async function headText(folder: string): Promise<string | undefined> {
  return readFile(join(folder, HEAD), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

/** Replaces the head as a whole. */
export async function replaceHead(folder: string, text: string, sync: boolean): Promise<void> {
  const fresh = join(folder, `${HEAD}.new`);
  const handle = await open(fresh, "w", 0o600);
  try {
    await handle.writeFile(text);
    if (sync) await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, join(folder, HEAD));
}

/** Opens a file for appending, for its owner alone. */
export function openSegment(file: string): Promise<FileHandle> {
  return open(file, "a", 0o600);
}

/** Cuts off a line that was not written to its end. Answers whether there was one. */
export async function cutPartialLine(file: string): Promise<boolean> {
  const bytes = await readFile(file);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end === bytes.length) return false;
  const handle = await open(file, "r+");
  try {
    await handle.truncate(end);
  } finally {
    await handle.close();
  }
  return true;
}

/** The whole lines of a file. */
export async function linesOf(file: string): Promise<string[]> {
  const lines = (await readFile(file, "utf8")).split("\n");
  lines.pop();
  return lines;
}

/** Bytes and last change of a file. */
export async function sizeOf(file: string): Promise<{ readonly bytes: number; readonly changedMs: number }> {
  const { size, mtimeMs } = await stat(file);
  return { bytes: size, changedMs: mtimeMs };
}

/** Removes a file that may be gone. */
export async function removeFile(file: string): Promise<void> {
  await rm(file, { force: true });
}
