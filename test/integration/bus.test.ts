import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Bus, BusStreamOptions } from "../../gateway/src/bus/bus.js";
import { describeBus } from "../../gateway/src/bus/bus-conformance.js";
import { type BusOptions, connectBus } from "../../gateway/src/bus/nats-bus.js";
import { freePort, type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { until } from "../harness/until.js";

const available = await natsAvailable();
const bytes = (value: string) => Buffer.from(value);
const text = (data: Uint8Array | undefined) => data && Buffer.from(data).toString("utf8");
const failing = (kind: string) => expect.objectContaining({ name: "BusError", kind });
const STREAM: BusStreamOptions = {
  name: "S",
  subjects: ["s.*"],
  maxAgeMs: 0,
  maxBytes: 0,
  discard: "old",
  replicas: 1,
  storage: "file",
};
const BUCKET = { name: "B", ttlMs: 0, maxBytes: 0, replicas: 1, storage: "file" } as const;

const open = new Set<Bus>();

/** A bus of this file; not waited for. */
async function away(server: { readonly url: string }, over: Partial<BusOptions> = {}): Promise<Bus> {
  const bus = await connectBus({ urls: [server.url], name: "test", pingIntervalMs: 200, ...over });
  open.add(bus);
  return bus;
}

async function connected(server: { readonly url: string }, over: Partial<BusOptions> = {}): Promise<Bus> {
  const bus = await away(server, over);
  await until(() => bus.connected, "the connection");
  return bus;
}

describe.skipIf(!available)("bus on a real server", () => {
  let shared: NatsTestServer;
  beforeAll(async () => {
    shared = await startNats();
  });
  afterAll(() => shared?.stop());
  afterEach(async () => {
    for (const bus of open) await bus.close();
    open.clear();
  });

  describeBus("nats", async () => ({ client: () => connected(shared), stop: async () => {} }));

  /** A server for one test, ended after it. */
  async function withServer(test: (server: NatsTestServer) => Promise<void>): Promise<void> {
    const server = await startNats();
    try {
      await test(server);
    } finally {
      for (const bus of open) await bus.close(200);
      open.clear();
      await server.stop();
    }
  }

  it("begins away, refuses meanwhile, and opens what was asked for when the server comes", async () => {
    const port = await freePort();
    const told: boolean[] = [];
    const bus = await away({ url: `nats://127.0.0.1:${port}` }, { onStatus: (up) => told.push(up) });
    expect(bus.connected).toBe(false);
    expect(bus.publish("x", bytes("stale"))).toBe(false);
    await expect(bus.request("x", bytes(""), { timeoutMs: 100 })).rejects.toEqual(failing("away"));
    await expect(bus.flush()).rejects.toEqual(failing("away"));
    const stream = bus.stream(STREAM);
    const bucket = bus.bucket(BUCKET);
    const seen: string[] = [];
    bus.subscribe(">", (message) => void seen.push(message.subject));
    await bus.service({ name: "n", version: "1.0.0", description: "d" }, [
      { name: "e", subject: "e", handler: async (message) => message.respond(bytes("here")) },
    ]);
    const server = await startNats({ port });
    try {
      await (await stream).publish("s.1", bytes("1"), { expectedLast: 0 });
      await (await bucket).put("k", bytes("1"));
      const other = await connected(server);
      expect(text((await other.request("e", bytes(""), { timeoutMs: 5000 })).data)).toBe("here");
      expect(told).toEqual([true]);
      expect(seen).not.toContain("x");
    } finally {
      await bus.close();
      await server.stop();
    }
  });

  it("lives over a restart: subscriptions, services, streams, buckets; nothing old is sent (fault 14, fault 17)", () =>
    withServer(async (server) => {
      const told: boolean[] = [];
      const a = await connected(server, { onStatus: (up) => told.push(up) });
      const b = await connected(server);
      const heard: string[] = [];
      b.subscribe("x", (message) => void heard.push(text(message.data) ?? ""));
      await b.service({ name: "n", version: "1.0.0", description: "d" }, [
        { name: "e", subject: "e", handler: async (message) => message.respond(bytes("here")) },
      ]);
      const stream = await a.stream(STREAM);
      const bucket = await a.bucket(BUCKET);
      const followed: string[] = [];
      (await b.stream(STREAM)).follow("s.*", 1, (message) => void followed.push(text(message.data) ?? ""));
      const entries: string[] = [];
      (await b.bucket(BUCKET)).watch((entry) =>
        entries.push(entry.value ? `${entry.key}=${text(entry.value)}` : `-${entry.key}`),
      );
      const { createdMs } = stream;
      await bucket.put("stays", bytes("1"));
      const expected: string[] = [];
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 50; i++) {
          expected.push(`${round}/${i}`);
          await stream.publish("s.1", bytes(`${round}/${i}`), {});
        }
        await server.kill();
        await until(() => !a.connected && !b.connected, "the loss");
        expect(a.publish("x", bytes("stale"))).toBe(false);
        await expect(stream.publish("s.1", bytes("x"), {})).rejects.toEqual(failing("away"));
        await expect(bucket.get("stays")).rejects.toEqual(failing("away"));
        await server.restart();
        await until(() => a.connected && b.connected, "the return");
        await b.flush();
        expect(text((await a.request("e", bytes(""), { timeoutMs: 5000 })).data)).toBe("here");
        a.publish("x", bytes(`fresh ${round}`));
        await bucket.put(`k${round}`, bytes("1"));
        await bucket.delete("stays");
        await bucket.create("stays", bytes(String(round)));
      }
      await until(() => followed.length >= expected.length, "all messages");
      expect(followed).toEqual(expected);
      await until(() => entries.includes("stays=2") && heard.length === 3, "the last entry");
      expect(heard).toEqual(["fresh 0", "fresh 1", "fresh 2"]);
      expect(new Set(entries)).toEqual(
        new Set(["stays=1", "-stays", "stays=0", "stays=2", "k0=1", "k1=1", "k2=1"]),
      );
      expect(stream.createdMs).toBe(createdMs);
      expect(told).toEqual([true, false, true, false, true, false, true]);
    }));

  it(
    "sees a frozen server, buffers no more than it may, and is back when the server is (fault 15, fault 17)",
    () =>
      withServer(async (server) => {
        const bus = await connected(server, { maxBufferedBytes: 200_000 });
        const stream = await bus.stream(STREAM);
        const seen: number[] = [];
        stream.follow("s.*", 1, (message) => void seen.push(message.sequence));
        await stream.publish("s.1", bytes("1"), {});
        server.freeze();
        const pending = stream.publish("s.1", bytes("2"), { messageId: "second" });
        pending.catch(() => {});
        let taken = 0;
        const chunk = new Uint8Array(50_000);
        await until(() => !bus.publish("x", chunk) || ++taken > 2000, "the bus to refuse");
        expect(taken).toBeLessThan(1000);
        await until(() => !bus.connected, "the loss to be seen");
        await expect(pending).rejects.toEqual(failing("timeout"));
        server.thaw();
        await until(() => bus.connected, "the return");
        const { sequence } = await stream.publish("s.1", bytes("2"), { messageId: "second" });
        expect(sequence).toBe(2);
        await until(() => seen.length === 2, "both");
        expect(seen).toEqual([1, 2]);
      }),
    60_000,
  );

  it("tells an entry that vanished without a trace while the connection was away", () =>
    withServer(async (server) => {
      const a = await connected(server);
      const bucket = await a.bucket(BUCKET);
      await bucket.put("k", bytes("1"));
      await bucket.put("l", bytes("1"));
      const seen: string[] = [];
      bucket.watch((entry) => seen.push(entry.value ? entry.key : `-${entry.key}`));
      await until(() => seen.length === 2, "both");
      // As by age on a server that leaves no mark.
      const purge = bytes(JSON.stringify({ filter: "$KV.B.k" }));
      await a.request("$JS.API.STREAM.PURGE.KV_B", purge, { timeoutMs: 5000 });
      await server.restart();
      await until(() => seen.includes("-k"), "the removal");
      expect(seen).not.toContain("-l");
    }));

  it("makes streams again on a server that lost its files", async () => {
    const first = await startNats();
    const bus = await connected(first);
    const stream = await bus.stream(STREAM);
    const { createdMs } = stream;
    const seen: string[] = [];
    stream.follow("s.*", 1, (message) => void seen.push(text(message.data) ?? ""));
    for (const word of ["1", "2", "3"]) await stream.publish("s.1", bytes(word), {});
    await until(() => seen.length === 3, "three");
    await first.stop();
    const second = await startNats({ port: first.port });
    try {
      await until(() => bus.connected, "the return");
      await until(
        () => stream.publish("s.1", bytes("4"), { expectedLast: 0, messageId: "4" }).catch(() => false),
        "a publish",
      );
      await until(() => seen.length === 4, "the first of the new stream");
      expect(seen).toEqual(["1", "2", "3", "4"]);
      expect(stream.createdMs).toBeGreaterThan(createdMs);
    } finally {
      await bus.close();
      await second.stop();
    }
  });

  it("tells wrong credentials once, as permanent, without the secret, and goes on trying (fault 16)", async () => {
    const server = await startNats({ config: `authorization { user: "u", password: "right-secret" }` });
    try {
      const errors: [string, boolean][] = [];
      let password = "wrong-secret";
      const bus = await away(server, {
        credentials: () => ({ kind: "password", user: "u", password }),
        reconnectMaxMs: 50,
        onError: (error, permanent) => errors.push([error.message, permanent]),
      });
      await until(() => errors.length > 0, "the error");
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(errors.length).toBe(1);
      expect(errors[0]?.[1]).toBe(true);
      expect(errors[0]?.[0]).toMatch(/authorization violation/i);
      expect(JSON.stringify(errors)).not.toContain("secret");
      password = "right-secret";
      await until(() => bus.connected, "the connection");
    } finally {
      for (const bus of open) await bus.close();
      await server.stop();
    }
  });

  it("tells what it may not do (fault 16)", async () => {
    const server = await startNats({
      config: `authorization { users: [{ user: "u", password: "p", permissions: {
        publish: { deny: "secret.>" }, subscribe: { deny: "secret.>" } } }] }`,
    });
    try {
      const errors: [string, boolean][] = [];
      const bus = await connected(server, {
        credentials: { kind: "password", user: "u", password: "p" },
        onError: (error, permanent) => errors.push([error.message, permanent]),
      });
      bus.publish("secret.x", bytes(""));
      bus.subscribe("secret.y", () => {});
      await until(() => errors.length >= 2, "both errors");
      expect(errors.every(([, permanent]) => permanent)).toBe(true);
      await expect(bus.request("secret.z", bytes(""), { timeoutMs: 5000 })).rejects.toEqual(
        failing("refused"),
      );
      expect(bus.connected).toBe(true);
      expect(bus.publish("fine", bytes(""))).toBe(true);
    } finally {
      for (const bus of open) await bus.close();
      await server.stop();
    }
  });

  it("says when the server has no JetStream", async () => {
    const server = await startNats({ jetstream: false });
    try {
      const errors: string[] = [];
      const bus = await connected(server, { onError: (error) => errors.push(error.message) });
      const opening = bus.stream(STREAM);
      opening.catch(() => {});
      await until(() => errors.length > 0, "the error");
      expect(errors[0]).toMatch(/JetStream does not answer|not enabled/);
      await bus.close();
      await expect(opening).rejects.toMatchObject({ name: "BusError" });
    } finally {
      await server.stop();
    }
  });

  it("closes within its bound, whatever the server does", () =>
    withServer(async (server) => {
      const bus = await connected(server, { pingIntervalMs: 60_000 });
      server.freeze();
      bus.publish("x", bytes(""));
      const began = performance.now();
      await bus.close(300);
      expect(performance.now() - began).toBeLessThan(5000);
      const never = await away(server);
      const again = performance.now();
      await never.close(300);
      expect(performance.now() - again).toBeLessThan(5000);
    }));
});
