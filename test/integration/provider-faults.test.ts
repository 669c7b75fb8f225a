import { callee, frameTone, MALFORMED_CONTROL, MALFORMED_MEDIA, type SimCall } from "@callweave/simulator";
import type { Call } from "callweave";
import { describe, expect, it } from "vitest";
import {
  callTimeMs,
  Ears,
  framesMissing,
  holesIn,
  msHeard,
  numberedFrames,
  toneBytes,
} from "../harness/audio.js";
import { type StackOptions, until } from "../harness/gateway.js";
import { Outsider } from "../harness/outsider.js";
import { rejection, useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;

interface Talk {
  readonly phone: SimCall;
  readonly call: Call;
  /** What the agent hears of a caller who says numbered frames. */
  readonly ears: Ears;
}

/** So many calls in the middle of a talk with one agent. */
async function talks(
  count: number,
  options: StackOptions = {},
  place: { callee?: ReturnType<typeof callee.never> } = {},
) {
  const stack = await rig.stack(options);
  const ears = new Map<string, Ears>();
  const agent = await rig.agent(stack, {}, (call) => {
    ears.set(call.id, new Ears(call.audio()));
  });
  const trail = await rig.trail(stack);
  const phones = Array.from({ length: count }, () =>
    stack.simulator.placeCall({ caller: [frameTone()], ...place }),
  );
  await Promise.all(phones.map((phone) => phone.waitFor("ANSWERED")));
  const calls = await until(
    () =>
      agent.given.length === count && agent.given.every(({ state }) => state === "ANSWERED") && agent.given,
    "the agent to have the calls",
  );
  const all = phones.map((phone): Talk => {
    const call = calls.find(({ id }) => id === phone.id);
    const heard = ears.get(phone.id);
    if (!call || !heard) throw new Error("no such call");
    return { phone, call, ears: heard };
  });
  await until(() => all.every((talk) => talk.ears.heardMs > 300), "the callers to be heard");
  return { stack, agent, trail, talks: all, client: rig.client(stack) };
}

/** The caller hears something new of the agent, and the agent of the caller. */
async function goesOn({ phone, call, ears }: Talk): Promise<void> {
  const fromMs = callTimeMs(phone);
  const heardMs = ears.heardMs;
  await call.play(toneBytes(AGENT_HZ, 400));
  await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs }) > 300);
  await until(() => ears.heardMs > heardMs + 300, "the agent to hear the caller");
}

describe("the control connection", () => {
  it.each([{ code: 1011 }, { abrupt: true }])(
    "dropped in mid-call (%o): the talk goes on, and there is no second call (fault 7)",
    async (how) => {
      const { stack, trail, talks: all, client } = await talks(1);
      const talk = all[0] as Talk;
      const { phone, call, ears } = talk;
      const frames = 150;
      const played = call.play(numberedFrames(frames));
      await phone.waitUntil(() => framesMissing(phone, "caller", 20).length === 0);
      const before = stack.simulator.stats.controlConnections;
      expect(stack.simulator.faults.dropControl(how)).toBe(1);
      await stack.simulator.waitUntil(() => stack.simulator.stats.controlConnections > before);
      await played;
      expect(await call.drained()).toBe("PLAYED");
      await phone.waitUntil(() => framesMissing(phone, "caller", frames).length === 0);
      // The provider has told of the call again by now.
      await phone.waitUntil(() => phone.events.filter(({ type }) => type === "session.open").length === 2);
      await goesOn(talk);
      expect(holesIn(ears.numbers())).toEqual([]);
      expect((await client.calls.list()).calls).toHaveLength(1);
      expect(trail.all("arrived")).toHaveLength(1);
      expect(trail.all("offered")).toHaveLength(1);
      expect(phone.stats.mediaConnections).toBe(1);
      await call.disconnect();
      await phone.waitFor("DISCONNECTED");
      // Signed in again: the next call is taken.
      await stack.simulator.placeCall().waitFor("ANSWERED");
    },
  );

  it("sends events twice and in another order: each call is there once (fault 36)", async () => {
    const { stack, trail, agent } = await talks(1);
    stack.simulator.faults.duplicateControlEvents(4);
    const twice = stack.simulator.placeCall();
    await twice.waitFor("ANSWERED");
    stack.simulator.faults.reorderControlEvents(2);
    const swapped = [stack.simulator.placeCall(), stack.simulator.placeCall()];
    await Promise.all(swapped.map((phone) => phone.waitFor("ANSWERED")));
    await until(() => agent.given.length === 4, "all calls to have an agent");
    expect(trail.all("arrived")).toHaveLength(4);
    for (const phone of [twice, ...swapped]) {
      expect(phone.events.filter(({ type }) => type === "call.answer")).toHaveLength(1);
    }
    stack.simulator.faults.duplicateControlEvents(4);
    twice.hangUp();
    await trail.waitFor("ended", (event) => event.callId === twice.id);
    await Promise.all(agent.given.filter(({ id }) => id === twice.id).map((call) => call.ended));
    expect(trail.all("ended", twice.id)).toHaveLength(1);
    expect(agent.given.filter((call) => !call.signal.aborted)).toHaveLength(3);
  });
});

describe("the media connection", () => {
  it("dropped by accident: opened again, the talk goes on, and watchers are told (fault 9)", async () => {
    const { talks: all, trail } = await talks(2);
    const [dropped, other] = all as [Talk, Talk];
    const frames = 150;
    const played = other.call.play(numberedFrames(frames));
    dropped.phone.faults.dropMedia({ abrupt: true });
    await dropped.phone.waitUntil(() => dropped.phone.stats.mediaConnections === 2);
    await trail.waitFor("mediaChanged", (e) => e.callId === dropped.phone.id && e.change === "RESTORED");
    await goesOn(dropped);
    await played;
    expect(await other.call.drained()).toBe("PLAYED");
    // What was played by the gateway's clock may be a moment later at a provider on a busy machine.
    await until(
      () => framesMissing(other.phone, "caller", frames).length === 0,
      "the last frame to be heard",
    );
    expect(holesIn(other.ears.numbers())).toEqual([]);
    expect(dropped.phone.state).toBe("ANSWERED");
    expect(trail.all("ended")).toEqual([]);
  });

  it("closed by the provider for good: told at once, ended by the rule, the agent is told (fault 9)", async () => {
    const { talks: all, trail } = await talks(2, {
      config: { gateway: { limits: { media_give_up_ms: 2000 } } },
    });
    const [lost, other] = all as [Talk, Talk];
    lost.phone.faults.dropMedia({ code: 4001 });
    const startMs = performance.now();
    await trail.waitFor("mediaChanged", (e) => e.callId === lost.phone.id && e.change === "LOST");
    const ended = await trail.waitFor("ended", (event) => event.callId === lost.phone.id);
    expect(ended.reason).toBe("MEDIA_LOST");
    expect(performance.now() - startMs).toBeGreaterThan(1500);
    expect(performance.now() - startMs).toBeLessThan(8000);
    expect(await lost.call.ended).toMatchObject({ cause: "CALL_ENDED", endReason: "MEDIA_LOST" });
    await goesOn(other);
  });

  it("sends its end late, twice, and after an error: one end, told once (fault 36)", async () => {
    const { talks: all, trail, client } = await talks(3);
    const [late, twice, swapped] = all as [Talk, Talk, Talk];
    late.phone.faults.delayTerminated(1500);
    late.phone.hangUp();
    const hungUpMs = performance.now();
    await trail.waitFor("ended", (event) => event.callId === late.phone.id);
    twice.phone.faults.duplicateEvents(4);
    twice.phone.hangUp();
    await trail.waitFor("ended", (event) => event.callId === twice.phone.id);
    swapped.phone.sendError();
    await trail.waitFor("mediaChanged", (event) => event.change === "PROVIDER_ERROR");
    await goesOn(swapped);
    swapped.phone.faults.reorderEvents(2);
    swapped.phone.sendError();
    swapped.phone.hangUp();
    await trail.waitFor("ended", (event) => event.callId === swapped.phone.id);
    await Promise.all(all.map(({ call }) => call.ended));
    await until(() => performance.now() > hungUpMs + 1800, "the late end to have come");
    for (const { phone } of all) {
      expect(trail.all("ended", phone.id)).toHaveLength(1);
      expect(await client.calls.get(phone.id)).toMatchObject({
        state: "DISCONNECTED",
        endReason: "TERMINATED",
      });
    }
  });
});

describe("an answer that never comes", () => {
  // Shorter than the defaults of 2 s and 5 s, so that the test does not take as long.
  const impatient: StackOptions = {
    config: { connector: { options: { connectExtraMs: 500, commandSlackMs: 500 } } },
  };
  const pickedUp = { callee: callee.picksUp({ afterSeconds: 0.3 }) };

  it("to connect: the outcome is unknown, and it was asked once (fault 35)", async () => {
    const { talks: all, client } = await talks(1, impatient, pickedUp);
    const { phone, call } = all[0] as Talk;
    phone.faults.swallowResponse("call.connect");
    const error = await rejection(call.connect({ ringTimeSeconds: 1, requestId: "c-1" }));
    expect(error).toMatchObject({ reason: "OUTCOME_UNKNOWN", metadata: { verb: "ConnectCall" } });
    const again = await rejection(client.calls.connect(call.id, { ringTimeSeconds: 1, requestId: "c-1" }));
    expect(again).toMatchObject({ reason: "OUTCOME_UNKNOWN" });
    expect(phone.events.filter(({ type }) => type === "call.connect")).toHaveLength(1);
    expect(call.signal.aborted).toBe(false);
  });

  it("to the connect of an escalation: UNKNOWN, and the record says so (fault 35)", async () => {
    const { talks: all, client } = await talks(1, impatient, pickedUp);
    const { phone, call } = all[0] as Talk;
    phone.faults.swallowResponse("call.connect");
    const { outcome } = await call.escalate({
      reason: "ASKED_FOR_HUMAN",
      target: { callee: { ringTimeSeconds: 1 } },
    });
    expect(outcome).toBe("UNKNOWN");
    expect(phone.events.filter(({ type }) => type === "call.connect")).toHaveLength(1);
    await until(
      async () => (await client.contexts.get(call.id)).escalationOutcome === "UNKNOWN",
      "the record to say so",
    );
  });

  it("refused: REJECTED, and the agent still has the caller", async () => {
    const { talks: all } = await talks(1);
    const talk = all[0] as Talk;
    talk.phone.faults.onCommand({ command: "call.connect", errorCode: "INTERNAL_ERROR" });
    const { outcome } = await talk.call.escalate({ reason: "OUT_OF_SCOPE" });
    expect(outcome).toBe("REJECTED");
    await goesOn(talk);
  });
});

describe("a provider that stops pulling", () => {
  it("the agent that floods is refused item by item; another call of the same gateway is whole (fault 10, fault 11)", async () => {
    const stack = await rig.stack({
      config: {
        playback: { max_seconds: 2 },
        pools: [{ name: "default" }, { name: "flood" }],
        routes: [{ caller: "+15550177", pool: "flood" }, {}],
      },
    });
    const calm = await rig.agent(stack);
    const flooder = new Outsider(stack.address);
    rig.defer(() => flooder.close());
    const stream = flooder.serve({
      register: { agent_id: "flooder", pool: "flood", capacity: 1, answer_on_accept: true },
    });
    await until(() => stream.items.some(({ registered }) => registered), "the flooder to be registered");
    const other = stack.simulator.placeCall();
    const otherCall = await calm.call();
    const stalled = stack.simulator.placeCall({ from: "+15550177" });
    await until(() => stream.items.some(({ offer }) => offer), "the offer");
    stream.send({ accept: {} });
    await stalled.waitFor("ANSWERED");
    await other.waitFor("ANSWERED");
    stalled.faults.stallCredit(4000);
    const frames = 150;
    const played = otherCall.play(numberedFrames(frames));
    const second = toneBytes(AGENT_HZ, 1000);
    for (let i = 0; i < 8; i++) stream.send({ audio: { handle: 0, pcm: Buffer.from(second) } });
    // Items are processed in order: when this one is answered, so was all that came before it.
    stream.send({ command: { handle: 0, request_id: "probe", cancel: {} } });
    await until(() => stream.items.some(({ command_result }) => command_result), "the probe");
    const refused = stream.items.filter(({ item_refused }) => item_refused).map((item) => item.item_refused);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    expect(refused[0]).toMatchObject({
      item: "audio",
      error: {
        reason: "ERROR_REASON_PLAYBACK_FULL",
        code: 8,
        metadata: { refused_ms: "1000", max_ms: "2000" },
      },
    });
    expect(stream.ended).toBe(false);
    await played;
    expect(await otherCall.drained()).toBe("PLAYED");
    await other.waitUntil(() => framesMissing(other, "caller", frames).length === 0);
    // Pulled again: what was taken is heard, whole, and what was refused is not.
    const taken = 8 - refused.length;
    await stalled.waitUntil(() => msHeard(stalled, "caller", AGENT_HZ) >= taken * 1000 - 20, {
      timeoutMs: 15_000,
    });
    expect(msHeard(stalled, "caller", AGENT_HZ)).toBeLessThanOrEqual(taken * 1000 + 20);
  });
});

describe("frames that should not be", () => {
  it("on either socket, while two calls run: both go on, without a hole (fault 29)", async () => {
    const { stack, talks: all, trail } = await talks(2);
    const [target, other] = all as [Talk, Talk];
    const harmless = <T extends string>(kinds: object) =>
      Object.keys(kinds).filter((kind) => !kind.includes("oversize")) as T[];
    const frames = 150;
    const played = all.map(({ call }) => call.play(numberedFrames(frames)));
    for (const kind of harmless<keyof typeof MALFORMED_CONTROL>(MALFORMED_CONTROL)) {
      stack.simulator.faults.sendMalformedControl(kind);
    }
    for (const kind of harmless<keyof typeof MALFORMED_MEDIA>(MALFORMED_MEDIA)) {
      target.phone.faults.sendMalformed(kind);
    }
    await Promise.all(played);
    for (const { phone, call } of all) {
      expect(await call.drained()).toBe("PLAYED");
      await phone.waitUntil(() => framesMissing(phone, "caller", frames).length === 0);
    }
    expect(holesIn(other.ears.numbers())).toEqual([]);
    expect(stack.simulator.connections).toHaveLength(1);

    // Too long: that connection is closed and opened again, and nothing else notices.
    stack.simulator.faults.sendMalformedControl("oversize");
    target.phone.faults.sendMalformed("binary_oversize");
    await target.phone.waitUntil(() => target.phone.stats.mediaConnections === 2);
    await stack.simulator.waitUntil(() => stack.simulator.stats.controlConnections === 2);
    await stack.simulator.waitForConnections();
    await goesOn(target);
    await goesOn(other);
    expect(holesIn(other.ears.numbers())).toEqual([]);
    expect(other.phone.stats.mediaConnections).toBe(1);
    expect(trail.all("ended")).toEqual([]);
  });
});
