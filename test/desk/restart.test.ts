import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator, say, wait } from "@callweave/simulator";
import { type Call, connect } from "callweave";
import { expect, it } from "vitest";
import { configOf, writeConfig } from "../harness/gateway.js";
import { freePort } from "../harness/nats.js";
import { type Child, startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { useDesk } from "./desk-rig.js";

const desk = useDesk();
const rig = useRig();

it("a page in a seat survives a gateway that is killed and started again, without a reload", async () => {
  const folder = await mkdtemp(join(tmpdir(), "callweave-desk-"));
  rig.defer(() => rm(folder, { recursive: true, force: true }));
  const simulator = await Simulator.start({});
  rig.defer(() => simulator.stop());
  const [grpcPort, deskPort] = [await freePort(), await freePort()];
  const config = configOf(
    {
      config: {
        gateway: { grpc: { port: grpcPort } },
        desk: { port: deskPort },
        // Longer than a gateway takes to start, and the page to come back, on a busy machine.
        pools: [{ name: "default", heartbeat_misses: 20, reattach_grace_ms: 30_000 }],
      },
    },
    simulator,
    folder,
  );
  const file = await writeConfig(folder, { ...config, ops: { enabled: false } });
  const serve = async (): Promise<Child> => {
    const child = startProgram("gateway/src/main.ts", ["serve", "--config", file]);
    rig.defer(() => child.end());
    await child.line(({ msg }) => msg === "serving", "the gateway to serve", 60_000);
    await simulator.waitForConnections();
    return child;
  };
  const first = await serve();
  const address = `127.0.0.1:${grpcPort}`;
  const given: Call[] = [];
  await rig.agent(address, { agentId: "support-bot" }, (call) => void given.push(call));
  const phone = simulator.placeCall({ caller: [say("Hello, can you help me?"), wait(60)] });
  await until(() => given.length === 1, "the agent to have the call");
  const url = `http://127.0.0.1:${deskPort}`;
  await until(async () => (await fetch(url)).status === 200, "the page", 60_000);
  const page = await desk.page(`${url}/calls/${phone.id}`);
  await page.getByRole("button", { name: "Take the call" }).click();
  await page.getByRole("button", { name: "Mute" }).waitFor();
  await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }));

  first.signal("SIGKILL");
  await first.exit;
  await page.getByText("Calls go on there").waitFor();
  await serve();
  await page.getByText("Calls go on there").waitFor({ state: "detached" });
  const client = connect({ endpoint: address });
  rig.defer(() => client.close());
  const holder = async () => (await client.calls.get(phone.id).catch(() => undefined))?.seat?.agentId;
  await until(async () => (await holder()) === "local", "the seat to come back", 20_000);
  await page.getByRole("button", { name: "Mute" }).waitFor();
  expect(await page.evaluate(() => (globalThis as { sameDocument?: boolean }).sameDocument)).toBe(true);
  expect(desk.errors).toEqual([]);
}, 120_000);
