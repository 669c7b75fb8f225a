import { afterEach, describe, expect, it } from "vitest";
import type { Bus } from "../../gateway/src/bus/bus.js";
import { connectBus } from "../../gateway/src/bus/nats-bus.js";
import type { CallEvent, StoredEvent } from "../../gateway/src/call/call-events.js";
import { eventWire } from "../../gateway/src/contract/event-wire.js";
import { stored } from "../../gateway/src/contract/testing.js";
import {
  JetStreamEventLog,
  type JetStreamEventLogOptions,
} from "../../gateway/src/events/jetstream-event-log.js";
import { freePort, type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { until } from "../harness/until.js";

const available = await natsAvailable();
const ALL = { callIds: [], pools: [] };
const CALLS = Array.from({ length: 20 }, (_, i) => `call-${i}`);

function event(callId: string, sequence: number, over: Partial<CallEvent> = {}): CallEvent {
  const { tenant, pool, time, position, body, ownerEpoch } = stored({ type: "holdChanged", holding: true });
  return { tenant, callId, pool, sequence, ownerEpoch, time, position, body, ...over };
}

/** What a watcher was told, and whether it is as promised: per call in order, nothing missing, nothing twice. */
class Watcher {
  readonly events: StoredEvent[] = [];
  live = false;
  private readonly controller = new AbortController();

  constructor(log: JetStreamEventLog, cursor = "") {
    void (async () => {
      for await (const item of log.watch("default", cursor, ALL, this.controller.signal))
        if ("live" in item) this.live = true;
        else this.events.push(item.event);
    })().catch(() => {});
  }

  stop(): void {
    this.controller.abort();
  }

  /** "call/sequence", sorted by call, each call in the order in which it was told. */
  byCall(): string[] {
    return CALLS.flatMap((id) =>
      this.events.filter((e) => e.callId === id).map((e) => `${id}/${e.sequence}`),
    );
  }
}

describe.skipIf(!available)("event log on a real server", () => {
  const servers: NatsTestServer[] = [];
  const buses: Bus[] = [];
  const logs: JetStreamEventLog[] = [];
  const watchers: Watcher[] = [];

  afterEach(async () => {
    for (const watcher of watchers.splice(0)) watcher.stop();
    for (const log of logs.splice(0)) await log.close();
    for (const bus of buses.splice(0)) await bus.close(200);
    for (const server of servers.splice(0)) await server.stop();
  });

  async function serve(port?: number): Promise<NatsTestServer> {
    const server = await startNats(port === undefined ? {} : { port });
    servers.push(server);
    return server;
  }

  async function open(
    url: string,
    over: Partial<JetStreamEventLogOptions> = {},
  ): Promise<{ bus: Bus; log: JetStreamEventLog }> {
    const bus = await connectBus({ urls: [url], name: "test", pingIntervalMs: 200 });
    buses.push(bus);
    const log = new JetStreamEventLog(bus, { wire: eventWire("json"), closeTimeoutMs: 500, ...over });
    logs.push(log);
    return { bus, log };
  }

  function watch(log: JetStreamEventLog, cursor = ""): Watcher {
    const watcher = new Watcher(log, cursor);
    watchers.push(watcher);
    return watcher;
  }

  it("keeps 1,000 events of 20 calls over restarts: no gap, no repeat, in order, for every watcher (fault 14)", async () => {
    const server = await serve();
    const a = await open(server.url);
    const b = await open(server.url, { wire: eventWire("protobuf") });
    await Promise.all([a.log.opened, b.log.opened]);
    const start = await b.log.head("default");
    const near = watch(a.log);
    const far = watch(b.log);
    await until(() => near.live && far.live, "both watchers to be live");

    let appended = 0;
    const answers: StoredEvent[] = [];
    const talk = async (callId: string, i: number) => {
      // Half of the calls are at a, half at b.
      const { log } = i % 2 ? a : b;
      for (let sequence = 1; sequence <= 50; sequence++) {
        const answer = await log.append(event(callId, sequence));
        answers.push(answer);
        appended++;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const talking = Promise.all(CALLS.map(talk));
    await until(() => appended >= 300, "300 events");
    await server.kill();
    await until(() => appended >= 500, "calls to go on without the store");
    await server.restart();
    await until(() => a.bus.connected && b.bus.connected, "the return");
    await until(() => appended >= 800, "800 events");
    await server.restart();
    await talking;
    await until(() => a.log.pending + b.log.pending === 0, "everything to be stored");

    expect(answers.some((e) => !e.durable)).toBe(true);
    const expected = CALLS.flatMap((id) => Array.from({ length: 50 }, (_, i) => `${id}/${i + 1}`));
    const late = watch(b.log, start);
    for (const watcher of [near, far, late])
      await until(() => watcher.events.length >= 1000, `1,000 events, ${watcher.events.length} came`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(late.byCall()).toEqual(expected);
    expect(near.byCall()).toEqual(expected);
    expect(far.byCall()).toEqual(expected);
    expect(late.events.every((e) => e.durable)).toBe(true);
    expect(new Set(late.events.map((e) => e.cursor)).size).toBe(1000);
    for (const [i, id] of CALLS.entries()) {
      const found = await (i % 2 ? b : a).log.ofCall("default", id, 0);
      expect(found.map((e) => e.sequence)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    }
    for (const { log } of [a, b]) expect(log.stats()).toMatchObject({ pending: 0, lost: 0, fenced: 0 });
  }, 90_000);

  it("carries on without the store when it is frozen (fault 15)", async () => {
    const server = await serve();
    const { bus, log } = await open(server.url, { writeTimeoutMs: 300 });
    await log.opened;
    const near = watch(log);
    await until(() => near.live, "live");
    expect((await log.append(event("call-0", 1))).durable).toBe(true);
    server.freeze();
    const began = performance.now();
    expect((await log.append(event("call-0", 2))).durable).toBe(false);
    expect(performance.now() - began).toBeLessThan(3000);
    const soon = performance.now();
    for (let i = 3; i <= 100; i++) expect((await log.append(event("call-0", i))).durable).toBe(false);
    expect(performance.now() - soon).toBeLessThan(1000);
    await until(() => near.events.length === 100, "all to be told");
    server.thaw();
    await until(() => log.pending === 0 && bus.connected, "everything to be stored");
    await log.append(event("call-0", 101));
    await until(() => near.events.length >= 101, "the last");
    expect(near.events.map((e) => e.sequence)).toEqual(Array.from({ length: 101 }, (_, i) => i + 1));
    expect((await log.ofCall("default", "call-0", 0)).length).toBe(101);
  }, 60_000);

  it("gives cursors that another gateway understands, and tells when they are of another store", async () => {
    const server = await serve();
    const a = await open(server.url);
    await a.log.opened;
    const [first] = [await a.log.append(event("call-1", 1)), await a.log.append(event("call-1", 2))];
    await a.log.close();
    const b = await open(server.url);
    await b.log.opened;
    const after = watch(b.log, first.cursor);
    await until(() => after.live, "the history");
    expect(after.events.map((e) => e.sequence)).toEqual([2]);
    expect(after.events[0]).toMatchObject(event("call-1", 2));
    await b.log.close();
    const other = await serve();
    const c = await open(other.url);
    await c.log.opened;
    const foreign = c.log.watch("default", first.cursor, ALL, new AbortController().signal);
    await expect(foreign[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      reason: "CURSOR_EXPIRED",
      metadata: { oldest: expect.stringMatching(/.+/) },
    });
    await expect(
      c.log.watch("default", "junk", ALL, new AbortController().signal)[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject({ reason: "INVALID_FIELD" });
  });

  it("fences a gateway whose call another has (fault 25)", async () => {
    const server = await serve();
    const fenced: string[] = [];
    const onFenced: JetStreamEventLogOptions["onFenced"] = (_tenant, callId, { ownerEpoch, otherEpoch }) =>
      fenced.push(`${callId} ${ownerEpoch} by ${otherEpoch}`);
    const a = await open(server.url, { onFenced });
    const b = await open(server.url, { onFenced });
    await Promise.all([a.log.opened, b.log.opened]);
    await a.log.append(event("call-1", 1));
    expect((await b.log.ofCall("default", "call-1", 0)).length).toBe(1);
    await b.log.append(event("call-1", 2, { ownerEpoch: 2 }));
    expect((await a.log.append(event("call-1", 2))).durable).toBe(false);
    expect(fenced).toEqual(["call-1 1 by 2"]);
    // Two that both believe that they have a fresh call: one of them is right.
    const both = await Promise.all([a.log.append(event("call-2", 1)), b.log.append(event("call-2", 1))]);
    expect(both.filter((e) => e.durable).length).toBe(1);
    expect(fenced.length).toBe(2);
    const found = await a.log.ofCall("default", "call-1", 0);
    expect(found.map((e) => [e.ownerEpoch, e.sequence])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it("starts without the server, and stores from then on", async () => {
    const port = await freePort();
    const { log } = await open(`nats://127.0.0.1:${port}`);
    const near = watch(log);
    await until(() => near.live, "live at once");
    for (let i = 1; i <= 10; i++) expect((await log.append(event("call-3", i))).durable).toBe(false);
    await serve(port);
    await log.opened;
    await until(() => log.pending === 0, "the outbox to be empty");
    await log.append(event("call-3", 11));
    await until(() => near.events.length >= 11, "all");
    expect(near.events.map((e) => e.sequence)).toEqual(Array.from({ length: 11 }, (_, i) => i + 1));
    expect((await log.ofCall("default", "call-3", 5)).map((e) => e.sequence)).toEqual([6, 7, 8, 9, 10, 11]);
  });

  it("writes a line that any NATS tool shows", async () => {
    const server = await serve();
    const { bus, log } = await open(server.url);
    await log.opened;
    const lines: [string, string, string | undefined][] = [];
    bus.subscribe("callweave.*.calls.*.events", (message) => {
      lines.push([
        message.subject,
        Buffer.from(message.data).toString("utf8"),
        message.headers["Callweave-Encoding"],
      ]);
    });
    await bus.flush();
    await log.append(event("a.b", 1, { body: { type: "modeSet", mode: "WHISPER" } }));
    await until(() => lines.length === 1, "the event");
    const [subject, line, encoding] = lines[0] ?? ["", "", ""];
    expect([subject, encoding]).toEqual(["callweave.default.calls.a=2Eb.events", "json"]);
    expect(JSON.parse(line)).toMatchObject({
      callId: "a.b",
      sequence: "1",
      durable: true,
      modeSet: { mode: "AGENT_MODE_WHISPER" },
    });
  });

  it("erases a call", async () => {
    const server = await serve();
    const { log } = await open(server.url);
    await log.opened;
    for (const id of ["call-1", "call-2"]) await log.append(event(id, 1));
    await log.erase("default", "call-1");
    expect(await log.ofCall("default", "call-1", 0)).toEqual([]);
    expect((await log.ofCall("default", "call-2", 0)).length).toBe(1);
    expect((await log.append(event("call-1", 2))).durable).toBe(true);
  });
});
