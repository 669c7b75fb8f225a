import { describe, expect, it } from "vitest";
import { ContextFixture, call, type OpenStore, turn } from "./context-fixture.js";
import type { StoredContextService } from "./context-service.js";
import type { ContextInput, Turn } from "./context-types.js";

const DAY_MS = 86_400_000;

/** For tests: what may be written, in which form, over a store. */
export function describeWriting(name: string, open: OpenStore, epoch?: Date): void {
  describe(`contexts / ${name}`, () => {
    const f = new ContextFixture(open, epoch);

    describe("save", () => {
      it("creates, then replaces what is set and keeps what is not", async () => {
        const first = await f.save({
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
        await f.clock.advance(1000);
        await f.save({ status: "ESCALATING", data: { order: 2 }, routingHint: "billing", summary: "" });
        const context = await f.get();
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
        expect(await f.contexts.get("t", { sessionId: "s-1" })).toEqual(context);
      });

      it("takes the facts of a live call", async () => {
        f.live = [call()];
        const { context } = await f.save({ summary: "x" });
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
        await expect(f.save(input)).rejects.toMatchObject({
          reason: "INVALID_FIELD",
          message: expect.stringMatching(message) as unknown,
        });
        await expect(f.get()).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
      });

      it("bounds the data that is merged, not only the one that is sent", async () => {
        await f.save({ data: { a: "x".repeat(40_000) } });
        await expect(f.save({ data: { b: "x".repeat(40_000) } })).rejects.toMatchObject({
          reason: "INVALID_FIELD",
        });
        expect(Object.keys((await f.get()).data)).toEqual(["a"]);
      });

      it("treats odd keys as keys", async () => {
        await f.save({ data: { constructor: { prototype: 1 }, toString: "x", $date: 5, "a.b": 1 } });
        expect((await f.get()).data).toEqual({
          constructor: { prototype: 1 },
          toString: "x",
          $date: 5,
          "a.b": 1,
        });
      });

      it("takes card numbers out of everything that is said", async () => {
        const card = "4111 1111 1111 1111";
        await f.save({
          summary: `card ${card}`,
          outcome: card,
          data: { card, list: [card] },
          turns: [turn("1", { text: `it is ${card}`, heard: card })],
        });
        await f.contexts.update("t", { callId: "c-1" }, [], 0, `note ${card}`, "client:desk");
        expect(JSON.stringify(await f.get())).not.toContain("1111");
        expect((await f.get()).turns[0]?.text).toBe("it is [card number]");
      });
    });

    describe("turns", () => {
      it("are appended once per id, however often they are sent", async () => {
        await f.save();
        const append = (...turns: Turn[]) => f.contexts.appendTurns("t", "c-1", turns);
        expect(await append(turn("1"), turn("2"))).toEqual({ turnCount: 2, durability: "STORE" });
        expect((await append(turn("2", { text: "other" }), turn("3"), turn("3"))).turnCount).toBe(3);
        const context = await f.get();
        expect(context.turns.map((t) => t.id)).toEqual(["1", "2", "3"]);
        expect(context.turns[1]?.text).toBe("words of 2");
        expect(context.revision).toBe(1);
      });

      it("learn later what was heard, and keep it", async () => {
        await f.save({ turns: [turn("1", { role: "AI" })] });
        await f.contexts.appendTurns("t", "c-1", [turn("1", { heard: "words", interrupted: true })]);
        await f.contexts.appendTurns("t", "c-1", [turn("1", { heard: "other" })]);
        expect((await f.get()).turns[0]).toMatchObject({ role: "AI", heard: "words", interrupted: true });
      });

      it("are all there after many writers at once", async () => {
        await f.save();
        await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            i % 4 === 0
              ? f.save({ data: { [`k${i}`]: i } }).then(() => {})
              : f.contexts.appendTurns("t", "c-1", [turn(`${i}`), turn(`${i + 1}`)]).then(() => {}),
          ),
        );
        const context = await f.get();
        expect(Object.keys(context.data).length).toBe(10);
        expect(context.turnCount).toBe(40);
        expect(context.revision).toBe(11);
      });

      it("need a context or a live call", async () => {
        await expect(f.contexts.appendTurns("t", "c-1", [turn("1")])).rejects.toMatchObject({
          reason: "CONTEXT_NOT_FOUND",
          metadata: { call_id: "c-1" },
        });
        f.live = [call()];
        expect((await f.contexts.appendTurns("t", "c-1", [turn("1")])).turnCount).toBe(1);
        expect(await f.get()).toMatchObject({ caller: "+15550100", revision: 1 });
      });

      it("come 1 to 100 at a time, up to the bounds", async () => {
        await f.reopen({ maxTurns: 150, maxTurnBytes: 5000 });
        await f.save();
        const many = (from: number, count: number) =>
          f.contexts.appendTurns(
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
          f.contexts.appendTurns("t", "c-1", [turn("x", { text: "y".repeat(5000) })]),
        ).rejects.toMatchObject({
          metadata: { limit: "max_turn_bytes" },
        });
        expect((await f.get()).turnCount).toBe(100);
      });
    });

    describe("consent", () => {
      it("refused: what was said goes, and no more is stored", async () => {
        await f.save({ turns: [turn("1")], summary: "words", escalationReason: "FRUSTRATED" });
        await f.save({ consent: { transcript: false, disclosedTime: new Date(5) } });
        expect(await f.get()).toMatchObject({
          turns: [],
          turnCount: 0,
          summary: "",
          escalationReason: "FRUSTRATED",
          consent: { transcript: false, disclosedTime: new Date(5) },
        });
        expect((await f.contexts.appendTurns("t", "c-1", [turn("2")])).turnCount).toBe(0);
        await f.save({ turns: [turn("3")], summary: "more", outcome: "done" });
        expect(await f.get()).toMatchObject({ turns: [], summary: "", outcome: "done" });
      });

      it("refused in the first write stores nothing of it; given later it stores from then on", async () => {
        await f.save({ turns: [turn("1")], summary: "words", consent: { transcript: false } });
        expect(await f.get()).toMatchObject({ turns: [], summary: "" });
        await f.contexts.update(
          "t",
          { callId: "c-1", consent: { transcript: true } },
          ["consent"],
          0,
          "",
          "a",
        );
        await f.contexts.appendTurns("t", "c-1", [turn("2")]);
        expect((await f.get()).turns.map((t) => t.id)).toEqual(["2"]);
      });
    });

    describe("consent paused", () => {
      it("keeps turns without their words until it ends", async () => {
        await f.save({ turns: [turn("1", { text: "before" })], consent: { transcript: true, paused: true } });
        await f.contexts.appendTurns("t", "c-1", [turn("2", { text: "4 1 1 1", heard: "4" })]);
        await f.save({ consent: { transcript: true }, turns: [turn("3", { text: "after" })] });
        // What was spoken meanwhile does not come in later either.
        await f.contexts.appendTurns("t", "c-1", [turn("2", { heard: "4 1", interrupted: true })]);
        const { turns, consent } = await f.get();
        expect(turns.map(({ id, text, heard }) => [id, text, heard])).toEqual([
          ["1", "[paused]", ""],
          ["2", "[paused]", ""],
          ["3", "after", ""],
        ]);
        expect(turns[1]?.interrupted).toBe(true);
        expect(consent).toEqual({ transcript: true });
      });
    });

    describe("update", () => {
      const update = (
        input: Partial<ContextInput>,
        mask: Parameters<StoredContextService["update"]>[2],
        revision = 0,
        note = "",
      ) => f.contexts.update("t", { callId: "c-1", ...input }, mask, revision, note, "client:desk");

      it("writes the fields of the mask, and clears those that are not set", async () => {
        await f.save({ summary: "x", outcome: "y", data: { a: 1 }, locale: "de", routingHint: "h" });
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
        expect((await f.get()).summarySource).toBeUndefined();
      });

      it("refuses an old revision", async () => {
        await f.save();
        await f.save({ outcome: "x" });
        await expect(update({ outcome: "y" }, ["outcome"], 1)).rejects.toMatchObject({
          reason: "REVISION_CONFLICT",
          metadata: { call_id: "c-1", revision: "1", current_revision: "2" },
        });
        expect((await update({ outcome: "y" }, ["outcome"], 2)).context.revision).toBe(3);
      });

      it("lets one of many win with the same revision", async () => {
        await f.save();
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, i) => update({ outcome: `${i}` }, ["outcome"], 1)),
        );
        expect(results.filter((r) => r.status === "fulfilled").length).toBe(1);
      });

      it("adds notes, up to a bound", async () => {
        await f.reopen({ maxNotes: 2 });
        await f.save();
        await update({}, [], 0, "first");
        await f.clock.advance(5);
        await update({ outcome: "z" }, ["outcome"], 0, "second");
        const { notes } = await f.get();
        expect(notes).toEqual([
          { time: new Date(f.clock.wallNow().getTime() - 5), author: "client:desk", text: "first" },
          { time: f.clock.wallNow(), author: "client:desk", text: "second" },
        ]);
        await expect(update({}, [], 0, "third")).rejects.toMatchObject({ reason: "LIMIT_REACHED" });
        await expect(update({}, [], 0, "x".repeat(2001))).rejects.toMatchObject({ reason: "INVALID_FIELD" });
      });

      it("needs something to do and a context", async () => {
        await expect(update({}, ["outcome"])).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
        await f.save();
        await expect(update({}, [])).rejects.toMatchObject({ reason: "INVALID_FIELD" });
        await expect(update({}, ["status"])).rejects.toMatchObject({ reason: "INVALID_FIELD" });
      });
    });

    describe("the call core", () => {
      it("merges with the facts of the call", async () => {
        const written = await f.contexts.merge(call(), {
          status: "ESCALATING",
          escalationReason: "EMERGENCY",
          summary: "s",
          summarySource: "MODEL",
          data: { a: 1 },
        });
        expect(written).toEqual({ revision: 1, turnCount: 0, durability: "STORE" });
        await f.contexts.merge(call(), { escalationOutcome: "UNANSWERED", summary: "", data: { b: 2 } });
        expect(await f.get()).toMatchObject({
          caller: "+15550100",
          status: "ESCALATING",
          escalationOutcome: "UNANSWERED",
          summary: "s",
          data: { a: 1, b: 2 },
        });
      });

      it("does not stumble over a number that is none", async () => {
        await f.contexts.merge(call({ caller: "Front desk" }), { status: "ACTIVE" });
        expect((await f.get()).caller).toBe("Front desk");
      });

      it.each([
        ["ACTIVE", "ENDED"],
        ["ESCALATING", "ABANDONED"],
        ["HANDED_OVER", undefined],
        ["CALLBACK_WANTED", undefined],
      ] as const)("ends %s as %s", async (status, end) => {
        expect(await f.contexts.callEnded(call())).toBeUndefined();
        await f.save({ status });
        const written = await f.contexts.callEnded(call());
        expect(written?.revision).toBe(end ? 2 : undefined);
        expect((await f.get()).status).toBe(end ?? status);
        expect(await f.contexts.callEnded(call())).toBeUndefined();
      });
    });
  });
}
