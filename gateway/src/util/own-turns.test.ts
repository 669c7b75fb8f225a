import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { OwnTurns } from "./own-turns.js";

it("gives each who asks a turn, in order, and none to two", async () => {
  const turns = new OwnTurns();
  let turn = 0;
  let counting = true;
  const count = (async () => {
    for (; counting; turn++) await nextTurn();
  })();
  const got: [name: number, turn: number][] = [];
  await Promise.all(
    [1, 2, 3, 4, 5].map(async (name) => {
      await turns.next();
      got.push([name, turn]);
    }),
  );
  counting = false;
  await count;
  expect(got.map(([name]) => name)).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(got.map(([, at]) => at)).size).toBe(5);
});
