import { describe, expect, it } from "vitest";
import { TelephonyError } from "../telephony/telephony.js";
import { restoreCall } from "./restore.js";
import { escalate, RigHolder, type RigOptions, refusal, rig } from "./test-rig.js";

/** The owner dies at this moment: nothing of it is heard any more, and another takes the call over from its log. */
function successor(dead: ReturnType<typeof rig>, options: RigOptions = {}) {
  const length = dead.log.events.length;
  dead.log.append = async (event) => ({ ...event, cursor: "", durable: false });
  expect(dead.log.events).toHaveLength(length);
  const log = Object.assign(Object.create(Object.getPrototypeOf(dead.log)), { events: [...dead.log.events] });
  return rig({ ...options, takeOver: log });
}

describe("a call taken over", () => {
  it("goes on in its state, with its times, numbers and epochs", async () => {
    const dead = rig();
    await dead.answer();
    const before = dead.call.snapshot();
    const next = successor(dead);
    await next.clock.advance(0);
    const after = next.call.snapshot();
    expect(after).toMatchObject({
      state: "ANSWERED",
      answerTime: before.answerTime,
      createTime: before.createTime,
    });
    expect(after.seat).toMatchObject({
      state: "VACANT",
      epoch: before.seat.epoch,
      attempt: before.seat.attempt,
    });
    const sequences = next.log.events.map((event) => event.sequence);
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
    const takenOver = next.log.events.find(({ body }) => body.type === "takenOver");
    expect(takenOver).toMatchObject({ ownerEpoch: 2, body: { fromGatewayId: "gateway-1", fromEpoch: 1 } });
    expect(next.told("arrived")).toHaveLength(1);
  });

  it("lets its agent back in under a new epoch, and nobody under the old one", async () => {
    const dead = rig();
    await dead.answer();
    const next = successor(dead);
    const holder = new RigHolder();
    expect(next.call.takeSeat(0, holder, "TAKEN_OVER")).toBe(false);
    expect(next.call.takeSeat(1, holder, "TAKEN_OVER")).toBe(true);
    expect(next.call.snapshot().seat).toMatchObject({ state: "HELD", epoch: 2 });
    next.call.play(next.speech(20));
    expect(next.call.playback.snapshot().queuedMs).toBeGreaterThan(0);
  });

  it("goes on in CONNECTED in the mode that was set", async () => {
    const dead = rig({ connect: "connected" });
    await dead.answer();
    await dead.give({ verb: "ConnectCall", ringTimeSeconds: 20 });
    await dead.clock.advance(500);
    await dead.give({ verb: "SetAgentMode", mode: "WHISPER" });
    await dead.clock.advance(0);
    expect(dead.call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "WHISPER" });
    expect(successor(dead).call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "WHISPER" });
  });

  it("counts as answered when the caller is heard, though its owner died over the answer and another is refused", async () => {
    const dead = rig();
    dead.leg.hold("answer");
    void dead.give({ verb: "AnswerCall" }, 0, "answer-1");
    await dead.clock.advance(10);
    const next = successor(dead);
    next.leg.script("answer", { fail: new TelephonyError("refused", "answered already", "INVALID_STATE") });
    await next.clock.advance(10);
    expect(next.call.snapshot().state).toBe("PENDING");
    expect((await refusal(next.give({ verb: "AnswerCall" }))).reason).toBe("PROVIDER_REFUSED");
    next.leg.hearCaller(next.speech(20));
    await next.clock.advance(0);
    expect(next.call.snapshot().state).toBe("ANSWERED");
  });

  it("answers a repeated request id with the first result, and refuses another body under it (fault 34)", async () => {
    const dead = rig();
    await dead.give({ verb: "AnswerCall" }, 0, "answer-1");
    const next = successor(dead);
    expect((await next.give({ verb: "AnswerCall" }, 0, "answer-1")).call.state).toBe("ANSWERED");
    const error = await refusal(next.give({ verb: "ReleaseCall" }, 0, "answer-1"));
    expect(error.reason).toBe("REQUEST_ID_REUSED");
  });

  it("ends a command that was begun as unknown and never carries it out", async () => {
    const dead = rig();
    await dead.answer();
    void dead.give({ verb: "ConnectCall", ringTimeSeconds: 20 }, 0, "connect-1");
    await dead.clock.advance(10);
    const next = successor(dead);
    await next.clock.advance(60_000);
    expect(next.told("commandDone").filter(({ requestId }) => requestId === "connect-1")).toMatchObject([
      { error: { reason: "OUTCOME_UNKNOWN" } },
    ]);
    expect(next.told("ringing")).toHaveLength(1);
    expect(next.leg.commands.filter(({ name }) => name === "connect")).toEqual([]);
    const repeated = await refusal(
      next.give({ verb: "ConnectCall", ringTimeSeconds: 20 }, 1_000, "connect-1"),
    );
    expect(repeated.reason).toBe("OUTCOME_UNKNOWN");
  });

  it("goes on with an escalation that had not begun to connect: the context step again, then the connect, once", async () => {
    const dead = rig();
    await dead.answer();
    dead.call.play(dead.speech(5_000));
    void dead.give(escalate(), 0, "escalate-1");
    await dead.clock.advance(100);
    expect(dead.told("escalation")).toMatchObject([{ step: "SAVING" }]);
    const next = successor(dead, { connect: "connected" });
    await next.clock.advance(1_000);
    expect(next.contexts.patches[0]).toMatchObject({
      status: "ESCALATING",
      escalationReason: "ASKED_FOR_HUMAN",
    });
    // Its words were in the context before it began; they are not in the log.
    expect(dead.contexts.patches[0]?.summary).toBe("Wants a person.");
    expect(next.contexts.patches[0]?.summary).toBeUndefined();
    expect(next.leg.commands.filter(({ name }) => name === "connect")).toHaveLength(1);
    expect(next.told("commandDone").at(-1)).toMatchObject({
      requestId: "escalate-1",
      escalation: { outcome: "CONNECTED" },
    });
  });

  it("knows nothing of an escalation whose words were not saved, and carries it out when it comes again", async () => {
    const dead = rig();
    await dead.answer();
    dead.contexts.mode = "hang";
    let told = false;
    void dead.give(escalate(), 0, "escalate-1").then(() => {
      told = true;
    });
    await dead.clock.advance(1_000);
    expect(dead.told("commandStarted").map(({ verb }) => verb)).toEqual(["AnswerCall"]);
    expect(told).toBe(false);
    const next = successor(dead, { connect: "connected" });
    await next.clock.advance(10_000);
    expect(next.leg.commands).toEqual([]);
    await next.give(escalate(), 0, "escalate-1");
    expect(next.contexts.patches[0]).toMatchObject({ status: "ESCALATING", summary: "Wants a person." });
    await next.clock.advance(1_000);
    expect(next.leg.commands.filter(({ name }) => name === "connect")).toHaveLength(1);
    expect(next.told("commandDone").at(-1)).toMatchObject({
      requestId: "escalate-1",
      escalation: { outcome: "CONNECTED" },
    });
  });

  it("does not go on with an escalation without its words, when no store took them", async () => {
    const dead = rig();
    await dead.answer();
    dead.contexts.mode = "fail";
    dead.call.play(dead.speech(5_000));
    await dead.give(escalate(), 0, "escalate-1");
    await dead.clock.advance(100);
    const [saving] = dead.told("escalation");
    expect(saving).toMatchObject({ step: "SAVING" });
    expect(saving?.plan).toBeUndefined();
    const next = successor(dead);
    await next.clock.advance(60_000);
    expect(next.leg.commands).toEqual([]);
    expect(next.told("commandDone").at(-1)).toMatchObject({
      requestId: "escalate-1",
      escalation: { outcome: "UNKNOWN" },
    });
  });

  it("never repeats the connect of an escalation", async () => {
    const dead = rig();
    await dead.answer();
    void dead.give(escalate(), 0, "escalate-1");
    await dead.clock.advance(2_000);
    expect(dead.told("escalation").map(({ step }) => step)).toEqual(["SAVING", "CONNECTING"]);
    const next = successor(dead);
    await next.clock.advance(60_000);
    expect(next.leg.commands.filter(({ name }) => name === "connect")).toEqual([]);
    expect(next.told("commandDone").at(-1)).toMatchObject({
      requestId: "escalate-1",
      escalation: { outcome: "UNKNOWN" },
    });
  });

  it("begins anew, with its numbers going on, when the log says that it was over", async () => {
    const dead = rig();
    await dead.answer();
    dead.call.end("TERMINATED");
    await dead.call.finished();
    const restored = restoreCall(dead.log.events);
    expect(restored?.lastSequence).toBe(dead.log.events.length);
    expect(restored?.live).toBeUndefined();
    const next = successor(dead);
    expect(next.call.snapshot()).toMatchObject({ state: "PENDING" });
    expect(next.told("arrived")).toHaveLength(2);
  });
});

describe("a call that another gateway has now", () => {
  it("closes its sockets without a command, an event or a word into the context", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(5_000));
    void t.give(escalate(), 0, "escalate-1");
    await t.clock.advance(10);
    const patches = t.contexts.patches.length;
    const events = t.told("ended").length;
    t.call.fence();
    await t.clock.advance(60_000);
    expect(t.leg.abandoned).toBe(true);
    expect(t.leg.commands.filter(({ name }) => /close|disconnect|connect/.test(name))).toEqual([]);
    expect(t.told("ended")).toHaveLength(events);
    expect(t.contexts.patches).toHaveLength(patches);
    expect(t.holder.gone).toMatchObject({ cause: "TAKEN_OVER" });
  });
});
