import { expect, it } from "vitest";
import { ClaimsUnderWay } from "./claims-under-way.js";
import { ManualClock } from "./util/clock.js";

it("counts claims until they are calls, somebody else's, or forgotten", async () => {
  const clock = new ManualClock();
  const claims = new ClaimsUnderWay(clock);
  claims.begin("a", "1");
  claims.begin("b", "1");
  claims.begin("a", "1");
  expect(claims.size).toBe(2);
  expect(claims.has("a", "1")).toBe(true);
  claims.end("a", "1");
  claims.end("a", "2");
  expect(claims.size).toBe(1);
  await clock.advance(30_000);
  claims.begin("a", "3");
  await clock.advance(29_999);
  expect(claims.size).toBe(2);
  await clock.advance(1);
  expect(claims.size).toBe(1);
  expect(claims.has("a", "3")).toBe(true);
});
