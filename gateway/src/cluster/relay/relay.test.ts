import { describe, expect, it } from "vitest";
import type { RigStream } from "../../dispatch/test-rig.js";
import { ClusterRig, type RigGateway } from "../cluster-rig.js";

/** An agent at A, and a call at B, which has no agent of its own. */
async function acrossTwo(capacity = 1) {
  const rig = new ClusterRig();
  const a = await rig.add("a");
  const b = await rig.add("b");
  await rig.pass(600);
  const agent = a.agent({ capacity });
  await rig.pass(100);
  a.telephony.loseClaimsWith = "SESSION_BUSY";
  return { rig, a, b, agent };
}

async function seated(capacity = 1) {
  const t = await acrossTwo(capacity);
  const callId = t.rig.arrive();
  await t.rig.pass(500);
  expect(t.rig.holder(callId)?.id).toBe("b");
  const offer = t.agent.last("offer");
  t.agent.handler.accept(offer.offerId);
  await t.rig.pass(50);
  const { handle } = t.agent.last("assigned");
  return { ...t, callId, handle, call: t.b.gateway.calls.get("default", callId) };
}

const speech = (value: number) => new Uint8Array(320).fill(value);
const snapshotOf = (at: RigGateway, callId: string) => at.gateway.calls.get("default", callId);

describe("an agent of another gateway", () => {
  it("is offered the call, takes its seat, answers and is heard", async () => {
    const { rig, b, agent, callId, handle } = await seated();
    expect(snapshotOf(b, callId).seat).toMatchObject({ state: "HELD", agentId: "a-agent-1", epoch: 1 });
    agent.handler.command(handle, "r-1", { verb: "AnswerCall" });
    await rig.pass(50);
    expect(agent.last("commandResult")).toMatchObject({
      handle,
      requestId: "r-1",
      reply: { call: { state: "ANSWERED" } },
    });
    agent.handler.audio(handle, speech(5));
    await rig.pass(50);
    expect([...rig.leg(callId).pull(320)].slice(0, 4)).toEqual([5, 5, 5, 5]);
    rig.leg(callId).hearCaller(speech(9));
    await rig.pass(50);
    expect(agent.audio.at(-1)).toMatchObject({ handle, position: 0 });
    expect([...(agent.audio.at(-1)?.pcm ?? [])].slice(0, 2)).toEqual([9, 9]);
    expect(agent.got("callEvent").map(({ event }) => event.body.type)).toContain("answered");
  });

  it("sets marks, clears, gets notes, and is told when the call is over", async () => {
    const { rig, b, agent, callId, handle } = await seated();
    agent.handler.command(handle, "r-1", { verb: "AnswerCall" });
    await rig.pass(20);
    for (let i = 0; i < 50; i++) agent.handler.audio(handle, speech(5));
    agent.handler.mark(handle, "end");
    agent.handler.clearPlayback(handle);
    await rig.pass(50);
    expect(agent.last("markReached")).toMatchObject({ handle, name: "end", end: "CLEARED" });
    expect(agent.last("playbackCleared")).toMatchObject({ handle });
    await b.gateway.calls.execute(
      { tenant: "default", name: "client:x" },
      callId,
      "",
      { verb: "SendNote", text: "Be brief." },
      0,
    );
    await rig.pass(20);
    expect(agent.last("note")).toMatchObject({ handle, text: "Be brief." });
    rig.leg(callId).terminate();
    await rig.pass(50);
    expect(agent.last("unassigned")).toMatchObject({ handle, callId, cause: "CALL_ENDED" });
    agent.handler.audio(handle, speech(1));
    expect(agent.last("itemRefused").error.reason).toBe("STALE_HANDLE");
  });

  it("is counted once, at its own gateway", async () => {
    const { rig, a, b, callId } = await seated(2);
    const pools = a.api.fleet.pools("default");
    await rig.pass(20);
    expect((await pools).pools).toMatchObject([{ agentCount: 1, capacity: 2, busy: 1 }]);
    expect(a.gateway.fleet.agents("default", "")).toMatchObject([{ callIds: [callId] }]);
    expect(b.gateway.fleet.agents("default", "")).toEqual([]);
  });

  it("never has more calls than places, whoever offers them", async () => {
    const rig = new ClusterRig();
    const gateways = [await rig.add("a"), await rig.add("b"), await rig.add("c")];
    await rig.pass(600);
    const agents = gateways.map((one) => one.agent({ capacity: 3 }));
    await rig.pass(200);
    const accepted = new Set<string>();
    let most = 0;
    for (let i = 0; i < 20; i++) rig.arrive();
    for (let round = 0; round < 200; round++) {
      for (const agent of agents) {
        for (const { offerId } of agent.got("offer")) {
          if (accepted.has(offerId)) continue;
          accepted.add(offerId);
          agent.handler.accept(offerId);
        }
      }
      await rig.pass(20);
      for (const agent of agents) most = Math.max(most, held(agent).length);
    }
    expect(most).toBe(3);
    expect(agents.map((agent) => held(agent).length)).toEqual([3, 3, 3]);
    // And when places become free, those that wait come.
    const [first] = held(agents[0] as RigStream);
    rig.leg(first as string).terminate();
    await rig.pass(100);
    for (const agent of agents)
      for (const { offerId } of agent.got("offer")) if (!accepted.has(offerId)) agent.handler.accept(offerId);
    await rig.pass(100);
    expect(agents.map((agent) => held(agent).length)).toEqual([3, 3, 3]);
  });

  it("comes back to the call after its stream was lost", async () => {
    const { rig, a, b, agent, callId, handle } = await seated();
    const token = agent.last("registered").info.sessionToken;
    agent.handler.lost();
    await rig.pass(300);
    expect(snapshotOf(b, callId).seat).toMatchObject({ state: "SUSPENDED" });
    const again = new (agent.constructor as new () => RigStream)();
    again.handler = a.gateway.agents.reattach(
      { tenant: "default", name: "client:test" },
      token,
      [{ callId, epoch: 1, lastEventSequence: 1 }],
      again,
    );
    await rig.pass(300);
    expect(again.last("assigned")).toMatchObject({ resume: "REATTACHED", epoch: 1 });
    expect(again.last("assigned").handle).not.toBe(handle);
    expect(again.got("callEvent").map(({ event }) => event.sequence)[0]).toBe(2);
    expect(snapshotOf(b, callId).seat).toMatchObject({ state: "HELD", epoch: 1 });
  });

  it("keeps the call on a sibling stream", async () => {
    const { rig, a, b, agent, callId } = await seated();
    const sibling = new (agent.constructor as new () => RigStream)();
    const token = agent.last("registered").info.sessionToken;
    sibling.handler = a.gateway.agents.join({ tenant: "default", name: "client:test" }, token, sibling);
    agent.handler.lost();
    await rig.pass(100);
    expect(sibling.last("assigned")).toMatchObject({ resume: "MOVED", epoch: 1 });
    sibling.handler.command(sibling.last("assigned").handle, "r-2", { verb: "AnswerCall" });
    await rig.pass(50);
    expect(snapshotOf(b, callId)).toMatchObject({ state: "ANSWERED", seat: { state: "HELD" } });
  });

  it("gives its seats back when it says goodbye", async () => {
    const { rig, b, agent, callId } = await seated();
    agent.handler.bye();
    await rig.pass(100);
    expect(snapshotOf(b, callId).seat.state).toBe("VACANT");
  });

  it("that came by another gateway before its first one saw the loss is not thrown out there", async () => {
    const { rig, b, agent } = await acrossTwo();
    const { instanceId } = agent.last("registered").info;
    const direct = b.agent({ instanceId });
    await rig.pass(3_000);
    expect(direct.ended).toBeUndefined();
    rig.arrive();
    await rig.pass(300);
    expect(direct.got("offer")).toHaveLength(1);
    expect(agent.got("offer")).toHaveLength(0);
  });

  it("is preferred last among equals: who is connected directly is asked first", async () => {
    const { rig, b, agent } = await acrossTwo();
    const direct = b.agent();
    await rig.pass(100);
    rig.arrive();
    await rig.pass(300);
    expect(direct.got("offer")).toHaveLength(1);
    expect(agent.got("offer")).toHaveLength(0);
  });
});

describe("a break between the gateways", () => {
  it("of a second: the agent has its call again, nobody noticed the end of anything", async () => {
    const { rig, a, b, agent, callId, handle } = await seated();
    b.connect(false);
    await rig.pass(1_000);
    expect(snapshotOf(b, callId).seat.state).toBe("SUSPENDED");
    b.connect(true);
    await rig.pass(1_000);
    expect(snapshotOf(b, callId).seat).toMatchObject({ state: "HELD", epoch: 1 });
    expect(agent.got("unassigned")).toEqual([]);
    agent.handler.command(handle, "r-1", { verb: "AnswerCall" });
    await rig.pass(50);
    expect(snapshotOf(b, callId).state).toBe("ANSWERED");
    expect(a.gateway.callCount + b.gateway.callCount).toBe(1);
  });

  it("of a longer time: the call is offered to others, the agent is told, no call ended", async () => {
    const { rig, b, agent, callId } = await seated();
    const local = b.agent();
    await rig.pass(50);
    b.connect(false);
    await rig.pass(3_000);
    expect(local.got("offer")).toHaveLength(1);
    local.handler.accept(local.last("offer").offerId);
    await rig.pass(1_000);
    b.connect(true);
    await rig.pass(20_000);
    expect(snapshotOf(b, callId).seat).toMatchObject({ state: "HELD", agentId: "b-agent-1", epoch: 2 });
    expect(agent.last("unassigned")).toMatchObject({ callId });
    expect(rig.log.events.some(({ body }) => body.type === "ended")).toBe(false);
  });
});

describe("the gateway of the call dies", () => {
  it("and the agent's own gateway takes the call over: the same agent has the seat, without an offer", async () => {
    const { rig, a, b, agent, callId } = await seated();
    agent.handler.command(agent.last("assigned").handle, "r-1", { verb: "AnswerCall" });
    await rig.pass(50);
    a.telephony.loseClaimsWith = undefined;
    b.kill();
    await rig.pass(3_000);
    expect(rig.holder(callId)?.id).toBe("a");
    expect(agent.last("assigned")).toMatchObject({
      resume: "TAKEN_OVER",
      epoch: 2,
      call: { callId, state: "ANSWERED" },
    });
    expect(agent.got("unassigned")).toEqual([]);
    expect(agent.got("assigned")).toHaveLength(2);
    expect(snapshotOf(a, callId).seat).toMatchObject({ state: "HELD", epoch: 2 });
    expect(agent.got("offer")).toHaveLength(1);
    agent.handler.audio(agent.last("assigned").handle, speech(6));
    expect(rig.leg(callId).pull(320)[0]).toBe(6);
  });

  it("and a third gateway takes it over: the same agent, by another relay", async () => {
    const t = await acrossTwo();
    const c = await t.rig.add("c");
    c.telephony.loseClaimsWith = "SESSION_BUSY";
    await t.rig.pass(600);
    const callId = t.rig.arrive();
    await t.rig.pass(500);
    t.agent.handler.accept(t.agent.last("offer").offerId);
    await t.rig.pass(50);
    c.telephony.loseClaimsWith = undefined;
    t.b.kill();
    await t.rig.pass(4_000);
    expect(t.rig.holder(callId)?.id).toBe("c");
    expect(t.agent.last("assigned")).toMatchObject({ resume: "TAKEN_OVER", epoch: 2 });
    expect(snapshotOf(c, callId).seat).toMatchObject({ state: "HELD", agentId: "a-agent-1" });
    t.agent.handler.command(t.agent.last("assigned").handle, "r-9", { verb: "AnswerCall" });
    await t.rig.pass(50);
    expect(snapshotOf(c, callId).state).toBe("ANSWERED");
  });

  it("and its agent registers at another gateway under the same instance id: it has its seat again", async () => {
    const rig = new ClusterRig();
    const a = await rig.add("a");
    const b = await rig.add("b");
    await rig.pass(600);
    a.telephony.loseClaimsWith = "SESSION_BUSY";
    const first = b.agent({ instanceId: "the-instance" });
    await rig.pass(100);
    const callId = rig.arrive();
    await rig.pass(500);
    first.handler.accept(first.last("offer").offerId);
    await rig.pass(50);
    a.telephony.loseClaimsWith = undefined;
    b.kill();
    await rig.pass(1_000);
    const second = a.agent({ instanceId: "the-instance" });
    await rig.pass(3_000);
    expect(rig.holder(callId)?.id).toBe("a");
    expect(second.last("assigned")).toMatchObject({ resume: "TAKEN_OVER", epoch: 2, call: { callId } });
  });

  it("nobody takes it over in time: the agent is told that the seat is lost, and its place is free", async () => {
    const { rig, a, b, agent, callId } = await seated();
    b.kill();
    await rig.pass(20_000);
    expect(agent.last("unassigned")).toMatchObject({ callId, cause: "LOST" });
    expect(a.gateway.freePlaces()).toMatchObject([{ freePlaces: 1 }]);
  });
});

function held(agent: RigStream): string[] {
  const calls = new Map<number, string>();
  for (const notice of agent.notices) {
    if (notice.type === "assigned") calls.set(notice.handle, notice.call.callId);
    if (notice.type === "unassigned") calls.delete(notice.handle);
  }
  return [...new Set(calls.values())];
}
