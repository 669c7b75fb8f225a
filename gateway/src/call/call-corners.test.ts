import { describe, expect, it } from "vitest";
import { TelephonyError } from "../telephony/telephony.js";
import { escalate, RigHolder, refusal, rig } from "./test-rig.js";

const refused = new TelephonyError("refused", "no", "FORBIDDEN");

async function connected() {
  const t = rig();
  await t.answer();
  await t.give({ verb: "ConnectCall", ringTimeSeconds: 20 });
  await t.clock.advance(0);
  t.leg.pickUp();
  await t.clock.advance(0);
  return t;
}

describe("Call / escalate, corners", () => {
  it("is cancelled while a pool is asked, and rings nobody afterwards", async () => {
    const t = rig();
    await t.answer();
    const pool = { pool: "human", waitMs: 10_000, thenOriginalCallee: { ringTimeSeconds: 9 } };
    await t.give(escalate({ target: { pool } }), 0, "e");
    await t.clock.advance(300);
    await t.give({ verb: "CancelCommand", targetRequestId: "e" });
    await t.clock.advance(0);
    expect(t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome).toBe("CANCELLED");
    expect(t.leg.commandNames).not.toContain("connect");
  });

  it("is back with the caller, and heard, when the whisper is refused", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate({ confirm: "DESK_ACCEPT" }), 0, "e");
    await t.clock.advance(300);
    t.leg.script("setAgentMode", { fail: refused });
    t.leg.pickUp();
    await t.clock.advance(0);
    const outcome = t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome;
    expect(outcome).toBe("PICKED_UP_NOT_CONFIRMED");
    t.call.play(t.speech(20));
    t.leg.grant(10_000);
    expect([...t.leg.takenBytes.subarray(-320)]).toEqual([...t.speech(20)]);
  });

  it("lets whoever sets a mode after a failed leave be heard", async () => {
    const t = rig();
    await t.answer();
    await t.give(escalate(), 0, "e");
    await t.clock.advance(300);
    t.leg.script("close", { fail: refused });
    t.leg.pickUp();
    await t.clock.advance(0);
    expect(t.told("commandDone").find((d) => d.requestId === "e")?.escalation?.outcome).toBe("LEAVE_FAILED");
    await t.give({ verb: "SetAgentMode", mode: "BARGE" });
    t.call.play(t.speech(20));
    expect(t.call.playback.snapshot().queuedMs).toBe(20);
  });
});

describe("Call / commands, corners", () => {
  it("disconnects now although a disconnect waits for playback", async () => {
    const t = rig();
    await t.answer();
    t.call.play(t.speech(1_000));
    await t.give({ verb: "DisconnectCall", after: { condition: "PLAYBACK_DRAINED" } }, 0, "later");
    await t.give({ verb: "DisconnectCall" }, 0, "now");
    expect(t.call.lifecycle.endReason).toBe("DISCONNECTED");
    await t.clock.advance(0);
    expect(t.told("commandDone").find((d) => d.requestId === "later")?.error?.metadata.cause).toBe(
      "DISCONNECT",
    );
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("follows a pick-up that comes after the connect was given up", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "ConnectCall", ringTimeSeconds: 20 }, 0, "c");
    await t.clock.advance(10);
    t.leg.script("disconnect", { fail: refused });
    expect((await refusal(t.give({ verb: "DisconnectCall" }))).reason).toBe("PROVIDER_REFUSED");
    t.leg.pickUp();
    await t.clock.advance(0);
    expect(t.call.snapshot()).toMatchObject({ state: "CONNECTED", agentMode: "BARGE" });
  });

  it("knows that an answer without a response took effect when the caller is heard", async () => {
    const t = rig();
    t.leg.script("answer", { fail: new TelephonyError("unknown", "no answer") });
    expect((await refusal(t.give({ verb: "AnswerCall" }))).reason).toBe("OUTCOME_UNKNOWN");
    expect(t.call.lifecycle.state).toBe("PENDING");
    t.leg.hearCaller(new Uint8Array(320));
    expect(t.call.lifecycle.state).toBe("ANSWERED");
  });

  it("releases the seat of who held it when the release was given", async () => {
    const t = rig();
    await t.answer();
    const release = t.give({ verb: "ReleaseCall" });
    const next = new RigHolder("next", "instance-2");
    expect(t.call.takeSeat(1, next, "TRANSFERRED")).toBe(true);
    await release;
    expect(t.call.seat.holder).toBe(next);
  });

  it("refuses a transfer of a seat that has changed hands since it was seen", async () => {
    const t = rig();
    await t.answer();
    const transfer = { verb: "TransferCall", to: { pool: "other" }, offerDurationMs: 9_000 } as const;
    const late = await refusal(t.give({ ...transfer, expectedEpoch: t.call.seat.epoch + 1 }));
    expect(late.reason).toBe("SEAT_TAKEN");
    expect(late.metadata).toMatchObject({ epoch: String(t.call.seat.epoch) });
    await t.give({ ...transfer, expectedEpoch: t.call.seat.epoch }, 0, "t");
    await t.clock.advance(0);
    expect(t.seating.searches).toHaveLength(1);
  });

  it("lets who got the seat by a transfer command before the event of the transfer is stored", async () => {
    const t = rig();
    await t.answer();
    const { append } = t.log;
    let stored = () => {};
    t.log.append = async (event) => {
      if (event.body.type === "commandDone") {
        await new Promise<void>((resolve) => {
          stored = resolve;
        });
      }
      return append.call(t.log, event);
    };
    const transfer = { verb: "TransferCall", offerDurationMs: 9_000 } as const;
    await t.give({ ...transfer, to: { pool: "other" } }, 0, "first");
    await t.clock.advance(0);
    expect((await refusal(t.give({ verb: "CloseCall", endCall: true }))).reason).toBe("PENDING_COMMAND");
    t.seating.searches[0]?.settle(true);
    await t.clock.advance(0);
    const second = t.give({ ...transfer, to: { pool: "back" } }, 0, "second");
    stored();
    await second;
    await t.clock.advance(0);
    expect(t.seating.searches).toHaveLength(2);
  });

  it("does not undo a transfer that somebody has taken", async () => {
    const t = rig();
    await t.answer();
    await t.give({ verb: "TransferCall", to: { pool: "other" }, offerDurationMs: 9_000 }, 0, "t");
    await t.clock.advance(0);
    t.seating.searches[0]?.settle(true);
    await Promise.resolve();
    await Promise.resolve();
    const late = await refusal(t.give({ verb: "CancelCommand", targetRequestId: "t" }));
    expect(late.reason).toBe("COMMAND_NOT_FOUND");
  });
});

describe("Call / seat, corners", () => {
  it("says nothing of an earlier agent in the turn of the next", async () => {
    for (const how of ["release", "transfer"] as const) {
      const t = rig();
      await t.answer();
      t.call.play(t.speech(2_000));
      if (how === "release") t.call.releaseSeat(t.holder, "RELEASED");
      t.call.takeSeat(1, new RigHolder("next", "instance-2"), how === "release" ? "ACCEPTED" : "TRANSFERRED");
      expect(t.call.playback.snapshot().queuedMs).toBe(0);
    }
  });

  it("waits for a mark of its own, not for one that an earlier agent reached", async () => {
    const t = rig();
    await t.answer();
    t.call.marks.set("bye", () => {});
    await t.clock.advance(1);
    t.call.takeSeat(1, new RigHolder("next", "instance-2"), "TRANSFERRED");
    await t.give({ verb: "DisconnectCall", after: { condition: "MARK", mark: "bye" } });
    await t.clock.advance(1_000);
    expect(t.call.lifecycle.ended).toBe(false);
  });

  it("keeps a mode that was set while the seat was empty", async () => {
    const t = await connected();
    await t.give({ verb: "SetAgentMode", mode: "WHISPER" });
    t.call.suspendSeat(t.holder, 2_000, "CUT");
    await t.clock.advance(0);
    await t.give({ verb: "SetAgentMode", mode: "BARGE" });
    t.call.resumeSeat(1, t.holder);
    await t.clock.advance(0);
    expect(t.call.snapshot().agentMode).toBe("BARGE");
  });

  it("frees its agent although the store hangs at the end of the call", async () => {
    const t = rig();
    await t.answer();
    t.contexts.callEnded = () => new Promise<never>(() => {});
    t.leg.terminate();
    await t.clock.advance(0);
    expect(t.holder.gone?.cause).toBe("CALL_ENDED");
    await t.clock.advance(1_500);
    await t.call.finished();
  });
});

describe("Call / media, corners", () => {
  it("tells what was missed while media were away, and positions go on as the time did", async () => {
    const t = rig();
    await t.answer();
    t.leg.hearCaller(new Uint8Array(320));
    t.leg.alive = true;
    t.leg.loseMedia();
    await t.clock.advance(500);
    t.leg.restoreMedia();
    expect(t.holder.gaps).toEqual([{ from: 160, durationMs: 500 }]);
    expect(t.call.audio.position).toBe(160 + 4_000);
  });
});
