import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callee, makeTone, tone, toneAmplitude } from "@callweave/simulator";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Stack, startStack, until } from "../harness/gateway.js";

// The examples of the TypeScript client, as they stand, each as a process of its own.
const RATE = 16_000;
const folder = fileURLToPath(new URL("../../clients/typescript/examples/", import.meta.url));

let stack: Stack;
let files: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  stack = await startStack({ simulator: { playoutBufferMs: 300 } });
  files = await mkdtemp(join(tmpdir(), "callweave-example-"));
});

afterEach(async () => {
  if (child && child.exitCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  child = undefined;
  await rm(files, { recursive: true, force: true });
  await stack.stop();
});

async function run(
  example: string,
  args: string[] = [],
): Promise<{ output: () => string; child: ChildProcess }> {
  let output = "";
  const env = { ...process.env, CALLWEAVE_ENDPOINT: stack.address, http_proxy: "http://127.0.0.1:1" };
  const started = spawn(process.execPath, ["--import", "tsx", join(folder, example), ...args], {
    env,
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  for (const stream of [started.stdout, started.stderr]) {
    stream.on("data", (data: Buffer) => {
      output += data.toString();
    });
  }
  await until(
    () => {
      if (started.exitCode !== null) throw new Error(`the example ended: ${output}`);
      return stack.gateway.gateway.fleet.agents("default", "").length > 0;
    },
    "the agent to register",
    30_000,
  );
  return { output: () => output, child: started };
}

async function rawTone(name: string, frequencyHz: number): Promise<string> {
  const samples = makeTone(frequencyHz, 0.6, RATE, 8_000);
  const file = join(files, name);
  await writeFile(file, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
  return file;
}

describe("examples", () => {
  it("01_answer answers, echoes, and drains at SIGTERM", async () => {
    const { child, output } = await run("01_answer.ts");
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 30, 4_000)] });
    await call.waitFor("ANSWERED", 10_000);
    await call.waitUntil(
      () =>
        toneAmplitude(call.recording.caller, RATE, 440) > 100 &&
        toneAmplitude(call.recording.caller, RATE, 1_000) > 100,
      { timeoutMs: 15_000 },
    );
    child.kill("SIGTERM");
    call.hangUp();
    const [code] = await once(child, "exit");
    expect({ code, output: output() }).toEqual({ code: 0, output: "" });
  });

  it("02_escalate announces and leaves the caller with the callee; if nobody is there it says so", async () => {
    const { output } = await run("02_escalate.ts", [
      await rawTone("announcement.raw", 440),
      await rawTone("nobody.raw", 700),
    ]);
    const connected = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
    await connected.waitUntil(() => connected.agentLeft, { timeoutMs: 15_000 });
    expect(connected.state).not.toBe("DISCONNECTED");
    connected.hangUp();
    await until(
      () => stack.gateway.gateway.fleet.agents("default", "")[0]?.callIds.length === 0,
      "a free place",
    );

    const alone = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await alone.waitFor("DISCONNECTED", 15_000);
    expect(toneAmplitude(alone.recording.caller, RATE, 700)).toBeGreaterThan(100);
    expect(output()).toContain("commandDone");
  });
});
