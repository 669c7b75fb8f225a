import { describe, expect, it } from "vitest";
import { callee, hangUp, tone, wait } from "../../simulator/src/index.js";
import { answered, gateway, noiseBytes, simulator, stopAfterEach, until } from "./telcoflow-harness.js";

stopAfterEach();

describe("Telcoflow / control connection lost", () => {
  it("keeps the media, claims the call again and never hands it over twice", async () => {
    const { sim, gw, simCall, ours } = await answered({}, { caller: [tone(440)] });
    sim.faults.dropControl({ abrupt: true });
    await until(() => gw.counters.reconnects === 1, "the reconnect");
    await until(() => gw.counters.reclaims === 1, "the claim");
    await simCall.waitUntil(() => simCall.session.boundTo === sim.connections[0]?.id);
    await simCall.waitUntil(() => simCall.events.filter(({ type }) => type === "call.in").length === 2);
    const before = ours.heardOn(0).length;
    await until(() => ours.heardOn(0).length > before + 6400, "audio as before");
    expect(gw.readiness).toEqual([true, false, true]);
    expect(gw.calls).toHaveLength(1);
    expect(simCall.stats.mediaConnections).toBe(1);
    expect(ours.told).toEqual([]);
    simCall.hangUp();
    await until(() => ours.has("terminated"), "the end");
  });

  it("uses the new address when the media is lost after that", async () => {
    const { sim, gw, simCall, ours } = await answered({ tokenLifetimeSeconds: 3600 });
    sim.faults.dropControl();
    await simCall.waitUntil(() => simCall.events.filter(({ type }) => type === "call.in").length === 2);
    simCall.faults.dropMedia({ abrupt: true });
    await until(() => ours.has("media restored"), "the media");
    expect(gw.counters.mediaReopened).toBe(1);
    await ours.leg.interrupt();
  });

  it("keeps the media while the provider calls the session busy, and claims later", async () => {
    const { sim, gw, simCall, ours } = await answered({ orphan: { policy: "busy_for", seconds: 1.5 } });
    sim.faults.dropControl({ abrupt: true });
    await until(() => gw.counters.reconnects === 1, "the reconnect");
    await until(() => gw.counters.reclaims === 1, "the late claim");
    expect(gw.calls).toHaveLength(1);
    expect(ours.told).toEqual([]);
    expect(simCall.state).toBe("ANSWERED");
  });

  it("gives a pending call its new address before the first command", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    const placed = sim.placeCall();
    const ours = await gw.call();
    sim.faults.dropControl();
    await until(() => gw.counters.reclaims === 1, "the claim");
    await ours.leg.answer();
    expect(placed.state).toBe("ANSWERED");
    expect(gw.calls).toHaveLength(1);
  });

  it("tells the end of a call that was missed, and does not end one whose media is up (fault 7)", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    const [first, second] = [sim.placeCall(), sim.placeCall({ caller: [tone(300)] })];
    await gw.call(1);
    const pending = gw.calls.find(({ call }) => call.callId === first.id)!;
    const talking = gw.calls.find(({ call }) => call.callId === second.id)!;
    await talking.leg.answer();
    sim.faults.refuseControl({});
    sim.faults.dropControl();
    await until(() => gw.readiness.at(-1) === false, "the loss");
    first.hangUp();
    sim.faults.acceptControl();
    await until(() => pending.told.length > 0, "the missed end");
    expect(pending.told).toEqual(["session closed: OTHER"]);
    await until(() => gw.counters.reclaims >= 1, "the claim of the other");
    expect(talking.told).toEqual([]);
  });

  it("finds calls that nobody notifies, and asks the policy", async () => {
    const sim = await simulator({ orphan: "list_only" });
    const first = await gateway(sim);
    const placed = sim.placeCall();
    await first.call();
    await first.connector.stop();
    const second = await gateway(sim);
    const ours = await second.call();
    expect(ours.call.callId).toBe(placed.id);
    await ours.leg.answer();
    expect(placed.state).toBe("ANSWERED");
  });

  it("does not claim a call again that it has left to the parties", async () => {
    const { sim, gw, simCall, ours } = await answered({}, { callee: callee.picksUp({ afterSeconds: 0.1 }) });
    await ours.leg.connect(5);
    await ours.leg.close();
    sim.faults.dropControl();
    await until(() => gw.counters.reconnects === 1, "the reconnect");
    const next = sim.placeCall();
    const later = await gw.call(1);
    expect(later.call.callId).toBe(next.id);
    expect(simCall.state).toBe("CONNECTED");
    expect(gw.calls).toHaveLength(2);
  });

  it("tells of claims that were cut off", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    sim.faults.onControlResponse({ type: "session.open", swallow: true });
    sim.placeCall();
    await until(() => gw.counters.claims === 1, "the claim");
    sim.faults.dropControl();
    await until(() => gw.lost.length === 1, "the loss");
    expect(gw.lost[0]?.reason).toBe("CONTROL_LOST");
    // It is notified again after the sign-in.
    await gw.call();
  });

  it("is refused with 429 for a while and comes back (fault 52)", async () => {
    const sim = await simulator();
    const gw = await gateway(sim);
    sim.faults.rateLimit({ count: 2 });
    sim.faults.dropControl();
    await until(() => gw.counters.reconnects === 1, "the reconnect");
    expect(gw.counters.connectFailures).toBeGreaterThanOrEqual(1);
  });
});

describe("Telcoflow / media connection lost", () => {
  it("opens it once more and goes on", async () => {
    const { simCall, ours, gw } = await answered({}, { caller: [tone(440)] });
    ours.play(noiseBytes(3200));
    simCall.faults.dropMedia({ abrupt: true });
    await until(() => ours.has("media restored"), "the media");
    expect(ours.told).toEqual(["media restored"]);
    const lines = gw.log.filter((line) => line.includes("media connection"));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toContain(`"callId":"${simCall.id}"`);
    const before = ours.heardOn(0).length;
    await until(() => ours.heardOn(0).length > before + 6400, "audio again");
    const delivered = simCall.stats.deliveredBytes;
    ours.play(noiseBytes(32_000));
    await simCall.waitUntil(() => simCall.stats.deliveredBytes >= delivered + 32_000);
    expect(simCall.stats.overDeliveredBytes).toBe(0);
    expect(gw.counters.mediaReopened).toBe(1);
  });

  it("tells of the loss when it cannot be opened again", async () => {
    const { simCall, ours } = await answered({}, {}, { mediaReopenDelayMs: 1500 });
    simCall.faults.dropMedia({ code: 1011 });
    await simCall.waitUntil(() => !simCall.mediaConnected);
    // Before it is opened again the call is gone, and nobody says so.
    simCall.session.boundTo = undefined;
    simCall.forceClose();
    await until(() => ours.has("media lost"), "the loss");
    expect(await ours.leg.isAlive()).toBe(false);
    await expect(ours.leg.interrupt()).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("gives up at once when the provider replaced it by another", async () => {
    const { simCall, ours } = await answered();
    simCall.faults.dropMedia({ code: 4000 });
    await until(() => ours.has("media lost: 4000"), "the loss");
    expect(simCall.stats.mediaConnections).toBe(1);
  });

  it("gives up when it drops too often", async () => {
    const { simCall, ours, gw } = await answered({}, {}, { mediaReopensPerMinute: 2, mediaReopenDelayMs: 0 });
    for (let i = 1; i <= 2; i++) {
      simCall.faults.dropMedia();
      await until(() => gw.counters.mediaReopened === i, `return ${i}`);
    }
    simCall.faults.dropMedia();
    await until(() => ours.has("media lost"), "the loss");
    expect(gw.counters.mediaReopened).toBe(2);
  });

  it("leaves a running connect unknown and lets the caller be ended", async () => {
    const { simCall, ours } = await answered({}, { callee: callee.never() });
    const outcome = ours.leg.connect(30);
    await simCall.waitUntil(() => simCall.ringing);
    simCall.faults.dropMedia({ abrupt: true });
    expect(await outcome).toBe("unknown");
    await until(() => ours.has("media restored"), "the media");
    await ours.leg.disconnect();
    expect(simCall.state).toBe("DISCONNECTED");
  });

  it("ends with the caller who hangs up by script", async () => {
    const { ours, gw } = await answered({}, { caller: [wait(0.2), hangUp()] });
    await until(() => ours.has("terminated"), "the end");
    expect(gw.connector.liveCalls).toBe(0);
  });
});

describe("Telcoflow / other processes", () => {
  it("takes over a call on demand when the provider tells nobody", async () => {
    const sim = await simulator({ orphan: "list_only" });
    const [owner, heir] = [await gateway(sim), await gateway(sim)];
    heir.policy = { claim: false, delayMs: 0 };
    const placed = sim.placeCall();
    await owner.call();
    await owner.connector.stop();
    heir.policy = { claim: true, delayMs: 0 };
    heir.connector.lookForCalls();
    const ours = await heir.call();
    expect(ours.call.callId).toBe(placed.id);
    await ours.leg.answer();
    expect(placed.state).toBe("ANSWERED");
  });

  it("claims again when only the answer to the claim was lost", async () => {
    const sim = await simulator();
    const gw = await gateway(sim, { requestTimeoutMs: 150 });
    sim.faults.onControlResponse({ type: "session.open", swallow: true });
    const placed = sim.placeCall();
    const ours = await gw.call();
    expect(ours.call.callId).toBe(placed.id);
    expect(gw.lost).toEqual([]);
  });
});
