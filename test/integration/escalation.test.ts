import { callee, silenceGaps, soundSpans, tone } from "@callweave/simulator";
import type { AgentOptions, EscalateOptions } from "callweave";
import { describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, heardTone, msHeard, toneBytes } from "../harness/audio.js";
import { type StackOptions, until } from "../harness/gateway.js";
import { rejection, useRig } from "../harness/rig.js";

const rig = useRig();
/** Each speaks with a tone of its own, above the hold audio, which ends at 3.4 kHz. */
const CALLER_HZ = 4000;
const SPECIALIST_HZ = 4500;
const AGENT_HZ = 5000;
const HUMAN_HZ = 6000;
/** How far ahead of the ear audio is given out while it rings: the gateway's `pacedLeadMs`. */
const PACED_LEAD_MS = 120;

const specialist = (afterSeconds: number) => callee.picksUp({ afterSeconds, script: [tone(SPECIALIST_HZ)] });

/** A caller who talks with an agent that never stops talking. */
async function talking(
  behaviour: Parameters<typeof callee.picksUp>[0] | ReturnType<typeof specialist>,
  stackOptions: StackOptions = {},
  agentOptions: Partial<AgentOptions> = {},
) {
  // Less play-out buffer than any ring lasts: what the provider took before is over by the time somebody picks up.
  const stack = await rig.stack({ simulator: { playoutBufferMs: 200 }, ...stackOptions });
  const agent = await rig.agent(stack, agentOptions, (call) => {
    void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
  });
  const trail = await rig.trail(stack);
  const phone = stack.simulator.placeCall({
    caller: [tone(CALLER_HZ)],
    callee: behaviour as ReturnType<typeof specialist>,
  });
  const call = await agent.call();
  await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300);
  return { stack, agent, trail, phone, call, client: rig.client(stack) };
}

const escalation = (more: Partial<EscalateOptions> = {}): EscalateOptions => ({
  reason: "ASKED_FOR_HUMAN",
  summary: "The caller asked for a person.",
  after: "now",
  ...more,
});

describe("escalation to the original callee", () => {
  it.each([
    ["HOLD_AUDIO", 0],
    ["AGENT", PACED_LEAD_MS + 20],
  ] as const)(
    "with %s while it rings: the specialist hears no agent, the caller no silence",
    async (whileRinging, allowedMs) => {
      const { phone, call, trail } = await talking(specialist(5.5));
      const { outcome, durability } = await call.escalate(
        escalation({ whileRinging, target: { callee: { ringTimeSeconds: 30 } } }),
      );
      expect({ outcome, durability }).toEqual({ outcome: "CONNECTED", durability: "STORE" });
      await phone.waitUntil(() => phone.agentLeft);
      const leftMs = callTimeMs(phone);
      await phone.waitUntil(() => msHeard(phone, "caller", SPECIALIST_HZ, { fromMs: leftMs }) > 400);

      const rate = phone.recording.sampleRate;
      const ringingMs = (await phone.waitForEvent("ringing")).callMs;
      const pickedUpMs = heardTone(phone, "caller", SPECIALIST_HZ)[0]?.startMs ?? 0;
      expect(pickedUpMs - ringingMs).toBeGreaterThan(5000);
      const window = { fromMs: ringingMs - 300, toMs: pickedUpMs + 400, thresholdRms: 30 };
      expect(soundSpans(phone.recording.caller, rate, window)[0]?.startMs).toBeLessThan(ringingMs + 2000);
      expect(silenceGaps(phone.recording.caller, rate, { ...window, minGapMs: 2000 })).toEqual([]);
      if (whileRinging === "HOLD_AUDIO") {
        // Beyond what the provider had already taken.
        expect(msHeard(phone, "caller", AGENT_HZ, { fromMs: ringingMs + 1000 })).toBe(0);
      } else {
        expect(
          msHeard(phone, "caller", AGENT_HZ, { fromMs: ringingMs + 1500, toMs: pickedUpMs }),
        ).toBeGreaterThan(2500);
      }
      expect(msHeard(phone, "callee", AGENT_HZ)).toBeLessThanOrEqual(allowedMs);
      // Caller and specialist talk without us.
      expect(msHeard(phone, "callee", CALLER_HZ, { fromMs: leftMs })).toBeGreaterThan(300);
      expect(phone.state).toBe("CONNECTED");
      const ended = await trail.waitFor("ended");
      expect(ended.reason).toBe("LEFT_TO_PARTIES");
    },
  );

  it("has written the context before the callee rings, while the announcement plays", async () => {
    const stack = await rig.stack();
    const agent = await rig.agent(stack);
    const trail = await rig.trail(stack);
    const { contexts } = rig.client(stack);
    const phone = stack.simulator.placeCall({ from: "+15550123", callee: specialist(1) });
    const call = await agent.call();
    await phone.waitFor("ANSWERED");
    await until(() => call.state === "ANSWERED", "the agent to know");
    await call.appendTurns([{ role: "CALLER", text: "My invoice is wrong, I want a person." }]);
    void call.play(toneBytes(AGENT_HZ, 2000)).catch(() => {});
    const done = call.escalate({
      reason: "FRUSTRATED",
      summary: "The invoice is wrong.",
      routingHint: "billing",
      data: { invoice: "4711" },
      target: { callee: { ringTimeSeconds: 20 } },
    });
    const context = await until(async () => {
      const found = await contexts.get(phone.id).catch(() => undefined);
      return found?.status === "ESCALATING" ? found : undefined;
    }, "the context to be ESCALATING");
    const rungAlready = phone.events.some(({ type }) => type === "call.connect" || type === "ringing");
    expect(rungAlready).toBe(false);
    expect(context).toMatchObject({
      callId: phone.id,
      caller: "+15550123",
      callee: "+15550100",
      escalationReason: "FRUSTRATED",
      summary: "The invoice is wrong.",
      routingHint: "billing",
      data: { invoice: "4711" },
    });
    expect(context.turns.map(({ text }) => text)).toEqual(["My invoice is wrong, I want a person."]);
    expect((await contexts.find({ caller: "+15550123" }))[0]?.callId).toBe(phone.id);
    expect((await done).outcome).toBe("CONNECTED");
    await until(
      async () => (await contexts.get(phone.id)).status === "HANDED_OVER",
      "the context to be HANDED_OVER",
    );
    expect((await contexts.get(phone.id)).escalationOutcome).toBe("CONNECTED");
    const types = trail.typesOf(phone.id);
    expect(types.indexOf("contextWritten")).toBeLessThan(types.indexOf("ringing"));
    // The announcement was heard whole before.
    const ringing = await phone.waitForEvent("ringing");
    expect(msHeard(phone, "caller", AGENT_HZ, { toMs: ringing.callMs })).toBeGreaterThanOrEqual(1960);
  });

  it("gives the caller back to the agent when nobody picks up (fault 38)", async () => {
    const { phone, call, client } = await talking(callee.never());
    const { outcome } = await call.escalate(escalation({ target: { callee: { ringTimeSeconds: 3 } } }));
    expect(outcome).toBe("UNANSWERED");
    const backMs = callTimeMs(phone);
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: backMs }) > 500);
    expect(call.signal.aborted).toBe(false);
    expect(await client.calls.get(call.id)).toMatchObject({ state: "ANSWERED", seat: { state: "HELD" } });
    await until(
      async () => (await client.contexts.get(call.id)).escalationOutcome === "UNANSWERED",
      "the record to say so",
    );
    expect((await client.contexts.get(call.id)).status).toBe("ACTIVE");
    // A second attempt is allowed.
    const again = await call.escalate(escalation({ target: { callee: { ringTimeSeconds: 1 } } }));
    expect(again.outcome).toBe("UNANSWERED");
  });

  it("takes a voicemail for a person without confirmation", async () => {
    const { phone, call } = await talking(callee.voicemail({ afterSeconds: 0.5 }));
    expect((await call.escalate(escalation())).outcome).toBe("CONNECTED");
    await phone.waitUntil(() => phone.agentLeft);
  });

  it("comes back from a voicemail that does not confirm (fault 38)", async () => {
    const { phone, call, client } = await talking(callee.voicemail({ afterSeconds: 0.5 }));
    const { outcome } = await call.escalate(escalation({ confirm: "DESK_ACCEPT", confirmTimeoutMs: 1500 }));
    expect(outcome).toBe("PICKED_UP_NOT_CONFIRMED");
    expect(phone.agentLeft).toBe(false);
    const backMs = callTimeMs(phone);
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: backMs }) > 500);
    expect(call.mode).toBe("BARGE");
    await until(
      async () => (await client.contexts.get(call.id)).escalationOutcome === "PICKED_UP_NOT_CONFIRMED",
      "the record to say so",
    );
  });

  it("briefs the specialist alone, from the whisper on, and leaves when the desk accepts", async () => {
    const { phone, call, client, trail } = await talking(specialist(0.5));
    // The provider takes its time to go over to whispering: until then nobody may hear the agent.
    phone.faults.onCommand({ command: "agent.whisper", delayMs: 1200 });
    const done = call.escalate(escalation({ confirm: "DESK_ACCEPT", confirmTimeoutMs: 30_000 }));
    await trail.waitFor("escalation", (event) => event.step === "CONFIRMING", 20_000);
    await phone.waitUntil(() => msHeard(phone, "callee", AGENT_HZ) > 300);
    const pickedUp = await phone.waitForEvent("state.CONNECTED");
    const briefing = heardTone(phone, "callee", AGENT_HZ)[0];
    expect((briefing?.startMs ?? 0) - pickedUp.callMs).toBeGreaterThan(1100);
    expect(phone.agentMode).toBe("whisper");
    await client.calls.confirmEscalation(call.id, true);
    expect((await done).outcome).toBe("CONNECTED");
    await phone.waitUntil(() => phone.agentLeft);
    expect(msHeard(phone, "caller", AGENT_HZ, { fromMs: pickedUp.callMs })).toBe(0);
    const late = await rejection(client.calls.confirmEscalation(call.id, true));
    expect(late).toMatchObject({ reason: "CALL_STATE" });
  });

  it("stays silent with an empty seat: observers hear on, and the real end is seen", async () => {
    const { phone, call, client, trail, agent } = await talking(specialist(0.5));
    expect((await call.escalate(escalation({ then: "STAY_SILENT" }))).outcome).toBe("CONNECTED");
    expect(await call.ended).toMatchObject({ cause: "ESCALATED" });
    await phone.waitUntil(() => phone.agentMode === "spy");
    const silentMs = callTimeMs(phone);
    let heardBytes = 0;
    const listening = client.calls.listen(call.id);
    const listener = (async () => {
      for await (const chunk of listening) heardBytes += chunk.pcm?.length ?? 0;
    })();
    await until(() => heardBytes > 32_000, "a second of audio for the observer");
    expect(await client.calls.get(call.id)).toMatchObject({
      state: "CONNECTED",
      agentMode: "SPY",
      seat: { state: "VACANT" },
    });
    await phone.waitUntil(() => msHeard(phone, "callee", CALLER_HZ, { fromMs: silentMs }) > 300);
    expect(msHeard(phone, "callee", AGENT_HZ)).toBe(0);
    expect(msHeard(phone, "caller", AGENT_HZ, { fromMs: silentMs + 100 })).toBe(0);
    expect(agent.given).toHaveLength(1);
    phone.hangUp();
    expect((await trail.waitFor("ended")).reason).toBe("TERMINATED");
    await listener;
    expect(listening.endReason).toBe("TERMINATED");
  });

  it("keeps the record of a caller who left while it rang (fault 37)", async () => {
    const { phone, call, client, trail } = await talking(specialist(20));
    call.escalate(escalation({ summary: "Was hung up on." })).catch(() => {});
    await phone.waitForEvent("ringing");
    phone.hangUp();
    const done = await trail.waitFor("commandDone", (event) => event.verb === "EscalateCall");
    expect(done.escalation?.outcome).toBe("CALLER_LEFT");
    await call.ended;
    await until(
      async () => (await client.contexts.get(call.id)).status === "ABANDONED",
      "the context to be ABANDONED",
    );
    expect(await client.contexts.get(call.id)).toMatchObject({
      escalationOutcome: "CALLER_LEFT",
      summary: "Was hung up on.",
    });
  });

  it("answers an unanswered ConnectCall with the call alive (fault 38)", async () => {
    const { phone, call } = await talking(callee.rejects(0.5));
    const error = await rejection(call.connect({ ringTimeSeconds: 10 }));
    expect(error).toMatchObject({ reason: "CALLEE_UNANSWERED", metadata: { ring_time_seconds: "10" } });
    const backMs = callTimeMs(phone);
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: backMs }) > 500);
    expect(call.state).toBe("ANSWERED");
  });
});

describe("escalation to a pool", () => {
  const pools = [{ name: "default" }, { name: "human" }];

  it("brings the context and the reason to another agent, who then has the call", async () => {
    const { stack, phone, call, client } = await talking(callee.never(), { config: { pools } });
    const human = await rig.agent(stack, { agentId: "desk", pool: "human" }, (taken) => {
      void taken.play(endlessTone(HUMAN_HZ, taken.signal)).catch(() => {});
    });
    await call.appendTurns([{ role: "CALLER", text: "A person, please." }]);
    const done = call
      .escalate(escalation({ target: { pool: "human", waitMs: 10_000 } }))
      .catch(() => undefined);
    const taken = await human.call();
    expect(taken.escalationReason).toBe("ASKED_FOR_HUMAN");
    expect(taken.context).toMatchObject({
      status: "ESCALATING",
      escalationReason: "ASKED_FOR_HUMAN",
      summary: "The caller asked for a person.",
    });
    expect(taken.context?.turns.map(({ text }) => text)).toEqual(["A person, please."]);
    expect(await call.ended).toMatchObject({ cause: "ESCALATED" });
    await done;
    await phone.waitUntil(() => msHeard(phone, "caller", HUMAN_HZ) > 500);
    const lastOfAgent = heardTone(phone, "caller", AGENT_HZ).at(-1);
    expect(lastOfAgent?.endMs).toBeLessThan(callTimeMs(phone) - 300);
    await until(
      async () => (await client.contexts.get(phone.id)).status === "HANDED_OVER",
      "the context to be HANDED_OVER",
    );
  });

  it("rings the original callee when nobody of the pool is there", async () => {
    const { phone, call } = await talking(specialist(0.5), { config: { pools } });
    const { outcome } = await call.escalate(
      escalation({ target: { pool: "human", waitMs: 1000, thenCallee: { ringTimeSeconds: 10 } } }),
    );
    expect(outcome).toBe("CONNECTED");
    await phone.waitUntil(() => phone.agentLeft);
    await phone.waitUntil(() => msHeard(phone, "caller", SPECIALIST_HZ) > 300);
    expect(msHeard(phone, "callee", AGENT_HZ)).toBe(0);
  });
});

describe("modes", () => {
  it("says who hears the agent: barge both, whisper the callee, spy nobody", async () => {
    const { phone, call } = await talking(specialist(0.3));
    await call.connect({ ringTimeSeconds: 10 });
    for (const [mode, callerHears, calleeHears] of [
      ["BARGE", true, true],
      ["WHISPER", false, true],
      ["SPY", false, false],
      ["BARGE", true, true],
    ] as const) {
      await call.setMode(mode);
      // The parties hear each other in every mode; the window begins a little after the change.
      const window = { fromMs: callTimeMs(phone) + 60, toMs: callTimeMs(phone) + 660 };
      await phone.waitUntil(() => phone.recording.durationMs > window.toMs + 40);
      const least = 400;
      expect([mode, "caller", msHeard(phone, "caller", AGENT_HZ, window) > least]).toEqual([
        mode,
        "caller",
        callerHears,
      ]);
      expect([mode, "callee", msHeard(phone, "callee", AGENT_HZ, window) > least]).toEqual([
        mode,
        "callee",
        calleeHears,
      ]);
      if (!callerHears) expect(msHeard(phone, "caller", AGENT_HZ, window)).toBe(0);
      if (!calleeHears) expect(msHeard(phone, "callee", AGENT_HZ, window)).toBe(0);
      expect(msHeard(phone, "caller", SPECIALIST_HZ, window)).toBeGreaterThan(least);
      expect(msHeard(phone, "callee", CALLER_HZ, window)).toBeGreaterThan(least);
    }
    await call.close();
    await phone.waitUntil(() => phone.agentLeft);
  });
});
