import { connect } from "nats";
import { describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, msHeard } from "../harness/audio.js";
import { TestCluster } from "../harness/cluster.js";
import { freePort, type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";

const available = await natsAvailable();
const rig = useRig();
const AGENT_HZ = 5000;
const CALLS = 4;

/** Three servers that form a cluster, by name. */
async function threeServers(): Promise<Map<string, NatsTestServer>> {
  const names = ["n-1", "n-2", "n-3"];
  const ports = await Promise.all(names.map(() => freePort()));
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const servers = new Map<string, NatsTestServer>();
  for (const [index, name] of names.entries()) {
    const config = `cluster { name: three, host: "127.0.0.1", port: ${ports[index]}, routes: [${routes}] }`;
    const server = await startNats({ name, config });
    rig.defer(() => server.stop());
    servers.set(name, server);
  }
  return servers;
}

describe.skipIf(!available)("three NATS servers", () => {
  it("lose the leader of the event log: calls go on, and no event is missing or told twice (fault 14)", async () => {
    const servers = await threeServers();
    const urls = [...servers.values()].map(({ url }) => url);
    const at = await TestCluster.start({
      natsUrl: urls[0] as string,
      config: { nats: { urls, replicas: 3 } },
    });
    rig.defer(() => at.stop());
    const [first, second] = at.gateways.map(({ address }) => address) as [string, string];
    for (const address of [first, second])
      await rig.agent(address, { capacity: CALLS, agentId: `at-${address.split(":")[1]}` }, (call) => {
        void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
      });
    const { cursor } = await rig.client(first).calls.list();
    const trail = await rig.trail(first);
    const phones = Array.from({ length: CALLS }, () => at.simulator.placeCall());
    for (const phone of phones)
      await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300, { timeoutMs: 30_000 });

    const nc = await connect({ servers: urls, maxReconnectAttempts: -1 });
    rig.defer(() => nc.close());
    const manager = await nc.jetstreamManager();
    const info = await manager.streams.info("CALLWEAVE_EVENTS");
    expect(info.config.num_replicas).toBe(3);
    const leader = info.cluster?.leader ?? "";
    await servers.get(leader)?.kill();
    const downMs = phones.map((phone) => callTimeMs(phone));

    // Whoever was connected to it is connected to another one; what happens is stored by the new leader.
    const { calls } = rig.client(second);
    for (const { id } of phones)
      await until(() => calls.sendNote(id, "Still there?").catch(() => false), `a note to ${id}`, 30_000);
    for (const [index, phone] of phones.entries()) {
      const fromMs = (downMs[index] ?? 0) + 3_000;
      await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs }) > 500, {
        timeoutMs: 30_000,
      });
      expect(phone.state).toBe("ANSWERED");
      phone.hangUp();
    }
    await until(() => trail.all("ended").length === CALLS, "the end of all calls", 30_000);
    expect(trail.all("takenOver")).toEqual([]);
    // What was told without the store while there was no leader is in it now, once, as another gateway reads it.
    const late = await rig.trail(second, cursor);
    await until(() => late.all("ended").length === CALLS, "the end of all calls in the store", 30_000);
    for (const { id } of phones) {
      const stored = late.events.filter(({ callId, durable }) => callId === id && durable);
      expect(stored.map(({ sequence }) => sequence)).toEqual(stored.map((_, index) => index + 1));
      expect(stored.map(({ type }) => type)).toContain("noteSent");
    }
    const after = await manager.streams.info("CALLWEAVE_EVENTS");
    expect(after.cluster?.leader).not.toBe(leader);
  }, 180_000);
});
