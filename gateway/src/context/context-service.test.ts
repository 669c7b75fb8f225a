import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallSnapshot } from "../call/call-state.js";
import { ManualClock } from "../util/clock.js";
import { type ContextServiceOptions, StoredContextService } from "./context-service.js";
import type { CallContext, ContextInput, Turn } from "./context-types.js";
import { openEmbeddedContextStore } from "./embedded-context-store.js";
import { MemoryContextStore } from "./memory-context-store.js";

const DAY_MS = 86_400_000;

function call(over: Partial<CallSnapshot> = {}): CallSnapshot {
  return {
    tenant: "t",
    callId: "c-1",
    sessionId: "s-1",
    connector: "main",
    direction: "INBOUND",
    caller: "+15550100",
    callee: "+15550101",
    rawCaller: "",
    rawCallee: "",
    pool: "default",
    locale: "en-US",
    state: "ANSWERED",
    seat: { state: "HELD", agentId: "a", instanceId: "i", epoch: 1, attempt: 1 },
    sampleRateHz: 8000,
    playback: { queuedMs: 0, unheardAtProviderMs: 0, playedMs: 0 },
    createTime: new Date(0),
    gatewayId: "g",
    lastEventSequence: 1,
    ...over,
  };
}

function turn(id: string, over: Partial<Turn> = {}): Turn {
  return {
    id,
    role: "CALLER",
    text: `words of ${id}`,
    locale: "",
    time: new Date("2026-01-01T00:00:01Z"),
    heard: "",
    interrupted: false,
    ...over,
  };
}

describe.each(["memory", "embedded"])("contexts / %s", (kind) => {
  let folder = "";
  let clock: ManualClock;
  let contexts: StoredContextService;
  let live: CallSnapshot[] = [];

  const open = async (more: ContextServiceOptions = {}) =>
    new StoredContextService(
      kind === "memory" ? new MemoryContextStore() : await openEmbeddedContextStore(folder),
      { clock, callOf: (tenant, id) => live.find((c) => c.tenant === tenant && c.callId === id), ...more },
    );
  const reopen = async (more: ContextServiceOptions) => {
    await contexts.close();
    contexts = await open(more);
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "contexts-"));
    clock = new ManualClock();
    live = [];
    contexts = await open();
  });
  afterEach(async () => {
    await contexts.close();
    await rm(folder, { recursive: true, force: true });
  });

  const save = (input: Partial<ContextInput> = {}, tenant = "t") =>
    contexts.save(tenant, { callId: "c-1", ...input });
  const get = (callId = "c-1", tenant = "t") => contexts.get(tenant, { callId });

  describe("save", () => {
    it("creates, then replaces what is set and keeps what is not", async () => {
      const first = await save({
        sessionId: "s-1",
        caller: "+1 555 0100",
        callee: "tel:+15550101",
        locale: "de",
        summary: "Wants a refund.",
        summarySource: "RULES",
        data: { order: 1, kept: true },
        turns: [turn("1")],
      });
      expect(first.durability).toBe("STORE");
      expect(first.context).toMatchObject({ status: "ACTIVE", revision: 1, caller: "+15550100" });
      await clock.advance(1000);
      await save({ status: "ESCALATING", data: { order: 2 }, routingHint: "billing", summary: "" });
      const context = await get();
      expect(context).toMatchObject({
        status: "ESCALATING",
        revision: 2,
        caller: "+15550100",
        callee: "+15550101",
        locale: "de",
        summary: "Wants a refund.",
        summarySource: "RULES",
        data: { order: 2, kept: true },
        routingHint: "billing",
        turnCount: 1,
        truncated: false,
      });
      expect(context.updateTime.getTime() - context.createTime.getTime()).toBe(1000);
      expect(context.expireTime.getTime() - context.updateTime.getTime()).toBe(30 * DAY_MS);
      expect(context.turns).toEqual([turn("1")]);
      expect(await contexts.get("t", { sessionId: "s-1" })).toEqual(context);
    });

    it("takes the facts of a live call", async () => {
      live = [call()];
      const { context } = await save({ summary: "x" });
      expect(context).toMatchObject({
        sessionId: "s-1",
        caller: "+15550100",
        callee: "+15550101",
        locale: "en-US",
        summarySource: "MODEL",
      });
    });

    it.each<[string, Partial<ContextInput>, RegExp]>([
      ["no call id", { callId: "" }, /call_id must be 1 to 200/],
      ["a long summary", { summary: "x".repeat(2001) }, /summary must be 0 to 2000/],
      ["a long outcome", { outcome: "x".repeat(501) }, /outcome must be 0 to 500/],
      ["a long hint", { routingHint: "x".repeat(101) }, /routing_hint/],
      ["no number", { caller: "somebody" }, /caller must be a phone number/],
      ["no locale", { locale: "not a locale" }, /locale must be a BCP 47 tag/],
      ["a long turn", { turns: [turn("1", { text: "x".repeat(10_001) })] }, /turns.text/],
      ["a turn without id", { turns: [turn("")] }, /turns.id must be 1 to 100/],
      ["a turn without time", { turns: [turn("1", { time: new Date(Number.NaN) })] }, /turns.time/],
      ["much data", { data: { x: "y".repeat(65_600) } }, /data must be at most 65536 bytes/],
      ["no JSON", { data: { x: 1n } }, /data must be a JSON object/],
      ["a date as data", { data: { x: new Date() } }, /data must be a JSON object/],
      ["NaN", { data: { x: Number.NaN } }, /data must be a JSON object/],
      ["a dangerous key", { data: JSON.parse('{"a":{"__proto__":{"b":1}}}') }, /without the key __proto__/],
    ])("refuses %s", async (_name, input, message) => {
      await expect(save(input)).rejects.toMatchObject({
        reason: "INVALID_FIELD",
        message: expect.stringMatching(message) as unknown,
      });
      await expect(get()).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
    });

    it("bounds the data that is merged, not only the one that is sent", async () => {
      await save({ data: { a: "x".repeat(40_000) } });
      await expect(save({ data: { b: "x".repeat(40_000) } })).rejects.toMatchObject({
        reason: "INVALID_FIELD",
      });
      expect(Object.keys((await get()).data)).toEqual(["a"]);
    });

    it("treats odd keys as keys", async () => {
      await save({ data: { constructor: { prototype: 1 }, toString: "x", $date: 5, "a.b": 1 } });
      expect((await get()).data).toEqual({
        constructor: { prototype: 1 },
        toString: "x",
        $date: 5,
        "a.b": 1,
      });
    });

    it("takes card numbers out of everything that is said", async () => {
      const card = "4111 1111 1111 1111";
      await save({
        summary: `card ${card}`,
        outcome: card,
        data: { card, list: [card] },
        turns: [turn("1", { text: `it is ${card}`, heard: card })],
      });
      await contexts.update("t", { callId: "c-1" }, [], 0, `note ${card}`, "client:desk");
      expect(JSON.stringify(await get())).not.toContain("1111");
      expect((await get()).turns[0]?.text).toBe("it is [card number]");
    });
  });

  describe("turns", () => {
    it("are appended once per id, however often they are sent", async () => {
      await save();
      const append = (...turns: Turn[]) => contexts.appendTurns("t", "c-1", turns);
      expect(await append(turn("1"), turn("2"))).toEqual({ turnCount: 2, durability: "STORE" });
      expect((await append(turn("2", { text: "other" }), turn("3"), turn("3"))).turnCount).toBe(3);
      const context = await get();
      expect(context.turns.map((t) => t.id)).toEqual(["1", "2", "3"]);
      expect(context.turns[1]?.text).toBe("words of 2");
      expect(context.revision).toBe(1);
    });

    it("learn later what was heard, and keep it", async () => {
      await save({ turns: [turn("1", { role: "AI" })] });
      await contexts.appendTurns("t", "c-1", [turn("1", { heard: "words", interrupted: true })]);
      await contexts.appendTurns("t", "c-1", [turn("1", { heard: "other" })]);
      expect((await get()).turns[0]).toMatchObject({ role: "AI", heard: "words", interrupted: true });
    });

    it("are all there after many writers at once", async () => {
      await save();
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          i % 4 === 0
            ? save({ data: { [`k${i}`]: i } }).then(() => {})
            : contexts.appendTurns("t", "c-1", [turn(`${i}`), turn(`${i + 1}`)]).then(() => {}),
        ),
      );
      const context = await get();
      expect(Object.keys(context.data).length).toBe(10);
      expect(context.turnCount).toBe(40);
      expect(context.revision).toBe(11);
    });

    it("need a context or a live call", async () => {
      await expect(contexts.appendTurns("t", "c-1", [turn("1")])).rejects.toMatchObject({
        reason: "CONTEXT_NOT_FOUND",
        metadata: { call_id: "c-1" },
      });
      live = [call()];
      expect((await contexts.appendTurns("t", "c-1", [turn("1")])).turnCount).toBe(1);
      expect(await get()).toMatchObject({ caller: "+15550100", revision: 1 });
    });

    it("come 1 to 100 at a time, up to the bounds", async () => {
      await reopen({ maxTurns: 150, maxTurnBytes: 5000 });
      await save();
      const many = (from: number, count: number) =>
        contexts.appendTurns(
          "t",
          "c-1",
          Array.from({ length: count }, (_, i) => turn(`${from + i}`)),
        );
      await expect(many(0, 0)).rejects.toMatchObject({ reason: "INVALID_FIELD" });
      await expect(many(0, 101)).rejects.toMatchObject({ reason: "INVALID_FIELD" });
      await many(0, 100);
      await expect(many(100, 51)).rejects.toMatchObject({
        reason: "LIMIT_REACHED",
        metadata: { limit: "max_turns", max: "150" },
      });
      await expect(
        contexts.appendTurns("t", "c-1", [turn("x", { text: "y".repeat(5000) })]),
      ).rejects.toMatchObject({
        metadata: { limit: "max_turn_bytes" },
      });
      expect((await get()).turnCount).toBe(100);
    });
  });

  describe("consent", () => {
    it("refused: what was said goes, and no more is stored", async () => {
      await save({ turns: [turn("1")], summary: "words", escalationReason: "FRUSTRATED" });
      await save({ consent: { transcript: false, disclosedTime: new Date(5) } });
      expect(await get()).toMatchObject({
        turns: [],
        turnCount: 0,
        summary: "",
        escalationReason: "FRUSTRATED",
        consent: { transcript: false, disclosedTime: new Date(5) },
      });
      expect((await contexts.appendTurns("t", "c-1", [turn("2")])).turnCount).toBe(0);
      await save({ turns: [turn("3")], summary: "more", outcome: "done" });
      expect(await get()).toMatchObject({ turns: [], summary: "", outcome: "done" });
    });

    it("refused in the first write stores nothing of it; given later it stores from then on", async () => {
      await save({ turns: [turn("1")], summary: "words", consent: { transcript: false } });
      expect(await get()).toMatchObject({ turns: [], summary: "" });
      await contexts.update("t", { callId: "c-1", consent: { transcript: true } }, ["consent"], 0, "", "a");
      await contexts.appendTurns("t", "c-1", [turn("2")]);
      expect((await get()).turns.map((t) => t.id)).toEqual(["2"]);
    });
  });

  describe("update", () => {
    const update = (
      input: Partial<ContextInput>,
      mask: Parameters<StoredContextService["update"]>[2],
      revision = 0,
      note = "",
    ) => contexts.update("t", { callId: "c-1", ...input }, mask, revision, note, "client:desk");

    it("writes the fields of the mask, and clears those that are not set", async () => {
      await save({ summary: "x", outcome: "y", data: { a: 1 }, locale: "de", routingHint: "h" });
      const { context } = await update(
        { outcome: "called back", routingHint: "ignored", data: { b: 2 } },
        ["outcome", "summary", "data"],
        1,
      );
      expect(context).toMatchObject({
        outcome: "called back",
        summary: "",
        data: { b: 2 },
        locale: "de",
        routingHint: "h",
        revision: 2,
      });
      expect((await get()).summarySource).toBeUndefined();
    });

    it("refuses an old revision", async () => {
      await save();
      await save({ outcome: "x" });
      await expect(update({ outcome: "y" }, ["outcome"], 1)).rejects.toMatchObject({
        reason: "REVISION_CONFLICT",
        metadata: { call_id: "c-1", revision: "1", current_revision: "2" },
      });
      expect((await update({ outcome: "y" }, ["outcome"], 2)).context.revision).toBe(3);
    });

    it("lets one of many win with the same revision", async () => {
      await save();
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => update({ outcome: `${i}` }, ["outcome"], 1)),
      );
      expect(results.filter((r) => r.status === "fulfilled").length).toBe(1);
    });

    it("adds notes, up to a bound", async () => {
      await reopen({ maxNotes: 2 });
      await save();
      await update({}, [], 0, "first");
      await clock.advance(5);
      await update({ outcome: "z" }, ["outcome"], 0, "second");
      const { notes } = await get();
      expect(notes).toEqual([
        { time: new Date(clock.wallNow().getTime() - 5), author: "client:desk", text: "first" },
        { time: clock.wallNow(), author: "client:desk", text: "second" },
      ]);
      await expect(update({}, [], 0, "third")).rejects.toMatchObject({ reason: "LIMIT_REACHED" });
      await expect(update({}, [], 0, "x".repeat(2001))).rejects.toMatchObject({ reason: "INVALID_FIELD" });
    });

    it("needs something to do and a context", async () => {
      await expect(update({}, ["outcome"])).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
      await save();
      await expect(update({}, [])).rejects.toMatchObject({ reason: "INVALID_FIELD" });
      await expect(update({}, ["status"])).rejects.toMatchObject({ reason: "INVALID_FIELD" });
    });
  });

  describe("the call core", () => {
    it("merges with the facts of the call", async () => {
      const written = await contexts.merge(call(), {
        status: "ESCALATING",
        escalationReason: "EMERGENCY",
        summary: "s",
        summarySource: "MODEL",
        data: { a: 1 },
      });
      expect(written).toEqual({ revision: 1, turnCount: 0, durability: "STORE" });
      await contexts.merge(call(), { escalationOutcome: "UNANSWERED", summary: "", data: { b: 2 } });
      expect(await get()).toMatchObject({
        caller: "+15550100",
        status: "ESCALATING",
        escalationOutcome: "UNANSWERED",
        summary: "s",
        data: { a: 1, b: 2 },
      });
    });

    it("does not stumble over a number that is none", async () => {
      await contexts.merge(call({ caller: "Front desk" }), { status: "ACTIVE" });
      expect((await get()).caller).toBe("Front desk");
    });

    it.each([
      ["ACTIVE", "ENDED"],
      ["ESCALATING", "ABANDONED"],
      ["HANDED_OVER", undefined],
      ["CALLBACK_WANTED", undefined],
    ] as const)("ends %s as %s", async (status, end) => {
      expect(await contexts.callEnded(call())).toBeUndefined();
      await save({ status });
      const written = await contexts.callEnded(call());
      expect(written?.revision).toBe(end ? 2 : undefined);
      expect((await get()).status).toBe(end ?? status);
      expect(await contexts.callEnded(call())).toBeUndefined();
    });
  });

  describe("reading", () => {
    async function fill(count: number, over: (i: number) => Partial<ContextInput> = () => ({})) {
      for (let i = 0; i < count; i++) {
        await save({ callId: `c-${i}`, caller: "+15550100", callee: "+15550199", ...over(i) });
        await clock.advance(1000);
      }
    }
    const ids = (found: readonly CallContext[]) => found.map((c) => c.callId);

    it("finds by any writing of caller or callee, newest first", async () => {
      await fill(4, (i) => ({ caller: i % 2 ? "+15550100" : "+15550102" }));
      await save({ callId: "c-1", caller: "+15550100" }, "other");
      expect(ids(await contexts.find("t", { caller: "+1 (555) 01-00" }, 0, 0))).toEqual(["c-3", "c-1"]);
      expect(ids(await contexts.find("t", { callee: "001 555 0199" }, 0, 3))).toEqual(["c-3", "c-2", "c-1"]);
      expect(ids(await contexts.find("t", { callee: "+15550199" }, 2500, 0))).toEqual(["c-3", "c-2"]);
      await expect(contexts.find("t", { caller: "" }, 0, 0)).rejects.toMatchObject({
        reason: "INVALID_FIELD",
      });
      await expect(contexts.find("t", { caller: "+15550100" }, 0, 101)).rejects.toMatchObject({
        reason: "INVALID_FIELD",
      });
    });

    it("follows a number that changes", async () => {
      await save({ caller: "+15550100" });
      await save({ caller: "+15550102" });
      expect(await contexts.find("t", { caller: "+15550100" }, 0, 0)).toEqual([]);
      expect(ids(await contexts.find("t", { caller: "+15550102" }, 0, 0))).toEqual(["c-1"]);
    });

    it("understands national numbers of the default country", async () => {
      await reopen({ defaultCountryCode: "49" });
      await save({ caller: "030 5550100" });
      expect((await get()).caller).toBe("+49305550100");
      expect(ids(await contexts.find("t", { caller: "0049 30 5550100" }, 0, 0))).toEqual(["c-1"]);
    });

    it("lists in pages, newest first, without turns", async () => {
      await fill(7, (i) => ({ turns: [turn("1")], status: i % 3 === 0 ? "ENDED" : "ACTIVE" }));
      const all = { statuses: [], caller: "" };
      const seen: string[] = [];
      let token = "";
      do {
        const page = await contexts.list("t", all, 3, token);
        seen.push(...ids(page.contexts));
        expect(page.contexts.every((c) => c.turns.length === 0 && c.truncated && c.turnCount === 1)).toBe(
          true,
        );
        token = page.nextPageToken;
      } while (token !== "");
      expect(seen).toEqual(["c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0"]);
      const ended = await contexts.list("t", { statuses: ["ENDED"], caller: "+15550100" }, 0, "");
      expect(ids(ended.contexts)).toEqual(["c-6", "c-3", "c-0"]);
      expect(ended.nextPageToken).toBe("");
      expect((await contexts.list("other", all, 0, "")).contexts).toEqual([]);
      const exact = await contexts.list("t", all, 7, "");
      expect([exact.contexts.length, exact.nextPageToken]).toEqual([7, ""]);
    });

    it("pages through contexts of the same moment, while new ones come", async () => {
      await Promise.all(Array.from({ length: 5 }, (_, i) => save({ callId: `c-${i}` })));
      const all = { statuses: [], caller: "" };
      const first = await contexts.list("t", all, 2, "");
      await clock.advance(1000);
      await save({ callId: "c-new" });
      const second = await contexts.list("t", all, 10, first.nextPageToken);
      expect([...ids(first.contexts), ...ids(second.contexts)]).toEqual(["c-4", "c-3", "c-2", "c-1", "c-0"]);
    });

    it("refuses tokens that are none, or of another list", async () => {
      await fill(3);
      const { nextPageToken } = await contexts.list("t", { statuses: [], caller: "" }, 2, "");
      for (const [filter, token] of [
        [{ statuses: [], caller: "" }, "nonsense"],
        [{ statuses: ["ACTIVE" as const], caller: "" }, nextPageToken],
      ] as const) {
        await expect(contexts.list("t", filter, 2, token)).rejects.toMatchObject({
          reason: "INVALID_FIELD",
          metadata: { field: "page_token" },
        });
      }
      await expect(contexts.list("t", { statuses: [], caller: "" }, 1001, "")).rejects.toMatchObject({
        reason: "INVALID_FIELD",
      });
    });

    it("cuts the head to its bytes, newest turns last to go", async () => {
      expect(await contexts.head("t", "c-1", 32_768)).toBeUndefined();
      await save({
        data: { a: 1 },
        turns: Array.from({ length: 50 }, (_, i) => turn(`${i}`, { text: "ü".repeat(1000) })),
      });
      const head = await contexts.head("t", "c-1", 32_768);
      expect(head?.truncated).toBe(true);
      expect(head?.turnCount).toBe(50);
      expect(head?.turns.at(-1)?.id).toBe("49");
      expect(head?.turns.length).toBeGreaterThan(12);
      expect(Buffer.byteLength(JSON.stringify(head?.turns.map((t) => t.text)))).toBeLessThan(32_768);
      expect((await contexts.head("t", "c-1", 1_000_000))?.truncated).toBe(false);
      await save({ callId: "c-2", data: { a: "x".repeat(40_000) } });
      expect(await contexts.head("t", "c-2", 32_768)).toMatchObject({ data: {}, truncated: true });
    });

    it("keeps tenants apart", async () => {
      await save({ sessionId: "s-1" });
      await expect(get("c-1", "other")).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
      await expect(contexts.get("other", { sessionId: "s-1" })).rejects.toMatchObject({
        metadata: { session_id: "s-1" },
      });
      expect(await contexts.delete("other", { callId: "c-1" })).toBe(0);
    });
  });

  describe("deleting", () => {
    it("deletes one, or everything of a caller", async () => {
      for (let i = 0; i < 5; i++) await save({ callId: `c-${i}`, caller: i < 4 ? "+15550100" : "+15550102" });
      expect(await contexts.delete("t", { callId: "c-0" })).toBe(1);
      expect(await contexts.delete("t", { callId: "c-0" })).toBe(0);
      expect(await contexts.delete("t", { caller: "+1 555 0100" })).toBe(3);
      expect((await contexts.list("t", { statuses: [], caller: "" }, 0, "")).contexts.length).toBe(1);
      await expect(contexts.delete("t", { caller: "" })).rejects.toMatchObject({ reason: "INVALID_FIELD" });
    });

    it("forgets after the retention, from the last write on", async () => {
      await reopen({ retentionDays: 2 });
      await save({ callId: "old", sessionId: "s", caller: "+15550100" });
      await save({ callId: "kept" });
      await clock.advance(1.5 * DAY_MS);
      await save({ callId: "kept" });
      await clock.advance(DAY_MS);
      await expect(get("old")).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
      await contexts.sweep();
      expect(await contexts.delete("t", { callId: "old" })).toBe(0);
      expect(await get("kept")).toMatchObject({ revision: 2 });
      expect((await save({ callId: "old" })).context.revision).toBe(1);
    });
  });

  describe("watching", () => {
    async function take(items: AsyncIterable<CallContext>, count: number): Promise<CallContext[]> {
      const taken: CallContext[] = [];
      for await (const item of items) if (taken.push(item) === count) break;
      return taken;
    }

    it("shows what is written from now on, without turns", async () => {
      await save();
      const one = take(contexts.watch("t", "c-1", new AbortController().signal), 2);
      const all = take(contexts.watch("t", "", new AbortController().signal), 3);
      await save({ callId: "c-2" });
      await new Promise((resolve) => setImmediate(resolve));
      await contexts.appendTurns("t", "c-1", [turn("1")]);
      await new Promise((resolve) => setImmediate(resolve));
      await save({}, "other");
      await save({ status: "ENDED" });
      expect((await one).map((c) => [c.turnCount, c.turns.length, c.status])).toEqual([
        [1, 0, "ACTIVE"],
        [1, 0, "ENDED"],
      ]);
      expect((await all).map((c) => `${c.tenant}/${c.callId}`)).toEqual(["t/c-2", "t/c-1", "t/c-1"]);
    });

    it("gives a slow reader the newest of each call, and no more calls than it may hold", async () => {
      await reopen({ maxWaitingPerWatcher: 2 });
      const items = contexts.watch("t", "", new AbortController().signal);
      for (const [callId, outcome] of [
        ["a", "1"],
        ["b", "1"],
        ["a", "2"],
        ["c", "1"],
      ] as const)
        await save({ callId, outcome });
      expect((await take(items, 2)).map((c) => `${c.callId}${c.outcome}`)).toEqual(["a2", "c1"]);
    });

    it("ends when aborted, and says so when the gateway closes", async () => {
      const controller = new AbortController();
      const waiting = take(contexts.watch("t", "", controller.signal), 1);
      controller.abort();
      expect(await waiting).toEqual([]);
      const other = take(contexts.watch("t", "", new AbortController().signal), 1);
      await Promise.all([expect(other).rejects.toMatchObject({ reason: "GOING_AWAY" }), contexts.close()]);
    });
  });
});

describe("contexts / store away or shared", () => {
  it("says that a context is not saved", async () => {
    const store = new MemoryContextStore();
    const contexts = new StoredContextService(store, { clock: new ManualClock() });
    store.failure = new Error("no disk");
    await expect(contexts.save("t", { callId: "c-1" })).rejects.toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
      metadata: { call_id: "c-1" },
      cause: store.failure,
    });
    await expect(contexts.merge(call(), { status: "ACTIVE" })).rejects.toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
    });
    store.failure = undefined;
    await contexts.save("t", { callId: "c-1" });
    await contexts.close();
  });

  it("loses nothing of what another process writes in between", async () => {
    const store = new MemoryContextStore();
    const mine = new StoredContextService(store, { clock: new ManualClock() });
    const theirs = new StoredContextService(store, { clock: new ManualClock() });
    await mine.save("t", { callId: "c-1", data: { a: 1 } });
    await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        (i % 2 ? mine : theirs).save("t", { callId: "c-1", data: { [`k${i}`]: i } }),
      ),
    );
    const context = await mine.get("t", { callId: "c-1" });
    expect(Object.keys(context.data).length).toBe(7);
    expect(context.revision).toBe(7);
    await mine.close();
    await theirs.close();
  });

  it("keeps what it had when it is opened again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "contexts-"));
    try {
      const clock = new ManualClock();
      const before = new StoredContextService(await openEmbeddedContextStore(folder), { clock });
      const { context } = await before.save("t", { callId: "c-1", turns: [turn("1")], data: { a: [1] } });
      await before.close();
      const after = new StoredContextService(await openEmbeddedContextStore(folder), { clock });
      expect(await after.get("t", { callId: "c-1" })).toEqual(context);
      await after.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
