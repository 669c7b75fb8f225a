import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredEvent } from "../call/call-events.js";
import { stored } from "../contract/testing.js";
import { Lanes, type Retry } from "./lanes.js";

const LIMITS = { maxConcurrent: 2, maxWaiting: 3, firstRetryMs: 100, maxRetryMs: 400 };

function event(callId: string, sequence: number): StoredEvent {
  return { ...stored({ type: "answered" }, sequence), callId };
}

/** Lanes whose attempts end when and how the test says. */
function rig(limits = LIMITS) {
  const asked: string[] = [];
  const open = new Map<string, (retry?: Retry) => void>();
  const lanes = new Lanes(
    limits,
    ({ callId, sequence }, attempts) =>
      new Promise((resolve) => {
        const label = `${callId}/${sequence}`;
        asked.push(`${label} ${attempts}`);
        open.set(label, (retry) => resolve(retry));
      }),
    () => 1,
  );
  const finish = async (label: string, retry?: Retry) => {
    open.get(label)?.(retry);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { lanes, asked, finish };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("Lanes", () => {
  it("keep the order of a call, and carry as many calls at a time as allowed", async () => {
    const { lanes, asked, finish } = rig();
    for (const [callId, sequence] of [
      ["a", 1],
      ["a", 2],
      ["b", 1],
      ["c", 1],
    ] as const)
      lanes.add(event(callId, sequence));
    expect(asked).toEqual(["a/1 1", "b/1 1"]);
    await finish("a/1");
    expect(asked.slice(2)).toEqual(["c/1 1"]);
    await finish("c/1");
    expect(asked.slice(3)).toEqual(["a/2 1"]);
    expect(lanes.places()).toEqual([
      { callId: "a", sequence: 2 },
      { callId: "b", sequence: 1 },
    ]);
  });

  it("wait longer after each failure, up to the longest pause, and never pass the event", async () => {
    const { lanes, asked, finish } = rig();
    lanes.add(event("a", 1));
    lanes.add(event("a", 2));
    for (const pauseMs of [100, 200, 400, 400]) {
      const before = asked.length;
      await finish("a/1", { unreachable: false });
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      expect(asked.length).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(asked.length).toBe(before + 1);
    }
    expect(asked.at(-1)).toBe("a/1 5");
    await finish("a/1", { unreachable: false, retryAfterMs: 300 });
    await vi.advanceTimersByTimeAsync(400);
    await finish("a/1");
    expect(asked.at(-1)).toBe("a/2 1");
  });

  it("wait as long as the receiver asks, up to the longest pause", async () => {
    const { lanes, asked, finish } = rig();
    lanes.add(event("a", 1));
    await finish("a/1", { unreachable: false, retryAfterMs: 300 });
    await vi.advanceTimersByTimeAsync(299);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2);
    await finish("a/1", { unreachable: false, retryAfterMs: 60_000 });
    await vi.advanceTimersByTimeAsync(400);
    expect(asked).toHaveLength(3);
  });

  it("try at once what nobody answered when the receiver is back, and not what it refused to take yet", async () => {
    const { lanes, asked, finish } = rig();
    lanes.add(event("away", 1));
    lanes.add(event("broken", 1));
    await finish("away/1", { unreachable: true });
    await finish("broken/1", { unreachable: false });
    lanes.add(event("fine", 1));
    expect(asked).toHaveLength(3);
    await finish("fine/1");
    expect(asked.slice(3)).toEqual(["away/1 2"]);
  });

  it("have room up to the limit, and again when one is done with", async () => {
    const { lanes, finish } = rig();
    const never = new AbortController().signal;
    for (let i = 1; i <= 2; i++) lanes.add(event("a", i));
    await lanes.room(never);
    lanes.add(event("a", 3));
    let room = false;
    void lanes.room(never).then(() => {
      room = true;
    });
    await vi.advanceTimersByTimeAsync(10);
    expect(room).toBe(false);
    await finish("a/1");
    expect(room).toBe(true);
  });

  it("stop: nothing new is tried, and what was not done with stays", async () => {
    const { lanes, asked, finish } = rig();
    lanes.add(event("a", 1));
    lanes.add(event("b", 1));
    lanes.add(event("b", 2));
    await finish("a/1", { unreachable: true });
    const stopped = lanes.stop();
    await finish("b/1");
    await stopped;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(2);
    expect(lanes.places().map(({ callId, sequence }) => `${callId}/${sequence}`)).toEqual(["a/1", "b/2"]);
  });
});
