import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type SimCall, Simulator } from "@callweave/simulator";
import { beforeAll, describe, expect, it } from "vitest";
import { endlessTone, msHeard } from "../harness/audio.js";
import { configOf, until, writeConfig } from "../harness/gateway.js";
import { type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { type Child, startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;
const MAX_CALLS = 20;

let available = false;
beforeAll(async () => {
  available = await natsAvailable();
}, 240_000);

/** A gateway as its line says that it serves. */
interface Serving {
  readonly id: string;
  readonly pid: number;
  readonly address: string;
  readonly opsUrl: string;
}

/** `serve --gateways 2` in front of a simulator. */
async function pair() {
  const folder = await rig.folder("callweave-gateways-");
  const nats: NatsTestServer = await startNats();
  rig.defer(() => nats.stop());
  const simulator = await Simulator.start();
  rig.defer(() => simulator.stop());
  const config = {
    ...configOf({ config: { gateway: { id: "twin" }, routes: [{ unserved: "queue" }] } }, simulator, folder),
    ops: { port: 0 },
    nats: { urls: [nats.url] },
    serve: { restart: { first_pause_ms: 50 } },
  };
  const file = await writeConfig(folder, config);
  const child = startProgram("gateway/src/main.ts", ["serve", "--config", file, "--gateways", "2"]);
  rig.defer(() => end(child));
  await child.line(({ msg }) => msg === "all gateways serve", "all gateways to serve", 60_000);
  await until(
    () => servingOf(child, "twin-1").length > 0 && servingOf(child, "twin-2").length > 0,
    "both lines",
  );
  return { child, simulator, folder };
}

/** Gateways drain when their supervisor is gone; here nobody waits for that. */
async function end(child: Child): Promise<void> {
  await child.end();
  for (const pid of pidsOf(child).filter(isAlive)) process.kill(pid, "SIGKILL");
}

/** A call of that gateway in which the agent is heard: how much each has free, gateways know a little late. */
async function callOf(gateway: Serving, simulator: Simulator): Promise<SimCall> {
  const client = rig.client(gateway.address);
  for (let n = 0; n < MAX_CALLS; n++) {
    const phone = simulator.placeCall();
    await hears(phone);
    const calls = await upCalls(client);
    if (calls.some(({ gatewayId }) => gatewayId === gateway.id)) return phone;
    phone.hangUp();
    await until(async () => (await upCalls(client)).length === 0, "the call to end");
  }
  throw new Error(`all of ${MAX_CALLS} calls went to the other gateway`);
}

/** A list also tells the calls that ended a short while ago. */
async function upCalls(client: ReturnType<typeof rig.client>) {
  const { calls } = await client.calls.list();
  return calls.filter(({ endTime }) => endTime === undefined);
}

async function hears(phone: SimCall, ms = 200): Promise<void> {
  const from = msHeard(phone, "caller", AGENT_HZ);
  await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > from + ms, { timeoutMs: 30_000 });
}

/** An agent of that gateway that speaks a tone in every call. */
function talker(gateway: Serving) {
  return rig.agent(gateway.address, { capacity: 5 }, (call) => {
    void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
  });
}

/** The lines in which a gateway said that it serves: one more for each start. */
function servingOf(child: Child, id: string): Serving[] {
  return child.lines
    .filter(({ msg, gateway_id }) => msg === "serving" && gateway_id === id)
    .map(({ pid, port, ops_port }) => ({
      id,
      pid: Number(pid),
      address: `127.0.0.1:${port}`,
      opsUrl: `http://127.0.0.1:${ops_port}`,
    }));
}

function pidsOf(child: Child): number[] {
  return [...servingOf(child, "twin-1"), ...servingOf(child, "twin-2")].map(({ pid }) => pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("serve --gateways", () => {
  it("runs gateways as processes of one cluster; one that is killed takes nothing with it and comes back", async (test) => {
    if (!available) return test.skip();
    const { child, simulator, folder } = await pair();
    const [first] = servingOf(child, "twin-1") as [Serving];
    const [second] = servingOf(child, "twin-2") as [Serving];
    expect(new Set([child.pid, first.pid, second.pid]).size).toBe(3);
    for (const number of [1, 2]) expect(readdirSync(join(folder, `gateway-${number}`))).not.toEqual([]);
    for (const { id, opsUrl } of [first, second])
      expect(await (await fetch(`${opsUrl}/metrics`)).text()).toContain(`gateway_id="${id}"`);

    await talker(second);
    const phone = await callOf(second, simulator);
    process.kill(first.pid, "SIGKILL");
    await child.line(
      ({ msg, gateway_pid, gateway_id }) =>
        msg === "gateway ended; it is started again" && gateway_pid === first.pid && gateway_id === "twin-1",
      "the end",
    );
    const again = await until(() => servingOf(child, "twin-1")[1], "it to serve again", 60_000);
    expect(again.pid).not.toBe(first.pid);
    expect(isAlive(second.pid)).toBe(true);
    // The call is where it was, and its caller hears the agent.
    await hears(phone);
    const calls = await upCalls(rig.client(again.address));
    expect(calls.map(({ gatewayId }) => gatewayId)).toEqual(["twin-2"]);

    const unnamed = child.lines.filter(
      ({ pid, gateway_id }) => pid !== child.pid && !String(gateway_id).startsWith("twin-"),
    );
    expect(unnamed).toEqual([]);
    child.signal("SIGTERM");
    await until(
      () => child.lines.filter(({ msg, signal }) => msg === "draining" && signal === "SIGTERM").length === 3,
      "the drain",
    );
    phone.hangUp();
    expect(await child.exit).toMatchObject({ code: 0 });
    expect([again.pid, second.pid].filter(isAlive)).toEqual([]);
  }, 120_000);

  it("lets calls end when the supervisor is killed, and then ends", async (test) => {
    if (!available) return test.skip();
    const { child, simulator } = await pair();
    const pids = pidsOf(child);
    const [second] = servingOf(child, "twin-2") as [Serving];
    await talker(second);
    const phone = await callOf(second, simulator);
    child.signal("SIGKILL");
    await until(() => !isAlive(child.pid), "the supervisor to end");
    await hears(phone);
    phone.hangUp();
    await until(() => !pids.some(isAlive), "the gateways to end", 30_000);
  }, 120_000);

  it("says what is missing without NATS", async () => {
    const child = startProgram("gateway/src/main.ts", ["serve", "--gateways", "2"], {
      CALLWEAVE_STATE_DIR: await rig.folder("callweave-gateways-"),
    });
    rig.defer(() => child.end());
    expect(await child.exit).toMatchObject({ code: 2 });
    expect(child.stderr).toContain("needs nats.urls (NATS_URL)");
  });
});
