import type { Turn } from "callweave";
import { beforeEach, describe, expect, it } from "vitest";
import { CALLEES, CALLERS, type Variant } from "./options.js";
import { type MadeCall, makeCall, RATE, type Spoilable, speakNoise } from "./testing/made-evidence.js";
import { type CheckName, verify } from "./verifier.js";

const sampleAt = (ms: number) => Math.round((ms * RATE) / 1000);

/** Names of the checks that failed. */
async function failures({ evidence, expected }: MadeCall): Promise<CheckName[]> {
  const verdict = await verify(evidence, expected, speakNoise);
  const failed = verdict.checks.filter(({ ok }) => !ok).map(({ name }) => name);
  expect(verdict.ok).toBe(failed.length === 0);
  return failed;
}

function silence(track: Int16Array, fromMs: number, toMs: number): void {
  track.fill(0, sampleAt(fromMs), sampleAt(toMs));
}

function only<T extends { readonly type: string }>(events: readonly T[], type: string): T {
  const found = events.find((event) => event.type === type);
  if (!found) throw new Error(`no ${type}`);
  return found;
}

describe("verify / a call as it has to be", () => {
  const variants: Variant[] = CALLERS.flatMap((caller) => CALLEES.map((callee) => ({ caller, callee })));
  it.each(variants)("$caller, $callee", async (variant) => {
    expect(await failures(await makeCall(variant))).toEqual([]);
  });

  it("passes over a short hole, as when the provider's buffer ran empty", async () => {
    const call = await makeCall({ caller: "asks", callee: "picks-up" });
    const track = call.evidence.heard.caller;
    const at = call.saidAt.get(call.expected.announcement ?? "")?.startMs ?? 0;
    // The rest of the announcement comes 60 ms later; there is room for it before the ringing.
    const from = sampleAt(at + 500);
    const end = sampleAt(call.ringMs?.startMs ?? 0);
    track.copyWithin(from + 480, from, end - 480);
    track.fill(0, from, from + 480);
    expect(await failures(call)).toEqual([]);
  });
});

describe("verify / planted faults in a handover", () => {
  let call: MadeCall;
  let evidence: Spoilable;
  let announced: { startMs: number; endMs: number };
  const spoil = <K extends keyof Spoilable>(key: K, value: Spoilable[K]) => {
    evidence[key] = value;
  };
  const turns = (change: (turns: Turn[]) => Turn[]) => {
    const changed = change([...evidence.context.turns]);
    spoil("context", { ...evidence.context, turns: changed, turnCount: changed.length });
  };

  beforeEach(async () => {
    call = await makeCall({ caller: "asks", callee: "picks-up" });
    evidence = call.evidence;
    announced = call.saidAt.get(call.expected.announcement ?? "") ?? { startMs: 0, endMs: 0 };
  });

  it("the end of the announcement is cut off", async () => {
    silence(evidence.heard.caller, announced.endMs - 200, announced.endMs);
    expect(await failures(call)).toEqual(["announcementHeardFully"]);
  });

  it("the beginning of the announcement is cut off", async () => {
    silence(evidence.heard.caller, announced.startMs, announced.startMs + 200);
    expect(await failures(call)).toEqual(["announcementHeardFully"]);
  });

  it("a sentence of the announcement is missing", async () => {
    silence(evidence.heard.caller, announced.startMs, (announced.startMs + announced.endMs) / 2);
    expect(await failures(call)).toEqual(["announcementHeardFully"]);
  });

  it("connects while the announcement still plays", async () => {
    const connect = only(evidence.providerEvents, "call.connect");
    spoil(
      "providerEvents",
      evidence.providerEvents.map((e) => (e === connect ? { ...e, atMs: announced.endMs - 500 } : e)),
    );
    expect(await failures(call)).toEqual(["announcementHeardFully"]);
  });

  it("the provider's record says that the specialist was played agent audio", async () => {
    const startMs = call.ringMs?.endMs ?? 0;
    spoil("agentAtSpecialist", [{ startMs, endMs: startMs + 20 }]);
    expect(await failures(call)).toEqual(["specialistHearsNoAgent"]);
  });

  const playToSpecialist = (sound: Int16Array, afterPickUpMs: number) => {
    evidence.heard.specialist.set(sound, sampleAt((call.ringMs?.endMs ?? 0) + afterPickUpMs));
  };
  const endOfHold = (ms: number) => {
    const from = sampleAt((call.ringMs?.endMs ?? 0) - 200);
    return evidence.heard.caller.slice(from - sampleAt(ms), from);
  };

  it("the specialist hears more of the hold sound than the provider can have had", async () => {
    playToSpecialist(endOfHold(160), 20);
    expect(await failures(call)).toEqual(["specialistHearsNoAgent"]);
  });

  it("the specialist hears hold sound long after the pick-up", async () => {
    playToSpecialist(endOfHold(20), 400);
    expect(await failures(call)).toContain("specialistHearsNoAgent");
  });

  it("the specialist hears a frame of what the agent said", async () => {
    const from = sampleAt(announced.endMs - 60);
    playToSpecialist(evidence.said.agent.slice(from, from + 320), 20);
    expect(await failures(call)).toEqual(["specialistHearsNoAgent"]);
  });

  it("allows the tail of the hold sound that the provider had at pick-up", async () => {
    playToSpecialist(endOfHold(100), 20);
    expect(await failures(call)).toEqual([]);
  });

  it("the caller hears nothing while it rings", async () => {
    silence(evidence.heard.caller, call.ringMs?.startMs ?? 0, call.ringMs?.endMs ?? 0);
    expect(await failures(call)).toEqual(["noSilenceWhileRinging"]);
  });

  it("a gap of 2.2 s while it rings", async () => {
    const startMs = (call.ringMs?.startMs ?? 0) + 400;
    silence(evidence.heard.caller, startMs, startMs + 2200);
    expect(await failures(call)).toEqual(["noSilenceWhileRinging"]);
  });

  it("the caller does not hear the specialist", async () => {
    silence(evidence.heard.caller, (call.ringMs?.endMs ?? 0) + 10, evidence.durationMs);
    expect(await failures(call)).toEqual(["callerSpecialistTalked"]);
  });

  it("the specialist does not hear the caller", async () => {
    evidence.heard.specialist.fill(0);
    expect(await failures(call)).toEqual(["callerSpecialistTalked"]);
  });

  it("the agent stays in the call", async () => {
    spoil(
      "providerEvents",
      evidence.providerEvents.filter(({ type }) => type !== "agent.left"),
    );
    expect(await failures(call)).toEqual(["agentLeft", "callerSpecialistTalked"]);
  });

  it("the agent still hears the call after it left", async () => {
    evidence.heard.agent.set(evidence.said.specialist.slice(-RATE), evidence.heard.agent.length - RATE);
    evidence.heard.agent[evidence.heard.agent.length - 10] = 500;
    expect(await failures(call)).toEqual(["agentLeft"]);
  });

  it("the caller still hears the agent after it left", async () => {
    const from = sampleAt(evidence.durationMs - 150);
    evidence.heard.caller.set(evidence.said.agent.slice(sampleAt(600), sampleAt(700)), from);
    expect(await failures(call)).toEqual(["agentLeft"]);
  });

  it("the context misses a turn of the agent", async () => {
    turns((all) => all.filter(({ role }, index) => !(role === "AI" && index > 2)));
    expect(await failures(call)).toEqual(["contextTurns"]);
  });

  it("the context misses a turn of the caller", async () => {
    turns((all) => all.filter(({ text }) => !text.includes("real person")));
    expect(await failures(call)).toEqual(["contextTurns", "transcript"]);
  });

  it("the context says it has more turns than it has", async () => {
    spoil("context", { ...evidence.context, turnCount: 99 });
    expect(await failures(call)).toEqual(["contextTurns"]);
  });

  it("the caller was hardly understood", async () => {
    turns((all) => all.map((turn) => (turn.role === "CALLER" ? { ...turn, text: "what fish" } : turn)));
    expect(await failures(call)).toEqual(["transcript"]);
  });

  it("the context has a turn that nobody heard", async () => {
    turns(([first, ...rest]) => [
      ...(first ? [first] : []),
      { id: "x", role: "AI", text: "This was never said.", time: new Date(1000) },
      ...rest,
    ]);
    expect(await failures(call)).toEqual(["agentHeardByCaller"]);
  });

  it.each(["ACTIVE", "ESCALATING", "ENDED"] as const)("the context stays %s", async (status) => {
    spoil("context", { ...evidence.context, status });
    expect(await failures(call)).toEqual(["contextStatus"]);
  });

  it("the context has another reason", async () => {
    spoil("context", { ...evidence.context, escalationReason: "FRUSTRATED" });
    expect(await failures(call)).toEqual(["contextStatus"]);
  });

  it.each([
    ["", "empty"],
    ["One. Two. Three. Four.", "four sentences"],
    ["It was about fish.", "of something else"],
  ])("the summary is %j: %s", async (summary) => {
    spoil("context", { ...evidence.context, summary });
    expect(await failures(call)).toEqual(["contextSummary"]);
  });

  it("nobody was told that it is automated", async () => {
    spoil("context", { ...evidence.context, consent: { transcript: true } });
    expect(await failures(call)).toEqual(["contextConsent"]);
  });

  it("there is no context", async () => {
    (evidence as { context: unknown }).context = undefined;
    expect(await failures(call)).toContain("contextStatus");
  });

  it("the desk could read nothing before the pick-up", async () => {
    spoil("contextWhileRinging", undefined);
    expect(await failures(call)).toEqual(["contextWhileRinging"]);
  });

  it("the desk could read it only after the pick-up", async () => {
    const read = evidence.contextWhileRinging;
    if (read) spoil("contextWhileRinging", { ...read, atMs: (call.ringMs?.endMs ?? 0) + 5 });
    expect(await failures(call)).toEqual(["contextWhileRinging"]);
  });

  it("WatchCalls misses an event", async () => {
    spoil(
      "gatewayEvents",
      evidence.gatewayEvents.filter(({ type }) => type !== "ringing"),
    );
    expect(await failures(call)).toEqual(["eventSequence"]);
  });

  it("the call was never connected for the gateway", async () => {
    spoil(
      "gatewayEvents",
      evidence.gatewayEvents
        .filter(({ type }) => type !== "connected")
        .map((event, index) => ({ ...event, sequence: index + 1 })),
    );
    expect(await failures(call)).toEqual(["callStates"]);
  });

  it("the escalation ended otherwise", async () => {
    spoil(
      "gatewayEvents",
      evidence.gatewayEvents.map((event) =>
        event.type === "commandDone" ? { ...event, escalation: { outcome: "LEAVE_FAILED" as const } } : event,
      ),
    );
    expect(await failures(call)).toEqual(["callStates"]);
  });

  it("the call ended for another reason", async () => {
    spoil(
      "gatewayEvents",
      evidence.gatewayEvents.map((e) => (e.type === "ended" ? { ...e, reason: "MEDIA_LOST" as const } : e)),
    );
    spoil("providerEnd", "media_lost");
    expect(await failures(call)).toEqual(["endReason", "providerEnd"]);
  });

  it("the specialist was rung twice", async () => {
    const connect = only(evidence.providerEvents, "call.connect");
    spoil("providerEvents", [...evidence.providerEvents, { ...connect, atMs: evidence.durationMs }]);
    expect(await failures(call)).toEqual(["commands"]);
  });
});

describe("verify / planted faults in other calls", () => {
  it("the goodbye is cut off by the end of the call", async () => {
    const call = await makeCall({ caller: "wrong-number", callee: "picks-up" });
    const goodbye = call.saidAt.get(call.expected.agentSays.at(-1) ?? "");
    silence(call.evidence.heard.caller, (goodbye?.endMs ?? 0) - 300, call.evidence.durationMs);
    expect(await failures(call)).toEqual(["announcementHeardFully"]);
  });

  it("a message is taken, but the context does not have it", async () => {
    const call = await makeCall({ caller: "angry", callee: "no-answer" });
    call.evidence.context = { ...call.evidence.context, summary: "The caller is upset." };
    expect(await failures(call)).toEqual(["contextSummary"]);
  });

  it("somebody was connected with a caller who said nothing", async () => {
    const call = await makeCall({ caller: "silent", callee: "picks-up" });
    call.evidence.providerEvents.push({ atMs: 1, direction: "none", type: "ring.picked_up", data: null });
    call.evidence.providerEvents.push({ atMs: 1, direction: "in", type: "call.connect", data: null });
    expect(await failures(call)).toEqual(["commands", "callerSpecialistTalked"]);
  });

  it("the agent leaves two strangers alone instead of ending the call", async () => {
    const call = await makeCall({ caller: "silent", callee: "picks-up" });
    call.evidence.providerEvents.push({ atMs: 1, direction: "none", type: "agent.left", data: null });
    expect(await failures(call)).toEqual(["agentLeft"]);
  });

  it("an abandoned call is forgotten", async () => {
    const call = await makeCall({ caller: "hangs-up", callee: "picks-up" });
    call.evidence.context = { ...call.evidence.context, status: "ACTIVE" };
    expect(await failures(call)).toEqual(["contextStatus"]);
  });
});
