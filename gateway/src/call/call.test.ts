import { describe, expect, it } from "vitest";
import { TelephonyError } from "../telephony/telephony.js";
import { escalate, HOLD_SAMPLE, RigHolder, refusal, rig } from "./test-rig.js";

describe("Call / verbs", () => {
  it("answers, connects and closes, leaving the parties to themselves", async () => {
    const t = rig();
    await t.answer();
    const connect = await t.give({ verb: "ConnectCall", ringTimeSeconds: 20 });
    expect(connect.pending?.verb).toBe("ConnectCall");
    await t.clock.advance(500);
    t.leg.pickUp();
    await t.clock.advance(0);
    expect(t.call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "BARGE" });
    await t.give({ verb: "CloseCall", endCall: false });
    expect(t.call.snapshot()).toMatchObject({ state: "DISCONNECTED", endReason: "LEFT_TO_PARTIES" });
    await t.clock.advance(0);
    expect(t.holder.gone).toEqual({ cause: "CALL_ENDED", endReason: "LEFT_TO_PARTIES" });
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("stays answered when the callee does not pick up", async () => {
    const t = rig();
    await t.answer();
    const waiting = refusal(t.give({ verb: "ConnectCall", ringTimeSeconds: 5 }, 60_000));
    await t.clock.advance(5_000);
    expect((await waiting).reason).toBe("CALLEE_UNANSWERED");
    expect(t.call.lifecycle.state).toBe("ANSWERED");
    expect(t.call.snapshot().pending).toBeUndefined();
  });

  it("names the state and what is allowed in a wrong state, and sends the provider nothing", async () => {
    const t = rig();
    const error = await refusal(t.give({ verb: "SetAgentMode", mode: "WHISPER" }));
    expect(error.reason).toBe("CALL_STATE");
    expect(error.metadata).toMatchObject({ state: "PENDING", verb: "SetAgentMode" });
    expect(error.metadata.allowed).toContain("AnswerCall");
    expect(t.leg.commands).toEqual([]);
  });

  it("refuses to close an answered call without end_call", async () => {
    const t = rig();
    await t.answer();
    expect((await refusal(t.give({ verb: "CloseCall", endCall: false }))).reason).toBe("CALL_STATE");
    await t.give({ verb: "CloseCall", endCall: true });
    expect(t.call.lifecycle.endReason).toBe("DISCONNECTED");
  });

  it("answers a repeated request id with the first result and one effect, another body with REQUEST_ID_REUSED", async () => {
    const t = rig();
    await t.give({ verb: "AnswerCall" }, 0, "same");
    await t.give({ verb: "AnswerCall" }, 0, "same");
    expect(t.leg.commandNames.filter((n) => n === "answer")).toHaveLength(1);
    const error = await refusal(t.give({ verb: "DisconnectCall" }, 0, "same"));
    expect(error.reason).toBe("REQUEST_ID_REUSED");
    expect(t.call.lifecycle.state).toBe("ANSWERED");
  });

  it("stores that a command was taken before it has an effect", async () => {
    const t = rig();
    await t.give({ verb: "AnswerCall" });
    const types = t.log.events.map((e) => e.body.type);
    expect(types.indexOf("commandStarted")).toBeLessThan(types.indexOf("answered"));
    expect(t.log.events.map((e) => e.sequence)).toEqual(t.log.events.map((_, i) => i + 1));
  });

  it("allows one ending command at a time, but disconnect now always", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "ConnectCall", ringTimeSeconds: 60 }, 0, "connect");
    await t.clock.advance(10);
    const error = await refusal(t.give(escalate()));
    expect(error.reason).toBe("PENDING_COMMAND");
    expect(error.metadata.pending_request_id).toBe("connect");
    await t.give({ verb: "DisconnectCall" });
    expect(t.call.lifecycle.endReason).toBe("DISCONNECTED");
    const done = t.told("commandDone").find((d) => d.requestId === "connect");
    expect(done?.error?.reason).toBe("COMMAND_CANCELLED");
  });

  it("does not repeat a connect without an answer: the outcome is unknown", async () => {
    const t = rig();
    await t.answer();
    t.leg.script("connect", { outcome: "unknown" });
    expect((await refusal(t.give({ verb: "ConnectCall", ringTimeSeconds: 5 }, 9_000))).reason).toBe(
      "OUTCOME_UNKNOWN",
    );
    expect(t.leg.commandNames.filter((n) => n === "connect")).toHaveLength(1);
  });

  it("tells the provider's refusal with its code", async () => {
    const t = rig();
    t.leg.script("answer", { fail: new TelephonyError("refused", "no", "QUOTA_EXCEEDED") });
    const error = await refusal(t.give({ verb: "AnswerCall" }));
    expect(error.reason).toBe("PROVIDER_REFUSED");
    expect(error.metadata.provider_code).toBe("QUOTA_EXCEEDED");
    expect(t.call.lifecycle.state).toBe("PENDING");
  });

  it("sends notes to the seat holder only", async () => {
    const t = rig();
    expect((await t.give({ verb: "SendNote", text: "slower" })).delivered).toBe(true);
    expect(t.holder.notes).toEqual(["slower"]);
    t.call.releaseSeat(t.holder, "RELEASED");
    expect((await t.give({ verb: "SendNote", text: "hello?" })).delivered).toBe(false);
  });

  it("transfers the seat by epoch: the old holder is told, a late acceptance loses", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "TransferCall", to: { pool: "other" }, offerDurationMs: 30_000 });
    await t.clock.advance(0);
    const next = new RigHolder("other", "instance-2");
    expect(t.call.takeSeat(1, next, "TRANSFERRED")).toBe(true);
    t.seating.searches[0]?.settle(true);
    await t.clock.advance(0);
    expect(t.holder.gone?.cause).toBe("TRANSFERRED");
    expect(t.call.takeSeat(1, new RigHolder("late", "instance-3"), "TRANSFERRED")).toBe(false);
    expect(t.call.snapshot().seat).toMatchObject({ agentId: "other", epoch: 2 });
  });

  it("keeps the holder when nobody takes a transfer", async () => {
    const t = rig();
    await t.answer();
    const waiting = refusal(
      t.give({ verb: "TransferCall", to: { pool: "other" }, offerDurationMs: 9 }, 60_000),
    );
    await t.clock.advance(0);
    t.seating.searches[0]?.settle(false);
    expect((await waiting).reason).toBe("TRANSFER_UNANSWERED");
    expect(t.call.seat.holder).toBe(t.holder);
  });
});

describe("Call / say, then act", () => {
  it("disconnects only when the goodbye was heard", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(1_000));
    await t.give({ verb: "DisconnectCall", after: { condition: "PLAYBACK_DRAINED" } });
    await t.clock.advance(3_000);
    expect(t.call.lifecycle.ended).toBe(false);
    t.leg.grant(1_000 * 16);
    await t.clock.advance(1_100);
    expect(t.call.lifecycle.ended).toBe(false);
    await t.clock.advance(101);
    expect(t.call.lifecycle.endReason).toBe("DISCONNECTED");
  });

  it("covers only the audio before the command", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(100));
    const given = t.give({ verb: "DisconnectCall", after: { condition: "PLAYBACK_DRAINED" } });
    t.call.play(t.speech(5_000));
    await given;
    t.leg.grant(6_000 * 16);
    await t.clock.advance(301);
    expect(t.call.lifecycle.ended).toBe(true);
  });

  it("is cancelled by an interrupt, or proceeds when told so", async () => {
    for (const onInterrupt of ["CANCEL", "PROCEED"] as const) {
      const t = rig();
      await t.answer();
      t.call.play(t.speech(1_000));
      await t.give(
        { verb: "CloseCall", endCall: true, after: { condition: "PLAYBACK_DRAINED", onInterrupt } },
        0,
        "x",
      );
      t.call.clearPlayback();
      await t.clock.advance(0);
      expect(t.call.lifecycle.ended).toBe(onInterrupt === "PROCEED");
      const done = t.told("commandDone").find((d) => d.requestId === "x");
      expect(done?.error?.reason).toBe(onInterrupt === "CANCEL" ? "COMMAND_CANCELLED" : undefined);
    }
  });

  it("waits for a mark set before or after the command, by a client without a stream", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "DisconnectCall", after: { condition: "MARK", mark: "bye" } });
    t.call.play(t.speech(50));
    t.call.marks.set("bye", (end) => t.holder.markReached("bye", end));
    t.leg.grant(16_000);
    await t.clock.advance(49);
    expect(t.call.lifecycle.ended).toBe(false);
    await t.clock.advance(2);
    expect(t.call.lifecycle.ended).toBe(true);
    expect(t.holder.marks).toEqual([{ name: "bye", end: "PLAYED" }]);
  });

  it("has no effect once its deadline passed", async () => {
    const t = rig();
    await t.answer();
    const waiting = refusal(
      t.give(
        { verb: "DisconnectCall", after: { condition: "MARK", mark: "never", deadlineMs: 2_000 } },
        60_000,
      ),
    );
    await t.clock.advance(2_000);
    expect((await waiting).reason).toBe("AFTER_DEADLINE");
    expect(t.call.lifecycle.state).toBe("ANSWERED");
  });

  it("can be cancelled while it waits, and not once it rings", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(500));
    const after = { condition: "PLAYBACK_DRAINED" } as const;
    await t.give({ verb: "ConnectCall", ringTimeSeconds: 9, after }, 0, "a");
    await t.give({ verb: "CancelCommand", targetRequestId: "a" });
    await t.clock.advance(0);
    expect(t.told("commandDone").find((d) => d.requestId === "a")?.error?.metadata.cause).toBe("CANCELLED");
    await t.give({ verb: "ConnectCall", ringTimeSeconds: 9 }, 0, "b");
    await t.clock.advance(0);
    expect((await refusal(t.give({ verb: "CancelCommand", targetRequestId: "b" }))).reason).toBe(
      "COMMAND_NOT_FOUND",
    );
  });
});

describe("Call / escalate", () => {
  it("saves, waits for the announcement, rings, leaves", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(1_000));
    await t.give(escalate(), 0, "e");
    await t.clock.advance(0);
    expect(t.contexts.patches[0]).toMatchObject({
      status: "ESCALATING",
      escalationReason: "ASKED_FOR_HUMAN",
    });
    expect(t.leg.isRinging).toBe(false);
    t.leg.grant(1_000 * 16);
    await t.clock.advance(1_199);
    expect(t.leg.isRinging).toBe(false);
    await t.clock.advance(2);
    expect(t.leg.isRinging).toBe(true);
    t.leg.pickUp();
    await t.clock.advance(0);
    const done = t.told("commandDone").find((d) => d.requestId === "e");
    expect(done?.escalation).toEqual({ outcome: "CONNECTED", durability: "STORE" });
    expect(t.call.lifecycle.endReason).toBe("LEFT_TO_PARTIES");
    expect(t.contexts.patches.at(-1)).toMatchObject({
      status: "HANDED_OVER",
      escalationOutcome: "CONNECTED",
    });
    expect(t.told("escalation").map((e) => e.step)).toEqual(["SAVING", "CONNECTING", "LEAVING"]);
    expect(t.holder.events.some((e) => e.body.type === "commandDone" && e.body.requestId === "e")).toBe(true);
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("lets the caller hear hold audio while it rings and gives the human none of the agent's audio", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate());
    await t.clock.advance(300);
    expect(t.leg.isRinging).toBe(true);
    t.call.play(t.speech(3_000));
    t.leg.grant(100_000);
    await t.clock.advance(2_000);
    const whileRinging = Buffer.from(t.leg.takenBytes);
    expect(whileRinging.length).toBeGreaterThan(1_900 * 16);
    expect(new Set(whileRinging)).toEqual(new Set([HOLD_SAMPLE, 0]));
    t.leg.hold("close");
    t.leg.pickUp();
    await t.clock.advance(0);
    t.call.play(t.speech(100));
    await t.clock.advance(500);
    expect(t.leg.takenBytes.length).toBe(whileRinging.length);
    expect(t.leg.commandNames).toContain("interrupt");
  });

  it("stays with the agent when nobody picks up", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate({ target: { callee: { ringTimeSeconds: 3 } } }), 0, "e");
    await t.clock.advance(4_000);
    expect(t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome).toBe("UNANSWERED");
    expect(t.call.snapshot()).toMatchObject({ state: "ANSWERED", seat: { state: "HELD" } });
    expect(t.contexts.patches.at(-1)).toMatchObject({ status: "ACTIVE", escalationOutcome: "UNANSWERED" });
    expect(t.call.playback.currentOutlet).toBe("AGENT");
  });

  it("connects all the same when the store hangs, after the save timeout; stays when told so", async () => {
    for (const onContextFailure of ["CONNECT_ANYWAY", "STAY"] as const) {
      const t = rig();
      t.contexts.mode = "hang";
      await t.answer();
      void t.give(escalate({ onContextFailure }), 0, "e");
      await t.clock.advance(1_499);
      expect(t.leg.isRinging).toBe(false);
      await t.clock.advance(2);
      expect(t.leg.isRinging).toBe(onContextFailure === "CONNECT_ANYWAY");
      t.leg.pickUp();
      await t.clock.advance(2_000);
      const done = t.told("commandDone").find((d) => d.requestId === "e");
      expect(done?.escalation).toEqual({
        outcome: onContextFailure === "STAY" ? "CONTEXT_NOT_SAVED" : "CONNECTED",
      });
    }
  });

  it("keeps the context as ABANDONED when the caller hangs up meanwhile", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate(), 0, "e");
    await t.clock.advance(300);
    t.leg.terminate();
    await t.clock.advance(0);
    expect(t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome).toBe("CALLER_LEFT");
    expect(t.contexts.patches.at(-1)).toMatchObject({ status: "ABANDONED" });
    expect(t.call.lifecycle.endReason).toBe("TERMINATED");
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("goes on without its agent once the context is safe, and ends without it before", async () => {
    const safe = rig();
    await safe.answer();
    safe.call.play(safe.speech(1_000));
    await safe.give(escalate());
    await safe.clock.advance(0);
    safe.call.suspendSeat(safe.holder, 2_000, "CUT");
    safe.leg.grant(1_000 * 16);
    await safe.clock.advance(1_300);
    expect(safe.leg.isRinging).toBe(true);

    const unsafe = rig();
    unsafe.contexts.mode = "hang";
    await unsafe.answer();
    unsafe.call.play(unsafe.speech(1_000));
    void unsafe.give(escalate(), 0, "e");
    await unsafe.clock.advance(0);
    unsafe.call.suspendSeat(unsafe.holder, 2_000, "CUT");
    await unsafe.clock.advance(0);
    expect(unsafe.told("commandStarted").some(({ verb }) => verb === "EscalateCall")).toBe(true);
    await unsafe.clock.advance(1_600);
    expect(unsafe.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome).toBe(
      "CANCELLED",
    );
  });

  it("whispers and leaves only on acceptance; else it is back with the caller", async () => {
    for (const accepted of [true, false, undefined]) {
      const t = rig();
      await t.answer();
      await t.give(escalate({ confirm: "DESK_ACCEPT", confirmTimeoutMs: 5_000 }), 0, "e");
      await t.clock.advance(300);
      t.leg.pickUp();
      await t.clock.advance(0);
      expect(t.call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "WHISPER" });
      if (accepted === undefined) await t.clock.advance(5_001);
      else await t.give({ verb: "ConfirmEscalation", accepted });
      await t.clock.advance(0);
      const outcome = t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome;
      expect(outcome).toBe(accepted ? "CONNECTED" : "PICKED_UP_NOT_CONFIRMED");
      if (!accepted) expect(t.call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "BARGE" });
    }
  });

  it("stays silent with an empty seat when told so", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate({ then: "STAY_SILENT" }), 0, "e");
    await t.clock.advance(300);
    t.leg.pickUp();
    await t.clock.advance(0);
    expect(t.call.snapshot()).toMatchObject({
      state: "CONNECTED",
      agentMode: "SPY",
      seat: { state: "VACANT" },
    });
    expect(t.seating.vacated).toEqual([]);
    t.leg.terminate();
    expect(t.call.lifecycle.endReason).toBe("TERMINATED");
  });

  it("asks a pool first and the original callee after it", async () => {
    const t = rig();
    await t.answer();
    const pool = { pool: "human", waitMs: 10_000, thenOriginalCallee: { ringTimeSeconds: 9 } };
    await t.give(escalate({ target: { pool } }), 0, "e");
    await t.clock.advance(300);
    expect(t.seating.searches[0]?.to).toEqual({ pool: "human" });
    t.seating.searches[0]?.settle(false);
    await t.clock.advance(0);
    expect(t.leg.isRinging).toBe(true);
  });
});

describe("Call / seat", () => {
  it("plays hold audio at once when the holder is lost, and offers the seat after the grace", async () => {
    const t = rig();
    await t.answer();
    t.leg.grant(100_000);
    t.call.play(t.speech(500));
    t.call.suspendSeat(t.holder, 2_000, "CUT");
    await t.clock.advance(300);
    expect(t.leg.taken.at(-1)?.[0]).toBe(HOLD_SAMPLE);
    expect(t.told("holdChanged").at(-1)?.holding).toBe(true);
    expect(t.seating.vacated).toEqual([]);
    await t.clock.advance(1_700);
    expect(t.seating.vacated).toEqual(["GRACE_EXPIRED"]);
    expect(t.holder.gone?.cause).toBe("GRACE_EXPIRED");
  });

  it("gives the seat back to the same session within the grace, with the same epoch", async () => {
    const t = rig();
    await t.answer();
    t.call.suspendSeat(t.holder, 2_000, "CUT");
    expect(t.call.resumeSeat(1, new RigHolder("agent", "instance-9"))).toBe(false);
    expect(t.call.resumeSeat(1, t.holder)).toBe(true);
    await t.clock.advance(5_000);
    expect(t.seating.vacated).toEqual([]);
    expect(t.call.snapshot().seat).toMatchObject({ state: "HELD", epoch: 1 });
  });

  it("spies while the seat of a connected call is empty, and goes back to its mode", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "ConnectCall", ringTimeSeconds: 9 });
    await t.clock.advance(0);
    t.leg.pickUp();
    await t.clock.advance(0);
    await t.give({ verb: "SetAgentMode", mode: "WHISPER" });
    t.call.suspendSeat(t.holder, 2_000, "CUT");
    await t.clock.advance(0);
    expect(t.call.snapshot().agentMode).toBe("SPY");
    t.call.resumeSeat(1, t.holder);
    await t.clock.advance(0);
    expect(t.call.snapshot().agentMode).toBe("WHISPER");
  });
});

describe("Call / the end", () => {
  it("ends nothing when the session closes with media up", async () => {
    const t = rig();
    await t.answer();
    t.leg.closeSession("FORCE_CLOSE");
    await t.clock.advance(60_000);
    expect(t.call.lifecycle.state).toBe("ANSWERED");
    t.leg.loseMedia();
    expect(t.call.lifecycle.endReason).toBe("SESSION_CLOSED");
  });

  it("gives a call without media 10 s, less when the provider no longer knows it", async () => {
    const t = rig();
    await t.answer();
    t.leg.alive = undefined;
    t.leg.loseMedia();
    await t.clock.advance(9_999);
    expect(t.call.lifecycle.ended).toBe(false);
    await t.clock.advance(1);
    expect(t.call.lifecycle.endReason).toBe("MEDIA_LOST");

    const gone = rig();
    await gone.answer();
    gone.leg.alive = false;
    gone.leg.loseMedia();
    await gone.clock.advance(1);
    expect(gone.call.lifecycle.endReason).toBe("MEDIA_LOST");
  });

  it("goes on when media come back", async () => {
    const t = rig();
    await t.answer();
    t.leg.alive = true;
    t.leg.loseMedia();
    await t.clock.advance(3_000);
    t.leg.restoreMedia();
    await t.clock.advance(60_000);
    expect(t.call.lifecycle.state).toBe("ANSWERED");
    expect(t.told("mediaChanged").map((m) => m.change)).toEqual(["LOST", "RESTORED"]);
  });

  it("tells of media that were back before their loss was told", async () => {
    const t = rig();
    await t.answer();
    t.call.onMediaRestored();
    await t.clock.advance(0);
    expect(t.told("mediaChanged").map((m) => m.change)).toEqual(["RESTORED"]);
    t.call.end("TERMINATED");
    t.call.onMediaRestored();
    await t.clock.advance(0);
    expect(t.told("mediaChanged")).toHaveLength(1);
  });

  it("answers a command in flight when the caller hangs up", async () => {
    const t = rig();
    t.leg.hold("answer");
    const waiting = refusal(t.give({ verb: "AnswerCall" }));
    await t.clock.advance(0);
    t.leg.terminate();
    expect(["COMMAND_CANCELLED", "OUTCOME_UNKNOWN"]).toContain((await waiting).reason);
    expect(t.clock.pendingTimers).toBe(0);
  });
});
