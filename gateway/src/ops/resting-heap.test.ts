import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RestingHeap } from "./resting-heap.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function rig(everyMs: number) {
  const seen = { calls: 0, collections: 0 };
  const heap = new RestingHeap({
    callsUp: () => seen.calls,
    everyMs,
    untilMs: 3_000,
    collect: () => {
      seen.collections++;
    },
  });
  return { seen, heap };
}

it("collects nothing before the first call, nor while calls are up", () => {
  const { seen, heap } = rig(1_000);
  vi.advanceTimersByTime(10_000);
  seen.calls = 2;
  vi.advanceTimersByTime(10_000);
  expect(seen.collections).toBe(0);
  heap.stop();
});

it("collects once for each time without calls, until long after the last", () => {
  const { seen, heap } = rig(1_000);
  seen.calls = 1;
  vi.advanceTimersByTime(1_000);
  seen.calls = 0;
  vi.advanceTimersByTime(999);
  expect(seen.collections).toBe(0);
  vi.advanceTimersByTime(1);
  expect(seen.collections).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect(seen.collections).toBe(3);
  seen.calls = 1;
  vi.advanceTimersByTime(1_000);
  seen.calls = 0;
  vi.advanceTimersByTime(1_000);
  expect(seen.collections).toBe(4);
  heap.stop();
  vi.advanceTimersByTime(10_000);
  expect(seen.collections).toBe(4);
});

it("never does at 0", () => {
  const { seen } = rig(0);
  seen.calls = 1;
  vi.advanceTimersByTime(1_000);
  seen.calls = 0;
  vi.advanceTimersByTime(60_000);
  expect(seen.collections).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
