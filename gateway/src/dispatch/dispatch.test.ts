import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ACTOR, dispatchRig, RigStream } from "./test-rig.js";

describe("dispatch / offers", () => {
  it("offers a call, seats the agent that accepts, and lets it answer", async () => {
    const t = await dispatchRig();
    const a = t.agent({ answerOnAccept: true });
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    const offer = a.last("offer");
    expect(offer).toMatchObject({ attempt: 1, call: { callId: "c", state: "PENDING" } });
    a.handler.accept(offer.offerId);
    await t.clock.advance(0);
    expect(a.last("assigned")).toMatchObject({ epoch: 1, handle: 1, resume: "NEW" });
    expect(t.call("c")).toMatchObject({ state: "ANSWERED", seat: { state: "HELD", agentId: "agent-1" } });
  });

  it("asks the next agent after a refusal and after a time-out, nobody twice in a round (fault 4)", async () => {
    const t = await dispatchRig();
    const [a, b, c] = [t.agent(), t.agent(), t.agent()];
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    a.handler.decline(a.last("offer").offerId, "busy");
    await t.clock.advance(0);
    expect(b.got("offer")).toHaveLength(1);
    await t.clock.advance(2_000);
    expect(b.got("offerRevoked")).toHaveLength(1);
    expect(c.last("offer").attempt).toBe(3);
    expect(a.got("offer")).toHaveLength(1);
    c.handler.decline(c.last("offer").offerId, "");
    await t.clock.advance(999);
    expect(a.got("offer")).toHaveLength(1);
    await t.clock.advance(1);
    expect(a.got("offer")).toHaveLength(2);
  });

  it("refuses an acceptance that comes too late, and only tells that agent", async () => {
    const t = await dispatchRig();
    const [a, b] = [t.agent(), t.agent()];
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(2_000);
    a.handler.accept(a.last("offer").offerId);
    expect(a.last("itemRefused").error.reason).toBe("OFFER_GONE");
    b.handler.accept("");
    await t.clock.advance(0);
    expect(b.last("assigned").call.callId).toBe("c");
  });

  it("asks an agent of another gateway first only when it is less busy by the handicap", async () => {
    const t = await dispatchRig();
    const there = t.agent({ capacity: 8, relayedBy: "gateway-2" });
    const here = t.agent({ capacity: 8 });
    const seated: string[] = [];
    for (let i = 1; i <= 6; i++) {
      t.telephony.arrive({ callId: `c-${i}` });
      await t.clock.advance(0);
      for (const s of [here, there]) {
        const before = s.got("assigned").length;
        for (const o of s.got("offer")) s.handler.accept(o.offerId);
        await t.clock.advance(0);
        if (s.got("assigned").length > before) seated.push(s === here ? "here" : "there");
      }
    }
    // With two of eight places taken here it is even: whoever was asked longest ago.
    expect(seated).toEqual(["here", "here", "there", "here", "there", "here"]);
  });

  it("gives calls to the least busy agent and none beyond its capacity", async () => {
    const t = await dispatchRig();
    const big = t.agent({ capacity: 3 });
    const small = t.agent({ capacity: 1 });
    for (let i = 1; i <= 5; i++) {
      t.telephony.arrive({ callId: `c-${i}` });
      await t.clock.advance(0);
      for (const s of [big, small]) for (const o of s.got("offer")) s.handler.accept(o.offerId);
      await t.clock.advance(0);
    }
    expect(big.got("assigned")).toHaveLength(3);
    expect(small.got("assigned")).toHaveLength(1);
    expect(t.gateway.fleet.pools("default")[0]).toMatchObject({ busy: 4, waiting: 1, capacity: 4 });
    big.handler.command(big.last("assigned").handle, "bye", { verb: "DisconnectCall" });
    await t.clock.advance(0);
    expect(big.last("offer").call.callId).toBe("c-5");
  });

  it("offers no more to an agent that drains", async () => {
    const t = await dispatchRig();
    const a = t.agent();
    a.handler.drain();
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(5_000);
    expect(a.got("offer")).toHaveLength(0);
  });

  it("tells an agent how far its audio has been played also while the gateway goes away (fault 23)", async () => {
    const t = await dispatchRig();
    const a = t.agent({ answerOnAccept: true });
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    a.handler.accept(a.last("offer").offerId);
    await t.clock.advance(0);
    void t.gateway.drain(60_000);
    const { handle } = a.last("assigned");
    for (let told = 0; told < 4; told++) {
      const before = a.got("playback").length;
      a.handler.audio(handle, new Uint8Array(8_000));
      await t.clock.advance(1_000);
      expect(a.got("playback").length).toBeGreaterThan(before);
    }
    await t.gateway.stop();
    const after = a.notices.length;
    await t.clock.advance(5_000);
    expect(a.notices).toHaveLength(after);
  });

  it("seats exactly one of many that race for an epoch (fault 5)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...Array(12).keys()], { minLength: 2 }), async (order) => {
        const t = await dispatchRig();
        const agents = [...Array(12)].map(() => t.agent());
        t.telephony.arrive({ callId: "c" });
        await t.clock.advance(0);
        const first = agents.find((a) => a.got("offer").length > 0);
        first?.handler.accept(first.last("offer").offerId);
        // Transfers by supervisors to each of the others at once: at most one runs, and one seat is held.
        const transfers = order.map((i) =>
          t.gateway.calls
            .execute(
              ACTOR,
              "c",
              "",
              { verb: "TransferCall", to: { instanceId: `instance-${i + 1}` }, offerDurationMs: 5_000 },
              0,
            )
            .catch(() => undefined),
        );
        await t.clock.advance(0);
        for (const a of agents) for (const o of a.got("offer")) a.handler.accept(o.offerId);
        await t.clock.advance(10_000);
        await Promise.all(transfers);
        const held = agents.filter((a) => a.got("assigned").length > a.got("unassigned").length);
        expect(held).toHaveLength(1);
        expect(t.call("c").seat.state).toBe("HELD");
        await t.gateway.stop();
      }),
      { numRuns: 20 },
    );
  });
});

describe("dispatch / lost and back", () => {
  async function seated() {
    const t = await dispatchRig();
    const a = t.agent({ answerOnAccept: true });
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    a.handler.accept("");
    await t.clock.advance(0);
    return { ...t, a, leg };
  }

  it("reattaches within the grace: same epoch, new handle, missed events once, the gap told", async () => {
    const t = await seated();
    const b = t.agent();
    const seen = t.a.got("callEvent").at(-1)?.event.sequence ?? 0;
    t.a.handler.lost();
    await t.clock.advance(500);
    t.leg.hearCaller(new Uint8Array(1_600));
    const back = new RigStream();
    const token = t.a.last("registered").info.sessionToken;
    back.handler = t.gateway.agents.reattach(
      ACTOR,
      token,
      [{ callId: "c", epoch: 1, lastEventSequence: seen }],
      back,
    );
    await t.clock.advance(0);
    expect(back.last("assigned")).toMatchObject({ epoch: 1, handle: 2, resume: "REATTACHED" });
    expect(back.last("audioGap")).toMatchObject({ from: 0, durationMs: 100, reason: "DETACHED" });
    const sequences = back.got("callEvent").map((e) => e.event.sequence);
    expect(sequences[0]).toBe(seen + 1);
    expect(sequences).toEqual([...sequences].sort((x, y) => x - y).filter((s, i, all) => s !== all[i - 1]));
    await t.clock.advance(10_000);
    expect(b.got("offer")).toHaveLength(0);
    expect(t.call("c").seat).toMatchObject({ state: "HELD", epoch: 1 });
  });

  it("refuses a reattach after the grace: somebody else has the call, with its context and attempt", async () => {
    const t = await seated();
    await t.gateway.contexts.appendTurns("default", "c", [
      {
        id: "1",
        role: "CALLER",
        text: "hello",
        locale: "en",
        time: new Date(0),
        heard: "",
        interrupted: false,
      },
    ]);
    const b = t.agent();
    t.a.handler.lost();
    await t.clock.advance(2_001);
    const offer = b.last("offer");
    expect(offer.attempt).toBe(2);
    expect(offer.context?.turns.map((turn) => turn.text)).toEqual(["hello"]);
    b.handler.accept(offer.offerId);
    // Long after the grace it still is told what became of the seat.
    await t.clock.advance(8_000);
    const late = new RigStream();
    const token = t.a.last("registered").info.sessionToken;
    const again = () => {
      late.handler = t.gateway.agents.reattach(
        ACTOR,
        token,
        [{ callId: "c", epoch: 1, lastEventSequence: 0 }],
        late,
      );
    };
    again();
    expect(late.last("itemRefused").error.reason).toBe("SEAT_TAKEN");
    expect(b.last("assigned").epoch).toBe(2);
    late.handler.lost();
    await t.clock.advance(12_001);
    expect(again).toThrow(expect.objectContaining({ reason: "SESSION_NOT_FOUND" }));
  });

  it("moves calls to a sibling stream at once, without suspending the seat", async () => {
    const t = await seated();
    const sibling = new RigStream();
    sibling.handler = t.gateway.agents.join(ACTOR, t.a.last("registered").info.sessionToken, sibling);
    t.a.handler.lost();
    await t.clock.advance(0);
    expect(sibling.last("assigned")).toMatchObject({ epoch: 1, resume: "MOVED" });
    expect(t.call("c").seat.state).toBe("HELD");
    expect(t.events("c").some((e) => e.type === "holdChanged" && e.holding)).toBe(false);
  });

  it("finds a frozen agent by its heartbeat", async () => {
    const t = await dispatchRig();
    const a = t.agent({ heartbeat: true, answerOnAccept: true });
    t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    a.handler.accept("");
    for (let i = 0; i < 5; i++) {
      await t.clock.advance(500);
      a.handler.heartbeat(0.1);
    }
    expect(a.ended).toBeUndefined();
    await t.clock.advance(1_549);
    expect(a.ended).toBeUndefined();
    await t.clock.advance(1);
    expect(a.ended?.error?.reason).toBe("HEARTBEAT_LOST");
    expect(t.call("c").seat.state).toBe("SUSPENDED");
  });

  it("offers at once after Bye, and ends the older session of an instance", async () => {
    const t = await seated();
    const b = t.agent();
    t.a.handler.bye();
    await t.clock.advance(0);
    expect(b.got("offer")).toHaveLength(1);
    const again = t.agent({ instanceId: "instance-2" });
    expect(b.ended?.error?.reason).toBe("SUPERSEDED");
    await t.clock.advance(0);
    expect(again.got("offer")).toHaveLength(1);
  });

  it("tells a stale handle once, and lets nothing of an old call into the next", async () => {
    const t = await seated();
    t.leg.terminate();
    await t.clock.advance(0);
    const next = t.telephony.arrive({ callId: "d" });
    await t.clock.advance(0);
    for (let i = 0; i < 3; i++) t.a.handler.audio(1, new Uint8Array(160));
    t.a.handler.audio(0, new Uint8Array(160));
    t.a.handler.accept("");
    await t.clock.advance(0);
    t.a.handler.audio(1, new Uint8Array(160));
    expect(t.a.got("itemRefused").map((r) => [r.handle, r.error.reason])).toEqual([
      [1, "STALE_HANDLE"],
      [0, "STALE_HANDLE"],
    ]);
    next.grant(10_000);
    expect(next.takenBytes.length).toBe(0);
    t.a.handler.audio(0, new Uint8Array(160));
    expect(next.takenBytes.length).toBe(160);
  });
});

describe("dispatch / unserved", () => {
  it("rings the original callee at once, unanswered by us, and leaves when it picks up", async () => {
    const t = await dispatchRig({ route: { unserved: { action: "CONNECT", ringTimeSeconds: 20 } } });
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    expect(leg.isRinging).toBe(true);
    leg.pickUp();
    await t.clock.advance(0);
    expect(t.call("c")).toMatchObject({ state: "DISCONNECTED", endReason: "LEFT_TO_PARTIES" });
    expect(leg.commandNames).toEqual(["connect", "close"]);
  });

  it("hangs up when the original callee does not pick up either", async () => {
    const t = await dispatchRig({ route: { unserved: { action: "CONNECT", ringTimeSeconds: 20 } } });
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(21_000);
    expect(leg.commandNames).toEqual(["connect", "disconnect"]);
  });

  it("answers and holds until an agent comes", async () => {
    const t = await dispatchRig({ route: { unserved: { action: "ANSWER_AND_HOLD", ringTimeSeconds: 20 } } });
    const leg = t.telephony.arrive({ callId: "c" });
    leg.grant(100_000);
    await t.clock.advance(1_000);
    expect(t.call("c").state).toBe("ANSWERED");
    expect(leg.takenBytes[0]).toBe(7);
    const a = t.agent();
    await t.clock.advance(0);
    a.handler.accept("");
    await t.clock.advance(0);
    expect(t.call("c").seat.state).toBe("HELD");
  });

  it("announces and hangs up when the announcement was heard", async () => {
    const t = await dispatchRig({
      route: {
        unserved: {
          action: "ANNOUNCE",
          ringTimeSeconds: 20,
          announcement: async () => new Uint8Array(16_000).fill(3),
        },
      },
    });
    const leg = t.telephony.arrive({ callId: "c" });
    leg.grant(100_000);
    await t.clock.advance(1_150);
    expect(leg.takenBytes.length).toBe(16_000);
    expect(t.call("c").state).toBe("ANSWERED");
    await t.clock.advance(100);
    expect(t.call("c").endReason).toBe("DISCONNECTED");
  });

  it("does not claim a call that its route leaves", async () => {
    const t = await dispatchRig({ route: { unserved: { action: "LEAVE", ringTimeSeconds: 20 } } });
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(1_000);
    expect(leg.claim).toBe("ignored");
  });

  it("rings the original callee for a caller whose agent was lost and who waited too long", async () => {
    const t = await dispatchRig({ pools: [{ maxReofferMs: 30_000 }] });
    const a = t.agent({ answerOnAccept: true });
    const leg = t.telephony.arrive({ callId: "c" });
    await t.clock.advance(0);
    a.handler.accept("");
    await t.clock.advance(0);
    a.handler.lost();
    await t.clock.advance(31_999);
    expect(leg.isRinging).toBe(false);
    await t.clock.advance(1);
    expect(leg.isRinging).toBe(true);
  });
});
