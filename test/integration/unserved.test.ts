import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callee, soundSpans, tone, writeWav } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../gateway/src/config/index.js";
import { startGateway } from "../../gateway/src/serve.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import {
  callTimeMs,
  endlessTone,
  framesMissing,
  msHeard,
  numberedFrames,
  toneBytes,
} from "../harness/audio.js";
import { configOf, until, writeConfig } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";

const rig = useRig();
const CALLER_HZ = 4000;
const SPECIALIST_HZ = 4500;
const AGENT_HZ = 5000;

describe("nobody is there", () => {
  it("connect, the default: the callee rings, unanswered by us, and the parties talk (fault 6)", async () => {
    const stack = await rig.stack();
    const trail = await rig.trail(stack);
    const phone = stack.simulator.placeCall({
      caller: [tone(CALLER_HZ)],
      callee: callee.picksUp({ afterSeconds: 0.5, script: [tone(SPECIALIST_HZ)] }),
    });
    await phone.waitUntil(() => phone.agentLeft);
    const leftMs = callTimeMs(phone);
    await phone.waitUntil(() => msHeard(phone, "caller", SPECIALIST_HZ, { fromMs: leftMs }) > 300);
    expect(msHeard(phone, "callee", CALLER_HZ, { fromMs: leftMs })).toBeGreaterThan(200);
    expect(phone.state).toBe("CONNECTED");
    expect((await trail.waitFor("unserved")).action).toBe("CONNECT");
    expect((await trail.waitFor("ended")).reason).toBe("LEFT_TO_PARTIES");
    expect(phone.events.some(({ type }) => type === "call.answer")).toBe(false);
    expect(phone.events.filter(({ type }) => type === "call.connect")).toHaveLength(1);
  });

  it("connect, and the callee does not pick up either: the call ends", async () => {
    const stack = await rig.stack({ config: { routes: [{ unserved: "connect", ring_time_seconds: 1 }] } });
    const trail = await rig.trail(stack);
    const phone = stack.simulator.placeCall({ callee: callee.never() });
    await phone.waitFor("DISCONNECTED");
    expect((await trail.waitFor("ended")).reason).toBe("DISCONNECTED");
  });

  it("queue: the caller hears ringing until an agent comes (fault 6)", async () => {
    const stack = await rig.stack({
      simulator: { ringback: true },
      config: { routes: [{ unserved: "queue" }] },
    });
    const trail = await rig.trail(stack);
    const phone = stack.simulator.placeCall();
    expect((await trail.waitFor("unserved")).action).toBe("QUEUE");
    await phone.waitUntil(() => callTimeMs(phone) > 1500);
    expect(phone.state).toBe("PENDING");
    expect(phone.events.some(({ type }) => type === "call.answer")).toBe(false);
    const { fleet } = rig.client(stack);
    expect((await fleet.pools()).find(({ name }) => name === "default")).toMatchObject({ waiting: 1 });
    const agent = await rig.agent(stack, {}, (call) => {
      void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
    });
    await agent.call();
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300);
    expect(phone.state).toBe("ANSWERED");
  });

  it("answer_and_hold: hold audio without a long silence, until an agent comes (fault 6)", async () => {
    const stack = await rig.stack({ config: { routes: [{ unserved: "answer_and_hold" }] } });
    const trail = await rig.trail(stack);
    const phone = stack.simulator.placeCall();
    await phone.waitFor("ANSWERED");
    const answeredMs = callTimeMs(phone);
    await phone.waitUntil(() => callTimeMs(phone) > answeredMs + 3000);
    const { caller, sampleRate } = phone.recording;
    const sounds = soundSpans(caller, sampleRate, { thresholdRms: 30, bridgeMs: 2000 });
    expect(sounds).toHaveLength(1);
    expect(sounds[0]?.startMs).toBeLessThan(answeredMs + 1000);
    expect(sounds[0]?.endMs).toBeGreaterThan(answeredMs + 2500);
    await trail.waitFor("holdChanged", (event) => event.holding);
    const agent = await rig.agent(stack, {}, (call) => {
      void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
    });
    expect(await agent.call()).toMatchObject({ id: phone.id });
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 500);
    await trail.waitFor("holdChanged", (event) => !event.holding);
  });

  it("announce: the announcement is heard to its last frame, then the call ends (fault 6)", async () => {
    const folder = await mkdtemp(join(tmpdir(), "callweave-wav-"));
    rig.defer(() => rm(folder, { recursive: true, force: true }));
    const frames = 75;
    const pcm = numberedFrames(frames);
    const announcement = join(folder, "closed.wav");
    await writeWav(announcement, {
      sampleRate: 16_000,
      samples: new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2),
    });
    const stack = await rig.stack({ config: { routes: [{ unserved: "announce", announcement }] } });
    const phone = stack.simulator.placeCall();
    await phone.waitFor("ANSWERED");
    const tooLate = await rig.agent(stack);
    await phone.waitFor("DISCONNECTED");
    expect(phone.endReason).toBe("agent_disconnected");
    expect(tooLate.given).toEqual([]);
    expect(framesMissing(phone, "caller", frames)).toEqual([]);
  });

  it("leave: nothing is claimed, and taken as soon as an agent is there for a later call (fault 6)", async () => {
    const stack = await rig.stack({ config: { routes: [{ unserved: "leave" }] } });
    const phone = stack.simulator.placeCall();
    await phone.waitUntil(() => callTimeMs(phone) > 1000);
    expect(phone.state).toBe("PENDING");
    expect(phone.events.some(({ type }) => type === "session.open")).toBe(false);
    const agent = await rig.agent(stack);
    const later = stack.simulator.placeCall();
    await agent.call();
    await later.waitFor("ANSWERED");
    phone.hangUp();
  });
});

describe("whose calls", () => {
  it("only_callers: no other call is touched", async () => {
    const stack = await rig.stack({ config: { connector: { only_callers: ["+15550142"] } } });
    const agent = await rig.agent(stack);
    const other = stack.simulator.placeCall({ from: "+15550143" });
    const ours = stack.simulator.placeCall({ from: "+15550142" });
    await ours.waitFor("ANSWERED");
    await other.waitUntil(() => callTimeMs(other) > 1000);
    expect(other.state).toBe("PENDING");
    expect(other.events.some(({ type }) => type === "session.open")).toBe(false);
    expect(agent.given.map(({ id }) => id)).toEqual([ours.id]);
    other.hangUp();
  });

  it("two gateways on one connector: each call has one owner, and one agent (fault 25)", async () => {
    const stack = await rig.stack();
    const folder = await mkdtemp(join(tmpdir(), "callweave-test-"));
    rig.defer(() => rm(folder, { recursive: true, force: true }));
    const options = { config: { gateway: { id: "gateway-two" } } };
    const file = await writeConfig(folder, configOf(options, stack.simulator, folder));
    const config = loadConfig({ file, env: {}, cwd: folder });
    const two = await startGateway(config, silentLogger, { claimJitterMs: 0 });
    rig.defer(() => two.stop());
    await stack.simulator.waitForConnections({ count: 2 });
    const one = await rig.agent(stack, { agentId: "at-one" });
    const other = await rig.agent(`127.0.0.1:${two.port}`, { agentId: "at-two" });

    const phones = Array.from({ length: 6 }, (_, i) =>
      stack.simulator.placeCall({ from: `+155501${40 + i}` }),
    );
    await Promise.all(phones.map((phone) => phone.waitFor("ANSWERED")));
    await until(() => one.given.length + other.given.length === 6, "each call to have an agent");
    const calls = [...one.given, ...other.given];
    await Promise.all(calls.map((call) => call.play(toneBytes(AGENT_HZ, 500))));
    await Promise.all(
      phones.map((phone) => phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) >= 460)),
    );
    expect(new Set(calls.map(({ id }) => id)).size).toBe(6);
    for (const phone of phones) {
      expect(phone.events.filter(({ type }) => type === "call.answer")).toHaveLength(1);
      expect(phone.stats.mediaConnections).toBe(1);
      expect(msHeard(phone, "caller", AGENT_HZ)).toBeLessThanOrEqual(540);
    }
    expect(stack.gateway.gateway.callCount + two.gateway.callCount).toBe(6);
  });
});
