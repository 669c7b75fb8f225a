import { callee } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { framesMissing, numberedFrames, numbersHeard } from "../harness/audio.js";
import { until } from "../harness/gateway.js";
import { rejection, useRig } from "../harness/rig.js";

const rig = useRig();
/** The announcement: two seconds, each 20 ms frame with its number. */
const FRAMES = 100;

async function answered(playoutBufferMs: number, sendAheadMs = 1000) {
  const stack = await rig.stack({ simulator: { playoutBufferMs } });
  const agent = await rig.agent(stack, { sendAheadMs });
  const trail = await rig.trail(stack);
  const phone = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
  const call = await agent.call();
  await phone.waitFor("ANSWERED");
  await until(() => call.state === "ANSWERED", "the agent to know that the call is answered");
  return { stack, agent, trail, phone, call };
}

describe("say, then act", () => {
  it.each([100, 1000, 3000])(
    "rings only when the caller heard every frame, with %i ms of play-out buffer",
    async (playoutBufferMs) => {
      const { phone, call } = await answered(playoutBufferMs);
      const played = call.play(numberedFrames(FRAMES));
      await call.connect({ after: "drained", ringTimeSeconds: 20 });
      await played;
      const ringing = await phone.waitForEvent("ringing");
      expect(framesMissing(phone, "caller", FRAMES)).toEqual([]);
      const last = numbersHeard(phone, "caller").at(-1);
      expect(last?.number).toBe(FRAMES - 1);
      expect(last?.atMs).toBeLessThanOrEqual(ringing.callMs);
      // Said once, in order: nothing was repeated or heard by the callee.
      expect(numbersHeard(phone, "caller").map(({ number }) => number)).toEqual(
        Array.from({ length: FRAMES }, (_, i) => i),
      );
      expect(numbersHeard(phone, "callee")).toEqual([]);
    },
  );

  it.each([100, 1000, 3000])(
    "hangs up only when the caller heard every frame, with %i ms of play-out buffer",
    async (playoutBufferMs) => {
      const { phone, call } = await answered(playoutBufferMs);
      void call.play(numberedFrames(FRAMES)).catch(() => {});
      await call.disconnect({ after: "drained" });
      await phone.waitFor("DISCONNECTED");
      expect(phone.endReason).toBe("agent_disconnected");
      expect(framesMissing(phone, "caller", FRAMES)).toEqual([]);
    },
  );

  it("lets somebody without a seat wait for a mark of the agent", async () => {
    const { stack, phone, call, trail } = await answered(1000);
    const client = rig.client(stack);
    const half = FRAMES / 2;
    void call.play(numberedFrames(half)).catch(() => {});
    void call.mark("said").catch(() => {});
    void call.play(numberedFrames(half, 16_000, half)).catch(() => {});
    const reply = await client.calls.disconnect(call.id, { after: { mark: "said" }, waitMs: 20_000 });
    expect(reply.pending).toBe(false);
    await phone.waitFor("DISCONNECTED");
    expect(framesMissing(phone, "caller", half)).toEqual([]);
    // It did not wait for what came after the mark.
    expect(framesMissing(phone, "caller", half, half).length).toBeGreaterThan(half / 2);
    const done = await trail.waitFor("commandDone", (event) => event.requestId === reply.requestId);
    expect(done.error).toBeUndefined();
  });

  it("cancels a waiting disconnect when the agent interrupts itself", async () => {
    // All audio is with the gateway, and so is the command behind it.
    const { phone, call, trail } = await answered(1000, 5000);
    void call.play(numberedFrames(FRAMES)).catch(() => {});
    const disconnect = rejection(call.disconnect({ after: "drained" }));
    await trail.waitFor("commandStarted", (event) => event.verb === "DisconnectCall");
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
    const cleared = await call.clear();
    const error = await disconnect;
    expect(error).toMatchObject({ reason: "COMMAND_CANCELLED", metadata: { cause: "INTERRUPTED" } });
    expect(phone.state).toBe("ANSWERED");
    expect(cleared.droppedMs + cleared.estimatedUnheardMs).toBeGreaterThan(500);
    expect(framesMissing(phone, "caller", FRAMES).length).toBeGreaterThan(FRAMES / 4);
    const done = await trail.waitFor("commandDone", (event) => event.verb === "DisconnectCall");
    expect(done.error).toMatchObject({ reason: "COMMAND_CANCELLED" });
    // The call is as it was: it can still be spoken in, and ended.
    await call.play(numberedFrames(10, 16_000, 1000));
    await call.disconnect({ after: "drained" });
    await phone.waitFor("DISCONNECTED");
    expect(framesMissing(phone, "caller", 10, 1000)).toEqual([]);
  });

  it("goes ahead at an interrupt when it was told to proceed", async () => {
    const { phone, call } = await answered(1000);
    void call.play(numberedFrames(FRAMES)).catch(() => {});
    const disconnect = call.disconnect({ after: "drained", onInterrupt: "PROCEED" });
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
    await Promise.all([call.clear(), disconnect]);
    await phone.waitFor("DISCONNECTED");
    expect(framesMissing(phone, "caller", FRAMES).length).toBeGreaterThan(FRAMES / 4);
  });

  it("does nothing when the deadline passes first", async () => {
    const { phone, call } = await answered(1000);
    void call.play(numberedFrames(FRAMES * 2)).catch(() => {});
    const error = await rejection(call.disconnect({ after: "drained", afterDeadlineMs: 700 }));
    expect(error).toMatchObject({ reason: "AFTER_DEADLINE", code: "DEADLINE_EXCEEDED" });
    const never = await rejection(call.connect({ after: { mark: "never set" }, afterDeadlineMs: 300 }));
    expect(never).toMatchObject({ reason: "AFTER_DEADLINE", metadata: { mark: "never set" } });
    expect(await call.drained()).toBe("PLAYED");
    expect(phone.state).toBe("ANSWERED");
    expect(phone.events.some(({ type }) => type === "call.disconnect" || type === "ringing")).toBe(false);
    // Heard by the gateway's clock; the simulator plays its last frame by its own.
    await phone.waitUntil(() => framesMissing(phone, "caller", FRAMES * 2).length === 0);
  });

  it("takes a disconnect without a condition at once, whatever waits", async () => {
    const { phone, call } = await answered(1000);
    void call.play(numberedFrames(FRAMES)).catch(() => {});
    const waiting = rejection(call.connect({ after: "drained" }));
    const second = await rejection(call.close({ after: "drained", endCall: true }));
    expect(second).toMatchObject({ reason: "PENDING_COMMAND", code: "ABORTED" });
    await call.disconnect();
    expect(await waiting).toMatchObject({ reason: expect.stringMatching(/COMMAND_CANCELLED|CALL_OVER/) });
    await phone.waitFor("DISCONNECTED");
    expect(phone.events.some(({ type }) => type === "ringing")).toBe(false);
  });
});
