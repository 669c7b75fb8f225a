import { afterEach, describe, expect, it, vi } from "vitest";
import { ManualClock } from "../util/clock.js";
import { turn } from "./context-fixture.js";
import { StoredContextService } from "./context-service.js";
import { FailoverContextStore } from "./failover-context-store.js";
import { MemoryContextStore } from "./memory-context-store.js";

const CALL_ID = "c-1";
const open: StoredContextService[] = [];
afterEach(async () => {
  for (const contexts of open.splice(0)) await contexts.close();
});

/** Gateways on one database, each with a memory of its own. */
function gateways(count: number) {
  const clock = new ManualClock();
  const database = new MemoryContextStore();
  database.close = async () => {};
  const services = Array.from({ length: count }, () => {
    const store = new FailoverContextStore(database, [], { clock, recentMs: 60_000 });
    return new StoredContextService(store, { clock });
  });
  open.push(...services);
  const [here, there = here] = services as [StoredContextService, StoredContextService?];
  return { clock, database, here, there, reads: vi.spyOn(database, "get") };
}

const words = async (contexts: StoredContextService) =>
  (await contexts.get("t", { callId: CALL_ID })).turns.map(({ id }) => id);

describe("writing without reading", () => {
  it("stands on what was written last, for as long as it is remembered", async () => {
    const { here, reads, clock } = gateways(1);
    await here.save("t", { callId: CALL_ID, turns: [turn("1")] });
    reads.mockClear();
    await here.save("t", { callId: CALL_ID, summary: "Asks about an order." });
    await here.appendTurns("t", CALL_ID, [turn("2")]);
    await here.update("t", { callId: CALL_ID, outcome: "done" }, ["outcome"], 0, "", "");
    expect(reads).not.toHaveBeenCalled();
    const context = await here.get("t", { callId: CALL_ID });
    expect(context).toMatchObject({ summary: "Asks about an order.", outcome: "done", revision: 3 });
    expect(await words(here)).toEqual(["1", "2"]);

    await clock.advance(60_001);
    reads.mockClear();
    await here.save("t", { callId: CALL_ID, summary: "Later." });
    expect(reads).toHaveBeenCalled();
  });

  it("reads again when another gateway wrote meanwhile, and loses neither's words", async () => {
    const { here, there, reads } = gateways(2);
    await here.save("t", { callId: CALL_ID, turns: [turn("1")] });
    await there.save("t", { callId: CALL_ID, turns: [turn("2")] });
    reads.mockClear();
    await here.save("t", { callId: CALL_ID, turns: [turn("3")] });
    expect(reads).toHaveBeenCalledOnce();
    expect(await words(there)).toEqual(["1", "2", "3"]);
    expect((await here.get("t", { callId: CALL_ID })).revision).toBe(3);
  });

  it("does not take what was removed and written anew for what it remembers, though versions are the same", async () => {
    const { here, there } = gateways(2);
    await here.save("t", { callId: CALL_ID, turns: [turn("old")] });
    expect(await there.delete("t", { callId: CALL_ID })).toBe(1);
    await there.save("t", { callId: CALL_ID, turns: [turn("new")] });
    await here.save("t", { callId: CALL_ID, turns: [turn("3")] });
    expect(await words(there)).toEqual(["new", "3"]);
  });

  it("does not bring back what another gateway removed", async () => {
    const { here, there } = gateways(2);
    await here.save("t", { callId: CALL_ID, turns: [turn("1")] });
    await there.delete("t", { callId: CALL_ID });
    await expect(here.appendTurns("t", CALL_ID, [turn("2")])).rejects.toMatchObject({
      reason: "CONTEXT_NOT_FOUND",
    });
    await here.save("t", { callId: CALL_ID, turns: [turn("3")] });
    expect(await words(here)).toEqual(["3"]);
  });

  it("refuses, and answers that there is nothing to write, only by what it has read", async () => {
    const { here, there, reads } = gateways(2);
    await here.save("t", { callId: CALL_ID, turns: [turn("1")] });
    await there.save("t", { callId: CALL_ID, turns: [turn("2")] });
    reads.mockClear();
    const change = { callId: CALL_ID, outcome: "done" };
    // Outdated here, so a conflict by what is remembered and none by what is there.
    expect((await here.update("t", change, ["outcome"], 2, "", "")).context.revision).toBe(3);
    await there.save("t", { callId: CALL_ID, turns: [turn("4")] });
    expect(await here.appendTurns("t", CALL_ID, [turn("1")])).toMatchObject({ turnCount: 3 });
    await expect(here.update("t", change, ["outcome"], 3, "", "")).rejects.toMatchObject({
      reason: "REVISION_CONFLICT",
      metadata: { current_revision: "4" },
    });
  });
});
