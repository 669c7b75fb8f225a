import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BusStream } from "../bus/bus.js";
import { type MemoryBus, MemoryBusServer } from "../bus/memory-bus.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { WatchItem } from "../call/event-log.js";
import { ManualClock } from "../util/clock.js";
import { decodeEvent, encodeEvent } from "./event-codec.js";
import type { EventWire } from "./event-wire.js";
import { JetStreamEventLog, type JetStreamEventLogOptions } from "./jetstream-event-log.js";
import { ALL, event as anEvent } from "./testing.js";

const wire: EventWire = {
  encode: (event) => ({ data: Buffer.from(encodeEvent(event)), headers: {} }),
  decode: (_tenant, { data }) => decodeEvent(Buffer.from(data).toString("utf8")),
};

function event(sequence: number, over: Partial<CallEvent> = {}): CallEvent {
  return anEvent(sequence, { callId: "c", ...over });
}

const label = (item: WatchItem) =>
  "live" in item
    ? "live"
    : `${item.event.callId}/${item.event.ownerEpoch}.${item.event.sequence}${item.event.durable ? "" : "!"}`;

describe("event log in JetStream", () => {
  let server: MemoryBusServer;
  let bus: MemoryBus;
  let log: JetStreamEventLog;
  let told: string[];
  const open = new Set<JetStreamEventLog>();

  const make = (on: MemoryBus, over: Partial<JetStreamEventLogOptions> = {}) => {
    const made = new JetStreamEventLog(on, {
      wire,
      closeTimeoutMs: 100,
      onError: (error) => told.push(String(error)),
      onEventsLost: (tenant, callId, epoch) => told.push(`lost ${tenant}/${callId}/${epoch}`),
      onFenced: (_tenant, callId, { ownerEpoch, otherEpoch }) =>
        told.push(`fenced ${callId} ${ownerEpoch} by ${otherEpoch}`),
      ...over,
    });
    open.add(made);
    return made;
  };
  /** Collects what a watcher gets. */
  const watch = (from: JetStreamEventLog, cursor = "", callIds: string[] = []) => {
    const seen: string[] = [];
    const controller = new AbortController();
    const done = (async () => {
      for await (const item of from.watch("t", cursor, { callIds, pools: [] }, controller.signal))
        seen.push(label(item));
    })();
    done.catch(() => {});
    return { seen, done, stop: () => controller.abort() };
  };
  const sequences = async (callId = "c") =>
    (await log.ofCall("t", callId, 0)).map((e) => `${e.ownerEpoch}.${e.sequence}`);

  beforeEach(async () => {
    told = [];
    server = new MemoryBusServer();
    bus = server.connect();
    log = make(bus);
    await log.opened;
  });
  afterEach(async () => {
    for (const one of open) await one.close();
    open.clear();
  });

  it("passes events on while the bus is away and stores them later, in order, told once", async () => {
    const other = make(server.connect());
    await other.opened;
    const near = watch(log);
    const far = watch(other);
    await expect.poll(() => [near.seen, far.seen]).toEqual([["live"], ["live"]]);
    expect((await log.append(event(1))).durable).toBe(true);
    bus.setConnected(false);
    expect(log.connected).toBe(false);
    const during = await Promise.all([log.append(event(2)), log.append(event(3))]);
    expect(during.map((e) => [e.durable, e.cursor])).toEqual([
      [false, ""],
      [false, ""],
    ]);
    await expect.poll(() => near.seen.slice(2)).toEqual(["c/1.2!", "c/1.3!"]);
    const late = watch(log);
    await expect.poll(() => late.seen).toEqual(["live"]);
    const afterHead = watch(log, await log.head("t"));
    await expect.poll(() => afterHead.seen).toEqual(["live", "c/1.2!", "c/1.3!"]);
    await log.append(event(4));
    await expect.poll(() => late.seen).toEqual(["live", "c/1.4!"]);
    expect(log.stats()).toMatchObject({ pending: 3, published: 1, nonDurable: 3, lost: 0 });
    bus.setConnected(true);
    expect((await log.append(event(5))).durable).toBe(true);
    await expect.poll(() => far.seen.at(-1)).toBe("c/1.5");
    await expect.poll(() => near.seen.at(-1)).toBe("c/1.5");
    expect(far.seen).toEqual(["live", "c/1.1", "c/1.2", "c/1.3", "c/1.4", "c/1.5"]);
    expect(near.seen.map((s) => s.replace("!", ""))).toEqual(far.seen);
    // Began in the middle, from then on.
    await expect.poll(() => late.seen).toEqual(["live", "c/1.4!", "c/1.5"]);
    expect([afterHead.seen[0], ...afterHead.seen.slice(1).sort()]).toEqual([
      "live",
      "c/1.2!",
      "c/1.3!",
      "c/1.4!",
      "c/1.5",
    ]);
    expect(await sequences()).toEqual(["1.1", "1.2", "1.3", "1.4", "1.5"]);
    expect(log.pending).toBe(0);
  });

  it("is usable before the stream is there", async () => {
    const second = server.connect();
    second.setConnected(false);
    const early = make(second);
    const watcher = watch(early);
    await expect.poll(() => watcher.seen).toEqual(["live"]);
    expect((await early.append(event(1, { callId: "e" }))).durable).toBe(false);
    await expect.poll(() => watcher.seen).toEqual(["live", "e/1.1!"]);
    await expect(early.ofCall("t", "e", 0)).rejects.toMatchObject({ kind: "away" });
    second.setConnected(true);
    await early.opened;
    await early.append(event(2, { callId: "e" }));
    await expect.poll(() => watcher.seen).toEqual(["live", "e/1.1!", "e/1.2"]);
    expect(await sequences("e")).toEqual(["1.1", "1.2"]);
  });

  it("drops what is too much, says so once when the store is back, and stores the rest", async () => {
    const small = make(server.connect(), { maxPending: 3 });
    await small.opened;
    await log.append(event(1, { callId: "x" }));
    const smallBus = server.connect();
    const limited = make(smallBus, { maxPending: 3 });
    await limited.opened;
    smallBus.setConnected(false);
    for (let i = 1; i <= 5; i++) await limited.append(event(i));
    await limited.append(event(1, { callId: "d" }));
    expect(limited.stats()).toMatchObject({ pending: 3, lost: 3, nonDurable: 6 });
    expect(told).toEqual([]);
    smallBus.setConnected(true);
    await expect.poll(() => [...told].sort()).toEqual(["lost t/c/1", "lost t/d/1"]);
    expect(await sequences()).toEqual(["1.1", "1.2", "1.3"]);
    expect((await limited.append(event(6, { body: { type: "eventsLost", fromEpoch: 1 } }))).durable).toBe(
      true,
    );
    expect(await sequences()).toEqual(["1.1", "1.2", "1.3", "1.6"]);
    expect(told.length).toBe(2);
  });

  it("does not wait for an acknowledgement that does not come", async () => {
    const clock = new ManualClock();
    const slow = server.connect();
    const stuck = make(slow, { clock });
    await stuck.opened;
    // The server takes the requests and does not answer.
    const stream = await slow.stream({
      name: "CALLWEAVE_EVENTS",
      subjects: ["callweave.*.calls.*.events"],
      maxAgeMs: 0,
      maxBytes: 0,
      discard: "old",
      replicas: 1,
      storage: "file",
    });
    const inner = (stuck as unknown as { outbox: { stream: object } }).outbox;
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    inner.stream = {
      ...stream,
      createdMs: stream.createdMs,
      publish: async (...args: Parameters<typeof stream.publish>) => {
        await gate;
        return stream.publish(...args);
      },
    };
    const answers: StoredEvent[] = [];
    void stuck.append(event(1)).then((e) => answers.push(e));
    await clock.advance(2999);
    void stuck.append(event(2)).then((e) => answers.push(e));
    expect(answers).toEqual([]);
    await clock.advance(1);
    expect(answers.map((e) => [e.sequence, e.durable])).toEqual([
      [1, false],
      [2, false],
    ]);
    expect((await stuck.append(event(3))).durable).toBe(false);
    expect(told.filter((line) => line.includes("3000 ms")).length).toBe(1);
    release();
    await expect.poll(() => stuck.pending).toBe(0);
    expect((await stuck.append(event(4))).durable).toBe(true);
    expect(await sequences()).toEqual(["1.1", "1.2", "1.3", "1.4"]);
  });

  it("takes the sight of an event in the stream for its acknowledgement", async () => {
    const near = watch(log);
    await expect.poll(() => near.seen).toEqual(["live"]);
    const { outbox } = log as unknown as { outbox: { stream: BusStream } };
    const { stream } = outbox;
    outbox.stream = {
      ...stream,
      createdMs: stream.createdMs,
      publish: async (...args: Parameters<BusStream["publish"]>) => {
        await stream.publish(...args);
        return new Promise(() => {});
      },
    };
    expect(await log.append(event(1))).toMatchObject({ durable: true, cursor: await log.head("t") });
    bus.setConnected(false);
    await log.append(event(2));
    await expect.poll(() => near.seen).toEqual(["live", "c/1.1", "c/1.2!"]);
    expect(log.pending).toBe(1);
  });

  it("stops when a later owner wrote, and when one as late as itself did", async () => {
    const other = make(server.connect());
    await other.opened;
    await log.append(event(1));
    await log.append(event(2));
    // The other takes the call over: it reads, and goes on.
    expect((await other.ofCall("t", "c", 0)).length).toBe(2);
    expect((await other.append(event(3, { ownerEpoch: 2 }))).durable).toBe(true);
    const near = watch(log);
    await expect.poll(() => near.seen).toContain("live");
    expect(await log.append(event(3))).toMatchObject({ durable: false, cursor: "" });
    expect(told).toEqual(["fenced c 1 by 2"]);
    expect((await log.append(event(4))).durable).toBe(false);
    expect((await other.append(event(4, { ownerEpoch: 2 }))).durable).toBe(true);
    expect(await sequences()).toEqual(["1.1", "1.2", "2.3", "2.4"]);
    // What it said after it was fenced is nobody's business.
    await expect.poll(() => near.seen.at(-1)).toBe("c/2.4");
    expect(near.seen.filter((s) => s.startsWith("c/1"))).toEqual([]);
    // And back again, as a later owner still.
    expect((await log.append(event(5, { ownerEpoch: 3 }))).durable).toBe(true);
    expect((await other.append(event(5, { ownerEpoch: 2 }))).durable).toBe(false);
    expect(told.at(-1)).toBe("fenced c 2 by 3");

    await log.append(event(1, { callId: "both" }));
    expect((await other.append(event(1, { callId: "both" }))).durable).toBe(false);
    expect(told.at(-1)).toBe("fenced both 1 by 1");
    expect(log.stats().fenced + other.stats().fenced).toBe(3);
  });

  it("keeps calls of the same id of two tenants apart, whatever is in an id (fault 44)", async () => {
    const id = "a.b*> c\u0000ä";
    for (const tenant of ["t", "u"]) {
      expect((await log.append(event(1, { tenant, callId: id }))).durable).toBe(true);
      expect((await log.append(event(2, { tenant, callId: id }))).durable).toBe(true);
    }
    expect(await sequences(id)).toEqual(["1.1", "1.2"]);
    expect((await log.ofCall("u", id, 1)).map((e) => [e.tenant, e.callId, e.sequence])).toEqual([
      ["u", id, 2],
    ]);
  });

  it("goes on after the events of a call were erased, and after the stream was lost", async () => {
    await log.append(event(1));
    const head = await log.head("t");
    await log.erase("t", "c");
    expect(await sequences()).toEqual([]);
    expect((await log.append(event(2))).durable).toBe(true);
    expect(await sequences()).toEqual(["1.2"]);
    const near = watch(log);
    await expect.poll(() => near.seen).toEqual(["live"]);
    server.forget("CALLWEAVE_EVENTS");
    expect((await log.append(event(3))).durable).toBe(true);
    await expect.poll(() => near.seen).toEqual(["live", "c/1.3"]);
    const expired = log.watch("t", head, ALL, new AbortController().signal)[Symbol.asyncIterator]();
    await expect(expired.next()).rejects.toMatchObject({ reason: "CURSOR_EXPIRED" });
  });

  it("passes over what no gateway wrote", async () => {
    const near = watch(log);
    await expect.poll(() => near.seen).toEqual(["live"]);
    const stream = await bus.stream({
      name: "CALLWEAVE_EVENTS",
      subjects: ["callweave.*.calls.*.events"],
      maxAgeMs: 0,
      maxBytes: 0,
      discard: "old",
      replicas: 1,
      storage: "file",
    });
    await stream.publish("callweave.t.calls.x.events", Buffer.from("garbage"), {});
    await stream.publish("callweave.t.calls.y.events", Buffer.from(encodeEvent(event(1))), {});
    await log.append(event(1));
    await expect.poll(() => near.seen).toEqual(["live", "c/1.1"]);
    expect(told.length).toBe(2);
  });

  it("serves a slow reader from the stream, over an outage, without gap or repeat", async () => {
    const small = make(bus, { maxQueuedPerWatcher: 5 });
    await small.opened;
    const items = small.watch("t", "", ALL, new AbortController().signal)[Symbol.asyncIterator]();
    const seen: string[] = [];
    const next = async () => {
      const { value } = await items.next();
      seen.push(label(value as WatchItem));
    };
    await next();
    for (let i = 1; i <= 20; i++) await small.append(event(i));
    await next();
    bus.setConnected(false);
    for (let i = 21; i <= 40; i++) await small.append(event(i));
    bus.setConnected(true);
    while (seen.length < 41) await next();
    expect(seen.map((s) => s.replace("!", ""))).toEqual([
      "live",
      ...Array.from({ length: 40 }, (_, i) => `c/1.${i + 1}`),
    ]);
    await items.return?.(undefined);
  });

  it("tells many watchers that catch up a bounded number in a turn, and those that leave meanwhile nothing more", async () => {
    const first = await log.append(event(1));
    await Promise.all(Array.from({ length: 300 }, (_, i) => log.append(event(i + 2))));
    const watchers = Array.from({ length: 20 }, () => watch(log, first.cursor));
    const sum = () => watchers.reduce((total, { seen }) => total + seen.length, 0);
    const leaving = watchers.slice(0, 5);
    let most = 0;
    for (let before = 0; watchers.slice(5).some(({ seen }) => seen.at(-1) !== "live"); before = sum()) {
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, sum() - before);
      if (sum() > 0) for (const { stop } of leaving) stop();
    }
    await Promise.all(leaving.map(({ done }) => done));
    for (const { seen } of leaving) expect(seen.length).toBeLessThan(300);
    for (const { seen } of watchers.slice(5)) expect(seen.slice(-2)).toEqual(["c/1.301", "live"]);
    // And the signs that the past is over.
    expect(most).toBeLessThanOrEqual(4 * 64 + watchers.length);
    for (const { stop } of watchers) stop();
  });

  it("gives up at the end what it cannot store, within its bound", async () => {
    bus.setConnected(false);
    await log.append(event(1));
    const near = watch(log);
    await expect.poll(() => near.seen).toEqual(["live"]);
    const ending = near.done.catch((error: unknown) => error);
    await log.close();
    expect(await ending).toMatchObject({ reason: "GOING_AWAY" });
    expect(log.stats()).toMatchObject({ pending: 0, lost: 1 });
    expect((await log.append(event(2))).durable).toBe(false);
  });
});
