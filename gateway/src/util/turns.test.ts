import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Turns } from "./turns.js";

/** How many steps each turn of the loop had, in order, and who did them. */
async function stepsOf(turns: Turns, names: readonly number[], each: number) {
  const counts: number[] = [];
  const order: number[] = [];
  let steps = 0;
  let done = false;
  const counting = (async () => {
    for (; !done; steps = 0) {
      await nextTurn();
      if (steps > 0) counts.push(steps);
    }
  })();
  await Promise.all(
    names.map(async (name) => {
      for (let i = 0; i < each; i++) {
        await turns.next();
        order.push(name);
        steps++;
      }
    }),
  );
  done = true;
  await counting;
  return { counts, order };
}

it("gives one step a turn, in order", async () => {
  const { counts, order } = await stepsOf(new Turns(1), [1, 2, 3], 2);
  expect(order).toEqual([1, 2, 3, 1, 2, 3]);
  expect(counts).toEqual([1, 1, 1, 1, 1, 1]);
});

it("gives as many as it may in a turn, and one more in the next", async () => {
  const { counts, order } = await stepsOf(new Turns(4), [1, 2, 3, 4, 5], 4);
  expect(Math.max(...counts)).toBe(4);
  expect(counts.reduce((a, b) => a + b)).toBe(20);
  expect(order.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
});

it("gives one who asks alone no more in a turn", async () => {
  const { counts } = await stepsOf(new Turns(4), [1], 20);
  expect(Math.max(...counts)).toBeLessThanOrEqual(4);
});
