import { expect, it } from "vitest";
import { Stalls } from "./stalls.js";

it("a process that stands still is told of, with its time, and one that runs is not", async () => {
  const stalls = new Stalls();
  const beforeMs = Date.now();
  const endMs = performance.now() + 80;
  while (performance.now() < endMs);
  stalls.stop();
  const [first] = stalls.spans;
  expect(first?.startMs).toBeGreaterThan(beforeMs - 20);
  expect((first?.endMs ?? 0) - (first?.startMs ?? 0)).toBeGreaterThanOrEqual(79);
  const known = stalls.spans.length;
  stalls.stop();
  expect(stalls.spans).toHaveLength(known);
});
