import {
  type CallRecording,
  callee,
  DEFAULT_CONNECTOR,
  decodeFrameTone,
  frameTone,
  MALFORMED_MEDIA,
  type MalformedMedia,
  type RecordingTrack,
  Simulator,
  tone,
  toneAmplitude,
  toneSpans,
} from "@callweave/simulator";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { makeCertificates } from "./certificates.js";
import { SdkAgent } from "./sdk-agent.js";
import { SDK_REQUIREMENT, sdkPython } from "./venv.js";

const found = await sdkPython();
if ("skip" in found) console.warn(`sdk-proof skipped: ${found.skip}`);
const python = "python" in found ? found.python : "";

const CALLER_HZ = 440;
const CALLEE_HZ = 700;
const AGENT_HZ = 1200;
const HEARD = 3000;

/** Whether `track` has the tone throughout the last `ms` of the recording. */
function hears(recording: CallRecording, track: RecordingTrack, hz: number, ms = 200): boolean {
  const samples = recording.track(track);
  const toMs = recording.durationMs - 40;
  return toneAmplitude(samples, recording.sampleRate, hz, { fromMs: toMs - ms, toMs }) > HEARD;
}

/** Who hears whom just now: `caller<agent` means the caller hears the agent. */
function audible(recording: CallRecording): string[] {
  const lines: string[] = [];
  for (const track of ["caller", "callee", "agent"] as const)
    for (const [who, hz] of [
      ["caller", CALLER_HZ],
      ["callee", CALLEE_HZ],
      ["agent", AGENT_HZ],
    ] as const)
      if (hears(recording, track, hz)) lines.push(`${track}<${who}`);
  return lines;
}

describe.skipIf("skip" in found)(`the vendor's SDK (${SDK_REQUIREMENT}) against the simulator`, () => {
  const agents: SdkAgent[] = [];
  let shared: Simulator;
  let agent: SdkAgent;

  function start(simulator: Simulator, options: Partial<ConstructorParameters<typeof SdkAgent>[0]> = {}) {
    const started = new SdkAgent({
      python,
      url: simulator.url,
      apiKey: DEFAULT_CONNECTOR.apiKey,
      connectorUuid: DEFAULT_CONNECTOR.uuid,
      ...options,
    });
    agents.push(started);
    return started;
  }

  beforeAll(async () => {
    shared = await Simulator.start();
    agent = start(shared);
    await agent.waitFor("connected");
  });

  afterEach(() => {
    for (const call of shared?.calls ?? []) call.forceClose();
  });

  afterAll(async () => {
    for (const started of agents) await started.stop();
    await shared?.stop();
  });

  it("answers, echoes every byte, and learns that the caller hung up", async () => {
    const call = shared.placeCall({ from: "+15550123", caller: [frameTone(2)] });
    const sdk = await agent.take(call);
    expect(await agent.waitFor("call", { session: call.session.id })).toMatchObject({
      caller: "+15550123",
      callee: DEFAULT_CONNECTOR.localAddress,
    });
    expect(await sdk("answer")).toMatchObject({ success: true });
    await sdk("echo");
    await call.waitUntil(() => call.recording.durationMs > 3500);
    call.hangUp();
    await agent.waitFor("terminated", { session: call.session.id });
    expect(await agent.waitFor("session_closed", { session: call.session.id })).toMatchObject({
      reason: "CALL_TERMINATED",
    });
    const frames = decodeFrameTone(call.recording.caller, 16000).filter(({ exact }) => exact);
    // The first frames may pass before the echo is switched on.
    expect(frames.length).toBeGreaterThan(80);
    for (let i = 1; i < frames.length; i++) expect(frames[i]!.number).toBe(frames[i - 1]!.number + 1);
    expect(frames[frames.length - 1]!.number).toBe(99);
    expect(call.stats.overDeliveredBytes).toBe(0);
    expect(call.stats.badFrames).toBe(0);
  });

  it("connects; whisper, barge and spy decide who hears the agent; close leaves the parties talking", async () => {
    const call = shared.placeCall({
      caller: [tone(CALLER_HZ)],
      callee: callee.picksUp({ afterSeconds: 0.5, script: [tone(CALLEE_HZ)] }),
    });
    const sdk = await agent.take(call);
    await sdk("answer");
    await sdk("tone", { hz: AGENT_HZ, seconds: 30 });
    await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
    expect(audible(call.recording)).toEqual(["caller<agent", "agent<caller"]);

    const result = await sdk("connect", { ring: 10 });
    expect(result).toMatchObject({ success: true, error_code: null });
    expect(call.state).toBe("CONNECTED");
    const parties = ["caller<callee", "callee<caller", "agent<caller", "agent<callee"];
    const settled = async (extra: string[]) => {
      const expected = [...parties, ...extra].sort();
      await call.waitUntil(() => audible(call.recording).sort().join() === expected.join(), {
        what: expected.join(),
      });
    };
    await settled(["caller<agent", "callee<agent"]);
    expect(await sdk("whisper")).toMatchObject({ success: true });
    await settled(["callee<agent"]);
    expect(await sdk("spy")).toMatchObject({ success: true });
    await settled([]);
    expect(await sdk("barge")).toMatchObject({ success: true });
    await settled(["caller<agent", "callee<agent"]);

    expect(await sdk("close")).toMatchObject({ success: true, state: "TERMINATED" });
    expect(await agent.waitFor("session_closed", { session: call.session.id })).toMatchObject({
      reason: "SDK_REQUEST",
    });
    expect(call.agentLeft).toBe(true);
    expect(call.state).toBe("CONNECTED");
    await call.waitUntil(() => audible(call.recording).sort().join() === "callee<caller,caller<callee", {
      what: "the parties alone",
    });
    call.hangUp("callee");
    expect(call.state).toBe("DISCONNECTED");
    expect(call.endReason).toBe("callee_hung_up");
  });

  it("learns CALL_UNANSWERED, keeps the caller, and reaches the callee at the second try", async () => {
    const call = shared.placeCall({
      callee: [callee.never(), callee.picksUp({ afterSeconds: 0.2 })],
    });
    const sdk = await agent.take(call);
    await sdk("answer");
    expect(await sdk("connect", { ring: 1 })).toMatchObject({
      success: false,
      error_code: "CALL_UNANSWERED",
      state: "LIVE",
    });
    expect(call.state).toBe("ANSWERED");
    await sdk("tone", { hz: AGENT_HZ, seconds: 1 });
    await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
    expect(await sdk("connect", { ring: 5 })).toMatchObject({ success: true });
    expect(call.state).toBe("CONNECTED");
  });

  it("connects without answering first", async () => {
    const call = shared.placeCall({ callee: callee.picksUp({ afterSeconds: 0.2 }) });
    const sdk = await agent.take(call);
    expect(await sdk("connect", { ring: 5 })).toMatchObject({ success: true });
    expect(call.events.some(({ type }) => type === "state.ANSWERED")).toBe(false);
    expect(call.state).toBe("CONNECTED");
  });

  it("clears its buffer and the provider's: the caller hears nothing more within a moment", async () => {
    const call = shared.placeCall();
    const sdk = await agent.take(call);
    await sdk("answer");
    await sdk("tone", { hz: AGENT_HZ, seconds: 20 });
    await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
    const cleared = await sdk("clear");
    expect(cleared.cleared).toBeGreaterThan(16000 * 2 * 10);
    const interrupted = await call.waitForEvent("interrupted");
    // About one second of audio was at the provider, unheard.
    expect(call.stats.interruptedBytes).toBeGreaterThan(16000);
    await call.waitUntil(() => call.recording.durationMs > interrupted.callMs + 400);
    const [span] = toneSpans(call.recording.caller, 16000, AGENT_HZ, { bridgeMs: 100 });
    expect(span!.endMs - interrupted.callMs).toBeLessThan(100);
    await sdk("tone", { hz: AGENT_HZ, seconds: 1 });
    await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
  });

  it.each(["close", "disconnect"])("ends an answered call by %s", async (verb) => {
    const call = shared.placeCall();
    const sdk = await agent.take(call);
    await sdk("answer");
    expect(await sdk(verb)).toMatchObject({ success: true, state: "TERMINATED" });
    await call.waitFor("DISCONNECTED");
    await agent.waitFor("terminated", { session: call.session.id });
    await agent.waitFor("session_closed", { session: call.session.id });
  });

  it("ends a connected call for everyone by disconnect", async () => {
    const call = shared.placeCall({ callee: callee.picksUp({ afterSeconds: 0.1 }) });
    const sdk = await agent.take(call);
    await sdk("answer");
    await sdk("connect", { ring: 5 });
    expect(await sdk("disconnect")).toMatchObject({ success: true });
    await call.waitFor("DISCONNECTED");
    expect(call.callee.state).toBe("left");
  });

  it("closes a session and sees the server's confirmation", async () => {
    const call = shared.placeCall();
    const sdk = await agent.take(call);
    await sdk("answer");
    expect(await sdk("close_session")).not.toHaveProperty("raised");
    expect(await agent.waitFor("session_closed", { session: call.session.id })).toMatchObject({
      reason: "SDK_REQUEST",
    });
  });

  it("lists the open sessions", async () => {
    const call = shared.placeCall({ from: "+15550144" });
    const sdk = await agent.take(call);
    await sdk("answer");
    const { sessions } = await agent.do("list");
    expect(sessions).toContainEqual(
      expect.objectContaining({ id: call.session.id, state: "OPEN", remote_address: "+15550144" }),
    );
  });

  it("gets an error event, and errors of commands in the wrong state", async () => {
    const call = shared.placeCall();
    const sdk = await agent.take(call);
    await sdk("answer");
    call.sendError("TTS_SESSION_ERROR");
    expect(await agent.waitFor("call_error", { session: call.session.id })).toMatchObject({
      code: "TTS_SESSION_ERROR",
    });
    expect(await sdk("whisper")).toMatchObject({ success: false, error_code: "INVALID_STATE" });
  });

  it("places an outbound call", async () => {
    const { session } = await agent.do("create", { to: "+15550155" });
    const call = shared.calls.find((made) => made.session.id === session);
    expect(call).toBeDefined();
    const sdk = await agent.take(call!);
    expect(await sdk("answer")).toMatchObject({ success: true });
    expect(call!.remote.state).toBe("inCall");
  });

  it("gets a WhatsApp message", async () => {
    const session = shared.receiveMessage("+15550166", { text: "hello" });
    expect(await agent.waitFor("message", { session })).toMatchObject({
      sender: "+15550166",
      content: { text: "hello" },
    });
  });

  it("survives a dropped control connection: the media goes on and the call is notified again", async () => {
    const simulator = await Simulator.start();
    try {
      const sdkAgent = start(simulator);
      await sdkAgent.waitFor("connected");
      const call = simulator.placeCall({ caller: [tone(CALLER_HZ)] });
      const session = call.session.id;
      const sdk = await sdkAgent.take(call);
      await sdk("answer");
      await sdk("tone", { hz: AGENT_HZ, seconds: 20 });
      await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
      const droppedMs = call.recording.durationMs;
      simulator.faults.dropControl({ abrupt: true });
      await sdkAgent.waitFor("session_closed", { session, reason: "FORCE_CLOSE" });
      await sdkAgent.waitFor("notified", { session, activity: "RESUME" });
      await simulator.waitUntil(() => call.session.boundTo !== undefined && call.session.ready);
      await call.waitUntil(() => call.recording.durationMs > droppedMs + 1500);
      expect(call.mediaConnected).toBe(true);
      expect(call.stats.mediaConnections).toBe(1);
      expect(call.state).toBe("ANSWERED");
      const [span] = toneSpans(call.recording.caller, 16000, AGENT_HZ);
      expect(span!.endMs).toBeGreaterThan(droppedMs + 1400);
    } finally {
      await simulator.stop();
    }
  });

  it("hears single legs on channels of their own while spying in isolated mode", async () => {
    const simulator = await Simulator.start();
    try {
      const sdkAgent = start(simulator, { audioMode: "isolated", sampleRate: 8000 });
      await sdkAgent.waitFor("connected");
      const call = simulator.placeCall({
        caller: [tone(CALLER_HZ)],
        callee: callee.picksUp({ afterSeconds: 0.1, script: [tone(CALLEE_HZ)] }),
      });
      const sdk = await sdkAgent.take(call);
      await sdk("connect", { ring: 5 });
      expect(call.sampleRate).toBe(8000);
      await sdk("spy");
      const spyingMs = call.recording.durationMs;
      await call.waitUntil(() => call.recording.durationMs > spyingMs + 700);
      const { heard } = (await sdk("heard")) as unknown as { heard: Record<string, string> };
      const tones = (channel: number) => {
        const bytes = Buffer.from(heard[channel] ?? "", "base64");
        const samples = Int16Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(i * 2));
        return [CALLER_HZ, CALLEE_HZ].map((hz) => toneAmplitude(samples, 8000, hz) > HEARD);
      };
      expect(tones(0)).toEqual([true, true]);
      expect(tones(1)).toEqual([true, false]);
      expect(tones(2)).toEqual([false, true]);
    } finally {
      await simulator.stop();
    }
  });

  it("wins or loses the race for a call: one holds it, the other is told who", async () => {
    const simulator = await Simulator.start();
    try {
      const racers = [start(simulator), start(simulator)];
      for (const racer of racers) await racer.waitFor("connected");
      await simulator.waitForConnections({ count: 2 });
      for (let round = 0; round < 5; round++) {
        const call = simulator.placeCall();
        const session = call.session.id;
        await simulator.waitUntil(() => call.session.ready);
        const winner = racers.find(({ reports }) =>
          reports.some((report) => report.event === "claimed" && report.session === session),
        );
        const loser = racers.find((racer) => racer !== winner);
        const busy = await loser!.waitFor("busy", { session });
        expect(busy.bound_to).toBe(call.session.boundTo);
        expect((await winner!.waitFor("connected")).id).toBe(call.session.boundTo);
        expect(loser!.reports.some((r) => r.event === "claimed" && r.session === session)).toBe(false);
        call.hangUp();
      }
    } finally {
      await simulator.stop();
    }
  });

  it("is refused with a wrong key, with the reason as text", async () => {
    const stranger = start(shared, { apiKey: "wrong" });
    expect(await stranger.waitFor("login_failed")).toMatchObject({
      error: "WSSConnectionError",
      text: "Invalid API key or connector",
    });
    expect(shared.stats.controlRefused).toBe(1);
  });

  it("sets its call flow: with NO a call reaches the callee without the agent", async () => {
    const simulator = await Simulator.start();
    try {
      const sdkAgent = start(simulator);
      await sdkAgent.waitFor("connected");
      expect(await sdkAgent.do("call_flow", { inbound: "NO" })).not.toHaveProperty("raised");
      const call = simulator.placeCall({
        caller: [tone(CALLER_HZ)],
        callee: callee.picksUp({ afterSeconds: 0.1, script: [tone(CALLEE_HZ)] }),
      });
      await call.waitFor("CONNECTED");
      await call.waitUntil(() => hears(call.recording, "caller", CALLEE_HZ));
      expect(sdkAgent.reports.some(({ event }) => event === "notified")).toBe(false);
    } finally {
      await simulator.stop();
    }
  });

  it.each([
    { playoutBufferMs: 100, sampleRate: 8000 as const, grantMinMs: 20 },
    { playoutBufferMs: 3000, sampleRate: 24000 as const, grantEveryMs: 700, grantBelowMs: 1500 },
  ])(
    "fills a play-out buffer of $playoutBufferMs ms at $sampleRate Hz without a gap and without excess",
    async (options) => {
      const { sampleRate } = options;
      const simulator = await Simulator.start(options);
      try {
        const sdkAgent = start(simulator, { sampleRate });
        await sdkAgent.waitFor("connected");
        const call = simulator.placeCall();
        const sdk = await sdkAgent.take(call);
        await sdk("answer");
        await sdk("tone", { hz: AGENT_HZ, seconds: 5 });
        await call.waitUntil(() => toneSpans(call.recording.caller, sampleRate, AGENT_HZ).length > 0);
        const { startMs } = toneSpans(call.recording.caller, sampleRate, AGENT_HZ)[0]!;
        await call.waitUntil(() => call.recording.durationMs > startMs + 5500);
        const spans = toneSpans(call.recording.caller, sampleRate, AGENT_HZ, { bridgeMs: 40 });
        expect(spans.length).toBe(1);
        // A tail shorter than the preferred frame stays with the SDK.
        expect(spans[0]!.endMs - spans[0]!.startMs).toBeGreaterThan(4900);
        expect(call.stats).toMatchObject({ overDeliveredBytes: 0, droppedBytes: 0 });
        expect(call.stats.deliveredBytes).toBeGreaterThan(sampleRate * 2 * 4.9);
      } finally {
        await simulator.stop();
      }
    },
  );

  it("is told when the caller hangs up while the callee's phone rings", async () => {
    const call = shared.placeCall({ callee: callee.never() });
    const sdk = await agent.take(call);
    await sdk("answer");
    const connecting = sdk("connect", { ring: 30 });
    await call.waitUntil(() => call.ringing);
    call.hangUp();
    expect(await connecting).toMatchObject({ success: false, error_code: "CALL_TERMINATED" });
    await agent.waitFor("terminated", { session: call.session.id });
  });

  it("is not put out by frames that should not be", async () => {
    const call = shared.placeCall();
    const sdk = await agent.take(call);
    await sdk("answer");
    const kinds = Object.keys(MALFORMED_MEDIA) as MalformedMedia[];
    // Deep nesting and frames over 1 MiB end the SDK's connection; a huge request makes it send without end.
    const notForTheSdk: MalformedMedia[] = ["deep", "binary_oversize", "text_oversize", "huge_request"];
    for (const kind of kinds) if (!notForTheSdk.includes(kind)) call.faults.sendMalformed(kind);
    for (const kind of ["not_json", "not_object", "no_type", "unknown_type", "unknown_session"] as const)
      shared.faults.sendMalformedControl(kind);
    expect(await sdk("state")).toMatchObject({ state: "LIVE" });
    await sdk("tone", { hz: AGENT_HZ, seconds: 1 });
    await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
  });

  it("takes over the call of a killed process when the provider notifies it again (assumption A1)", async () => {
    const simulator = await Simulator.start({ orphan: "renotify" });
    try {
      const first = start(simulator);
      await first.waitFor("connected");
      const call = simulator.placeCall({ caller: [tone(CALLER_HZ)] });
      const session = call.session.id;
      await (await first.take(call))("answer");
      const second = start(simulator);
      await second.waitFor("connected");
      await first.stop();
      await second.waitFor("notified", { session, activity: "RESUME" });
      const sdk = await second.take(call);
      await sdk("tone", { hz: AGENT_HZ, seconds: 2 });
      await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
      expect(await sdk("disconnect")).toMatchObject({ success: true });
    } finally {
      await simulator.stop();
    }
  });

  it("logs in by client certificate, and talks over TLS", async () => {
    const certificates = await makeCertificates("sdk-proof");
    const simulator = await Simulator.start({
      tls: { key: certificates.serverKey, cert: certificates.serverCert, clientCa: certificates.caCert },
      connectors: [{ uuid: DEFAULT_CONNECTOR.uuid, certificateName: "sdk-proof" }],
    });
    try {
      const sdkAgent = start(simulator, {
        env: {
          SDK_CERT: certificates.clientCert,
          SDK_KEY: certificates.clientKey,
          SSL_CERT_FILE: certificates.ca,
        },
      });
      await sdkAgent.waitFor("connected");
      const call = simulator.placeCall();
      const sdk = await sdkAgent.take(call);
      expect(await sdk("answer")).toMatchObject({ success: true });
      await sdk("tone", { hz: AGENT_HZ, seconds: 1 });
      await call.waitUntil(() => hears(call.recording, "caller", AGENT_HZ));
    } finally {
      await simulator.stop();
      await certificates.remove();
    }
  });
});
