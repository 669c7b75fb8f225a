import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus, BusMessage, BusStreamOptions, StreamMessage } from "./bus.js";

/** What the suite needs: clients of one server, which is made before each test. */
export interface BusRig {
  client(): Promise<Bus>;
  stop(): Promise<void>;
}

const text = (data: Uint8Array | undefined) => data && Buffer.from(data).toString("utf8");
const bytes = (value: string) => Buffer.from(value);
const failing = (kind: string) => expect.objectContaining({ name: "BusError", kind });

async function until(check: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!check()) {
    if (performance.now() > endMs) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function streamOptions(over: Partial<BusStreamOptions> = {}): BusStreamOptions {
  const name = `S${randomBytes(4).toString("hex")}`;
  return {
    name,
    subjects: [`${name}.*.e`],
    maxAgeMs: 0,
    maxBytes: 0,
    discard: "old",
    replicas: 1,
    storage: "file",
    ...over,
  };
}

const bucketOptions = () => ({
  name: `B${randomBytes(4).toString("hex")}`,
  ttlMs: 0,
  maxBytes: 0,
  replicas: 1,
  storage: "memory" as const,
});

/** What every implementation of Bus has to do. */
export function describeBus(name: string, make: () => Promise<BusRig>): void {
  describe(`bus / ${name}`, () => {
    let rig: BusRig;
    let a: Bus;
    let b: Bus;
    beforeEach(async () => {
      rig = await make();
      [a, b] = await Promise.all([rig.client(), rig.client()]);
    });
    afterEach(async () => {
      await Promise.all([a.close(), b.close()]);
      await rig.stop();
    });

    describe("messages", () => {
      it("come in order, with headers, to every subscriber, and no more once stopped", async () => {
        const seen: string[] = [];
        const take = (who: string) => (message: BusMessage) => {
          seen.push(`${who}:${message.subject}:${text(message.data)}:${message.headers.K ?? ""}`);
        };
        const one = b.subscribe("x.*", take("1"));
        b.subscribe("x.>", take("2"));
        await b.flush();
        expect(a.publish("x.a", bytes("hi"), { headers: { K: "v\r\nX: y" } })).toBe(true);
        await until(() => seen.length === 2, "the first message");
        expect(seen.map((line) => line.replace(/[\r\n]+/, " ")).sort()).toEqual([
          "1:x.a:hi:v X: y",
          "2:x.a:hi:v X: y",
        ]);
        one.stop();
        await b.flush();
        seen.length = 0;
        for (let i = 0; i < 200; i++) a.publish("x.a", bytes(String(i)));
        await until(() => seen.length === 200, "200 messages");
        expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => `2:x.a:${i}:`));
      });

      it("go to one member of a queue group", async () => {
        let count = 0;
        for (const bus of [a, b, a]) bus.subscribe("q", () => void count++, { queue: "g" });
        await Promise.all([a.flush(), b.flush()]);
        for (let i = 0; i < 50; i++) a.publish("q", bytes(""));
        await until(() => count >= 50, "50 messages");
        await Promise.all([a.flush(), b.flush()]);
        expect(count).toBe(50);
      });

      it("are refused when too large or under a subject that is none", async () => {
        expect(a.publish("x", new Uint8Array(a.maxPayloadBytes + 1))).toBe(false);
        for (const subject of ["", "a b", "a..b", "a.*", ">", "a\r\nPUB b 0", ".a", "a."]) {
          expect(a.publish(subject, bytes(""))).toBe(false);
          await expect(a.request(subject, bytes(""), { timeoutMs: 500 })).rejects.toEqual(failing("refused"));
        }
      });

      it("wait for a slow handler, one at a time, and no more than they may", async () => {
        const seen: string[] = [];
        let dropped = 0;
        let release: () => void = () => {};
        const gate = new Promise<void>((resolve) => {
          release = resolve;
        });
        b.subscribe(
          "slow",
          async (message) => {
            await gate;
            seen.push(text(message.data) ?? "");
          },
          { maxPending: 5, onDropped: () => dropped++ },
        );
        await b.flush();
        for (let i = 0; i < 20; i++) a.publish("slow", bytes(String(i)));
        await until(() => dropped === 1, "dropping");
        await Promise.all([a.flush(), b.flush()]);
        await b.flush();
        release();
        await until(() => seen.length === 6, "six messages");
        expect(seen).toEqual(["0", "1", "2", "3", "4", "5"]);
        expect(dropped).toBe(1);
        a.publish("slow", bytes("after"));
        await until(() => seen.includes("after"), "a message after the flood");
      });

      it("do not end the reading when a handler throws", async () => {
        const seen: string[] = [];
        b.subscribe("t", (message) => {
          seen.push(text(message.data) ?? "");
          if (seen.length === 1) throw new Error("oh");
        });
        b.subscribe("t", async () => Promise.reject(new Error("oh")));
        await b.flush();
        a.publish("t", bytes("1"));
        a.publish("t", bytes("2"));
        await until(() => seen.length === 2, "both");
      });
    });

    describe("requests", () => {
      it("are answered, or fail with the reason", async () => {
        b.subscribe("ask", (message) =>
          message.respond(bytes(`you said ${text(message.data)}`), { Who: "b" }),
        );
        b.subscribe("silent", () => {});
        await b.flush();
        const answer = await a.request("ask", bytes("hi"), { timeoutMs: 5000 });
        expect([text(answer.data), answer.headers.Who]).toEqual(["you said hi", "b"]);
        await expect(a.request("silent", bytes(""), { timeoutMs: 50 })).rejects.toEqual(failing("timeout"));
        await expect(a.request("nobody", bytes(""), { timeoutMs: 5000 })).rejects.toEqual(
          failing("no_responders"),
        );
      });
    });

    describe("services", () => {
      const about = { name: "calls", version: "1.2.3", description: "all about calls" };
      const ask = async (subject: string, body = "") => a.request(subject, bytes(body), { timeoutMs: 5000 });
      const json = async (subject: string) => JSON.parse(text((await ask(subject)).data) ?? "");

      it("answer, count, and are found by every tool", async () => {
        const service = await b.service(about, [
          {
            name: "get",
            subject: "svc.get",
            metadata: { type: "json" },
            handler: async (message) => message.respond(bytes(`got ${text(message.data)}`)),
          },
          {
            name: "bad",
            subject: "svc.bad",
            handler: async () => Promise.reject(new Error("a secret")),
          },
          {
            name: "no",
            subject: "svc.no",
            handler: async (message) =>
              message.respond(bytes(""), { "Nats-Service-Error": "no", "Nats-Service-Error-Code": "404" }),
          },
        ]);
        await b.flush();
        expect(text((await ask("svc.get", "it")).data)).toBe("got it");
        expect((await ask("svc.bad")).headers).toMatchObject({
          "Nats-Service-Error": "internal error",
          "Nats-Service-Error-Code": "500",
        });
        expect((await ask("svc.no")).headers["Nats-Service-Error-Code"]).toBe("404");
        const ping = await json("$SRV.PING");
        expect(ping).toMatchObject({
          type: "io.nats.micro.v1.ping_response",
          name: "calls",
          version: "1.2.3",
        });
        expect(await json("$SRV.PING.calls")).toEqual(ping);
        expect(await json(`$SRV.INFO.calls.${ping.id}`)).toMatchObject({
          type: "io.nats.micro.v1.info_response",
          description: "all about calls",
          endpoints: [{ name: "get", subject: "svc.get", metadata: { type: "json" } }, {}, {}],
        });
        const stats = await json("$SRV.STATS.calls");
        expect(stats.endpoints).toMatchObject([
          { name: "get", num_requests: 1, num_errors: 0 },
          { name: "bad", num_requests: 1, num_errors: 1, last_error: "500:internal error" },
          { name: "no", num_requests: 1, num_errors: 1, last_error: "404:no" },
        ]);
        expect(JSON.stringify(stats)).not.toContain("secret");
        service.stop();
        await b.flush();
        await expect(ask("svc.get")).rejects.toEqual(failing("no_responders"));
      });

      it("share their requests, and answer others while one takes long", async () => {
        let release: () => void = () => {};
        const gate = new Promise<void>((resolve) => {
          release = resolve;
        });
        for (const bus of [a, b])
          await bus.service(about, [
            {
              name: "work",
              subject: "svc.work",
              handler: async (message) => {
                if (text(message.data) === "long") await gate;
                message.respond(message.data);
              },
            },
          ]);
        await Promise.all([a.flush(), b.flush()]);
        const long = Array.from({ length: 5 }, () => ask("svc.work", "long"));
        expect(text((await ask("svc.work", "short")).data)).toBe("short");
        release();
        expect((await Promise.all(long)).length).toBe(5);
      });
    });

    describe("streams", () => {
      it("keep messages, number them, and give them back", async () => {
        const options = streamOptions();
        const stream = await a.stream(options);
        const of = (id: string) => `${options.name}.${id}.e`;
        for (let i = 1; i <= 5; i++)
          expect(
            await stream.publish(of(i % 2 ? "a" : "b"), bytes(`m${i}`), { headers: { N: `${i}` } }),
          ).toEqual({
            sequence: i,
            duplicate: false,
          });
        const other = await b.stream(options);
        expect(other.createdMs).toBe(stream.createdMs);
        expect(Math.abs(stream.createdMs - Date.now())).toBeLessThan(60_000);
        expect(await other.state()).toMatchObject({ firstSequence: 1, lastSequence: 5 });
        const found = await other.read(`${options.name}.*.e`, 2, 3);
        expect(found.map((m) => [m.sequence, m.subject, text(m.data), m.headers.N])).toEqual([
          [2, of("b"), "m2", "2"],
          [3, of("a"), "m3", "3"],
          [4, of("b"), "m4", "4"],
        ]);
        expect(Math.abs((found[0] as StreamMessage).timeMs - Date.now())).toBeLessThan(60_000);
        expect((await other.read(of("a"), 1, 100)).map((m) => m.sequence)).toEqual([1, 3, 5]);
        expect(await other.read(of("a"), 6, 100)).toEqual([]);
        expect(await other.last(of("b"))).toMatchObject({ sequence: 4, headers: { N: "4" } });
        expect(text((await other.last(of("b")))?.data)).toBe("m4");
        expect(await other.last(of("none"))).toBeUndefined();
        await other.purge(of("b"));
        expect((await stream.read(`${options.name}.>`, 1, 100)).map((m) => m.sequence)).toEqual([1, 3, 5]);
        expect(await stream.last(of("b"))).toBeUndefined();
      });

      it("take a message once by its id, and only where it was expected", async () => {
        const options = streamOptions();
        const stream = await a.stream(options);
        const subject = `${options.name}.a.e`;
        const first = await stream.publish(subject, bytes("1"), { messageId: "id-1", expectedLast: 0 });
        expect(await stream.publish(subject, bytes("1"), { messageId: "id-1", expectedLast: 0 })).toEqual({
          sequence: first.sequence,
          duplicate: true,
        });
        await stream.publish(`${options.name}.b.e`, bytes("x"), { expectedLast: 0 });
        await expect(
          stream.publish(subject, bytes("2"), { messageId: "id-2", expectedLast: 0 }),
        ).rejects.toEqual(failing("conflict"));
        await expect(stream.publish(subject, bytes("2"), { expectedLast: 99 })).rejects.toEqual(
          failing("conflict"),
        );
        await stream.publish(subject, bytes("2"), { messageId: "id-2", expectedLast: first.sequence });
        expect((await stream.read(subject, 1, 10)).map((m) => text(m.data))).toEqual(["1", "2"]);
        expect((await stream.last(subject))?.headers["Nats-Msg-Id"]).toBe("id-2");
      });

      it("refuse what comes when full, or let the oldest go", async () => {
        const refusing = streamOptions({ maxBytes: 4000, discard: "new" });
        const stream = await a.stream(refusing);
        const fill = async (to: typeof stream, subject: string) => {
          for (let i = 0; i < 20; i++) await to.publish(subject, new Uint8Array(1000), {});
        };
        await expect(fill(stream, `${refusing.name}.a.e`)).rejects.toEqual(failing("full"));
        const rolling = streamOptions({ maxBytes: 4000 });
        const other = await a.stream(rolling);
        await fill(other, `${rolling.name}.a.e`);
        const state = await other.state();
        expect(state.lastSequence).toBe(20);
        expect(state.firstSequence).toBeGreaterThan(15);
      });

      it("are not opened with other subjects", async () => {
        const options = streamOptions();
        await a.stream(options);
        await expect(b.stream({ ...options, subjects: ["other.>"] })).rejects.toEqual(failing("refused"));
      });

      it("are followed: what is there, then what comes, in order, at the handler's pace", async () => {
        const options = streamOptions();
        const stream = await a.stream(options);
        const subject = `${options.name}.a.e`;
        for (let i = 1; i <= 30; i++) await stream.publish(subject, bytes(String(i)), {});
        const other = await b.stream(options);
        const seen: string[] = [];
        let inside = 0;
        const following = other.follow(`${options.name}.*.e`, 11, async (message) => {
          expect(++inside).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(text(message.data) ?? "");
          inside--;
        });
        await until(() => seen.length >= 5, "the history");
        await Promise.all(
          Array.from({ length: 2000 }, (_, i) =>
            stream.publish(`${options.name}.b.e`, bytes(String(31 + i)), {}),
          ),
        );
        await until(() => seen.length >= 2020, "all");
        expect(seen.map(Number).sort((x, y) => x - y)).toEqual(
          Array.from({ length: 2020 }, (_, i) => 11 + i),
        );
        following.stop();
        await stream.publish(subject, bytes("late"), {});
        await b.flush();
        expect(seen).not.toContain("late");
      });
    });

    describe("buckets", () => {
      it("hold values with revisions", async () => {
        const options = bucketOptions();
        const bucket = await a.bucket(options);
        const other = await b.bucket(options);
        expect(await bucket.get("k")).toBeUndefined();
        const first = await bucket.create("k", bytes("1"));
        expect(await other.get("k")).toMatchObject({ key: "k", revision: first });
        await expect(other.create("k", bytes("2"))).rejects.toEqual(failing("conflict"));
        const second = await other.update("k", bytes("2"), first);
        expect(second).toBeGreaterThan(first);
        await expect(bucket.update("k", bytes("3"), first)).rejects.toEqual(failing("conflict"));
        await expect(bucket.delete("k", first)).rejects.toEqual(failing("conflict"));
        const third = await bucket.put("k", bytes("3"));
        expect(text((await other.get("k"))?.value)).toBe("3");
        await other.delete("k", third);
        expect(await bucket.get("k")).toBeUndefined();
        await expect(bucket.update("k", bytes("4"), third)).rejects.toEqual(failing("conflict"));
        expect(await bucket.create("k", bytes("5"))).toBeGreaterThan(third);
        await bucket.delete("k");
        expect(await bucket.get("k")).toBeUndefined();
        for (const key of ["", "a b", "a.*", ">", "a\nb", ".a", "ä"])
          await expect(bucket.put(key, bytes(""))).rejects.toEqual(failing("refused"));
      });

      it("refuse what comes when full", async () => {
        const bucket = await a.bucket({ ...bucketOptions(), maxBytes: 4000 });
        const fill = async () => {
          for (let i = 0; i < 20; i++) await bucket.put(`k${i}`, new Uint8Array(1000));
        };
        await expect(fill()).rejects.toEqual(failing("full"));
      });

      it("tell what is there, that it is all, and then each change", async () => {
        const options = bucketOptions();
        const bucket = await a.bucket(options);
        await bucket.put("x", bytes("0"));
        await bucket.put("x", bytes("1"));
        await bucket.put("gone", bytes("1"));
        await bucket.delete("gone");
        const seen: string[] = [];
        const watching = (await b.bucket(options)).watch(
          (entry) => seen.push(entry.value ? `${entry.key}=${text(entry.value)}` : `-${entry.key}`),
          () => seen.push("ready"),
        );
        await until(() => seen.includes("ready"), "ready");
        expect(seen).toEqual(["x=1", "ready"]);
        await bucket.put("y/z.1", bytes("2"));
        await bucket.delete("x");
        await bucket.put("x", bytes("3"));
        await until(() => seen.includes("x=3"), "changes");
        watching.stop();
        expect(seen.slice(2).filter((line) => line !== "-x")).toEqual(["y/z.1=2", "x=3"]);
        await bucket.put("late", bytes(""));
        await b.flush();
        expect(seen).not.toContain("late=");
      });

      it("tell of an empty bucket that it is ready", async () => {
        const bucket = await a.bucket(bucketOptions());
        let ready = false;
        bucket.watch(
          () => {},
          () => {
            ready = true;
          },
        );
        await until(() => ready, "ready");
      });

      it("let entries vanish by age, and tell it", async () => {
        const bucket = await a.bucket({ ...bucketOptions(), ttlMs: 1000 });
        const seen: string[] = [];
        bucket.watch((entry) => seen.push(entry.value ? entry.key : `-${entry.key}`));
        await bucket.put("k", bytes("1"));
        await until(() => seen.includes("-k"), "the entry to vanish");
        expect(await bucket.get("k")).toBeUndefined();
        await bucket.create("k", bytes("2"));
        expect(text((await bucket.get("k"))?.value)).toBe("2");
      });
    });

    describe("closing", () => {
      it("makes everything fail with away", async () => {
        const stream = await a.stream(streamOptions());
        const bucket = await a.bucket(bucketOptions());
        const told: boolean[] = [];
        a.onStatus((connected) => told.push(connected));
        await a.close();
        await a.close();
        expect(told).toContain(false);
        expect(a.connected).toBe(false);
        expect(a.publish("x", bytes(""))).toBe(false);
        for (const attempt of [
          a.request("x", bytes(""), { timeoutMs: 100 }),
          a.flush(),
          stream.state(),
          bucket.get("k"),
          a.stream(streamOptions()),
          a.bucket(bucketOptions()),
        ])
          await expect(attempt).rejects.toEqual(failing("away"));
      });
    });
  });
}
