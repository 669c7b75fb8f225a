import { describe, expect, it } from "vitest";
import { SignInRefused } from "../../gateway/src/telephony/telcoflow/index.js";
import { callee, tone, wait } from "../../simulator/src/index.js";
import {
  answered,
  gateway,
  noiseBytes,
  simulator,
  stopAfterEach,
  stops,
  TestGateway,
  until,
} from "./telcoflow-harness.js";

stopAfterEach();

describe("Telcoflow / sign-in", () => {
  it("signs in with rate and mode, sends the call flow, and signs out", async () => {
    const sim = await simulator();
    const callFlow = {
      inboundCall: "ALL",
      outboundCall: false,
      inboundMessage: false,
      outboundMessage: false,
    } as const;
    const gw = await gateway(sim, { sampleRateHz: 24_000, audioMode: "isolated", callFlow });
    expect(gw.connector.ready).toBe(true);
    expect(gw.readiness).toEqual([true]);
    await until(() => sim.connections[0]?.sampleRate === 24_000, "the rate");
    expect(sim.connections[0]?.isolated).toBe(true);
    await gw.connector.stop();
    expect(gw.readiness).toEqual([true, false]);
    await until(() => sim.connections.length === 0, "the end of the connection");
  });

  it("rejects a wrong key for good, and shows it nowhere", async () => {
    const sim = await simulator();
    const gw = new TestGateway(sim.url, {
      auth: { apiKey: "wrong-key-4711", connectorUuid: "00000000-0000-4000-8000-000000000001" },
    });
    const error = await gw.connector.start(gw).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SignInRefused);
    expect([401, 403]).toContain((error as SignInRefused).httpStatus);
    expect(`${error} ${gw.log.join()}`).not.toContain("wrong-key-4711");
    expect(gw.connector.ready).toBe(false);
    await gw.connector.stop();
  });

  it("rejects a version that the provider does not take any more", async () => {
    const sim = await simulator({ minSdkVersion: "2.0.0" });
    const gw = new TestGateway(sim.url);
    await expect(gw.connector.start(gw)).rejects.toMatchObject({ httpStatus: 426 });
  });

  it("waits for a provider that is away, and signs in when it is back", async () => {
    const sim = await simulator();
    sim.faults.refuseControl({ status: 503, count: 3 });
    const gw = await gateway(sim);
    expect(gw.counters.connectFailures).toBe(3);
    expect(gw.counters.reconnects).toBe(0);
  });

  it("starts over when setup.done does not come (fault 47)", async () => {
    const sim = await simulator();
    sim.faults.setupDelayMs = 60_000;
    const gw = new TestGateway(sim.url, { setupTimeoutMs: 100 });
    stops.push(() => gw.connector.stop());
    const started = gw.connector.start(gw);
    await until(() => gw.counters.connectFailures >= 2, "two failures");
    sim.faults.setupDelayMs = 0;
    await started;
    expect(gw.connector.ready).toBe(true);
  });
});

describe("Telcoflow / claims", () => {
  it("hands over a claimed call once, with its facts", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    sim.faults.duplicateControlEvents(4);
    const placed = sim.placeCall({ from: "+15550123" });
    const { call } = await gw.call();
    expect(call).toEqual({
      connector: "main",
      callId: placed.id,
      sessionId: placed.session.id,
      from: "+15550123",
      to: "+15550100",
      sampleRateHz: 16_000,
      audioMode: "mixed",
    });
    expect(gw.notices[0]).toMatchObject({ connector: "main", from: "+15550123", to: "+15550100" });
    await placed.waitForEvent("call.in");
    expect(gw.calls).toHaveLength(1);
  });

  it("leaves a call that the policy does not want", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    gw.policy = { claim: false, delayMs: 0 };
    const placed = sim.placeCall();
    // The list of open sessions after the sign-in may show it too: then the policy is asked twice.
    await until(() => gw.notices.length >= 1, "the notice");
    expect(placed.session.boundTo).toBeUndefined();
    expect(gw.counters.claims).toBe(0);
  });

  it("lets exactly one of two gateways win, the one with the shorter delay (fault 25)", async () => {
    const sim = await simulator();
    const [first, second] = [await gateway(sim), await gateway(sim)];
    first.policy = { claim: true, delayMs: 500 };
    const placed = sim.placeCall();
    await second.call();
    await until(() => first.lost.length === 1, "the lost claim");
    expect(first.lost[0]).toMatchObject({ reason: "SESSION_BUSY", notice: { sessionId: placed.session.id } });
    expect(first.calls).toHaveLength(0);
  });

  it("tells of a caller who hangs up before the claim (fault 37)", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    gw.policy = { claim: true, delayMs: 1000 };
    const placed = sim.placeCall();
    await until(() => gw.notices.length === 1, "the notice");
    placed.hangUp();
    await until(() => gw.lost.length === 1, "the loss");
    expect(gw.lost[0]?.reason).toMatch(/SESSION_(CLOSED|NOT_FOUND)/);
  });

  it("claims nothing any more after stopClaiming, and keeps its calls", async () => {
    const { sim, gw, ours, simCall } = await answered();
    gw.connector.stopClaiming();
    const second = sim.placeCall();
    await second.waitForEvent("session.notify");
    // What comes after the notice on the same connection was seen: so was the notice.
    sim.faults.sendMalformedControl("unknown_type");
    await until(() => gw.counters.unknownTypes === 1, "the frame after the notice");
    expect(gw.calls).toHaveLength(1);
    expect(gw.counters.claims).toBe(1);
    await ours.leg.interrupt();
    expect(simCall.state).toBe("ANSWERED");
  });

  it("ignores sessions of the other channel", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    sim.receiveMessage("+15550102", { text: "hello" });
    await until(() => gw.counters.ignoredNotices === 1, "the notice");
    expect(gw.notices).toHaveLength(0);
  });

  it("sends no token to a host that is not allowed (fault 43)", async () => {
    const sim = await simulator({ publicUrl: "ws://media.example.invalid:9" });
    const gw = await gateway(sim);
    sim.placeCall();
    await until(() => gw.lost.length === 1, "the refusal");
    expect(gw.lost[0]?.reason).toBe("MEDIA_HOST_REFUSED");
    expect(gw.counters.mediaHostRefused).toBe(1);
    expect(gw.calls).toHaveLength(0);
  });
});

describe("Telcoflow / commands", () => {
  it("answers, opening the media only then", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    const placed = sim.placeCall();
    const ours = await gw.call();
    expect(placed.mediaConnected).toBe(false);
    await ours.leg.answer();
    expect(placed.state).toBe("ANSWERED");
    expect(placed.stats.mediaConnections).toBe(1);
    expect(await ours.leg.isAlive()).toBe(true);
  });

  it("connects, changes who hears the agent, and leaves the parties", async () => {
    const { simCall, ours, gw } = await answered(
      {},
      { callee: callee.picksUp({ afterSeconds: 0.2, script: [wait(30)] }) },
    );
    expect(await ours.leg.connect(30)).toBe("connected");
    const sent = simCall.events.find((event) => event.type === "call.connect");
    expect(sent?.data).toMatchObject({ ringTimeSeconds: 30, timeoutMs: 32_000 });
    for (const mode of ["WHISPER", "SPY", "BARGE"] as const) {
      await ours.leg.setAgentMode(mode);
      expect(simCall.agentMode).toBe(mode.toLowerCase());
    }
    await ours.leg.close();
    await simCall.waitUntil(() => simCall.agentLeft);
    expect(simCall.state).toBe("CONNECTED");
    expect(gw.connector.liveCalls).toBe(0);
    expect(ours.has("media lost")).toBe(false);
  });

  it("says unanswered when nobody picks up, and keeps the call", async () => {
    const { simCall, ours } = await answered({}, { callee: callee.never() });
    expect(await ours.leg.connect(1)).toBe("unanswered");
    expect(simCall.state).toBe("ANSWERED");
  });

  it("says unknown when a connect times out at the provider or has no answer", async () => {
    const { simCall, ours } = await answered(
      {},
      { callee: callee.never() },
      { connectExtraMs: 0, commandSlackMs: 300 },
    );
    simCall.faults.onCommand({ command: "call.connect", errorCode: "TIMEOUT" });
    expect(await ours.leg.connect(1)).toBe("unknown");
    simCall.faults.swallowResponse("call.connect");
    expect(await ours.leg.connect(1)).toBe("unknown");
  });

  it("passes on a refusal with its code", async () => {
    const { simCall, ours } = await answered();
    simCall.faults.onCommand({ command: "agent.interrupt", errorCode: "FORBIDDEN" });
    await expect(ours.leg.interrupt()).rejects.toMatchObject({ kind: "refused", providerCode: "FORBIDDEN" });
  });

  it("counts answers that come late or twice", async () => {
    const { simCall, ours, gw } = await answered({}, {}, { commandTimeoutMs: 100, commandSlackMs: 100 });
    simCall.faults.onCommand({ command: "agent.interrupt", delayMs: 500, ignoreTimeout: true });
    await expect(ours.leg.interrupt()).rejects.toMatchObject({ kind: "unknown" });
    await until(() => gw.counters.lateResponses === 1, "the late answer");
    simCall.faults.onCommand({ command: "agent.interrupt", responses: 2 });
    await ours.leg.interrupt();
    await until(() => gw.counters.lateResponses === 2, "the second answer");
  });

  it("disconnects for everyone, even when the answer is cut off", async () => {
    const { simCall, ours, gw } = await answered();
    simCall.faults.swallowResponse("call.disconnect");
    await ours.leg.disconnect();
    expect(simCall.state).toBe("DISCONNECTED");
    expect(gw.connector.liveCalls).toBe(0);
    await ours.leg.disconnect();
    await expect(ours.leg.answer()).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("takes the end of the media after close for its success", async () => {
    const { simCall, ours } = await answered({}, { callee: callee.picksUp({ afterSeconds: 0.1 }) });
    await ours.leg.connect(5);
    simCall.faults.swallowResponse("call.close");
    await ours.leg.close();
    expect(simCall.agentLeft).toBe(true);
    expect(ours.has("media lost")).toBe(false);
  });

  it("tells of the caller's hang-up, of forced ends and of errors", async () => {
    const { sim, gw, simCall, ours } = await answered();
    simCall.sendError("TTS_SESSION_ERROR");
    await until(() => ours.has("error: TTS_SESSION_ERROR"), "the error");
    simCall.hangUp();
    await until(() => ours.has("terminated"), "the end");
    expect(ours.told.filter((line) => line === "terminated")).toHaveLength(1);
    const second = sim.placeCall();
    const forced = await gw.call(1);
    await forced.leg.answer();
    second.faults.delayTerminated(200);
    second.forceClose();
    await until(() => forced.has("session closed: FORCE_CLOSE"), "the closed session");
    await until(() => forced.has("terminated"), "the end");
    expect(await forced.leg.isAlive()).toBe(false);
  });

  it("abandons a call without any command", async () => {
    const { simCall, ours } = await answered();
    ours.leg.abandon();
    await simCall.waitUntil(() => !simCall.mediaConnected);
    expect(simCall.events.some(({ type }) => type === "call.close" || type === "call.disconnect")).toBe(
      false,
    );
    expect(ours.told).toEqual([]);
  });
});

describe("Telcoflow / audio", () => {
  it.each([8000, 16_000, 24_000] as const)(
    "hears the caller at %i Hz byte for byte",
    async (sampleRateHz) => {
      const { simCall, ours } = await answered({}, { caller: [tone(440)] }, { sampleRateHz });
      const wanted = sampleRateHz * 2;
      await until(() => ours.heardOn(0).length >= wanted, "one second of audio");
      const heard = ours.heardOn(0);
      const sent = simCall.recording.agent;
      const sentBytes = Buffer.from(sent.buffer, sent.byteOffset, sent.byteLength);
      // The recording begins earlier, with the call; what was heard must be one piece of it.
      const probe = heard.subarray(0, wanted);
      expect(sentBytes.indexOf(probe.subarray(0, 4000))).toBeGreaterThanOrEqual(0);
      expect(sentBytes.includes(probe)).toBe(true);
    },
  );

  it.each([
    ["a buffer of 0.1 s", { playoutBufferMs: 100, grantMinMs: 20 }],
    ["a buffer of 1 s", { playoutBufferMs: 1000 }],
    [
      "a buffer of 3 s, asked for late and in bursts",
      { playoutBufferMs: 3000, grantEveryMs: 500, grantBelowMs: 1000 },
    ],
    ["no preferred frame", { playoutBufferMs: 500, preferFrameBytes: 0 }],
    ["a preferred frame of 60 ms", { playoutBufferMs: 500, preferFrameBytes: 1920 }],
  ])("sends every byte and never more than was asked for: %s", async (_name, options) => {
    const { simCall, ours } = await answered(options);
    const audio = noiseBytes(3 * 32_000 + 246, 7);
    // In pieces of odd places, as a text-to-speech engine gives them.
    for (let at = 0, n = 0; at < audio.length; n++) {
      const length = 2 * (200 + ((n * 977) % 3000));
      ours.play(audio.subarray(at, at + length));
      at += length;
      if (n % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    ours.flush();
    await simCall.waitUntil(() => simCall.stats.deliveredBytes >= audio.length, { timeoutMs: 30_000 });
    expect(simCall.recording.agentDelivered.equals(audio)).toBe(true);
    expect(simCall.stats.overDeliveredBytes).toBe(0);
    expect(simCall.stats.badFrames).toBe(0);
    expect(ours.playback.readBytes).toBe(audio.length);
  });

  it("holds a tail shorter than preferred until it is flushed", async () => {
    const { simCall, ours } = await answered();
    await simCall.waitUntil(() => simCall.stats.grants > 0);
    ours.play(noiseBytes(638));
    await ours.leg.setAgentMode("SPY").catch(() => {});
    expect(simCall.stats.deliveredBytes).toBe(0);
    ours.flush();
    await simCall.waitUntil(() => simCall.stats.deliveredBytes === 638);
  });

  it("holds audio while the provider asks for none (fault 10)", async () => {
    const { simCall, ours } = await answered({ playoutBufferMs: 200 });
    simCall.faults.stallCredit(1500);
    ours.play(noiseBytes(64_000));
    await until(() => simCall.stats.deliveredBytes > 0, "what was asked for before");
    await simCall.waitUntil(() => simCall.stats.deliveredBytes >= 32_000, { timeoutMs: 20_000 });
    expect(simCall.stats.overDeliveredBytes).toBe(0);
  });

  it("drops what the provider has buffered", async () => {
    const { simCall, ours } = await answered();
    ours.play(noiseBytes(64_000));
    await simCall.waitUntil(() => simCall.stats.bufferedMs > 500);
    await ours.leg.interrupt();
    expect(simCall.stats.interruptedBytes).toBeGreaterThan(0);
  });

  it("hears each leg alone in isolated mode while spying", async () => {
    const { ours } = await answered(
      {},
      { caller: [tone(440)], callee: callee.picksUp({ afterSeconds: 0.1, script: [tone(700)] }) },
      { audioMode: "isolated" },
    );
    await ours.leg.connect(5);
    await ours.leg.setAgentMode("SPY");
    await until(() => ours.heardOn(1).length > 6400 && ours.heardOn(2).length > 6400, "both legs");
  });
});
