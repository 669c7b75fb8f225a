import { describe, expect, it } from "vitest";
import type { RigStream } from "../dispatch/test-rig.js";
import { ClusterRig, type RigGateway } from "./cluster-rig.js";

const GRACE_MS = 600_000;
const MOVE_MS = 5_000;

/** Two gateways; calls come to `leaving` alone. */
async function twoGateways() {
  const rig = new ClusterRig();
  const leaving = await rig.add("leaving");
  const staying = await rig.add("staying");
  await rig.pass(600);
  staying.telephony.loseClaimsWith = "SESSION_BUSY";
  return { rig, leaving, staying };
}

/** It is told to end; others see that with its next sign of life. */
function drain(one: RigGateway) {
  one.cluster.drain();
  let over = false;
  const drained = one.gateway.drain(GRACE_MS).then(() => {
    over = true;
  });
  return { drained, isOver: () => over };
}

const offersOf = (agent: RigStream, callId: string) =>
  agent.got("offer").filter(({ call }) => call.callId === callId);

const holderOf = (one: RigGateway, callId: string) => one.gateway.calls.get("default", callId).seat.agentId;

describe("a gateway that goes away", () => {
  it("offers a call whose claim was on its way to an agent of another gateway, and waits for that claim (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const own = leaving.agent();
    const other = staying.agent();
    await rig.pass(100);
    leaving.telephony.claimAnswerMs = 500;
    const callId = rig.arrive();
    await rig.pass(200);
    const { drained, isOver } = drain(leaving);
    await rig.pass(200);
    expect(leaving.gateway.callCount).toBe(0);
    expect(isOver()).toBe(false);
    await rig.pass(200);
    expect(offersOf(own, callId)).toEqual([]);
    other.handler.accept(other.last("offer").offerId);
    await rig.pass(50);
    const { handle } = other.last("assigned");
    other.handler.command(handle, "r-1", { verb: "AnswerCall" });
    await rig.pass(50);
    expect(rig.leg(callId)).toMatchObject({ state: "answered", isRinging: false });
    expect(other.got("goAway")).toEqual([]);
    expect(own.got("goAway")).toHaveLength(1);
    rig.leg(callId).terminate();
    await rig.pass(200);
    await drained;
  });

  it("takes back what it offered its own agent and offers it to the other, and to no second one of its own (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const own = [leaving.agent(), leaving.agent()];
    const other = staying.agent();
    await rig.pass(100);
    const callId = rig.arrive();
    await rig.pass(300);
    const asked = own.filter((agent) => offersOf(agent, callId).length > 0);
    expect(asked).toHaveLength(1);
    drain(leaving);
    await rig.pass(50);
    expect(asked[0]?.got("offerRevoked")).toHaveLength(1);
    expect(own.flatMap((agent) => offersOf(agent, callId))).toHaveLength(1);
    other.handler.accept(other.last("offer").offerId);
    await rig.pass(50);
    expect(holderOf(leaving, callId)).toBe("staying-agent-1");
  });

  it("keeps calls waiting for busy agents of other gateways, and rings the callee when the last one is gone (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const other = staying.agent();
    await rig.pass(100);
    const first = rig.arrive();
    await rig.pass(300);
    other.handler.accept(other.last("offer").offerId);
    await rig.pass(50);
    const second = rig.arrive();
    await rig.pass(300);
    const third = rig.arrive();
    await rig.pass(300);
    drain(leaving);
    await rig.pass(2 * MOVE_MS);
    for (const callId of [second, third]) expect(rig.leg(callId).isRinging).toBe(false);
    rig.leg(first).terminate();
    await rig.pass(50);
    other.handler.accept(other.last("offer").offerId);
    await rig.pass(50);
    expect(holderOf(leaving, second)).toBe("staying-agent-1");
    expect(rig.leg(third).isRinging).toBe(false);
    other.handler.drain();
    await rig.pass(50);
    expect(rig.leg(third).isRinging).toBe(true);
  });

  it("waits for agents to come by another gateway (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const own = leaving.agent();
    await rig.pass(100);
    const taken = rig.arrive();
    await rig.pass(300);
    own.handler.accept(own.last("offer").offerId);
    const waiting = rig.arrive();
    await rig.pass(300);
    drain(leaving);
    await rig.pass(MOVE_MS - 1_000);
    expect(rig.leg(waiting).isRinging).toBe(false);
    // As the client libraries do: the old session lives on for its call.
    const moved = staying.agent({ agentId: "moved" });
    await rig.pass(300);
    moved.handler.accept(moved.last("offer").offerId);
    await rig.pass(50);
    expect(holderOf(leaving, waiting)).toBe("moved");
    expect(holderOf(leaving, taken)).toBe("leaving-agent-1");
  });

  it("waits so long for them and no longer (fault 23)", async () => {
    const { rig, leaving } = await twoGateways();
    const waiting = rig.arrive();
    await rig.pass(300);
    drain(leaving);
    await rig.clock.advance(MOVE_MS - 1);
    expect(rig.leg(waiting).isRinging).toBe(false);
    await rig.clock.advance(1);
    expect(rig.leg(waiting).isRinging).toBe(true);
  });

  it("does not wait for them where every other gateway goes away too (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const waiting = rig.arrive();
    await rig.pass(300);
    drain(staying);
    await rig.pass(600);
    drain(leaving);
    await rig.clock.advance(0);
    expect(rig.leg(waiting).isRinging).toBe(true);
  });

  it("takes no agents at all once it has stopped (fault 23)", async () => {
    const { rig, leaving, staying } = await twoGateways();
    const { drained } = drain(leaving);
    await rig.pass(100);
    await drained;
    await leaving.gateway.stop();
    staying.agent();
    await rig.pass(1_000);
    expect([...leaving.gateway.opsSource.pools()]).toMatchObject([{ sessions: 0 }]);
  });
});
