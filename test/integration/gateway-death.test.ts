import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OrphanPolicy, Simulator } from "@callweave/simulator";
import type { CallEvent } from "callweave";
import { beforeAll, describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, msHeard } from "../harness/audio.js";
import { type ClusterSetup, TestCluster } from "../harness/cluster.js";
import { configOf, until, writeConfig } from "../harness/gateway.js";
import { natsAvailable } from "../harness/nats.js";
import { startProgram } from "../harness/process.js";
import { rejection, useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;

let available = false;
beforeAll(async () => {
  available = await natsAvailable();
}, 240_000);

async function cluster(setup: ClusterSetup = {}): Promise<TestCluster> {
  const made = await TestCluster.start(setup);
  rig.defer(() => made.stop());
  return made;
}

/** An agent that speaks a tone all the time, in a call that is up, and the gateway that has the call. */
async function talking(at: TestCluster) {
  const endpoints = at.gateways.map(({ address }) => address);
  const agent = await rig.agent(endpoints[0] as string, { endpoints }, (call) => {
    void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
  });
  const phone = at.simulator.placeCall();
  await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300, { timeoutMs: 30_000 });
  const call = await agent.call();
  const client = rig.client(endpoints[0] as string);
  const { gatewayId } = await client.calls.get(call.id);
  return { agent, phone, call, owner: at.get(gatewayId) };
}

function sequencesOf(events: readonly CallEvent[], callId: string): number[] {
  return events.filter((event) => event.callId === callId && event.durable).map(({ sequence }) => sequence);
}

describe("a gateway dies (assumption A1: each answer that the provider may give)", () => {
  const policies: OrphanPolicy[] = ["renotify", "list_only", { policy: "busy_for", seconds: 3 }];
  for (const orphan of policies) {
    const name = typeof orphan === "string" ? orphan : `${orphan.policy} ${orphan.seconds} s`;
    it(`${name}: another takes the call over and the same agent goes on talking (fault 24)`, async (test) => {
      if (!available) return test.skip();
      const at = await cluster({ simulator: { orphan } });
      const { phone, call, owner, agent } = await talking(at);
      const [survivor] = at.others(owner.id);
      const trail = await rig.trail(survivor?.address as string);
      await owner.kill();
      const deadMs = callTimeMs(phone);
      await trail.waitFor("takenOver", ({ callId }) => callId === call.id, 30_000);
      await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: deadMs + 500 }) > 500, {
        timeoutMs: 30_000,
      });
      expect(agent.given).toHaveLength(1);
      const client = rig.client(survivor?.address as string);
      expect(await client.calls.get(call.id)).toMatchObject({
        state: "ANSWERED",
        gatewayId: survivor?.id,
        seat: { state: "HELD", agentId: "agent" },
      });
      const all = sequencesOf(trail.events, call.id);
      expect(all).toEqual(all.map((_, index) => (all[0] ?? 0) + index));
      await call.disconnect();
      await phone.waitFor("DISCONNECTED");
    }, 120_000);
  }

  it("a command that it had begun is OUTCOME_UNKNOWN, and is not carried out again (fault 24)", async (test) => {
    if (!available) return test.skip();
    const at = await cluster();
    const { phone, call, owner } = await talking(at);
    const [survivor] = at.others(owner.id);
    const { calls } = rig.client(survivor?.address as string);
    const trail = await rig.trail(survivor?.address as string);
    const ring = { requestId: "ring", ringTimeSeconds: 60 };
    await calls.connect(call.id, ring);
    await phone.waitUntil(() => phone.ringing);
    await owner.kill();
    const done = await trail.waitFor("commandDone", ({ requestId }) => requestId === "ring", 30_000);
    expect(done.error?.reason).toBe("OUTCOME_UNKNOWN");
    // Asked for again under its id it is the same answer; the callee's phone does not ring a second time.
    expect(await rejection(calls.connect(call.id, { ...ring, waitMs: 2_000 }))).toMatchObject({
      reason: "OUTCOME_UNKNOWN",
    });
    const rung = phone.events.filter(({ type, direction }) => type === "call.connect" && direction === "in");
    expect(rung).toHaveLength(1);
    phone.hangUp();
    await trail.waitFor("ended", ({ callId }) => callId === call.id, 30_000);
  }, 120_000);

  it("what it told while NATS was away is reported as lost by the next owner, never renumbered", async (test) => {
    if (!available) return test.skip();
    const at = await cluster();
    const { phone, call, owner } = await talking(at);
    const [survivor] = at.others(owner.id);
    const before = await rig.trail(owner.address);
    const { cursor } = await rig.client(owner.address).calls.list();
    await at.nats.kill();
    await rig.client(owner.address).calls.sendNote(call.id, "Nobody else hears of this.");
    const told = await before.waitFor("noteSent", ({ callId }) => callId === call.id);
    expect(told).toMatchObject({ durable: false, ownerEpoch: 1, cursor: "" });
    await owner.kill();
    const deadMs = callTimeMs(phone);
    await at.nats.restart();
    const after = await rig.trail(survivor?.address as string, cursor);
    const lost = await after.waitFor("eventsLost", ({ callId }) => callId === call.id, 30_000);
    expect(lost).toMatchObject({ fromEpoch: 1, ownerEpoch: 2, durable: true });
    expect(after.all("noteSent", call.id)).toEqual([]);
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: deadMs + 1_500 }) > 300, {
      timeoutMs: 30_000,
    });
    await call.disconnect();
    await after.waitFor("ended", ({ callId }) => callId === call.id);
    // The numbers go on behind the last one that was stored; the void one is known by its lower owner epoch.
    const numbers = sequencesOf(after.events, call.id);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    const again = after.events.filter(({ sequence }) => sequence >= told.sequence);
    expect(again.every(({ ownerEpoch }) => ownerEpoch === 2)).toBe(true);
  }, 120_000);

  it("end_call: the call is over, and its end is recorded by another gateway (fault 24)", async (test) => {
    if (!available) return test.skip();
    const at = await cluster({
      simulator: { orphan: "end_call" },
      config: { cluster: { takeover_give_up_ms: 1_000 } },
    });
    const { phone, call, owner } = await talking(at);
    const [survivor] = at.others(owner.id);
    const trail = await rig.trail(survivor?.address as string);
    await owner.kill();
    await phone.waitFor("DISCONNECTED");
    const ended = await trail.waitFor("ended", ({ callId }) => callId === call.id, 30_000);
    expect(ended.reason).toBe("MEDIA_LOST");
    const client = rig.client(survivor?.address as string);
    await until(async () => (await client.calls.list()).calls.length === 0, "no call to be left");
  }, 120_000);

  it("alone, with its embedded store, and started again: it goes on with the call and the same agent (fault 24)", async () => {
    const simulator = await Simulator.start({ orphan: "renotify" });
    rig.defer(() => simulator.stop());
    const folder = await mkdtemp(join(tmpdir(), "callweave-again-"));
    rig.defer(() => rm(folder, { recursive: true, force: true }));
    const serve = async (port: number) => {
      const config = {
        ...configOf({ config: { gateway: { grpc: { port } } } }, simulator, folder),
        ops: { port: 0 },
      };
      const child = startProgram("gateway/src/main.ts", [
        "serve",
        "--config",
        await writeConfig(folder, config),
      ]);
      rig.defer(() => child.end());
      const line = await child.line(({ msg }) => msg === "serving", "the gateway to serve", 60_000);
      return { child, port: Number(line.port) };
    };
    const first = await serve(0);
    const agent = await rig.agent(`127.0.0.1:${first.port}`, {}, (call) => {
      void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
    });
    const phone = simulator.placeCall();
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300, { timeoutMs: 30_000 });
    first.child.signal("SIGKILL");
    await first.child.exit;
    const deadMs = callTimeMs(phone);
    await serve(first.port);
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: deadMs + 1_500 }) > 300, {
      timeoutMs: 30_000,
    });
    expect(agent.given).toHaveLength(1);
    const [call] = agent.given;
    expect(await rig.client(`127.0.0.1:${first.port}`).calls.get(phone.id)).toMatchObject({
      state: "ANSWERED",
      seat: { state: "HELD", agentId: "agent", epoch: 2 },
    });
    await call?.disconnect();
    await phone.waitFor("DISCONNECTED");
    const answers = phone.events.filter(
      ({ type, direction }) => type === "call.answer" && direction === "in",
    );
    expect(answers).toHaveLength(1);
  }, 120_000);
});
