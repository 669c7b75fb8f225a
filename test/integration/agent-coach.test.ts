import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callee, makeTone, say, toneAmplitude, wait } from "@callweave/simulator";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ensureSpeechPython, type SpeechPython } from "../../agents/speech/index.js";
import { bytesOf } from "../harness/audio.js";
import { type Stack, startStack, until } from "../harness/gateway.js";

// The coach as a process, its recogniser too; caller and callee in real speech.
const RATE = 16_000;
const HINT_HZ = 1_900;
const folder = fileURLToPath(new URL("../../agents/coach/", import.meta.url));

let files: string;
let program: string;
let speech: SpeechPython;
let stack: Stack | undefined;
let child: ChildProcess | undefined;

beforeAll(async () => {
  const { found, why } = await ensureSpeechPython();
  if (!found) throw new Error(`there is no recogniser: ${why}`);
  speech = found;
  program = fileURLToPath(new URL("../../.cache/go-bin/callweave-coach", import.meta.url));
  execFileSync("go", ["build", "-o", program, "."], { cwd: folder, stdio: "inherit" });
}, 300_000);

afterEach(async () => {
  if (child && child.exitCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  child = undefined;
  await stack?.stop();
  stack = undefined;
  await rm(files, { recursive: true, force: true });
});

async function startCoach(): Promise<{ stack: Stack; output: () => string; child: ChildProcess }> {
  files = await mkdtemp(join(tmpdir(), "callweave-coach-"));
  const hint = join(files, "hint.raw");
  await writeFile(hint, bytesOf(makeTone(HINT_HZ, 1, RATE, 8_000)));
  const started = await startStack({ simulator: { playoutBufferMs: 300 } });
  stack = started;
  let output = "";
  const coach = spawn(program, ["-hint", hint, "-python", speech.python], {
    cwd: files,
    env: { ...process.env, ...speech.env, CALLWEAVE_ENDPOINT: started.address },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = coach;
  for (const stream of [coach.stdout, coach.stderr])
    stream.on("data", (data: Buffer) => {
      output += data.toString();
    });
  await until(
    () => {
      if (coach.exitCode !== null) throw new Error(`the coach ended: ${output}`);
      return started.gateway.gateway.fleet.agents("default", "").length > 0;
    },
    "the coach to register",
    30_000,
  );
  return { stack: started, output: () => output, child: coach };
}

describe("the coach", () => {
  it("whispers to the callee alone when the phrase falls, and to nobody when it does not", async () => {
    const { stack, output, child } = await startCoach();
    const picksUp = () =>
      callee.picksUp({ afterSeconds: 0.3, script: [say("Hello, how can I help?", "slt"), wait(20)] });
    const calm = stack.simulator.placeCall({
      caller: [wait(3), say("What are your opening hours on Monday?", "rms"), wait(20)],
      callee: picksUp(),
    });
    const angry = stack.simulator.placeCall({
      caller: [wait(3), say("I am not happy and I want to cancel my contract today.", "rms"), wait(20)],
      callee: picksUp(),
    });
    const hinted = (call: typeof angry, ear: "caller" | "callee") =>
      toneAmplitude(call.recording.track(ear), RATE, HINT_HZ);
    await angry.waitUntil(() => hinted(angry, "callee") > 300, { timeoutMs: 30_000 });
    await until(
      () => stack.gateway.gateway.calls.get("default", angry.id).agentMode === "SPY",
      "the coach to be silent again",
    );
    expect(angry.state).toBe("CONNECTED");
    expect(calm.state).toBe("CONNECTED");
    const amplitudes = {
      angryCaller: hinted(angry, "caller"),
      calmCaller: hinted(calm, "caller"),
      calmCallee: hinted(calm, "callee"),
    };
    for (const [who, amplitude] of Object.entries(amplitudes)) expect(amplitude, who).toBeLessThan(30);
    child.kill("SIGTERM");
    for (const call of [angry, calm]) call.hangUp();
    expect((await once(child, "exit"))[0], output()).toBe(0);
    expect(output()).toBe("");
  });

  it("ends a call that nobody picks up", async () => {
    const { stack, output } = await startCoach();
    const call = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await call.waitFor("DISCONNECTED", 15_000);
    expect(output()).toBe("");
  });
});
