import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type SimCall, Simulator } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, msHeard } from "../harness/audio.js";
import { configOf, until, writeConfig } from "../harness/gateway.js";
import { metricsOf } from "../harness/metrics.js";
import { startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;
const STALL = fileURLToPath(new URL("../harness/stall-loop.mjs", import.meta.url));
/** What the machine may add to the silence of a call in a second and a half, ms: CI has two busy cores. */
const MARGIN_MS = 200;

/** A gateway as a process whose event loop can be made late, and an agent that talks in every call. */
async function busyGateway(limits: object) {
  const folder = await mkdtemp(join(tmpdir(), "callweave-overload-"));
  rig.defer(() => rm(folder, { recursive: true, force: true }));
  const simulator = await Simulator.start();
  rig.defer(() => simulator.stop());
  const config = {
    ...configOf({ config: { gateway: { limits: { shed_above_ms: 250, ...limits } } } }, simulator, folder),
    ops: { port: 0 },
  };
  const file = await writeConfig(folder, config);
  const child = startProgram("gateway/src/main.ts", ["serve", "--config", file], {
    NODE_OPTIONS: `--import ${STALL}`,
  });
  rig.defer(() => child.end());
  const line = await child.line(({ msg }) => msg === "serving", "the gateway to serve", 30_000);
  await simulator.waitForConnections({ timeoutMs: 20_000 });
  await rig.agent(`127.0.0.1:${line.port}`, { capacity: 100 }, (call) => {
    void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
  });
  return { child, simulator, metrics: () => metricsOf(`http://127.0.0.1:${line.ops_port}`) };
}

const talking = (phones: readonly SimCall[]) =>
  Promise.all(
    phones.map((phone) =>
      phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300, { timeoutMs: 30_000 }),
    ),
  );

/** How long each caller did not hear the agent within the next second and a half, ms. */
async function silences(phones: readonly SimCall[]): Promise<number[]> {
  const windowMs = 1_500;
  return Promise.all(
    phones.map(async (phone) => {
      const fromMs = callTimeMs(phone);
      const toMs = fromMs + windowMs;
      await phone.waitUntil(() => callTimeMs(phone) > toMs + 100);
      return windowMs - msHeard(phone, "caller", AGENT_HZ, { fromMs, toMs });
    }),
  );
}

const most = (values: readonly number[]) => Math.max(...values);

describe("overload", () => {
  it("three times as many calls as the gateway takes: the others are left, those that are up lose nothing (fault 55)", async () => {
    const { simulator, metrics } = await busyGateway({ max_calls: 5 });
    const up = Array.from({ length: 5 }, () => simulator.placeCall());
    await talking(up);
    const before = most(await silences(up));
    const further = Array.from({ length: 10 }, () => simulator.placeCall());
    const after = most(await silences(up));
    expect(after).toBeLessThanOrEqual(before + MARGIN_MS);
    for (const phone of further) {
      expect(phone.state).toBe("PENDING");
      expect(phone.events.some(({ type }) => type === "session.open")).toBe(false);
    }
    expect((await metrics()).get('callweave_calls_left_total{reason="max_calls"}')).toBe(10);
    for (const phone of up) expect(phone.state).toBe("ANSWERED");
    // Room again: the next one is taken.
    up[0]?.hangUp();
    const next = await until(async () => {
      const phone = simulator.placeCall();
      await phone.waitFor("ANSWERED", 2_000).catch(() => {});
      return phone.state === "ANSWERED" && phone;
    }, "a call to be taken again");
    expect(next.state).toBe("ANSWERED");
  });

  it("a late event loop: new calls are left until it is quick again, those that are up go on (fault 55)", async () => {
    const { child, simulator, metrics } = await busyGateway({ shed_above_ms: 250, shed_windows: 1 });
    const up = Array.from({ length: 3 }, () => simulator.placeCall());
    await talking(up);
    expect((await metrics()).get("callweave_shedding")).toBe(0);
    child.signal("SIGUSR2");
    await child.line(({ msg }) => String(msg).startsWith("overloaded"), "the gateway to say so");
    const left = simulator.placeCall();
    await until(
      async () => ((await metrics()).get('callweave_calls_left_total{reason="overloaded"}') ?? 0) > 0,
      "the call to be left",
    );
    expect((await metrics()).get("callweave_shedding")).toBe(1);
    expect(left.state).toBe("PENDING");
    // 350 ms at a time are within what the provider has in hand: the callers hear nothing of it.
    expect(most(await silences(up))).toBeLessThanOrEqual(MARGIN_MS);
    child.signal("SIGUSR2");
    await child.line(({ msg }) => String(msg).startsWith("no longer overloaded"), "the gateway to say so");
    await simulator.placeCall().waitFor("ANSWERED");
    expect(left.events.some(({ type }) => type === "session.open")).toBe(false);
  });
});
