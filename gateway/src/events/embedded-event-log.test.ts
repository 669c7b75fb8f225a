import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { StoredEvent } from "../call/call-events.js";
import { ManualClock } from "../util/clock.js";
import { openEmbeddedEventLog } from "./embedded-event-log.js";
import type { StoredEventLog } from "./stored-event-log.js";
import { event } from "./testing.js";

const REST_MS = 1_000;
/** Enough uses for the file to be closed at rest. */
const EVENTS = 300;

let folder: string;
let clock: ManualClock;
let errors: string[];
let log: StoredEventLog;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "callweave-log-"));
  clock = new ManualClock();
  errors = [];
  log = await openEmbeddedEventLog(folder, {
    clock,
    restAfterMs: REST_MS,
    onError: (error) => errors.push(String(error)),
  });
  for (let i = 1; i <= EVENTS; i++) await append(i);
  await clock.advance(3 * REST_MS);
});
afterEach(async () => {
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

function append(sequence: number): Promise<StoredEvent> {
  return log.append(event(sequence, { time: clock.wallNow() }));
}

it("goes on after a rest, with all that was written before", async () => {
  expect(await log.ofCall("t", "c-1", 0)).toHaveLength(EVENTS);
  expect((await append(EVENTS + 1)).durable).toBe(true);
  await clock.advance(3 * REST_MS);
  expect((await append(EVENTS + 2)).durable).toBe(true);
  const all = await log.ofCall("t", "c-1", 0);
  expect(all.map(({ sequence }) => sequence)).toEqual(Array.from({ length: EVENTS + 2 }, (_, i) => i + 1));
  expect(errors).toEqual([]);
});

it("does not go on in another file: what is in none is told as not durable", async () => {
  // Only a file that was closed is looked at again.
  await rm(join(folder, "events"), { recursive: true });
  expect((await append(EVENTS + 1)).durable).toBe(false);
  expect(errors).toEqual([expect.stringContaining("was replaced")]);
});
