import { describe, expect, it } from "vitest";
import { ManualClock } from "./clock.js";
import { FrameTicker } from "./ticker.js";

describe("FrameTicker", () => {
  it("ticks each member once in 20 ms, spread over the phases, without drift", () => {
    const clock = new ManualClock();
    const ticker = new FrameTicker(clock);
    const at: number[][] = [[], [], [], [], []];
    for (const times of at) ticker.add({ tick: () => times.push(clock.now()) });
    clock.advance(10_000);
    for (const times of at) expect(times.length).toBe(500);
    expect(new Set(at.map((times) => times[0])).size).toBe(4);
  });

  it("makes up for a short stall and skips a long one, with frame numbers that go on", () => {
    const clock = new ManualClock();
    const ticker = new FrameTicker(clock, { phases: 1, maxCatchUpFrames: 10 });
    const frames: number[] = [];
    let stall = 0;
    ticker.add({
      tick: (frame) => {
        frames.push(frame);
        // The process does nothing for so long: time passes without timers.
        if (frame === 4 || frame === 20) stall = frame === 4 ? 100 : 1000;
        if (stall > 0) {
          const ms = stall;
          stall = 0;
          clock.advance(ms);
        }
      },
    });
    clock.advance(2000);
    expect(frames.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const after20 = frames.filter((frame) => frame > 20);
    expect(after20[0]).toBeGreaterThan(55);
    expect(ticker.skippedFrames).toBeGreaterThan(30);
  });

  it("stops with its last member and starts again", () => {
    const clock = new ManualClock();
    const ticker = new FrameTicker(clock);
    let ticks = 0;
    const member = {
      tick: () => {
        ticks += 1;
      },
    };
    ticker.add(member);
    clock.advance(100);
    ticker.remove(member);
    expect(clock.pendingTimers).toBe(0);
    clock.advance(100);
    const before = ticks;
    ticker.add(member);
    clock.advance(40);
    expect(ticks).toBe(before + 2);
  });
});
