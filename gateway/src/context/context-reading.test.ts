import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../util/clock.js";
import { call, openers, turn } from "./context-fixture.js";
import { describeReading } from "./context-reading-suite.js";
import { StoredContextService } from "./context-service.js";
import { openEmbeddedContextStore } from "./embedded-context-store.js";
import { MemoryContextStore } from "./memory-context-store.js";

for (const [name, open] of openers) describeReading(name, open);

describe("contexts / store away or shared", () => {
  it("says that a context is not saved", async () => {
    const store = new MemoryContextStore();
    const contexts = new StoredContextService(store, { clock: new ManualClock() });
    store.failure = new Error("no disk");
    await expect(contexts.save("t", { callId: "c-1" })).rejects.toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
      metadata: { call_id: "c-1", why: "failed" },
      cause: store.failure,
    });
    await expect(contexts.merge(call(), { status: "ACTIVE" })).rejects.toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
    });
    store.failure = undefined;
    await contexts.save("t", { callId: "c-1" });
    await contexts.close();
  });

  it("erases a caller elsewhere too, and says so when that fails", async () => {
    const asked: string[] = [];
    let away = true;
    const contexts = new StoredContextService(new MemoryContextStore(), {
      clock: new ManualClock(),
      eraseCaller: async (tenant, caller) => {
        asked.push(`${tenant} ${caller}`);
        if (away) throw new Error("away");
      },
    });
    await contexts.save("t", { callId: "c-1", caller: "+15550101" });
    const erase = () => contexts.delete("t", { caller: "+1 (555) 0101" });
    await expect(erase()).rejects.toMatchObject({ reason: "CONTEXT_STORE_AWAY" });
    await expect(contexts.get("t", { callId: "c-1" })).rejects.toMatchObject({ reason: "CONTEXT_NOT_FOUND" });
    away = false;
    expect(await erase()).toBe(0);
    expect(asked).toEqual(["t +15550101", "t +15550101"]);
    await contexts.delete("t", { callId: "c-1" });
    expect(asked.length).toBe(2);
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
