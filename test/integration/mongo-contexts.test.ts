import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { AuditLog } from "../../gateway/src/audit/audit-log.js";
import { verifyAudit } from "../../gateway/src/audit/audit-verify.js";
import { describeCallerKeys } from "../../gateway/src/audit/caller-keys-suite.js";
import { MongoCallerKeys } from "../../gateway/src/audit/mongo-caller-keys.js";
import { openAudit } from "../../gateway/src/audit/open-audit.js";
import { loadConfig } from "../../gateway/src/config/index.js";
import { call, turn } from "../../gateway/src/context/context-fixture.js";
import { contextHash } from "../../gateway/src/context/context-hash.js";
import { describeReading } from "../../gateway/src/context/context-reading-suite.js";
import { emptyContext } from "../../gateway/src/context/context-rules.js";
import { StoredContextService } from "../../gateway/src/context/context-service.js";
import { ContextStoreAway, ContextStoreRefused } from "../../gateway/src/context/context-store.js";
import type { CallContext } from "../../gateway/src/context/context-types.js";
import { describeWriting } from "../../gateway/src/context/context-writing-suite.js";
import { FailoverContextStore } from "../../gateway/src/context/failover-context-store.js";
import { openLocalContextSpool } from "../../gateway/src/context/local-context-spool.js";
import { MongoContextStore } from "../../gateway/src/context/mongo-context-store.js";
import { CONTEXT_INDEXES } from "../../gateway/src/context/mongo-setup.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import { type MongoTestServer, outsideMongo, skipWithoutMongo, startMongo } from "../harness/mongo.js";

/** Later than now, so that a server's own expiry leaves the contexts of a test's clock alone. */
const EPOCH = new Date("2040-01-01T00:00:00Z");
/** A server and machine of any speed. */
const TIMEOUT_MS = 10_000;

describe.skipIf(!outsideMongo() && skipWithoutMongo("contexts in MongoDB"))("MongoDB", () => {
  let server: MongoTestServer | undefined;
  let client: MongoClient;
  const databases: string[] = [];

  /** An address with a database that nobody else has. */
  function freshUrl(): string {
    const url =
      outsideMongo() ?? (server as MongoTestServer).url.replace(/test_\w+/, `test_${databases.length}`);
    databases.push(new URL(url).pathname.slice(1));
    return url;
  }

  beforeAll(async () => {
    if (!outsideMongo()) server = await startMongo();
    client = new MongoClient(freshUrl());
  }, 400_000);
  afterAll(async () => {
    // A server of ours goes with its data.
    if (!server) for (const name of databases) await client.db(name).dropDatabase();
    await client.close();
    await server?.stop();
  });

  const open = () => new MongoContextStore({ url: freshUrl(), timeoutMs: TIMEOUT_MS });
  describeWriting("MongoDB", async () => open(), EPOCH);
  describeReading("MongoDB", async () => open(), EPOCH);
  const withSpools = async (folder: string) => {
    const store = new FailoverContextStore(open(), [await openLocalContextSpool(folder, 2 ** 20, () => {})]);
    await store.start();
    return store;
  };
  describeWriting("MongoDB with spools", withSpools, EPOCH);
  describeReading("MongoDB with spools", withSpools, EPOCH);

  let shared = "";
  describeCallerKeys("in MongoDB", async (fresh) => {
    if (fresh) shared = freshUrl();
    return new MongoCallerKeys({ url: shared, collection: "callers", timeoutMs: TIMEOUT_MS, maxPoolSize: 2 });
  });

  it("has the keys of callers for the audit logs of all gateways: one erases what another wrote", async () => {
    const folder = await mkdtemp(join(tmpdir(), "callweave-mongo-audit-"));
    const url = freshUrl();
    const ALL = { kinds: [], callId: "", actor: "", number: "" };
    const openAt = async (id: string, address: string) => {
      const file = join(folder, `${id}.yaml`);
      const mongodb = { url: address, timeout_ms: id === "away" ? 300 : TIMEOUT_MS };
      const config = { gateway: { id, state_dir: join(folder, id) }, contexts: { mongodb } };
      await writeFile(file, JSON.stringify(config));
      const log = await openAudit(loadConfig({ file, env: {} }), id, silentLogger);
      if (!log) throw new Error("no audit log");
      return log;
    };
    // Nobody listens there.
    const logs = [
      await openAt("a", url),
      await openAt("b", url),
      await openAt("away", "mongodb://127.0.0.1:1/x"),
    ];
    const [a, b, away] = logs as [AuditLog, AuditLog, AuditLog];
    try {
      const read = {
        tenant: "t",
        kind: "CONTEXT_READ",
        actor: "client:a",
        operation: "",
        number: "+15550100",
      } as const;
      for (const log of logs) {
        log.record(read);
        log.record({ ...read, number: "+15550101" });
      }
      const hashes = async (log: AuditLog, number = "") =>
        (await log.list("t", { ...ALL, number }, 0, 10)).entries.map((entry) => entry.numberHash);
      const [other, erased] = await hashes(a);
      // The same caller has the same hash at both, although their own keys are not the same.
      expect(await hashes(b)).toEqual([other, erased]);
      expect(await hashes(a, "+15550100")).toEqual([erased]);
      await b.eraseCaller("t", "+15550100");
      expect([await hashes(a, "+15550100"), await hashes(b, "+15550100")]).toEqual([[], []]);
      expect(await hashes(a, "+15550101")).toEqual([other]);
      expect(await hashes(b)).toEqual([erased, other, erased]);
      expect(await hashes(away)).toEqual(["unknown", "unknown"]);
      await expect(away.eraseCaller("t", "+15550100")).rejects.toThrow();
    } finally {
      for (const log of logs) await log.close();
    }
    for (const id of ["a", "b", "away"])
      expect((await verifyAudit(join(folder, id, "audit"))).problems, id).toEqual([]);
    await rm(folder, { recursive: true });
  });

  describe("the collection", () => {
    let store: MongoContextStore;
    let url = "";
    const raw = () => client.db(new URL(url).pathname.slice(1)).collection("call_contexts");
    const context = (over: Partial<CallContext> = {}): CallContext => ({
      ...emptyContext("t", "c-1", new Date(EPOCH), "", call()),
      revision: 1,
      expireTime: new Date(EPOCH.getTime() + 86_400_000),
      ...over,
    });

    function connect(): void {
      url = freshUrl();
      store = new MongoContextStore({ url, timeoutMs: TIMEOUT_MS, setupIntervalMs: 100 });
    }
    afterEach(() => store.close());

    it("gets its indexes, with one that removes what expired", async () => {
      connect();
      store.start();
      await expect.poll(() => store.ready, { timeout: 30_000 }).toBe(true);
      const indexes = await raw().indexes();
      expect(indexes.map((index) => index.name).sort()).toEqual(
        ["_id_", ...CONTEXT_INDEXES.map((index) => index.name)].sort(),
      );
      expect(indexes.find((index) => index.name === "expiry")).toMatchObject({ expireAfterSeconds: 0 });
      // Another gateway does the same.
      const other = new MongoContextStore({ url, timeoutMs: TIMEOUT_MS });
      other.start();
      await expect.poll(() => other.ready, { timeout: 30_000 }).toBe(true);
      await other.close();
    });

    it("does not write on what was removed and written anew, though its version is the same", async () => {
      connect();
      await store.put(context({ summary: "old" }), undefined);
      const old = await store.get("t", "c-1");
      await store.remove("t", "c-1");
      await store.put(context({ summary: "new" }), undefined);
      expect((await store.get("t", "c-1"))?.version).toBe(old?.version);
      expect(await store.put(context({ summary: "mine" }), old)).toBeUndefined();
      expect((await store.get("t", "c-1"))?.context.summary).toBe("new");
    });

    it("says of its own objects, and of no others, which version they were", async () => {
      connect();
      const written = context({ summary: "first" });
      expect(store.versionOf(written)).toBeUndefined();
      await store.put(written, undefined);
      const first = store.versionOf(written);
      expect(first).toEqual({ context: written, version: 1, durability: "STORE" });
      expect(await store.put(context({ summary: "second" }), first)).toBe("STORE");
      expect(store.versionOf({ ...written })).toBeUndefined();
      const read = await store.get("t", "c-1");
      expect(read && store.versionOf(read.context)).toEqual(read);
    });

    it("holds documents that people and tools can read", async () => {
      connect();
      const data = {
        order: 7,
        nested: { $where: "1", "a.b": [1, { $ref: "x", $id: 1 }], "50%": null, "\0": 0 },
      };
      const conflict = { time: EPOCH, field: "summary", value: "x", writeTime: EPOCH };
      const written = context({
        data,
        turns: [turn("1")],
        turnCount: 1,
        status: "ESCALATING",
        escalationReason: "FRUSTRATED",
        summary: "s",
        summarySource: "RULES",
        consent: { transcript: true, disclosedTime: EPOCH },
        notes: [{ time: EPOCH, author: "client:desk", text: "n" }],
        conflicts: [conflict],
        lineage: ["abc"],
      });
      expect(await store.put(written, undefined)).toBe("STORE");
      const document = await raw().findOne({ tenant: "t", call_id: "c-1", status: "ESCALATING" });
      expect(document).toMatchObject({
        _id: { t: "t", c: "c-1" },
        v: 1,
        hash: contextHash(written),
        caller: "+15550100",
        escalation_reason: "FRUSTRATED",
        create_time: EPOCH,
        turns: [{ id: "1", time: new Date("2026-01-01T00:00:01Z") }],
        consent: { disclosed_time: EPOCH, transcript: true },
        conflicts: [{ field: "summary", write_time: EPOCH }],
        data: {
          order: 7,
          nested: { "%24where": "1", "a%2Eb": [1, { "%24ref": "x", "%24id": 1 }], "50%25": null },
        },
      });
      const read = await store.get("t", "c-1");
      expect(read).toEqual({ context: written, version: 1, durability: "STORE" });
      expect(contextHash(read?.context as CallContext)).toBe(contextHash(written));
    });

    it("takes a write that was applied and sent again for done, and no other one (fault 21)", async () => {
      connect();
      const first = context();
      expect(await store.put(first, undefined)).toBe("STORE");
      expect(await store.put(first, undefined)).toBe("STORE");
      expect(await store.put(context({ summary: "other" }), undefined)).toBeUndefined();
      const read = await store.get("t", "c-1");
      const second = context({ revision: 2 });
      expect(await store.put(second, read)).toBe("STORE");
      expect(await store.put(second, read)).toBe("STORE");
      expect(await store.put(context({ revision: 2, summary: "other" }), read)).toBeUndefined();
      expect(await store.get("t", "c-1")).toMatchObject({
        version: 2,
        context: { revision: 2, summary: "" },
      });
      expect(await raw().countDocuments()).toBe(1);
    });

    it("lets one of two writers win each time (fault 21)", async () => {
      connect();
      const mine = new StoredContextService(store);
      const theirs = new StoredContextService(new MongoContextStore({ url, timeoutMs: TIMEOUT_MS }));
      await Promise.all(
        Array.from({ length: 12 }, (_, i) =>
          (i % 2 ? mine : theirs).save("t", { callId: "c-1", data: { [`k${i}`]: i } }),
        ),
      );
      expect(await mine.get("t", { callId: "c-1" })).toMatchObject({ revision: 12 });
      expect(Object.keys((await theirs.get("t", { callId: "c-1" })).data).length).toBe(12);
      const same = await Promise.allSettled(
        [mine, theirs, mine, theirs].map((service, i) =>
          service.update("t", { callId: "c-1", outcome: `${i}` }, ["outcome"], 12, "", "a"),
        ),
      );
      expect(same.filter((result) => result.status === "fulfilled").length).toBe(1);
      await theirs.close();
      await mine.close();
    });

    it("refuses a context that is too large, and says so (fault 22)", async () => {
      connect();
      const turns = Array.from({ length: 200 }, (_, i) => turn(`${i}`, { text: "x".repeat(100_000) }));
      await expect(store.put(context({ turns, turnCount: 200 }), undefined)).rejects.toBeInstanceOf(
        ContextStoreRefused,
      );
      const service = new StoredContextService(store, { maxTurnBytes: 2 ** 28 });
      await service.save("t", { callId: "c-1" });
      const many = Array.from({ length: 1800 }, (_, i) => turn(`${i}`, { text: "x".repeat(10_000) }));
      await expect(service.save("t", { callId: "c-1", turns: many })).rejects.toMatchObject({
        reason: "CONTEXT_NOT_SAVED",
        metadata: { why: "refused" },
        message: expect.stringMatching(/too large for MongoDB/) as unknown,
      });
      expect((await service.get("t", { callId: "c-1" })).turnCount).toBe(0);
    });

    it("forgets what expired, and not what was written again", async () => {
      connect();
      const expired = { expireTime: new Date(EPOCH.getTime() + 5) };
      for (const callId of ["a", "b", "c"]) await store.put(context({ callId, ...expired }), undefined);
      await store.put(context({ callId: "kept" }), undefined);
      expect(await store.removeExpired(EPOCH.getTime() + 10, 2)).toBe(2);
      expect(await store.removeExpired(EPOCH.getTime() + 10, 2)).toBe(1);
      expect(await store.removeExpired(EPOCH.getTime() + 10, 2)).toBe(0);
      expect(await store.get("t", "kept")).toBeDefined();
    });

    it("is away when nobody listens, without saying the password", async () => {
      url = "mongodb://user:very-secret-word@127.0.0.1:1/x?directConnection=true";
      store = new MongoContextStore({ url, timeoutMs: 300 });
      const error = await store.get("t", "c").catch((e: unknown) => e as Error);
      expect(error).toBeInstanceOf(ContextStoreAway);
      expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toContain("secret-word");
      expect(() => new MongoContextStore({ url: "http://user:very-secret-word@x" })).toThrow(
        /^the address of MongoDB is not valid$/,
      );
    });
  });
});
