import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { decodeFrameTone, frameTone } from "@callweave/simulator";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { startStack, until } from "../harness/gateway.js";

// The examples on a real call: simulator and gateway here, the agent as the process that its README tells to start.
const root = fileURLToPath(new URL("../../", import.meta.url));

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
  ["python_stubs.py", ".cache/examples-venv/bin/python", ["examples/python_stubs.py"]],
  ["go_stubs", ".cache/go-bin/callweave-echo", []],
])("examples / %s", (_name, command, args) => {
  it("answers two calls, one after the other, and the caller hears itself", async () => {
    const stack = await startStack();
    stops.push(() => stack.stop());
    const { fleet } = stack.gateway.gateway;
    const child = spawn(`${root}${command}`, args, {
      cwd: root,
      env: { ...process.env, CALLWEAVE_ADDRESS: stack.address },
      stdio: ["ignore", "ignore", "inherit"],
    });
    stops.push(() => ended(child));
    await until(() => fleet.agents("default", "").length === 1, "the agent");

    for (let round = 0; round < 2; round++) {
      const call = stack.simulator.placeCall({ caller: [frameTone()] });
      await call.waitFor("ANSWERED", 15_000);
      let lookedAtMs = 0;
      await until(
        () => {
          const { durationMs, caller } = call.recording;
          if (durationMs - lookedAtMs < 500) return false;
          lookedAtMs = durationMs;
          return decodeFrameTone(caller, call.recording.sampleRate).length >= 50;
        },
        "one second of the caller's own voice",
        30_000,
      );
      call.hangUp();
      await call.waitFor("DISCONNECTED", 15_000);
      await until(() => fleet.agents("default", "")[0]?.callIds.length === 0, "the free place");
    }

    child.kill("SIGINT");
    await until(() => fleet.agents("default", "").length === 0, "the agent's Bye");
    await until(() => child.exitCode !== null, "the end of the process");
    expect(child.exitCode).toBe(0);
  });
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
