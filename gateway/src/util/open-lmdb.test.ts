import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLmdb } from "./open-lmdb.js";

const MB = 2 ** 20;
/** As gateways opened their stores before: mapped as large as the file, and again whenever it grew. */
const asBefore = (path: string) => open({ path, maxDbs: 2, overlappingSync: false });
const mapSize = (root: RootDatabase) => (root.getStats() as { mapSize: number }).mapSize;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "callweave-lmdb-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function grow(root: RootDatabase): Promise<void> {
  const values = root.openDB<Buffer, number>({ name: "values" });
  for (let key = 0; key < 8; key++) await values.put(key, Buffer.alloc(MB, key));
}

it("maps a file once, however it grows", async () => {
  const old = asBefore(join(folder, "old"));
  const root = openLmdb(join(folder, "new"), 2);
  const [oldAtFirst, atFirst] = [mapSize(old), mapSize(root)];
  await Promise.all([grow(old), grow(root)]);
  expect(mapSize(old)).toBeGreaterThan(oldAtFirst);
  expect(mapSize(root)).toBe(atFirst);
  await Promise.all([old.close(), root.close()]);
});

it.each([
  ["a file of before, now", asBefore, (path: string) => openLmdb(path, 2)],
  ["a file of now, as before", (path: string) => openLmdb(path, 2), asBefore],
])("reads and extends %s", async (_what, first, second) => {
  const written = first(folder);
  await grow(written);
  await written.close();
  const root = second(folder);
  const values = root.openDB<Buffer, number>({ name: "values" });
  await values.put(8, Buffer.alloc(MB, 8));
  for (let key = 0; key <= 8; key++) expect(values.get(key)?.equals(Buffer.alloc(MB, key))).toBe(true);
  await root.close();
});
