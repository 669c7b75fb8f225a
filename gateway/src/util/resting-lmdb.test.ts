import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RootDatabase } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ManualClock } from "./clock.js";
import { RestingLmdb } from "./resting-lmdb.js";

const REST_MS = 1_000;
const ENOUGH = 256;

let folder: string;
let clock: ManualClock;
let opened: number;
let refuse: boolean;
const files: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "callweave-rest-"));
  clock = new ManualClock();
  opened = 0;
  refuse = false;
});
afterEach(async () => {
  await Promise.all(files.splice(0).map((file) => file.close()));
  await rm(folder, { recursive: true, force: true });
});

function open(restAfterMs = REST_MS) {
  const tablesOf = (root: RootDatabase) => {
    opened++;
    if (refuse) throw new Error("not this file");
    return { values: root.openDB<string, number>({ name: "values" }) };
  };
  const file = new RestingLmdb(folder, 1, tablesOf, { restAfterMs, clock });
  files.push(file);
  return file;
}
type File = ReturnType<typeof open>;

/** Uses it so often; opening it was the first time. */
function use(file: File, times: number): void {
  for (let i = 0; i < times; i++) file.tables.values.get(i);
}
const put = (file: File, key: number, value: string) =>
  file.transaction(() => {
    file.tables.values.put(key, value);
  });

it("closes a file that nobody used for the time, and opens it with the next use", async () => {
  const file = open();
  await put(file, 1, "one");
  use(file, ENOUGH);
  await clock.advance(REST_MS);
  expect(file.resting).toBe(false);
  await clock.advance(REST_MS - 1);
  expect(file.resting).toBe(false);
  await clock.advance(1);
  expect(file.resting).toBe(true);
  expect(clock.pendingTimers).toBe(0);
  expect(file.tables.values.get(1)).toBe("one");
  expect([file.resting, opened]).toEqual([false, 2]);
  await put(file, 2, "two");
  expect(file.tables.values.get(2)).toBe("two");
});

it.each([
  [ENOUGH - 1, false],
  [ENOUGH, true],
])("rests after so many uses or more: %i", async (uses, resting) => {
  const file = open();
  use(file, uses - 1);
  await clock.advance(10 * REST_MS);
  expect(file.resting).toBe(resting);
  expect(clock.pendingTimers).toBe(0);
});

it("does not close a file that is used again and again, nor one that is never to rest", async () => {
  const file = open();
  use(file, ENOUGH);
  for (let i = 0; i < 10; i++) {
    await clock.advance(REST_MS - 1);
    use(file, 1);
  }
  expect([file.resting, opened]).toEqual([false, 1]);
  await file.close();
  const never = open(0);
  use(never, ENOUGH);
  expect(clock.pendingTimers).toBe(0);
});

it("is not closed under a transaction", async () => {
  const file = open();
  use(file, ENOUGH);
  let end = () => {};
  let held: Promise<void> = Promise.resolve();
  await new Promise<void>((begun) => {
    held = file.transaction(async () => {
      begun();
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      file.tables.values.put(1, "late");
    });
  });
  await clock.advance(10 * REST_MS);
  expect(file.resting).toBe(false);
  end();
  await held;
  await clock.advance(2 * REST_MS);
  expect(file.resting).toBe(true);
  expect(file.tables.values.get(1)).toBe("late");
});

it("is used while it closes", async () => {
  const file = open();
  for (let round = 0; round < 20; round++) {
    use(file, ENOUGH);
    const before = opened;
    const writing = put(file, round, `at ${round}`);
    // The commit is under way; what follows it in the same turn finds the file closing.
    const used = writing.then(async () => {
      await clock.advance(3 * REST_MS);
      const value = file.tables.values.get(round);
      await put(file, 1_000 + round, "after");
      return value;
    });
    expect(await used).toBe(`at ${round}`);
    expect(file.tables.values.get(1_000 + round)).toBe("after");
    expect(opened).toBe(before + 1);
  }
});

it("tells that a file cannot be opened again, and tries with each use", async () => {
  const file = open();
  await put(file, 1, "one");
  use(file, ENOUGH);
  await clock.advance(3 * REST_MS);
  refuse = true;
  expect(() => file.tables).toThrow("not this file");
  await expect(put(file, 2, "two")).rejects.toThrow("not this file");
  refuse = false;
  expect(file.tables.values.get(1)).toBe("one");
});

it("cannot be used once it is closed for good", async () => {
  const file = open();
  await file.close();
  await file.close();
  expect(() => file.tables).toThrow("closed");
  expect(clock.pendingTimers).toBe(0);
});
