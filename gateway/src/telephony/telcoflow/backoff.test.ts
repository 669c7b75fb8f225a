import { describe, expect, it } from "vitest";
import { ManualClock } from "../../util/clock.js";
import { Backoff, RateMeter } from "./backoff.js";
import { DEFAULT_LIMITS } from "./options.js";

describe("Backoff", () => {
  it("grows from 0.5 s by half each time to 10 s", () => {
    const backoff = new Backoff(DEFAULT_LIMITS.reconnect, new ManualClock(), () => 0);
    const waits = Array.from({ length: 12 }, () => Math.round(backoff.next()));
    expect(waits).toEqual([500, 750, 1125, 1688, 2531, 3797, 5695, 8543, 10_000, 10_000, 10_000, 10_000]);
  });

  it("adds up to a fifth at random", () => {
    const backoff = new Backoff(DEFAULT_LIMITS.reconnect, new ManualClock(), () => 0.999_999);
    expect(Math.round(backoff.next())).toBe(600);
  });

  it("stays finite after a very long outage", () => {
    const backoff = new Backoff(DEFAULT_LIMITS.reconnect, new ManualClock(), () => 0);
    for (let i = 0; i < 5000; i++) backoff.next();
    expect(backoff.next()).toBe(10_000);
  });

  it("goes on growing while connections drop before 30 s (fault 8)", async () => {
    const clock = new ManualClock();
    const backoff = new Backoff(DEFAULT_LIMITS.reconnect, clock, () => 0);
    backoff.next();
    backoff.opened();
    await clock.advance(29_999);
    expect(backoff.next()).toBe(750);
  });

  it("starts over after 30 s of stability", async () => {
    const clock = new ManualClock();
    const backoff = new Backoff(DEFAULT_LIMITS.reconnect, clock, () => 0);
    for (let i = 0; i < 6; i++) backoff.next();
    backoff.opened();
    await clock.advance(30_000);
    expect(backoff.next()).toBe(500);
    // The time that counts is that of the last connection.
    expect(backoff.next()).toBe(750);
  });
});

describe("RateMeter", () => {
  it("is over its limit only within one window", async () => {
    const clock = new ManualClock();
    const meter = new RateMeter(2, 60_000, clock);
    expect([meter.hit(), meter.hit(), meter.hit()]).toEqual([false, false, true]);
    await clock.advance(60_000);
    expect(meter.hit()).toBe(false);
    expect(meter.inWindow).toBe(1);
  });
});
