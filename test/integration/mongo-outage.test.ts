import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../gateway/src/bus/bus.js";
import { connectBus } from "../../gateway/src/bus/nats-bus.js";
import { call, turn } from "../../gateway/src/context/context-fixture.js";
import { StoredContextService } from "../../gateway/src/context/context-service.js";
import { ContextStoreAway } from "../../gateway/src/context/context-store.js";
import type { FailoverStats } from "../../gateway/src/context/failover-options.js";
import { MongoContextStore } from "../../gateway/src/context/mongo-context-store.js";
import { openContextStore } from "../../gateway/src/context/open-context-store.js";
import type { Logger } from "../../gateway/src/util/logger.js";
import { type MongoTestServer, skipWithoutMongo, startMongo } from "../harness/mongo.js";
import { type FaultProxy, startFaultProxy } from "../harness/mongo-proxy.js";
import { type NatsTestServer, natsBinary, startNats } from "../harness/nats.js";
import { startProgram } from "../harness/process.js";

const WRITER = fileURLToPath(new URL("../harness/mongo-spool-writer.ts", import.meta.url));
const LONG = { timeout: 30_000 };

interface Gateway {
  readonly contexts: StoredContextService;
  readonly stats: () => FailoverStats;
  readonly bus: Bus | undefined;
  readonly logged: string[];
}

// These end and freeze the server: only one of their own will do, also with MONGODB_URL.
describe.skipIf(skipWithoutMongo("contexts while MongoDB is away"))("MongoDB away", () => {
  let server: MongoTestServer;
  let client: MongoClient;
  let folder: string;
  let url: string;
  let running: Gateway[] = [];
  let tests = 0;

  beforeAll(async () => {
    server = await startMongo();
    client = new MongoClient(server.url, { serverSelectionTimeoutMS: 20_000 });
  }, 400_000);
  afterAll(async () => {
    await client.close(true);
    await server.stop();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "callweave-outage-"));
    url = server.url.replace(/test_\w+/, `outage_${tests++}`);
    running = [];
  });
  afterEach(async () => {
    for (const gateway of running) await close(gateway);
    await rm(folder, { recursive: true, force: true });
  });

  async function gateway(
    name: string,
    options: { bus?: Bus; timeoutMs?: number; maxReplicatedBytes?: number } = {},
  ) {
    const logged: string[] = [];
    const log = (fields: object, message: string) => logged.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { debug: () => {}, info: log, warn: log, error: log };
    const { store, stats } = await openContextStore({
      mongodb: { url, timeoutMs: options.timeoutMs ?? 1000 },
      ...(options.bus && { bus: options.bus }),
      stateDir: join(folder, name),
      spool: {
        retryIntervalMs: 200,
        busTimeoutMs: 2000,
        maxReplicatedBytes: options.maxReplicatedBytes ?? 2 ** 24,
      },
      logger,
    });
    if (!stats) throw new Error("not MongoDB");
    const made: Gateway = { contexts: new StoredContextService(store), stats, bus: options.bus, logged };
    running.push(made);
    return made;
  }
  async function close(gateway: Gateway): Promise<void> {
    running = running.filter((one) => one !== gateway);
    await gateway.contexts.close();
    await gateway.bus?.close();
  }
  const documents = () =>
    client.db(new URL(url).pathname.slice(1)).collection("call_contexts").find().toArray();
  const waiting = (g: Gateway) => g.stats().spools.reduce((sum, spool) => sum + spool.depth, 0);
  const arrived = (...gateways: Gateway[]) =>
    expect
      .poll(() => gateways.map((g) => [waiting(g), g.stats().away]), LONG)
      .toEqual(gateways.map(() => [0, false]));

  describe("with NATS", () => {
    let nats: NatsTestServer | undefined;
    let skip: string | undefined;
    beforeAll(async () => {
      const found = await natsBinary();
      if ("skip" in found) {
        skip = found.skip;
        console.warn(`MongoDB away with NATS skipped: ${found.skip}`);
      } else nats = await startNats();
    }, 300_000);
    afterAll(() => nats?.stop());
    const bus = async () => {
      const made = await connectBus({ urls: [(nats as NatsTestServer).url], name: "test" });
      await expect.poll(() => made.connected, LONG).toBe(true);
      return made;
    };

    it("escalate at A, read at B, A dies, read at B; MongoDB is back: it is there, once (fault 19)", async (context) => {
      if (skip) return context.skip(skip);
      const a = await gateway("a", { bus: await bus() });
      const b = await gateway("b", { bus: await bus() });
      await a.contexts.save("t", { callId: "c-0" });
      await server.kill();
      try {
        const startMs = performance.now();
        const written = await a.contexts.merge(call(), { status: "ESCALATING", summary: "Wants a human." });
        expect(written.durability).toBe("REPLICATED_LOG");
        // One time-out of the database; the escalation waits 1.5 s for this.
        expect(performance.now() - startMs).toBeLessThan(1500);
        const again = performance.now();
        await a.contexts.appendTurns("t", "c-1", [turn("1"), turn("2")]);
        expect(performance.now() - again).toBeLessThan(500);
        const read = () => b.contexts.get("t", { callId: "c-1" });
        await expect.poll(async () => (await read()).turnCount, LONG).toBe(2);
        await close(a);
        expect(await read()).toMatchObject({ status: "ESCALATING", summary: "Wants a human.", turnCount: 2 });
        expect(await b.contexts.find("t", { callee: "+15550101" }, 0, 0)).toMatchObject({
          contexts: [{ callId: "c-1" }],
          partial: true,
        });
        // A gateway that starts now sees it too.
        const c = await gateway("c", { bus: await bus() });
        expect(await c.contexts.get("t", { sessionId: "s-1" })).toMatchObject({
          callId: "c-1",
          turnCount: 2,
        });
        await server.restart();
        await arrived(b, c);
      } finally {
        await server.restart().catch(() => {});
      }
      const stored = await documents();
      expect(stored.map((d) => [d.call_id, d.status, d.turn_count]).sort()).toEqual([
        ["c-0", "ACTIVE", 0],
        ["c-1", "ESCALATING", 2],
      ]);
      expect(stored.every((d) => d.conflicts === undefined)).toBe(true);
      expect((await b.contexts.find("t", { callee: "+15550101" }, 0, 0)).partial).toBe(false);
    });

    it("more than NATS may hold goes to the disk, and all of it arrives", async (context) => {
      if (skip) return context.skip(skip);
      const a = await gateway("a", { bus: await bus(), maxReplicatedBytes: 30_000 });
      await server.kill();
      const durabilities = new Map<string, number>();
      try {
        for (let i = 0; i < 40; i++) {
          const { durability } = await a.contexts.save("t", {
            callId: `c-${i}`,
            data: { x: "y".repeat(1000) },
          });
          durabilities.set(durability, (durabilities.get(durability) ?? 0) + 1);
        }
        expect([...durabilities.keys()].sort()).toEqual(["LOCAL_DISK", "REPLICATED_LOG"]);
        expect(a.stats().spools[0]).toMatchObject({ store: "replicated", full: true });
      } finally {
        await server.restart();
      }
      await arrived(a);
      expect((await documents()).length).toBe(40);
      expect(a.stats().spools.map((spool) => spool.full)).toEqual([false, false]);
    });

    it("NATS away too: on the disk of A, then on NATS, then in MongoDB (fault 19)", async (context) => {
      if (skip) return context.skip(skip);
      const a = await gateway("a", { bus: await bus() });
      const b = await gateway("b", { bus: await bus() });
      await server.kill();
      await nats?.kill();
      try {
        expect((await a.contexts.save("t", { callId: "c-1", summary: "s" })).durability).toBe("LOCAL_DISK");
        await expect(b.contexts.get("t", { callId: "c-1" })).rejects.toMatchObject({
          reason: "CONTEXT_STORE_AWAY",
        });
        await nats?.restart();
        await expect
          .poll(
            () =>
              b.contexts.get("t", { callId: "c-1" }).then(
                (c) => c.summary,
                () => "",
              ),
            LONG,
          )
          .toBe("s");
      } finally {
        await server.restart();
      }
      await arrived(a, b);
      expect((await documents()).map((d) => d.summary)).toEqual(["s"]);
    });
  });

  it("a gateway that is killed while it spools loses nothing that it acknowledged (fault 19)", async () => {
    const away = "mongodb://127.0.0.1:1/x?directConnection=true";
    const writer = startProgram(WRITER, [away, join(folder, "a")]);
    const acknowledged = () => writer.lines.map((line) => line.acknowledged as string);
    try {
      await expect.poll(() => acknowledged().length, LONG).toBeGreaterThan(30);
    } finally {
      writer.signal("SIGKILL");
      await writer.exit;
    }
    expect(writer.lines.every((line) => line.durability === "LOCAL_DISK")).toBe(true);
    const ids = acknowledged();
    const a = await gateway("a");
    await arrived(a);
    const stored = await documents();
    expect(stored.length).toBe(7);
    const turns = stored.flatMap((d) => (d.turns as { id: string }[]).map((t) => t.id));
    expect(new Set(turns).size).toBe(turns.length);
    for (const id of ids) expect(turns).toContain(id);
  });

  it("a gateway starts without its database, and makes the indexes when that is there", async () => {
    await server.kill();
    const startMs = performance.now();
    let a: Gateway;
    try {
      a = await gateway("a");
      expect(performance.now() - startMs).toBeLessThan(10_000);
      expect((await a.contexts.save("t", { callId: "c-1" })).durability).toBe("LOCAL_DISK");
    } finally {
      await server.restart();
    }
    await arrived(a);
    const collection = client.db(new URL(url).pathname.slice(1)).collection("call_contexts");
    await expect.poll(async () => (await collection.indexes()).length, LONG).toBe(7);
    expect((await a.contexts.save("t", { callId: "c-2" })).durability).toBe("STORE");
    expect(JSON.stringify(a.logged)).not.toContain("127.0.0.1");
  });

  it("a frozen database delays one write by the time-out, and what it did late is no conflict", async () => {
    const a = await gateway("a");
    await a.contexts.save("t", { callId: "c-1" });
    server.freeze();
    try {
      const startMs = performance.now();
      expect((await a.contexts.save("t", { callId: "c-1", summary: "1" })).durability).toBe("LOCAL_DISK");
      expect(performance.now() - startMs).toBeLessThan(1500);
      const again = performance.now();
      for (let i = 0; i < 10; i++) await a.contexts.appendTurns("t", "c-1", [turn(`${i}`)]);
      expect(performance.now() - again).toBeLessThan(1000);
    } finally {
      server.thaw();
    }
    await arrived(a);
    const [document, ...others] = await documents();
    expect(document).toMatchObject({ summary: "1", turn_count: 10, revision: 2 });
    expect(document?.conflicts).toBeUndefined();
    expect(others).toEqual([]);
  });

  describe("over a bad line", () => {
    let proxy: FaultProxy;
    beforeEach(async () => {
      proxy = await startFaultProxy(server.port);
      url = url.replace(`:${server.port}`, `:${proxy.port}`);
    });
    afterEach(() => proxy.stop());

    it("nothing is lost or doubled while connections are cut, refused, silent and slow (fault 19)", async () => {
      const a = await gateway("a", { timeoutMs: 400 });
      const acknowledged: string[] = [];
      let writing = true;
      const writer = (async () => {
        for (let i = 0; writing; i++) {
          await a.contexts.save("t", {
            callId: `c-${i % 5}`,
            turns: [turn(`t-${i}`)],
            data: { [`k${i % 50}`]: i },
          });
          acknowledged.push(`t-${i}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      const more = async (count: number) => {
        const goal = acknowledged.length + count;
        await expect.poll(() => acknowledged.length, LONG).toBeGreaterThan(goal);
      };
      try {
        for (const fault of ["none", "refuse", "drop", { delayMs: 50 }] as const) {
          proxy.fault(fault);
          proxy.cut();
          await more(30);
          proxy.fault("none");
          proxy.cut();
          await more(10);
        }
      } finally {
        proxy.fault("none");
        writing = false;
        await writer;
      }
      await arrived(a);
      const stored = await documents();
      const turns = stored.flatMap((d) => (d.turns as { id: string }[]).map((t) => t.id));
      expect(stored.length).toBe(5);
      expect(turns.sort()).toEqual(acknowledged.sort());
      expect(stored.every((d) => d.conflicts === undefined)).toBe(true);
    });
  });

  describe("a server that says no", () => {
    const fail = (mode: object | string, data: object = {}) =>
      client.db("admin").command({ configureFailPoint: "failCommand", mode, data });
    afterEach(() => fail("off"));

    it.each([
      ["is no primary any more", { errorCode: 10_107 }, "LOCAL_DISK"],
      ["is shutting down", { errorCode: 91 }, "LOCAL_DISK"],
      ["reports a write that no majority has in time", { errorCode: 64 }, "LOCAL_DISK"],
    ])("%s: the write waits (fault 18, fault 20)", async (_name, data, durability) => {
      const a = await gateway("a");
      await a.contexts.save("t", { callId: "c-1" });
      await fail("alwaysOn", { failCommands: ["insert", "update"], ...data });
      expect((await a.contexts.save("t", { callId: "c-1", summary: "s" })).durability).toBe(durability);
      await fail("off");
      await arrived(a);
      expect((await documents()).map((d) => d.summary)).toEqual(["s"]);
    });

    it("lost answers of writes that were done make no conflict (fault 18)", async () => {
      const a = await gateway("a");
      await a.contexts.save("t", { callId: "c-1" });
      for (let i = 0; i < 5; i++) {
        await fail(
          { times: 1 },
          { failCommands: ["insert", "update"], applyFirst: true, closeConnection: true },
        );
        await a.contexts.save("t", { callId: "c-1", turns: [turn(`${i}`)], outcome: `${i}` });
        await a.contexts.save("t", { callId: `new-${i}` });
      }
      await arrived(a);
      const stored = await documents();
      expect(stored.length).toBe(6);
      expect(stored.find((d) => d.call_id === "c-1")).toMatchObject({
        turn_count: 5,
        outcome: "4",
        revision: 6,
      });
      expect(stored.every((d) => d.conflicts === undefined)).toBe(true);
    });

    it("an invalid document is refused, not spooled", async () => {
      const a = await gateway("a");
      await fail({ times: 1 }, { failCommands: ["insert"], errorCode: 121 });
      await expect(a.contexts.save("t", { callId: "c-1" })).rejects.toMatchObject({
        reason: "CONTEXT_NOT_SAVED",
        metadata: { why: "refused" },
      });
      expect(waiting(a)).toBe(0);
    });

    it("wrong credentials are told clearly, and contexts wait", async () => {
      const store = new MongoContextStore({ url, timeoutMs: 2000 });
      await fail("alwaysOn", { failCommands: ["find", "insert"], errorCode: 18 });
      const error = await store.get("t", "c-1").catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ContextStoreAway);
      expect(error).toMatchObject({
        kind: "credentials",
        message: expect.stringMatching(/password or rights/) as unknown,
      });
      await store.close();
      const a = await gateway("a");
      expect((await a.contexts.save("t", { callId: "c-1" })).durability).toBe("LOCAL_DISK");
      expect(a.logged.filter((line) => line.startsWith("the database of contexts refuses us")).length).toBe(
        1,
      );
      await fail("off");
      await arrived(a);
    });
  });
});
