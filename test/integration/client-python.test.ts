import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  callee,
  decodeFrameTone,
  frameTone,
  makeTone,
  say,
  tone,
  toneAmplitude,
  toneSpans,
} from "@callweave/simulator";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonVenv } from "../../scripts/python-venv.js";
import { codeBlocks, textOf } from "../docs/repository.js";
import { bytesOf, framesMissing, numberedFrames } from "../harness/audio.js";
import { type Stack, startStack, until } from "../harness/gateway.js";
import { startProxy } from "../harness/proxy.js";

// The Python client against the real gateway and the simulator: its examples and programs as processes.
const RATE = 16_000;
const folder = fileURLToPath(new URL("../../clients/python/", import.meta.url));

/** A line of JSON that a program told. */
// biome-ignore lint/suspicious/noExplicitAny: fields differ by line
type Told = Record<string, any>;

interface Program {
  readonly child: ChildProcess;
  readonly told: readonly Told[];
  readonly output: () => string;
  /** The first line with this `what` for which `matches` holds. */
  tells(what: string, matches?: (line: Told) => boolean): Promise<Told>;
}

let python: string;
let stack: Stack;
let files: string;
let programs: Program[] = [];
const stops: (() => unknown)[] = [];

beforeAll(() => {
  const venv = pythonVenv();
  if (!venv) throw new Error("Python 3.10 or newer is not installed");
  python = venv.python;
}, 600_000);

beforeEach(async () => {
  stack = await startStack({ simulator: { playoutBufferMs: 300 } });
  files = await mkdtemp(join(tmpdir(), "callweave-python-"));
});

afterEach(async () => {
  for (const { child } of programs) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  programs = [];
  for (const stop of stops.splice(0).reverse()) await stop();
  await rm(files, { recursive: true, force: true });
  await stack.stop();
});

function start(file: string, args: readonly string[] = [], env: Record<string, string> = {}): Program {
  let output = "";
  const child = spawn(python, ["-u", isAbsolute(file) ? file : join(folder, file), ...args], {
    cwd: files,
    // A proxy that leads nowhere: it is not used for loopback.
    env: { ...process.env, CALLWEAVE_ENDPOINT: stack.address, http_proxy: "http://127.0.0.1:1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const told: Told[] = [];
  let rest = "";
  child.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    const lines = (rest + data.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith('{"what"')) told.push(JSON.parse(line) as Told);
  });
  child.stderr.on("data", (data: Buffer) => {
    output += data.toString();
  });
  const program: Program = {
    child,
    told,
    output: () => output,
    tells: (what, matches = () => true) =>
      until(
        () => {
          const found = told.find((line) => line.what === what && matches(line));
          if (!found && child.exitCode !== null) throw new Error(`ended before "${what}": ${output}`);
          return found;
        },
        `"${what}" of ${file}`,
        30_000,
      ),
  };
  programs.push(program);
  return program;
}

/** An agent in Python, registered. */
async function startAgent(
  behaviour: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Program> {
  const program = start("tests/programs/agent.py", [behaviour, ...args], env);
  await program.tells("status", ({ type }) => type === "connected");
  return program;
}

async function rawTone(name: string, frequencyHz: number): Promise<string> {
  const file = join(files, name);
  await writeFile(file, bytesOf(makeTone(frequencyHz, 0.6, RATE, 8_000)));
  return file;
}

async function registered(): Promise<void> {
  await until(
    () => {
      const [ended] = programs.filter(({ child }) => child.exitCode !== null);
      if (ended) throw new Error(`the example ended: ${ended.output()}`);
      return stack.gateway.gateway.fleet.agents("default", "").length > 0;
    },
    "the agent to register",
    30_000,
  );
}

const noErrors = (program: Program) => expect(program.told.filter((l) => l.what === "error")).toEqual([]);

describe("an agent in Python", () => {
  it("answers, speaks, and says back what it hears", async () => {
    const agent = await startAgent("echo");
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 30, 4_000)] });
    await call.waitFor("ANSWERED", 10_000);
    expect(await agent.tells("play")).toMatchObject({ end: "PLAYED" });
    await call.waitUntil(() => toneAmplitude(call.recording.caller, RATE, 1_000) > 100, {
      timeoutMs: 15_000,
    });
    expect(toneAmplitude(call.recording.caller, RATE, 440)).toBeGreaterThan(100);
    agent.child.kill("SIGTERM");
    await agent.tells("status", ({ type }) => type === "draining");
    call.hangUp();
    expect((await once(agent.child, "exit"))[0]).toBe(0);
    noErrors(agent);
  });

  it("says, saves, connects and leaves", async () => {
    const agent = await startAgent("escalate");
    const call = stack.simulator.placeCall({
      callee: callee.picksUp({ afterSeconds: 0.5, script: [say("Hello, how can I help?", "rms")] }),
    });
    await call.waitUntil(() => call.agentLeft, { timeoutMs: 20_000 });
    expect(await agent.tells("escalated")).toMatchObject({ outcome: "CONNECTED", durability: "STORE" });
    expect(call.state).not.toBe("DISCONNECTED");
    const [announcement] = toneSpans(call.recording.caller, RATE, 440, { bridgeMs: 60 });
    const connecting = call.events.find((event) => event.type === "call.connect")?.callMs ?? 0;
    expect(announcement!.endMs - announcement!.startMs).toBeGreaterThanOrEqual(960);
    expect(connecting).toBeGreaterThanOrEqual(announcement!.endMs);
    const context = await stack.gateway.gateway.contexts.get("default", { callId: call.id });
    expect(context).toMatchObject({
      status: "HANDED_OVER",
      escalationOutcome: "CONNECTED",
      summary: "The caller wants a person.",
      data: { topic: "invoice", attempts: 2 },
    });
    call.hangUp();
    noErrors(agent);
  });

  it("still has the call when nobody is there", async () => {
    const agent = await startAgent("escalate");
    const call = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await call.waitFor("DISCONNECTED", 20_000);
    expect(await agent.tells("escalated")).toMatchObject({ outcome: "UNANSWERED" });
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(200);
    noErrors(agent);
  });

  it("is interrupted in mid-sentence and knows what was heard", async () => {
    const agent = await startAgent("clear");
    const call = stack.simulator.placeCall();
    const cleared = await agent.tells("cleared");
    expect(cleared).toMatchObject({ playing: "CLEARED", mark: "CLEARED" });
    expect(cleared.dropped).toBeGreaterThan(17);
    expect(cleared.played).toBeGreaterThan(0.7);
    expect(await agent.tells("last")).toMatchObject({ end: "PLAYED" });
    await call.waitFor("DISCONNECTED", 20_000);
    const heard = toneSpans(call.recording.caller, RATE, 500, { bridgeMs: 60 });
    const heardMs = heard.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
    // What is at the provider by then may still be heard: at most its play-out buffer.
    expect(heardMs).toBeLessThan(cleared.played * 1_000 + 1_500);
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(100);
    noErrors(agent);
  });

  it("comes back after a broken stream; the caller hears every frame", async () => {
    const proxy = await startProxy(stack.address);
    stops.push(() => proxy.stop());
    const count = 200;
    const file = join(files, "frames.raw");
    await writeFile(file, numberedFrames(count));
    const agent = await startAgent("numbers", [file], { CALLWEAVE_ENDPOINT: proxy.address });
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 60, 4_000)] });
    await agent.tells("call");
    await call.waitUntil(
      () => call.recording.agentSpansAt("caller").some((s) => s.endMs - s.startMs > 1_000),
      {
        timeoutMs: 15_000,
      },
    );
    proxy.cut();
    await agent.tells("attached", ({ attached }) => attached === true);
    expect(await agent.tells("play")).toMatchObject({ end: "PLAYED" });
    expect((await agent.tells("gap")).seconds).toBeGreaterThan(0);
    await call.waitFor("DISCONNECTED", 10_000);
    expect(agent.told.filter(({ what }) => what === "attached")).toEqual([
      { what: "attached", attached: false, epoch: 1 },
      { what: "attached", attached: true, epoch: 1 },
    ]);
    // At the two seams a frame may be cut in the middle.
    const missing = framesMissing(call, "caller", count);
    expect(missing.length, `missing: ${missing.join(",")}`).toBeLessThanOrEqual(4);
    noErrors(agent);
  });

  it("is killed, and another process goes on with what it wrote (fault 1)", async () => {
    const first = await startAgent("first", [], { AGENT_ID: "first" });
    const call = stack.simulator.placeCall();
    await first.tells("written");
    const second = await startAgent("resume", [], { AGENT_ID: "second" });
    first.child.kill("SIGKILL");
    const context = await second.tells("context");
    expect(context).toMatchObject({ turns: ["Remember this."], attempt: 2 });
    await call.waitFor("DISCONNECTED", 15_000);
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(100);
    noErrors(second);
  });
});

describe("audio in Python", () => {
  it("is bit-exact both ways", async () => {
    const file = join(files, "heard.raw");
    const agent = await startAgent("bounce", [file]);
    const call = stack.simulator.placeCall({ caller: [frameTone(20)] });
    expect(await agent.tells("bounced")).toMatchObject({ end: "PLAYED" });
    await call.waitFor("DISCONNECTED", 15_000);
    const heard = await readFile(file);
    // Each sample as it was said; the first frame may be cut, since the media begins with the answer.
    const samples = new Int16Array(new Uint8Array(heard).buffer);
    const [first, ...rest] = decodeFrameTone(samples, RATE);
    const at = (first?.startSample ?? 0) * 2;
    const said = Buffer.from(numberedFrames(rest.length, RATE, first?.number));
    expect(rest.length).toBeGreaterThan(45);
    expect(heard.subarray(at, at + said.length).equals(said)).toBe(true);
    const back = Buffer.from(bytesOf(call.recording.track("caller")));
    // Frame by frame: a busy machine may put a hole between two of them.
    const frames = Array.from({ length: heard.length / 640 }, (_, n) =>
      heard.subarray(n * 640, (n + 1) * 640),
    );
    expect(frames.filter((frame) => back.includes(frame)).length).toBeGreaterThan(frames.length * 0.9);
    noErrors(agent);
  });
});

describe("an observer in Python", () => {
  it("watches, hears and commands a call, and reads and writes its context", async () => {
    const agent = await startAgent("hold");
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 60, 8_000)] });
    await agent.tells("call");
    const { caller } = stack.gateway.gateway.calls.get("default", call.id);
    const observer = start("tests/programs/observer.py", [call.id, caller]);
    expect((await once(observer.child, "exit"))[0], observer.output()).toBe(0);
    const by = Object.fromEntries(observer.told.map((line) => [line.what, line]));
    expect(by.call).toMatchObject({ state: "ANSWERED", agent: "python" });
    expect(by.heard?.bytes).toBeGreaterThan(16_000);
    expect(by.heard?.rate).toBe(RATE);
    expect(by.note).toMatchObject({ delivered: true });
    expect(by.context).toMatchObject({ summary: "Seen.", outcome: "done", notes: 1 });
    expect(by.conflict).toBeDefined();
    expect(by.missing).toMatchObject({ reason: "CALL_NOT_FOUND" });
    expect(by.refused).toMatchObject({ reason: "CALL_STATE", call_id: call.id });
    expect(by.fleet).toMatchObject({ busy: 1, agents: ["python"], gateways: 1 });
    expect(by.disconnected).toMatchObject({ pending: false });
    expect(by.watched?.types).toEqual(expect.arrayContaining(["note_sent", "command_done", "ended"]));
    expect(await agent.tells("note")).toMatchObject({ text: "be brief" });
    expect(await agent.tells("end")).toMatchObject({ cause: "CALL_ENDED" });
    noErrors(agent);
  });
});

describe("a handler that throws", () => {
  it("gives its call back; the process and its other calls live on (fault 54)", async () => {
    const agent = await startAgent("throw");
    const call = stack.simulator.placeCall();
    expect(await agent.tells("error")).toMatchObject({ call: call.id });
    await call.waitFor("DISCONNECTED", 15_000);
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(100);
    expect(agent.told.filter(({ what }) => what === "call")).toHaveLength(2);
  });
});

describe("the examples", () => {
  it("01_answer answers, echoes, and drains at SIGTERM", async () => {
    const { child, output } = start("examples/01_answer.py");
    await registered();
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

  it("02_escalate announces and leaves the caller with the callee; 03_watch tells it", async () => {
    const args = [await rawTone("announcement.raw", 440), await rawTone("nobody.raw", 700)];
    start("examples/02_escalate.py", args);
    await registered();
    const watch = start("examples/03_watch.py");
    const connected = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
    await connected.waitUntil(() => connected.agentLeft, { timeoutMs: 15_000 });
    expect(toneAmplitude(connected.recording.caller, RATE, 440)).toBeGreaterThan(100);
    connected.hangUp();
    await until(
      () => stack.gateway.gateway.fleet.agents("default", "")[0]?.callIds.length === 0,
      "a free place",
    );
    const alone = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await alone.waitFor("DISCONNECTED", 20_000);
    expect(toneAmplitude(alone.recording.caller, RATE, 700)).toBeGreaterThan(100);
    await until(
      () => watch.output().includes(`${alone.id} `) && /\bended\b/.test(watch.output()),
      "the watch",
    );
  });
});

describe("the programs of the README", () => {
  const programs = new Map(
    codeBlocks(textOf("clients/python/README.md"), "python")
      .filter(({ info }) => info.includes(".py"))
      .map(({ info, code }) => [info.split(" ")[1] ?? "", code] as const),
  );

  async function startProgram(name: string, args: readonly string[] = []): Promise<Program> {
    const file = join(files, name);
    await writeFile(file, programs.get(name) ?? "");
    return start(file, args);
  }

  it("are short", () => {
    const lines = (name: string) => programs.get(name)?.trim().split("\n").length;
    expect([...programs.keys()]).toEqual(["hello.py", "escalate.py", "watch.py", "traced.py"]);
    expect(lines("hello.py")).toBeLessThanOrEqual(20);
    expect(lines("escalate.py")).toBeLessThanOrEqual(40);
  });

  it("hello.py says hello and says back; watch.py sees it; traced.py prints spans", async () => {
    await rawTone("greeting.raw", 440);
    const watch = await startProgram("watch.py");
    const traced = await startProgram("traced.py");
    const hello = await startProgram("hello.py");
    await registered();
    await once(traced.child, "exit");
    expect(traced.output()).toContain("callweave.v1.FleetService/ListPools");
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 30, 4_000)] });
    await call.waitUntil(
      () =>
        toneAmplitude(call.recording.caller, RATE, 440) > 100 &&
        toneAmplitude(call.recording.caller, RATE, 1_000) > 100,
      { timeoutMs: 15_000 },
    );
    call.hangUp();
    hello.child.kill("SIGTERM");
    expect((await once(hello.child, "exit"))[0], hello.output()).toBe(0);
    await until(() => watch.output().includes(`${call.id} ended`), "the watch");
  });

  it("escalate.py announces, connects and leaves", async () => {
    const { output } = await startProgram("escalate.py", [
      await rawTone("announcement.raw", 440),
      await rawTone("nobody.raw", 700),
    ]);
    await registered();
    const call = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
    await call.waitUntil(() => call.agentLeft, { timeoutMs: 15_000 });
    expect(toneAmplitude(call.recording.caller, RATE, 440)).toBeGreaterThan(100);
    expect(output()).toBe("");
    call.hangUp();
  });
});
