import { describe, expect, it } from "vitest";
import { escalate } from "../call/test-rig.js";
import { ACTOR, dispatchRig, RigStream } from "./test-rig.js";

const CONNECT = { route: { unserved: { action: "CONNECT" as const, ringTimeSeconds: 20 } } };

async function seated(options: Parameters<typeof dispatchRig>[0] = {}) {
  const t = await dispatchRig(options);
  const a = t.agent({ answerOnAccept: true });
  const leg = t.telephony.arrive({ callId: "c" });
  await t.clock.advance(0);
  a.handler.accept("");
  await t.clock.advance(0);
  return { ...t, a, leg };
}

describe("dispatch / nobody is left", () => {
  it("lets the route decide when the only agent dies with the offer open (fault 6)", async () => {
    const t = await dispatchRig(CONNECT);
    const a = t.agent();
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    expect(a.got("offer")).toHaveLength(1);
    a.handler.lost();
    await t.clock.advance(0);
    expect(leg.isRinging).toBe(true);
  });

  it("does not let callers wait for a gateway that goes away", async () => {
    const t = await seated();
    const waiting = t.telephony.arrive({ callId: "d" });
    await t.clock.advance(0);
    expect(waiting.isRinging).toBe(false);
    const drained = t.gateway.drain(60_000);
    await t.clock.advance(0);
    expect(waiting.isRinging).toBe(true);
    t.leg.terminate();
    waiting.terminate();
    await t.clock.advance(100);
    await drained;
  });

  it("leaves parties alone who talk with each other, however long the seat is empty", async () => {
    const t = await seated();
    t.a.handler.command(1, "connect", { verb: "ConnectCall", ringTimeSeconds: 9 });
    await t.clock.advance(0);
    t.leg.pickUp();
    await t.clock.advance(0);
    t.a.handler.lost();
    await t.clock.advance(3_600_000);
    expect(t.call("c").state).toBe("CONNECTED");
    expect(t.leg.commandNames).toEqual(["answer", "connect", "setAgentMode"]);
  });

  it("does not hang up while somebody else connects the caller", async () => {
    const t = await seated({ pools: [{ maxReofferMs: 5_000 }] });
    t.a.handler.lost();
    await t.clock.advance(2_001);
    await t.gateway.calls.execute(ACTOR, "c", "", { verb: "ConnectCall", ringTimeSeconds: 60 }, 0);
    await t.clock.advance(10_000);
    expect(t.leg.isRinging).toBe(true);
    t.leg.pickUp();
    await t.clock.advance(60_000);
    expect(t.call("c").state).toBe("CONNECTED");
  });

  it("says so once, however often it looks", async () => {
    const t = await dispatchRig();
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    for (let i = 0; i < 3; i++) {
      const a = t.agent();
      await t.clock.advance(0);
      a.handler.lost();
      await t.clock.advance(0);
    }
    expect(t.events("c").filter((e) => e.type === "unserved")).toHaveLength(1);
  });
});

describe("dispatch / the seat of an escalated call", () => {
  it("is offered to nobody after STAY_SILENT, also when the agent was lost meanwhile", async () => {
    const t = await seated();
    const b = t.agent();
    t.a.handler.command(1, "e", escalate({ then: "STAY_SILENT" }));
    await t.clock.advance(300);
    expect(t.leg.isRinging).toBe(true);
    t.a.handler.lost();
    await t.clock.advance(3_000);
    t.leg.pickUp();
    await t.clock.advance(60_000);
    expect(t.call("c")).toMatchObject({ state: "CONNECTED", seat: { state: "VACANT" } });
    expect(b.got("offer")).toHaveLength(0);
  });

  it("is offered to nobody while the callee rings after a pool that did not take it", async () => {
    const t = await seated({ pools: [{}, { name: "human" }] });
    const b = t.agent();
    const pool = { pool: "human", waitMs: 3_000, thenOriginalCallee: { ringTimeSeconds: 30 } };
    t.a.handler.command(1, "e", escalate({ target: { pool } }));
    await t.clock.advance(300);
    t.a.handler.lost();
    await t.clock.advance(4_000);
    expect(t.leg.isRinging).toBe(true);
    expect(b.got("offer")).toHaveLength(0);
    await t.clock.advance(30_000);
    expect(b.got("offer").length).toBeGreaterThan(0);
  });
});

describe("dispatch / slow stores and stalls", () => {
  it("offers without the context when the store does not answer in time", async () => {
    const t = await seated();
    const b = t.agent();
    t.gateway.contexts.head = () => new Promise<never>(() => {});
    t.a.handler.bye();
    await t.clock.advance(299);
    expect(b.got("offer")).toHaveLength(0);
    await t.clock.advance(1);
    expect(b.last("offer").context).toBeUndefined();
  });

  it("does not take its own stall for a frozen agent (fault 49)", async () => {
    const t = await dispatchRig();
    const a = t.agent({ heartbeat: true });
    await t.clock.advance(1_500);
    // The timer came first; the heartbeat was in the socket all the time.
    a.handler.heartbeat(0);
    await t.clock.advance(1_400);
    expect(a.ended).toBeUndefined();
  });

  it("tells again what may have been lost on a broken stream when a sibling takes over", async () => {
    const t = await seated();
    const sibling = new RigStream();
    sibling.handler = t.gateway.agents.join(ACTOR, t.a.last("registered").info.sessionToken, sibling);
    t.a.handler.lost();
    await t.clock.advance(0);
    const told = sibling.got("callEvent").map((e) => e.event.body.type);
    expect(told).toContain("answered");
    const sequences = sibling.got("callEvent").map((e) => e.event.sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((x, y) => x - y));
  });

  it("goes on counting the events of a call that comes again after a restart", async () => {
    const t = await seated();
    const before = t.log.lastSequence("default", "c");
    const again = await dispatchRig({ log: t.log });
    again.telephony.arrive({ callId: "c" });
    await again.clock.advance(0);
    const sequences = t.log.events.filter((e) => e.callId === "c").map((e) => e.sequence);
    expect(sequences.length).toBeGreaterThan(before);
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  });
});
