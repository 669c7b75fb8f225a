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
  let takeAway = () => {};
  let followed = 0;
  const news = {
    onTakenAway: (_principal: unknown, end: () => void) => {
      followed++;
      takeAway = end;
      return () => followed--;
    },
  };
  const watch = new ExpiryWatch(
    news,
    warningMs,
    () => told.push(`expiring ${seconds()}`),
    ({ metadata }) => told.push(`${metadata.why} ${seconds()}`),
  );
  const lasting = (ttlSeconds: number) => ({
    ...principalOf("t", "a"),
    expireTimeMs: startMs + ttlSeconds * 1000,
    endTimeMs: startMs + (ttlSeconds + 30) * 1000,
  });
  return { told, watch, lasting, startMs, takeAway: () => takeAway(), followed: () => followed };
}

describe("ExpiryWatch", () => {
  it("warns before the end, and ends after the leeway", () => {
    const { told, watch, lasting } = rig(60_000);
    watch.follow(lasting(600));
    vi.advanceTimersByTime(700_000);
    expect(told).toEqual(["expiring 540", "expired 630"]);
  });

  it("warns of a short-lived one when half of it is over", () => {
    const { told, watch, lasting } = rig(60_000);
    watch.follow(lasting(40));
    vi.advanceTimersByTime(100_000);
    expect(told).toEqual(["expiring 20", "expired 70"]);
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

  it("ends at once what is taken away, and forgets what is over", () => {
    const { told, watch, lasting, takeAway, followed } = rig(60_000);
    watch.follow(principalOf("t", "a"));
    watch.follow(lasting(600));
    expect(followed()).toBe(1);
    vi.advanceTimersByTime(5_000);
    takeAway();
    expect(told).toEqual(["revoked 5"]);
    expect(followed()).toBe(0);
    vi.advanceTimersByTime(1_000_000);
    expect(told).toHaveLength(1);
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
