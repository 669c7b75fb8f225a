import { describe, expect, it } from "vitest";
import type { StoredEvent } from "../call/call-events.js";
import { RecentEvents } from "./recent-events.js";
import { event } from "./testing.js";

const stored = (sequence: number, callId = "c-1"): StoredEvent => ({
  ...event(sequence, { callId }),
  cursor: "",
  durable: true,
});

/** The sequences that are kept, in the log; none: not kept or forgotten. */
const kept = (recent: RecentEvents, upTo: number) =>
  Array.from({ length: upTo - recent.first + 1 }, (_, i) => recent.at(recent.first + i)?.sequence);

describe("RecentEvents", () => {
  it("keeps as many as it may, and one more pushes the oldest out", () => {
    const recent = new RecentEvents(3);
    expect(recent.first).toBe(1);
    for (const sequence of [1, 2, 3]) recent.add(sequence, stored(sequence));
    expect(kept(recent, 3)).toEqual([1, 2, 3]);
    recent.add(4, stored(4));
    expect(kept(recent, 4)).toEqual([2, 3, 4]);
  });

  it("begins anew behind a sequence, with nothing of before", () => {
    const recent = new RecentEvents(3);
    for (const sequence of [1, 2]) recent.add(sequence, stored(sequence));
    recent.restart(7);
    expect(recent.first).toBe(8);
    recent.add(8, stored(8));
    expect(kept(recent, 8)).toEqual([8]);
  });

  it("forgets a call of one tenant, and keeps the places of the others", () => {
    const recent = new RecentEvents(3);
    recent.add(1, stored(1, "a"));
    recent.add(2, stored(2, "b"));
    recent.add(3, { ...stored(3, "a"), tenant: "other" });
    recent.forget("t", "a");
    expect(kept(recent, 3)).toEqual([undefined, 2, 3]);
  });

  it("drops what is too old, at most all", () => {
    const recent = new RecentEvents(3);
    for (const sequence of [1, 2, 3]) recent.add(sequence, stored(sequence));
    recent.dropTo(2);
    expect(kept(recent, 3)).toEqual([3]);
    recent.dropTo(1);
    expect(kept(recent, 3)).toEqual([3]);
    recent.dropTo(3);
    expect(recent.first).toBe(4);
    recent.add(4, stored(4));
    expect(kept(recent, 4)).toEqual([4]);
  });

  it("is nothing for no event", () => {
    expect(() => new RecentEvents(0)).toThrow(RangeError);
  });
});
