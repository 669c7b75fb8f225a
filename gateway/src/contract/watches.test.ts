import { afterEach, describe, expect, it } from "vitest";
import type { CallEvent } from "../call/call-events.js";
import { MemoryEventLog } from "../events/memory-event-log.js";
import { principalOf } from "./principal.js";
import { FakeApi } from "./testing.js";
import { watches } from "./watches.js";

const credential = principalOf("default", "test");
const logs: MemoryEventLog[] = [];
afterEach(() => Promise.all(logs.splice(0).map((log) => log.close())));

function rig() {
  const log = new MemoryEventLog();
  logs.push(log);
  const numbers = new Map<string, number>();
  const append = (callId: string) => {
    const sequence = (numbers.get(callId) ?? 0) + 1;
    numbers.set(callId, sequence);
    const event: CallEvent = {
      tenant: "default",
      callId,
      pool: "default",
      sequence,
      ownerEpoch: 1,
      time: new Date(),
      position: 0,
      body: { type: "answered" },
    };
    return log.append(event);
  };
  const api = Object.assign(new FakeApi(), { events: log });
  return { append, watches: watches(api) };
}

function request(callIds: string[], cursor = "") {
  return { cursor, filter: { callIds, pools: [], states: [] }, fromBeginning: true };
}

describe("watches", () => {
  it("tells a call from its beginning, then live, once each and of this call alone", async () => {
    const { append, watches: table } = rig();
    for (const id of ["a", "b", "a", "a"]) await append(id);
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const { item } of table.watchCalls(request(["a"]), credential, abort.signal)) {
      seen.push(item?.$case === "event" ? `${item.value.callId}${item.value.sequence}` : (item?.$case ?? ""));
      if (item?.$case === "live") {
        await append("b");
        await append("a");
      }
      if (seen.length === 5) abort.abort();
    }
    expect(seen).toEqual(["a1", "a2", "a3", "live", "a4"]);
  });

  it("refuses the beginning of all calls, of two, and together with a cursor", () => {
    const { watches: table } = rig();
    const { signal } = new AbortController();
    for (const wrong of [request([]), request(["a", "b"]), request(["a"], "k-1")])
      expect(() => table.watchCalls(wrong, credential, signal)).toThrow(/from_beginning must be/);
  });
});
