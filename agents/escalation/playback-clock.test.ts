import { expect, it } from "vitest";
import { PlaybackClock } from "./playback-clock.js";

it("counts down to nothing, is set right, and stands still from the end", () => {
  let now = 1_000;
  const clock = new PlaybackClock(() => now);
  expect(clock.unheardMs).toBe(0);
  clock.set(500);
  now += 200;
  expect(clock.unheardMs).toBe(300);
  now += 1_000;
  expect(clock.unheardMs).toBe(0);
  clock.set(400);
  now += 100;
  clock.stop();
  now += 1_000;
  clock.set(9_000);
  clock.stop();
  expect(clock.unheardMs).toBe(300);
});
