import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ExpiryWatch } from "./expiry.js";
import { principalOf } from "./principal.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function rig(warningMs: number) {
  const told: string[] = [];
  const startMs = Date.now();
  const seconds = () => Math.round((Date.now() - startMs) / 1000);
  const watch = new ExpiryWatch(
    warningMs,
    () => told.push(`expiring ${seconds()}`),
    () => told.push(`ended ${seconds()}`),
  );
  const lasting = (ttlSeconds: number) => ({
    ...principalOf("t", "a"),
    expireTimeMs: startMs + ttlSeconds * 1000,
    endTimeMs: startMs + (ttlSeconds + 30) * 1000,
  });
  return { told, watch, lasting, startMs };
}

describe("ExpiryWatch", () => {
  it("warns before the end, and ends after the leeway", () => {
    const { told, watch, lasting } = rig(60_000);
    watch.follow(lasting(600));
    vi.advanceTimersByTime(700_000);
    expect(told).toEqual(["expiring 540", "ended 630"]);
  });

  it("warns of a short-lived one when half of it is over", () => {
    const { told, watch, lasting } = rig(60_000);
    watch.follow(lasting(40));
    vi.advanceTimersByTime(100_000);
    expect(told).toEqual(["expiring 20", "ended 70"]);
  });

  it("goes with the newest credential, and warns of the same one once", () => {
    const { told, watch, lasting } = rig(60_000);
    watch.follow(lasting(100));
    vi.advanceTimersByTime(55_000);
    watch.follow(lasting(100));
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(["expiring 50"]);
    watch.follow(lasting(1_000));
    vi.advanceTimersByTime(800_000);
    expect(told).toEqual(["expiring 50"]);
    watch.follow(principalOf("t", "a"));
    vi.advanceTimersByTime(10_000_000);
    expect(told).toEqual(["expiring 50"]);
  });

  it("waits longer than a timer can, and no longer once it is stopped", () => {
    const { told, watch, lasting } = rig(60_000);
    const days = 60 * 86_400;
    watch.follow(lasting(days));
    vi.advanceTimersByTime((days - 61) * 1000);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(2_000);
    expect(told).toEqual([`expiring ${days - 60}`]);
    watch.stop();
    vi.advanceTimersByTime(1_000_000);
    expect(told).toHaveLength(1);
  });
});
