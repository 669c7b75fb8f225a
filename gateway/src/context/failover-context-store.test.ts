import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ManualClock } from "../util/clock.js";
import { call, turn } from "./context-fixture.js";
import { ContextStoreAway, ContextStoreRefused } from "./context-store.js";
import { cut, type Gateway, idle, mend, World } from "./failover-fixture.js";
import type { MemoryContextStore } from "./memory-context-store.js";

describe("contexts without their database", () => {
  let world: World;
  let clock: ManualClock;
  let shared: MemoryContextStore;

  beforeEach(async () => {
    world = await World.make();
    ({ clock, shared } = world);
  });
  afterEach(() => world.end());

  const gateway: World["gateway"] = (...args) => world.gateway(...args);
  const close = (g: Gateway) => world.close(g);
  const get = (g: Gateway, callId = "c-1") => g.contexts.get("t", { callId });
  const inDatabase = async (callId = "c-1") => (await shared.get("t", callId))?.context;
  const until: World["until"] = (what) => world.until(what);

  it("are written where every gateway reads them, survive their gateway, and arrive once", async () => {
    const a = await gateway("a");
    const b = await gateway("b");
    cut(a, b);
    const written = await a.contexts.merge(call(), { status: "ESCALATING", summary: "Wants a human." });
    expect(written).toMatchObject({ revision: 1, durability: "REPLICATED_LOG" });
    expect(await get(b)).toMatchObject({
      status: "ESCALATING",
      summary: "Wants a human.",
      caller: "+15550100",
    });
    await close(a);
    expect(await get(b)).toMatchObject({ status: "ESCALATING" });
    const c = await gateway("c", { away: true });
    expect(await get(c)).toMatchObject({ status: "ESCALATING" });
    expect(await c.contexts.get("t", { sessionId: "s-1" })).toMatchObject({ callId: "c-1" });
    expect(await c.contexts.find("t", { callee: "+15550101" }, 0, 0)).toMatchObject({
      contexts: [{ callId: "c-1" }],
      partial: true,
    });
    mend(b, c);
    await until(() => idle(b) && idle(c));
    expect(await inDatabase()).toMatchObject({ status: "ESCALATING", revision: 1 });
    expect((await inDatabase())?.conflicts).toBeUndefined();
    const all = await b.contexts.list("t", { statuses: [], caller: "" }, 0, "");
    expect([all.contexts.length, all.partial]).toEqual([1, false]);
    expect(b.store.stats().replayed + c.store.stats().replayed).toBeGreaterThan(0);
  });

  it("wait on the disk when the bus is away too, and over a restart", async () => {
    const a = await gateway("a");
    cut(a);
    a.bus.setConnected(false);
    expect((await a.contexts.save("t", { callId: "c-1", summary: "x" })).durability).toBe("LOCAL_DISK");
    await a.contexts.appendTurns("t", "c-1", [turn("1")]);
    await close(a);
    const again = await gateway("a", { away: true, withBus: false });
    expect(await get(again)).toMatchObject({ summary: "x", turnCount: 1 });
    mend(again);
    await until(() => idle(again));
    expect(await inDatabase()).toMatchObject({ summary: "x", turnCount: 1 });
  });

  it("go from the disk to the bus when that is back first", async () => {
    const a = await gateway("a");
    const b = await gateway("b");
    cut(a, b);
    await a.contexts.save("t", { callId: "c-1", summary: "1", turns: [turn("1")] });
    a.bus.setConnected(false);
    // On top of what waits on the bus.
    expect((await a.contexts.save("t", { callId: "c-1", outcome: "2" })).durability).toBe("LOCAL_DISK");
    expect((await get(b)).outcome).toBe("");
    // Meanwhile somebody else goes on from there.
    await b.contexts.appendTurns("t", "c-1", [turn("2")]);
    a.bus.setConnected(true);
    await until(async () => (await get(b)).outcome === "2");
    expect(await get(b)).toMatchObject({ summary: "1", outcome: "2", turnCount: 2 });
    const depths = () => a.store.stats().spools.map((spool) => spool.depth);
    await until(() => depths().join() === "1,0");
    mend(a, b);
    await until(() => idle(a) && idle(b));
    expect(await inDatabase()).toMatchObject({ summary: "1", outcome: "2", turnCount: 2 });
    expect((await inDatabase())?.conflicts ?? []).toEqual([]);
  });

  it("are read from memory, and what is not known is said to be unknown", async () => {
    const a = await gateway("a");
    await a.contexts.save("t", { callId: "c-1", sessionId: "s-1", caller: "+15550100" });
    cut(a);
    expect(await get(a)).toMatchObject({ revision: 1 });
    expect(await a.contexts.get("t", { sessionId: "s-1" })).toMatchObject({ callId: "c-1" });
    await expect(get(a, "other")).rejects.toMatchObject({
      reason: "CONTEXT_STORE_AWAY",
      status: "UNAVAILABLE",
      metadata: { call_id: "other" },
    });
    await expect(a.contexts.get("t", { sessionId: "s-2" })).rejects.toMatchObject({
      reason: "CONTEXT_STORE_AWAY",
    });
    expect(await a.contexts.head("t", "other", 1000)).toBeUndefined();
    await expect(
      a.contexts.update("t", { callId: "other", outcome: "x" }, ["outcome"], 0, "", "client:desk"),
    ).rejects.toMatchObject({ reason: "CONTEXT_STORE_AWAY" });
    expect(await a.contexts.find("t", { caller: "+15550100" }, 0, 0)).toMatchObject({
      contexts: [{ callId: "c-1" }],
      partial: true,
    });
    for (const target of [{ callId: "c-1" }, { caller: "+15550100" }])
      await expect(a.contexts.delete("t", target)).rejects.toMatchObject({ reason: "CONTEXT_STORE_AWAY" });
  });

  it("that nobody could read are merged with what was there", async () => {
    const a = await gateway("a");
    const b = await gateway("b");
    await b.contexts.save("t", { callId: "c-1", summary: "known", data: { a: 1 }, turns: [turn("1")] });
    cut(a);
    await clock.advance(10);
    await a.contexts.merge(call(), { status: "ESCALATING", data: { b: 2 } });
    // At B the database answers, and what waits comes first.
    await until(() => idle(a) && idle(b));
    mend(a);
    expect(await inDatabase()).toMatchObject({
      status: "ESCALATING",
      summary: "known",
      data: { a: 1, b: 2 },
      turnCount: 1,
      caller: "+15550100",
    });
  });

  it("that two wrote apart keep the words of both, and watchers are told (fault 21)", async () => {
    const a = await gateway("a", { withBus: false });
    const b = await gateway("b", { withBus: false });
    await a.contexts.save("t", { callId: "c-1", summary: "base" });
    await get(b);
    cut(a);
    await clock.advance(1000);
    await a.contexts.save("t", { callId: "c-1", summary: "of a", turns: [turn("a")] });
    await clock.advance(10);
    await b.contexts.save("t", { callId: "c-1", summary: "of b", turns: [turn("b")] });
    const items = a.contexts.watch("t", "", new AbortController().signal)[Symbol.asyncIterator]();
    const next = items.next();
    mend(a);
    await until(() => idle(a));
    const merged = await inDatabase();
    expect(merged).toMatchObject({ summary: "of b", turnCount: 2, revision: 3 });
    expect(merged?.conflicts).toMatchObject([{ field: "summary", value: "of a" }]);
    expect((await next).value).toMatchObject({ callId: "c-1", conflicts: [{ value: "of a" }] });
    expect(a.store.stats()).toMatchObject({ merged: 1, conflicts: 1 });
    expect((await get(b)).conflicts?.length).toBe(1);
  });

  it("that were replayed are remembered as they are now", async () => {
    const a = await gateway("a");
    await a.contexts.save("t", { callId: "c-1", data: { k: 1 } });
    for (const round of [2, 3, 4]) {
      cut(a);
      await a.contexts.save("t", { callId: "c-1", data: { k: round } });
      mend(a);
      await until(() => idle(a) && !a.store.stats().away);
    }
    cut(a);
    expect((await get(a)).data).toEqual({ k: 4 });
    expect((await inDatabase())?.conflicts).toBeUndefined();
  });

  it("do not wait for the database while it is away", async () => {
    const a = await gateway("a");
    let asked = 0;
    const original = a.database.get.bind(a.database);
    a.database.get = async (...args) => {
      asked++;
      return original(...args);
    };
    cut(a);
    for (let i = 0; i < 20; i++) await a.contexts.save("t", { callId: `c-${i}` });
    expect(asked).toBe(1);
    await clock.advance(10_000);
    expect(asked).toBeLessThan(13);
    mend(a);
    await until(() => idle(a));
    expect((await shared.query({ tenant: "t", statuses: [], sinceMs: 0, limit: 100 })).contexts.length).toBe(
      20,
    );
  });

  it("arrive in the order in which they were written", async () => {
    const a = await gateway("a");
    cut(a);
    for (let i = 0; i < 5; i++) {
      await a.contexts.save("t", { callId: `c-${9 - i}` });
      await clock.advance(10);
    }
    const order: string[] = [];
    const original = a.database.put.bind(a.database);
    a.database.put = async (context, before) => {
      const done = await original(context, before);
      if (done) order.push(context.callId);
      return done;
    };
    mend(a);
    await until(() => idle(a));
    expect(order).toEqual(["c-9", "c-8", "c-7", "c-6", "c-5"]);
  });

  it("that can be read and not written are away all the same", async () => {
    const a = await gateway("a");
    await a.contexts.save("t", { callId: "c-1" });
    let writes = 0;
    a.database.put = async () => {
      writes++;
      throw new ContextStoreAway();
    };
    for (let i = 0; i < 10; i++) await a.contexts.save("t", { callId: "c-1", data: { i } });
    expect(writes).toBe(1);
    expect(a.store.stats().away).toBe(true);
    await clock.advance(5000);
    expect(writes).toBeLessThan(8);
    expect((await get(a)).data).toEqual({ i: 9 });
  });

  it("are refused when all is full, loudly, and taken again after (fault 19)", async () => {
    const a = await gateway("a", { withBus: false, localBytes: 12_000 });
    cut(a);
    const save = (i: number) => a.contexts.save("t", { callId: `c-${i}`, data: { x: "y".repeat(1500) } });
    let taken = 0;
    const refused = await (async () => {
      for (;;) {
        try {
          await save(taken);
          taken++;
        } catch (error) {
          return error;
        }
      }
    })();
    expect(taken).toBeGreaterThan(2);
    expect(refused).toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
      metadata: { why: "spool_full" },
    });
    expect(a.states.at(-1)).toMatchObject({ store: "local", full: true, away: true, depth: taken });
    const said = (part: string) => a.logged.filter((line) => line.includes(part)).length;
    await expect(save(taken)).rejects.toMatchObject({ reason: "CONTEXT_NOT_SAVED" });
    expect([said("80 % full"), said("is full: it takes no more")]).toEqual([1, 1]);
    mend(a);
    await until(() => idle(a));
    expect(await inDatabase(`c-${taken - 1}`)).toBeDefined();
    expect(a.states.at(-1)).toMatchObject({ full: false, away: false, depth: 0 });
    expect(said("has room again")).toBe(1);
    expect((await save(99)).durability).toBe("STORE");
  });

  it("go to the disk when the bus is full or they are too large for a message", async () => {
    const a = await gateway("a", { busBytes: 4000, localBytes: 4 * 2 ** 20 });
    cut(a);
    const durabilities: string[] = [];
    for (let i = 0; i < 6; i++)
      durabilities.push(
        (await a.contexts.save("t", { callId: `c-${i}`, data: { x: "y".repeat(700) } })).durability,
      );
    expect(durabilities[0]).toBe("REPLICATED_LOG");
    expect(durabilities.at(-1)).toBe("LOCAL_DISK");
    const turns = Array.from({ length: 120 }, (_, i) => turn(`${i}`, { text: "x".repeat(10_000) }));
    expect((await a.contexts.save("t", { callId: "large", turns })).durability).toBe("LOCAL_DISK");
    mend(a);
    await until(() => idle(a));
    expect(await inDatabase("large")).toMatchObject({ turnCount: 120 });
    expect(await inDatabase("c-5")).toBeDefined();
  });

  it("that the database never takes do not hold up the others", async () => {
    const a = await gateway("a");
    cut(a);
    await a.contexts.save("t", { callId: "bad" });
    await clock.advance(5);
    await a.contexts.save("t", { callId: "good" });
    const original = a.database.put.bind(a.database);
    a.database.put = async (context, before) => {
      if (context.callId === "bad") throw new ContextStoreRefused("it is not valid");
      return original(context, before);
    };
    mend(a);
    await until(async () => (await inDatabase("good")) !== undefined);
    expect(await get(a, "bad")).toBeDefined();
    expect(a.store.stats()).toMatchObject({ refused: 1, away: false });
    expect(a.logged.filter((line) => line.includes("refuses a waiting context")).length).toBe(1);
  });

  it("are erased in the spool too", async () => {
    const a = await gateway("a");
    const b = await gateway("b");
    cut(a);
    await a.contexts.save("t", { callId: "c-1", caller: "+15550100" });
    // B would replay it within its jitter; it is asked to erase before.
    await expect.poll(() => b.store.stats().spools[0]?.depth).toBe(1);
    expect(await b.contexts.delete("t", { caller: "+15550100" })).toBe(1);
    mend(a);
    await until(() => idle(a) && idle(b));
    await clock.advance(5000);
    expect(await inDatabase()).toBeUndefined();
    await expect(get(a)).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
  });

  it("show what waits in lists and pages of the database", async () => {
    const a = await gateway("a");
    for (let i = 0; i < 6; i++) {
      await a.contexts.save("t", { callId: `c-${i}`, caller: "+15550100" });
      await clock.advance(10);
    }
    // Only writes fail, so that lists are not partial.
    a.database.put = async () => {
      throw new ContextStoreAway();
    };
    cut(a);
    for (const callId of ["c-2", "c-4", "new"])
      await a.contexts.save("t", { callId, caller: "+15550100", status: "ENDED" });
    const b = await gateway("b");
    b.database.put = a.database.put;
    const pages: string[] = [];
    let token = "";
    do {
      const page = await b.contexts.list("t", { statuses: ["ACTIVE"], caller: "" }, 2, token);
      expect(page.partial).toBe(false);
      pages.push(page.contexts.map((c) => c.callId).join());
      token = page.nextPageToken;
    } while (token);
    expect(pages).toEqual(["c-5,c-3", "c-1,c-0"]);
    const ended = await b.contexts.find("t", { caller: "+15550100" }, 0, 3);
    expect(ended.contexts.map((c) => `${c.callId} ${c.status}`)).toEqual([
      "new ENDED",
      "c-5 ACTIVE",
      "c-4 ENDED",
    ]);
  });

  it("of calls that ended meanwhile are closed when the database is back", async () => {
    const a = await gateway("a");
    const b = await gateway("b");
    await b.contexts.save("t", { callId: "c-1", status: "ESCALATING" });
    cut(a);
    expect(await a.contexts.callEnded(call())).toBeUndefined();
    await clock.advance(20_000);
    expect(await inDatabase()).toMatchObject({ status: "ESCALATING" });
    mend(a);
    await until(async () => (await inDatabase())?.status === "ABANDONED");
  });

  it("that expired while they waited are dropped", async () => {
    const a = await gateway("a", { withBus: false, retentionDays: 10 / 86_400 });
    cut(a);
    await a.contexts.save("t", { callId: "c-1" });
    await clock.advance(11_000);
    mend(a);
    await until(() => idle(a));
    expect(await inDatabase()).toBeUndefined();
  });

  it("say once that the password is wrong", async () => {
    const a = await gateway("a");
    a.database.failure = new ContextStoreAway("the database refuses user, password or rights", "credentials");
    for (let i = 0; i < 3; i++) await a.contexts.save("t", { callId: `c-${i}` });
    await clock.advance(5000);
    expect(a.logged.filter((line) => line.startsWith("error"))).toEqual([
      expect.stringMatching(/the database of contexts refuses us/),
    ]);
    expect(await get(a, "c-2")).toBeDefined();
  });
});
