import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeApi, FakeLogger, snapshot } from "../../gateway/src/contract/testing.js";
import { createGrpcServer } from "../../gateway/src/grpc/server.js";
import { until } from "./grpc-until.js";

// The examples as they are, against the gRPC edge alone: what they say on the wire, without a phone call behind it.
const root = fileURLToPath(new URL("../../", import.meta.url));
const key = "test-key-0123456789";

beforeAll(() => {
  for (const script of ["generate-python.sh", "generate-go.sh"]) {
    execFileSync("bash", [`${root}examples/${script}`], { stdio: "inherit" });
  }
}, 300_000);

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe.each([
  ["python_stubs.py", ".cache/examples-venv/bin/python", ["examples/python_stubs.py"], "python-echo", "bye"],
  ["go_stubs", ".cache/go-bin/callweave-echo", [], "go-echo", "lost"],
])("examples / %s", (_name, command, args, agentId, farewell) => {
  it("registers, accepts, says back what it hears and leaves", async () => {
    const api = new FakeApi();
    const hub = api.agents;
    const edge = createGrpcServer(api, { keys: [{ name: "agents", tenant: "acme", key }] }, new FakeLogger());
    stops.push(() => edge.stop());
    const address = `127.0.0.1:${await edge.listen()}`;
    const env = { ...process.env, CALLWEAVE_ADDRESS: address, CALLWEAVE_KEY: key };
    const child = spawn(`${root}${command}`, args, {
      cwd: root,
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    stops.push(() => ended(child));

    await until(() => hub.begun.length === 1);
    expect(hub.begun[0]).toContain(`register acme agent:${agentId}`);
    expect(hub.begun[0]).toContain('"capacity":1');
    expect(hub.begun[0]).toContain('"answerOnAccept":true');
    const call = snapshot();
    hub.stream?.send({
      type: "offer",
      offerId: "o-1",
      call,
      attempt: 1,
      deadline: new Date(),
      timeLeftMs: 2000,
    });
    await until(() => hub.handler.said.includes("accept o-1"));
    hub.stream?.send({
      type: "assigned",
      call,
      epoch: 1,
      handle: 5,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 8000 },
      offerId: "o-1",
      attempt: 1,
    });
    const heard: Buffer[] = [];
    hub.handler.onAudio = (handle, pcm) => {
      expect(handle).toBe(0);
      heard.push(Buffer.from(pcm));
    };
    const said = Array.from({ length: 50 }, (_, i) => Buffer.alloc(320, i + 1));
    said.forEach((pcm, i) => {
      hub.stream?.sendAudio(5, i * 160, 160, pcm);
    });
    await until(() => hub.handler.audioBytes === 50 * 320);
    expect(Buffer.concat(heard).equals(Buffer.concat(said))).toBe(true);

    child.kill("SIGINT");
    // The 40 lines of Go end their stream by cancelling it: the seat is kept for the grace of the pool, then offered.
    await until(() => (farewell === "bye" ? hub.handler.said.includes("bye") : hub.handler.lostCount > 0));
    hub.stream?.end();
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(0);
  });
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
