import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryBusServer } from "../bus/memory-bus.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { EventLog, WatchItem } from "../call/event-log.js";
import { ManualClock } from "../util/clock.js";
import { openEmbeddedEventLog } from "./embedded-event-log.js";
import { decodeEvent, encodeEvent } from "./event-codec.js";
import type { EventWire } from "./event-wire.js";
import { JetStreamEventLog } from "./jetstream-event-log.js";
import { MemoryEventLog, MemoryEventStorage } from "./memory-event-log.js";
import type { EventLogOptions, StoredEventLog } from "./stored-event-log.js";
import { ALL, event as anEvent, label, never, SNAPSHOT, take } from "./testing.js";

const clock = new ManualClock(new Date("2026-06-30T00:00:00Z"));

function event(sequence: number, over: Partial<CallEvent> = {}): CallEvent {
  return anEvent(sequence, { time: clock.wallNow(), position: sequence * 10, ...over });
}

const cursorOf = (item: WatchItem | undefined) =>
  item === undefined ? "" : "live" in item ? item.live.cursor : item.event.cursor;

/** The form of the embedded log; the one of NATS is tested with the contract. */
const wire: EventWire = {
  encode: (event) => ({ data: Buffer.from(encodeEvent(event)), headers: {} }),
  decode: (_tenant, { data }) => decodeEvent(Buffer.from(data).toString("utf8")),
};

describe.each(["memory", "embedded", "jetstream"])("event log / %s", (kind) => {
  let folder = "";
  let log: EventLog & { sweep?(): Promise<void> };
  const options: EventLogOptions = { clock, maxRecent: 3, onError: () => {} };
  const stored = (more: EventLogOptions = {}): Promise<StoredEventLog> | StoredEventLog =>
    kind === "memory"
      ? new MemoryEventLog({ ...options, ...more })
      : openEmbeddedEventLog(folder, { ...options, ...more });
  const open = async () => {
    if (kind !== "jetstream") return stored();
    const bus = new MemoryBusServer({ nowMs: () => clock.wallNow().getTime() }).connect();
    const opening = new JetStreamEventLog(bus, { wire, clock, maxQueuedPerWatcher: 3 });
    await opening.opened;
    return opening;
  };
  /** Removes now what is too old; a stream does it by itself. */
  const sweep = async () => log.sweep?.();

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "events-"));
    log = await open();
  });
  afterEach(async () => {
    await log.close();
    await rm(folder, { recursive: true, force: true });
  });

  const fill = (from: number, to: number, over: Partial<CallEvent> = {}) =>
    Promise.all(Array.from({ length: to - from + 1 }, (_, i) => log.append(event(from + i, over))));

  it("stores in order and answers in order", async () => {
    const order: number[] = [];
    const stored = await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        const result = await log.append(event(n));
        order.push(n);
        return result;
      }),
    );
    expect(order).toEqual([1, 2, 3, 4]);
    expect(stored.every((s) => s.durable)).toBe(true);
    expect(new Set(stored.map((s) => s.cursor)).size).toBe(4);
    expect(log.head("t")).toBe(stored[3]?.cursor);
    expect(stored[0]).toMatchObject(event(1));
  });

  it("gives the events of one call after a number", async () => {
    await fill(1, 12);
    await log.append(event(1, { callId: "c-10" }));
    await log.append(event(13, { tenant: "other" }));
    const found = await log.ofCall("t", "c-1", 9);
    expect(found.map((e) => e.sequence)).toEqual([10, 11, 12]);
    expect(found[0]?.time).toEqual(clock.wallNow());
    expect(await log.ofCall("t", "c-1", 12)).toEqual([]);
    expect((await log.ofCall("other", "c-1", 0)).map((e) => e.sequence)).toEqual([13]);
  });

  it("erases the calls of a caller that are over, and nothing else", async () => {
    const tell = async (callId: string, caller: string, over: boolean, tenant = "t") => {
      const call = { ...SNAPSHOT, tenant, callId, caller };
      await log.append(event(1, { tenant, callId, body: { type: "arrived", call } }));
      await log.append(event(2, { tenant, callId }));
      if (over) await log.append(event(3, { tenant, callId, body: { type: "ended", reason: "TERMINATED" } }));
    };
    await tell("a", "+15550101", true);
    await tell("b", "+15550102", true);
    await tell("c", "+15550101", false);
    await tell("d", "+15550101", true);
    await tell("a", "+15550101", true, "other");
    // It went on after another gateway had given it up.
    await tell("e", "+15550101", true);
    const body = { type: "takenOver", fromGatewayId: "g-1", fromEpoch: 1, gatewayId: "g-2" } as const;
    await log.append(event(4, { callId: "e", body }));
    expect(await log.eraseCaller("t", "+15550101")).toBe(2);
    for (const callId of ["a", "d"]) expect(await log.ofCall("t", callId, 0)).toEqual([]);
    const kept = { b: 3, c: 2, e: 4 };
    for (const [callId, count] of Object.entries(kept))
      expect((await log.ofCall("t", callId, 0)).length).toBe(count);
    expect((await log.ofCall("other", "a", 0)).length).toBe(3);
    expect(await log.eraseCaller("t", "+15550101")).toBe(0);
  });

  it("watches history, then live, without gap or repeat", async () => {
    const first = (await fill(1, 300))[0] as StoredEvent;
    const reading = take(log.watch("t", first.cursor, ALL, never), 299 + 1 + 5);
    const items = await Promise.all([reading, fill(301, 305)]).then(([taken]) => taken);
    const events = items.filter((item) => "event" in item).map(label);
    expect(events.slice(0, 304)).toEqual(Array.from({ length: 304 }, (_, i) => `c-1/${i + 2}`));
    expect(items.filter((item) => "live" in item).length).toBe(1);
  });

  it("is live at once with an empty cursor, from the moment of the call", async () => {
    await fill(1, 3);
    const items = log.watch("t", "", ALL, never);
    await fill(4, 5);
    expect((await take(items, 3)).map(label)).toEqual(["c-1/4", "c-1/5", "live"]);
  });

  it("goes on from the cursor of the live sign, and from that of any event", async () => {
    await fill(1, 2);
    const [live] = await take(log.watch("t", await log.head("t"), ALL, never), 1);
    await fill(3, 4);
    const [third] = await take(log.watch("t", cursorOf(live), ALL, never), 1);
    expect(label(third as WatchItem)).toBe("c-1/3");
    expect((await take(log.watch("t", cursorOf(third), ALL, never), 2)).map(label)).toEqual([
      "c-1/4",
      "live",
    ]);
  });

  it("shows a tenant its own events alone, and narrows by call and pool", async () => {
    const start = await log.head("t");
    await log.append(event(1, { tenant: "other" }));
    await log.append(event(1, { callId: "a", pool: "p" }));
    await log.append(event(1, { callId: "b", pool: "q" }));
    await log.append(event(2, { callId: "a", pool: "q" }));
    const see = async (filter: { callIds: string[]; pools: string[] }, count: number) =>
      (await take(log.watch("t", start, filter, never), count)).map(label);
    expect(await see(ALL, 4)).toEqual(["a/1", "b/1", "a/2", "live"]);
    expect(await see({ callIds: ["a"], pools: [] }, 3)).toEqual(["a/1", "a/2", "live"]);
    expect(await see({ callIds: ["a", "b"], pools: ["q"] }, 3)).toEqual(["b/1", "a/2", "live"]);
    expect(await see({ callIds: ["x"], pools: [] }, 1)).toEqual(["live"]);
  });

  it("filters live events too", async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const item of log.watch("t", "", { callIds: ["a"], pools: [] }, controller.signal)) {
        seen.push(label(item));
        if (seen.length === 3) return;
      }
    })();
    await log.append(event(1, { callId: "b" }));
    await log.append(event(1, { callId: "a" }));
    await log.append(event(1, { callId: "a", tenant: "other" }));
    await log.append(event(2, { callId: "a" }));
    await reading;
    expect(seen.filter((s) => s !== "live")).toEqual(["a/1", "a/2"]);
  });

  it("serves a reader that lags from the store", async () => {
    const items = log.watch("t", "", ALL, never)[Symbol.asyncIterator]();
    expect((await items.next()).value).toHaveProperty("live");
    await fill(1, 40);
    const seen: string[] = [];
    for (let i = 0; i < 40; i++) seen.push(label((await items.next()).value as WatchItem));
    await fill(41, 42);
    for (let i = 0; i < 2; i++) seen.push(label((await items.next()).value as WatchItem));
    expect(seen).toEqual(Array.from({ length: 42 }, (_, i) => `c-1/${i + 1}`));
    await items.return?.(undefined);
  });

  it("gives many readers at different speeds the same", async () => {
    const start = await log.head("t");
    const readers = [0, 1, 3].map(async (pause) => {
      const seen: string[] = [];
      for await (const item of log.watch("t", start, ALL, never)) {
        if ("event" in item) seen.push(label(item));
        for (let i = 0; i < pause; i++) await new Promise((resolve) => setImmediate(resolve));
        if (seen.length === 200) break;
      }
      return seen;
    });
    for (let n = 1; n <= 200; n += 10) await fill(n, n + 9);
    const expected = Array.from({ length: 200 }, (_, i) => `c-1/${i + 1}`);
    for (const seen of await Promise.all(readers)) expect(seen).toEqual(expected);
  });

  it("ends quietly when aborted, while waiting and before", async () => {
    const controller = new AbortController();
    const waiting = take(log.watch("t", "", ALL, controller.signal), 10);
    await fill(1, 2);
    controller.abort();
    expect((await waiting).length).toBeLessThanOrEqual(3);
    expect(await take(log.watch("t", "", ALL, controller.signal), 1)).toEqual([]);
  });

  it("tells readers that it closes", async () => {
    const waiting = take(log.watch("t", "", ALL, never), 10);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([expect(waiting).rejects.toMatchObject({ reason: "GOING_AWAY" }), log.close()]);
  });

  it("refuses cursors that are none, of another store, or ahead", async () => {
    await expect(take(log.watch("t", "nonsense", ALL, never), 1)).rejects.toMatchObject({
      reason: "INVALID_FIELD",
    });
    const other = new MemoryEventLog();
    const foreign = (await other.append(event(1))).cursor;
    await expect(take(log.watch("t", foreign, ALL, never), 1)).rejects.toMatchObject({
      reason: "CURSOR_EXPIRED",
      metadata: { oldest: log.head("t") },
    });
    await other.close();
  });

  it("removes old events, and says from where one can go on", async () => {
    const [first] = await fill(1, 3);
    await clock.advance(8 * 86_400_000);
    await sweep();
    await fill(4, 5);
    await sweep();
    expect((await log.ofCall("t", "c-1", 0)).map((e) => e.sequence)).toEqual([4, 5]);
    const error = await take(log.watch("t", first?.cursor ?? "", ALL, never), 1).catch((e: unknown) => e);
    expect(error).toMatchObject({ reason: "CURSOR_EXPIRED" });
    const { oldest } = (error as { metadata: { oldest: string } }).metadata;
    expect((await take(log.watch("t", oldest, ALL, never), 2)).map(label)).toEqual(["c-1/4", "c-1/5"]);
  });

  it("sweeps by itself", async () => {
    await fill(1, 3);
    await clock.advance(7 * 86_400_000 + 1_200_000);
    await sweep();
    expect(await log.ofCall("t", "c-1", 0)).toEqual([]);
    expect((await log.append(event(9))).durable).toBe(true);
  });

  // JetStream applies its limit itself; the tests of the bus hold it.
  const own = kind === "jetstream" ? undefined : it;
  own?.("keeps no more bytes than it may", async () => {
    await log.close();
    log = await stored({ maxBytes: 2000 });
    await fill(1001, 1100);
    await sweep();
    const left = await log.ofCall("t", "c-1", 0);
    expect(left.length).toBeGreaterThan(3);
    expect(left.length).toBeLessThan(20);
    expect(left.at(-1)?.sequence).toBe(1100);
    // And again, so that the count of bytes is right after the first time.
    await fill(1101, 1103);
    await sweep();
    expect((await log.ofCall("t", "c-1", 0)).length).toBe(left.length);
  });
});

describe("event log / embedded, opened again", () => {
  it("has what it had, the same cursors, and goes on counting", async () => {
    const folder = await mkdtemp(join(tmpdir(), "events-"));
    try {
      const before = await openEmbeddedEventLog(folder, { clock });
      const stored = await Promise.all([1, 2, 3].map((n) => before.append(event(n))));
      await before.close();
      const after = await openEmbeddedEventLog(folder, { clock });
      expect(after.head("t")).toBe(stored[2]?.cursor);
      await after.append(event(4));
      const items = await take(after.watch("t", stored[0]?.cursor ?? "", ALL, never), 4);
      expect(items.map(label)).toEqual(["c-1/2", "c-1/3", "c-1/4", "live"]);
      await clock.advance(8 * 86_400_000);
      await after.sweep();
      const last = after.head("t");
      await after.close();
      const third = await openEmbeddedEventLog(folder, { clock });
      expect(third.head("t")).toBe(last);
      await third.append(event(5));
      expect((await take(third.watch("t", last, ALL, never), 1)).map(label)).toEqual(["c-1/5"]);
      await third.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("event log / store away", () => {
  it("passes events on without a cursor and recovers", async () => {
    const storage = new MemoryEventStorage();
    const errors: unknown[] = [];
    const log = new MemoryEventLog({ clock, onError: (error) => errors.push(error) }, storage);
    await log.append(event(1));
    const head = log.head("t");
    const items = log.watch("t", head, ALL, never)[Symbol.asyncIterator]();
    await items.next();
    storage.failure = new Error("disk full");
    expect(await log.append(event(2))).toMatchObject({ durable: false, cursor: "" });
    expect(log.head("t")).toBe(head);
    expect(label((await items.next()).value as WatchItem)).toBe("c-1/2!");
    storage.failure = undefined;
    expect(await log.append(event(3))).toMatchObject({ durable: true });
    expect(label((await items.next()).value as WatchItem)).toBe("c-1/3");
    expect((await take(log.watch("t", head, ALL, never), 2)).map(label)).toEqual(["c-1/3", "live"]);
    expect(errors.length).toBe(1);
    await items.return?.(undefined);
    await log.close();
    expect(await log.append(event(4))).toMatchObject({ durable: false });
  });

  it("does not let more wait than it may, and keeps the order", async () => {
    const errors: unknown[] = [];
    const log = new MemoryEventLog({ clock, maxPending: 5, onError: (error) => errors.push(error) });
    const order: number[] = [];
    const stored = await Promise.all(
      Array.from({ length: 7 }, (_, i) =>
        log.append(event(i + 1)).then((s) => {
          order.push(s.sequence);
          return s.durable;
        }),
      ),
    );
    expect(stored).toEqual([true, true, true, true, true, false, false]);
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect((await log.append(event(8))).durable).toBe(true);
    expect((await log.ofCall("t", "c-1", 0)).map((e) => e.sequence)).toEqual([1, 2, 3, 4, 5, 8]);
    expect(errors.length).toBe(1);
    await log.close();
  });

  it("does not wait for a store that hangs", async () => {
    const storage = new MemoryEventStorage();
    const own = new ManualClock();
    const errors: unknown[] = [];
    const log = new MemoryEventLog({ clock: own, onError: (error) => errors.push(error) }, storage);
    let release: () => void = () => {};
    storage.hang = new Promise((resolve) => {
      release = resolve;
    });
    const first = log.append(event(1));
    await own.advance(2999);
    const second = log.append(event(2));
    await own.advance(1);
    expect([(await first).durable, (await second).durable]).toEqual([false, false]);
    expect((await log.append(event(3))).durable).toBe(false);
    expect(errors.length).toBe(1);
    release();
    storage.hang = undefined;
    await own.advance(0);
    expect((await log.append(event(4))).durable).toBe(true);
    await log.close();
    expect(own.pendingTimers).toBe(0);
  });
});
