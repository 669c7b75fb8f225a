import { describe, expect, it } from "vitest";
import type { CallCommand } from "./call-commands.js";
import { CallRegistry } from "./call-registry.js";
import { EndedCall } from "./ended-call.js";
import { refusal, rig } from "./test-rig.js";

const ACTOR = { tenant: "default", name: "client:test" };

function registered() {
  const t = rig();
  const registry = new CallRegistry(t.clock);
  registry.add(t.call);
  const kept = () => registry.get("default", "c-1");
  const repeat = (command: CallCommand, requestId: string) => kept().execute(ACTOR, requestId, command, 0);
  return { ...t, registry, kept, repeat };
}

describe("EndedCall", () => {
  it("takes the place of a call five seconds after its end and says the same of it", async () => {
    const t = registered();
    await t.answer();
    t.leg.terminate();
    await t.clock.advance(4_999);
    expect(t.kept()).toBe(t.call);
    await t.clock.advance(5_001);
    expect(t.kept()).toBeInstanceOf(EndedCall);
    expect(t.kept().snapshot()).toEqual(t.call.snapshot());
    expect(t.registry.snapshots("default", [], () => true)).toEqual([t.call.snapshot()]);
    await t.clock.advance(600_000);
    expect(() => t.kept()).toThrow(expect.objectContaining({ reason: "CALL_NOT_FOUND" }));
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("answers repeated commands as the call did, and no new one", async () => {
    const t = registered();
    await t.give({ verb: "AnswerCall" }, 0, "answer");
    await t.give({ verb: "SendNote", text: "The order is 4711." }, 0, "note");
    const connect: CallCommand = { verb: "ConnectCall", ringTimeSeconds: 5 };
    const failed = refusal(t.give(connect, 60_000, "connect"));
    await t.clock.advance(5_000);
    expect((await failed).reason).toBe("CALLEE_UNANSWERED");
    t.leg.terminate();
    await t.clock.advance(10_000);
    expect(t.kept()).toBeInstanceOf(EndedCall);

    expect(await t.repeat({ verb: "AnswerCall" }, "answer")).toEqual({ call: t.call.snapshot() });
    expect(await t.repeat({ verb: "SendNote", text: "The order is 4711." }, "note")).toMatchObject({
      delivered: true,
    });
    expect((await refusal(t.repeat(connect, "connect"))).reason).toBe("CALLEE_UNANSWERED");
    const reused = await refusal(t.repeat({ verb: "DisconnectCall" }, "answer"));
    expect(reused.reason).toBe("REQUEST_ID_REUSED");
    for (const command of [{ verb: "AnswerCall" }, { verb: "CancelCommand", targetRequestId: "" }] as const) {
      const late = await refusal(t.repeat(command, "late"));
      expect(late).toMatchObject({ reason: "CALL_STATE", metadata: { state: "DISCONNECTED", allowed: "" } });
    }
    expect((await refusal(t.repeat({ verb: "AnswerCall" }, ""))).reason).toBe("CALL_STATE");
  });

  it("does not take the place of a call whose end is not all told, and does of one that went elsewhere", async () => {
    const telling = registered();
    let tell = () => {};
    const told = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const append = telling.log.append.bind(telling.log);
    telling.log.append = async (event) => {
      if (event.body.type === "ended") await told;
      return append(event);
    };
    telling.leg.terminate();
    await telling.clock.advance(20_000);
    expect(telling.kept()).toBe(telling.call);
    tell();
    await telling.clock.advance(20_000);
    expect(telling.kept()).toBeInstanceOf(EndedCall);

    const gone = registered();
    gone.call.fence();
    await gone.clock.advance(10_000);
    expect(gone.kept()).toBeInstanceOf(EndedCall);
  });
});
