import { describe, expect, it } from "vitest";
import { ContextFixture, type OpenStore, turn } from "./context-fixture.js";
import type { StoredContextService } from "./context-service.js";
import type { CallContext, ContextInput } from "./context-types.js";

const DAY_MS = 86_400_000;

/** For tests: reading, deleting and watching over a store. */
export function describeReading(name: string, open: OpenStore, epoch?: Date): void {
  describe(`contexts / ${name}`, () => {
    const f = new ContextFixture(open, epoch);

    describe("reading", () => {
      async function fill(count: number, over: (i: number) => Partial<ContextInput> = () => ({})) {
        for (let i = 0; i < count; i++) {
          await f.save({ callId: `c-${i}`, caller: "+15550100", callee: "+15550199", ...over(i) });
          await f.clock.advance(1000);
        }
      }
      const ids = (found: readonly CallContext[]) => found.map((c) => c.callId);
      const find = async (...args: Parameters<StoredContextService["find"]>) => {
        const { contexts, partial } = await f.contexts.find(...args);
        expect(partial).toBe(false);
        return contexts;
      };

      it("finds by any writing of caller or callee, newest first", async () => {
        await fill(4, (i) => ({ caller: i % 2 ? "+15550100" : "+15550102" }));
        await f.save({ callId: "c-1", caller: "+15550100" }, "other");
        expect(ids(await find("t", { caller: "+1 (555) 01-00" }, 0, 0))).toEqual(["c-3", "c-1"]);
        expect(ids(await find("t", { callee: "001 555 0199" }, 0, 3))).toEqual(["c-3", "c-2", "c-1"]);
        expect(ids(await find("t", { callee: "+15550199" }, 2500, 0))).toEqual(["c-3", "c-2"]);
        await expect(f.contexts.find("t", { caller: "" }, 0, 0)).rejects.toMatchObject({
          reason: "INVALID_FIELD",
        });
        await expect(f.contexts.find("t", { caller: "+15550100" }, 0, 101)).rejects.toMatchObject({
          reason: "INVALID_FIELD",
        });
      });

      it("follows a number that changes", async () => {
        await f.save({ caller: "+15550100" });
        await f.save({ caller: "+15550102" });
        expect(await find("t", { caller: "+15550100" }, 0, 0)).toEqual([]);
        expect(ids(await find("t", { caller: "+15550102" }, 0, 0))).toEqual(["c-1"]);
      });

      it("understands national numbers of the default country", async () => {
        await f.reopen({ defaultCountryCode: "49" });
        await f.save({ caller: "030 5550100" });
        expect((await f.get()).caller).toBe("+49305550100");
        expect(ids(await find("t", { caller: "0049 30 5550100" }, 0, 0))).toEqual(["c-1"]);
      });

      it("lists in pages, newest first, without turns", async () => {
        await fill(7, (i) => ({ turns: [turn("1")], status: i % 3 === 0 ? "ENDED" : "ACTIVE" }));
        const all = { statuses: [], caller: "" };
        const seen: string[] = [];
        let token = "";
        do {
          const page = await f.contexts.list("t", all, 3, token);
          seen.push(...ids(page.contexts));
          expect(page.contexts.every((c) => c.turns.length === 0 && c.truncated && c.turnCount === 1)).toBe(
            true,
          );
          token = page.nextPageToken;
        } while (token !== "");
        expect(seen).toEqual(["c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0"]);
        const ended = await f.contexts.list("t", { statuses: ["ENDED"], caller: "+15550100" }, 0, "");
        expect(ids(ended.contexts)).toEqual(["c-6", "c-3", "c-0"]);
        expect(ended.nextPageToken).toBe("");
        expect((await f.contexts.list("other", all, 0, "")).contexts).toEqual([]);
        const exact = await f.contexts.list("t", all, 7, "");
        expect([exact.contexts.length, exact.nextPageToken]).toEqual([7, ""]);
      });

      it("pages through contexts of the same moment, while new ones come", async () => {
        await Promise.all(Array.from({ length: 5 }, (_, i) => f.save({ callId: `c-${i}` })));
        const all = { statuses: [], caller: "" };
        const first = await f.contexts.list("t", all, 2, "");
        await f.clock.advance(1000);
        await f.save({ callId: "c-new" });
        const second = await f.contexts.list("t", all, 10, first.nextPageToken);
        expect([...ids(first.contexts), ...ids(second.contexts)]).toEqual([
          "c-4",
          "c-3",
          "c-2",
          "c-1",
          "c-0",
        ]);
      });

      it("refuses tokens that are none, or of another list", async () => {
        await fill(3);
        const { nextPageToken } = await f.contexts.list("t", { statuses: [], caller: "" }, 2, "");
        for (const [filter, token] of [
          [{ statuses: [], caller: "" }, "nonsense"],
          [{ statuses: ["ACTIVE" as const], caller: "" }, nextPageToken],
        ] as const) {
          await expect(f.contexts.list("t", filter, 2, token)).rejects.toMatchObject({
            reason: "INVALID_FIELD",
            metadata: { field: "page_token" },
          });
        }
        await expect(f.contexts.list("t", { statuses: [], caller: "" }, 1001, "")).rejects.toMatchObject({
          reason: "INVALID_FIELD",
        });
      });

      it("cuts the head to its bytes, newest turns last to go", async () => {
        expect(await f.contexts.head("t", "c-1", 32_768)).toBeUndefined();
        await f.save({
          data: { a: 1 },
          turns: Array.from({ length: 50 }, (_, i) => turn(`${i}`, { text: "ü".repeat(1000) })),
        });
        const head = await f.contexts.head("t", "c-1", 32_768);
        expect(head?.truncated).toBe(true);
        expect(head?.turnCount).toBe(50);
        expect(head?.turns.at(-1)?.id).toBe("49");
        expect(head?.turns.length).toBeGreaterThan(12);
        expect(Buffer.byteLength(JSON.stringify(head?.turns.map((t) => t.text)))).toBeLessThan(32_768);
        expect((await f.contexts.head("t", "c-1", 1_000_000))?.truncated).toBe(false);
        await f.save({ callId: "c-2", data: { a: "x".repeat(40_000) } });
        expect(await f.contexts.head("t", "c-2", 32_768)).toMatchObject({ data: {}, truncated: true });
      });

      it("keeps tenants apart", async () => {
        await f.save({ sessionId: "s-1" });
        await expect(f.get("c-1", "other")).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
        await expect(f.contexts.get("other", { sessionId: "s-1" })).rejects.toMatchObject({
          metadata: { session_id: "s-1" },
        });
        expect(await f.contexts.delete("other", { callId: "c-1" })).toBe(0);
      });
    });

    describe("deleting", () => {
      it("deletes one, or everything of a caller", async () => {
        for (let i = 0; i < 5; i++)
          await f.save({ callId: `c-${i}`, caller: i < 4 ? "+15550100" : "+15550102" });
        expect(await f.contexts.delete("t", { callId: "c-0" })).toBe(1);
        expect(await f.contexts.delete("t", { callId: "c-0" })).toBe(0);
        expect(await f.contexts.delete("t", { caller: "+1 555 0100" })).toBe(3);
        expect((await f.contexts.list("t", { statuses: [], caller: "" }, 0, "")).contexts.length).toBe(1);
        await expect(f.contexts.delete("t", { caller: "" })).rejects.toMatchObject({
          reason: "INVALID_FIELD",
        });
      });

      it("forgets after the retention, from the last write on", async () => {
        await f.reopen({ retentionDays: 2 });
        await f.save({ callId: "old", sessionId: "s", caller: "+15550100" });
        await f.save({ callId: "kept" });
        await f.clock.advance(1.5 * DAY_MS);
        await f.save({ callId: "kept" });
        await f.clock.advance(DAY_MS);
        await expect(f.get("old")).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
        await f.contexts.sweep();
        expect(await f.contexts.delete("t", { callId: "old" })).toBe(0);
        expect(await f.get("kept")).toMatchObject({ revision: 2 });
        expect((await f.save({ callId: "old" })).context.revision).toBe(1);
      });
    });

    describe("watching", () => {
      async function take(items: AsyncIterable<CallContext>, count: number): Promise<CallContext[]> {
        const taken: CallContext[] = [];
        for await (const item of items) if (taken.push(item) === count) break;
        return taken;
      }

      it("shows what is written from now on, without turns", async () => {
        await f.save();
        const one = take(f.contexts.watch("t", "c-1", new AbortController().signal), 2);
        const all = take(f.contexts.watch("t", "", new AbortController().signal), 3);
        await f.save({ callId: "c-2" });
        await new Promise((resolve) => setImmediate(resolve));
        await f.contexts.appendTurns("t", "c-1", [turn("1")]);
        await new Promise((resolve) => setImmediate(resolve));
        await f.save({}, "other");
        await f.save({ status: "ENDED" });
        expect((await one).map((c) => [c.turnCount, c.turns.length, c.status])).toEqual([
          [1, 0, "ACTIVE"],
          [1, 0, "ENDED"],
        ]);
        expect((await all).map((c) => `${c.tenant}/${c.callId}`)).toEqual(["t/c-2", "t/c-1", "t/c-1"]);
      });

      it("gives a slow reader the newest of each call, and no more calls than it may hold", async () => {
        await f.reopen({ maxWaitingPerWatcher: 2 });
        const items = f.contexts.watch("t", "", new AbortController().signal);
        for (const [callId, outcome] of [
          ["a", "1"],
          ["b", "1"],
          ["a", "2"],
          ["c", "1"],
        ] as const)
          await f.save({ callId, outcome });
        expect((await take(items, 2)).map((c) => `${c.callId}${c.outcome}`)).toEqual(["a2", "c1"]);
      });

      it("ends when aborted, and says so when the gateway closes", async () => {
        const controller = new AbortController();
        const waiting = take(f.contexts.watch("t", "", controller.signal), 1);
        controller.abort();
        expect(await waiting).toEqual([]);
        const other = take(f.contexts.watch("t", "", new AbortController().signal), 1);
        await Promise.all([
          expect(other).rejects.toMatchObject({ reason: "GOING_AWAY" }),
          f.contexts.close(),
        ]);
      });
    });
  });
}
