import { expect, it } from "vitest";
import { ManualClock } from "../../util/clock.js";
import { SessionBook } from "./session-book.js";

const KEPT_MS = 1_000;

it("knows of a session that it ended for the time, and keeps none of them longer once others end", async () => {
  const clock = new ManualClock();
  const book = new SessionBook({ maxSessions: 100, endedMemoryMs: KEPT_MS }, clock);
  for (let i = 0; i < 10; i++) book.end(`early ${i}`);
  await clock.advance(1);
  book.end("late");
  await clock.advance(KEPT_MS - 2);
  expect([book.hasEnded("early 0"), book.hasEnded("late")]).toEqual([true, true]);
  await clock.advance(1);
  book.end("last");
  expect([book.hasEnded("early 9"), book.hasEnded("late"), book.endedCount]).toEqual([false, true, 2]);
});

it("keeps the latest of more than it may keep", () => {
  const book = new SessionBook({ maxSessions: 2, endedMemoryMs: KEPT_MS }, new ManualClock());
  for (const id of ["a", "b", "c"]) book.end(id);
  expect([book.endedCount, book.hasEnded("a"), book.hasEnded("b"), book.hasEnded("c")]).toEqual([
    2,
    false,
    true,
    true,
  ]);
});
