import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callee, decodeFrameTone, frameTone, makeTone, tone, toneAmplitude } from "@callweave/simulator";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Command, Language } from "../conformance/language.js";
import { Program } from "../conformance/program.js";
import { codeBlocks, textOf } from "../docs/repository.js";
import { bytesOf, framesMissing, numberedFrames } from "./audio.js";
import { type Stack, startStack, until } from "./gateway.js";
import { startProxy } from "./proxy.js";

/** What differs between the clients of compiled languages. */
export interface ClientSuite {
  /** As people write it. */
  readonly title: string;
  readonly language: Language;
  /** The README, the mark of its blocks and the ending of their file names. */
  readonly readme: { readonly path: string; readonly block: string; readonly ending: string };
  /** Builds the README's programs, once. */
  prepare(programs: ReadonlyMap<string, string>): void | Promise<void>;
  /** How a built program is started. */
  command(name: string): { readonly program: string; readonly args: readonly string[] };
  /** The README's programs in their order. */
  readonly programs: {
    readonly hello: string;
    readonly escalate: string;
    readonly watch: string;
    readonly traced: string;
  };
  /** What the traced program prints, at least. */
  readonly traced: readonly string[];
  /** The line of the watching program about the end of a call. */
  ended(callId: string): string;
  /** True: hello plays greeting.raw first. */
  readonly greets?: boolean;
  /** The lines of the escalating program, in any order. Default none. */
  escalated?(connectedId: string, aloneId: string): readonly string[];
}

const RATE = 16_000;
// A proxy that leads nowhere: it is not used for loopback.
const PROXY = { http_proxy: "http://127.0.0.1:1", https_proxy: "http://127.0.0.1:1" };

/**
 * A client against the real gateway and the simulator: the agent of the conformance suite and the README's programs, as
 * processes.
 */
export function describeClient(suite: ClientSuite): void {
  const { title, language } = suite;
  let command: Command;
  let stack: Stack;
  let files: string;
  const stops: (() => unknown)[] = [];
  const { path, block, ending } = suite.readme;
  const readme = new Map(
    codeBlocks(textOf(path), block)
      .filter(({ info }) => info.includes(ending))
      .map(({ info, code }) => [info.split(" ")[1]?.replace(ending, "") ?? "", code] as const),
  );

  beforeAll(async () => {
    command = await language.prepare();
    await suite.prepare(readme);
  }, 600_000);

  beforeEach(async () => {
    stack = await startStack({ simulator: { playoutBufferMs: 300 } });
    files = await mkdtemp(join(tmpdir(), `callweave-${language.name}-`));
  });

  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await stack.stop();
    await rm(files, { recursive: true, force: true });
  });

  /** An agent, registered; it does what it is told. */
  async function startAgent(
    address = stack.address,
    options: object = {},
  ): Promise<{
    program: Program;
    tell: (line: Record<string, unknown>) => Promise<Record<string, unknown>>;
    told: (event: string, times?: number) => Promise<Record<string, unknown>>;
  }> {
    const program = new Program(language.name, { ...command, env: PROXY });
    stops.push(() => {
      if (program.running) process.kill(program.pid, "SIGKILL");
      return program.ended(10_000).catch(() => {});
    });
    await program.ready();
    const tell = async (line: Record<string, unknown>) => {
      const reply = await program.tell(line)(30_000);
      if (!reply.ok) throw new Error(`${String(line.do)}: ${JSON.stringify(reply.error)}`);
      return reply.value;
    };
    await tell({ do: "start", endpoints: [address], sampleRateHertz: RATE, ...options });
    return {
      program,
      tell,
      async told(event, times = 1) {
        await program.told(event, () => true, times, 20_000, "");
        return program.reports.filter((line) => line.event === event)[times - 1] ?? {};
      },
    };
  }

  /** A program of the README, started. */
  function start(name: string, args: readonly string[] = []): { child: ChildProcess; output: () => string } {
    let output = "";
    const built = suite.command(name);
    const child = spawn(built.program, [...built.args, ...args], {
      cwd: files,
      env: { ...process.env, ...PROXY, CALLWEAVE_ENDPOINT: stack.address },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        output += data.toString();
      });
    stops.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    return { child, output: () => output };
  }

  async function registered(program: { child: ChildProcess; output: () => string }): Promise<void> {
    await until(() => {
      if (program.child.exitCode !== null) throw new Error(`it ended: ${program.output()}`);
      return stack.gateway.gateway.fleet.agents("default", "").length > 0;
    }, "the agent to register");
  }

  async function rawTone(name: string, frequencyHz: number): Promise<string> {
    const file = join(files, name);
    await writeFile(file, bytesOf(makeTone(frequencyHz, 0.6, RATE, 8_000)));
    return file;
  }

  describe(`an agent in ${title}`, () => {
    it("has audio bit for bit, both ways, and a mark when it was heard", async () => {
      const { program, tell, told } = await startAgent();
      const call = stack.simulator.placeCall({ caller: [frameTone(20)] });
      const { call: id } = await told("call");
      const file = join(files, "heard.raw");
      await tell({ do: "record", call: id, file });
      const heard = await until(async () => {
        const bytes = await readFile(file);
        return bytes.length > 60 * 640 && bytes.subarray(0, 60 * 640);
      }, "60 frames");
      const back = join(files, "back.raw");
      await writeFile(back, heard);
      expect(await tell({ do: "play", call: id, file: back })).toEqual({ end: "SENT" });
      expect(await tell({ do: "mark", call: id, name: "said" })).toEqual({ end: "PLAYED" });
      await tell({ do: "disconnect", call: id });
      // Each sample as it was said; the first frame may be cut, since the media begins with the answer.
      const samples = new Int16Array(new Uint8Array(heard).buffer);
      const [first, ...rest] = decodeFrameTone(samples, RATE);
      const at = (first?.startSample ?? 0) * 2;
      const said = Buffer.from(numberedFrames(rest.length, RATE, first?.number));
      expect(rest.length).toBeGreaterThan(45);
      expect(heard.subarray(at, at + said.length).equals(said)).toBe(true);
      expect(Buffer.from(bytesOf(call.recording.track("caller"))).includes(heard)).toBe(true);
      expect(program.reports.filter(({ event }) => event === "error")).toEqual([]);
    });

    it("is interrupted in mid-sentence and knows what was heard", async () => {
      const { tell, told } = await startAgent();
      const call = stack.simulator.placeCall();
      const { call: id } = await told("call");
      const file = join(files, "long.raw");
      await writeFile(file, bytesOf(makeTone(500, 20, RATE, 8_000)));
      const playing = tell({ do: "play", call: id, file });
      await call.waitUntil(() => toneAmplitude(call.recording.caller, RATE, 500) > 500, {
        timeoutMs: 10_000,
      });
      const cleared = await tell({ do: "clear", call: id });
      expect(await playing).toEqual({ end: "CLEARED" });
      expect(cleared.droppedMs).toBeGreaterThan(15_000);
      expect(cleared.playedMs).toBeGreaterThan(0);
    });

    it("says, saves, connects and leaves", async () => {
      const { tell, told } = await startAgent();
      const call = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
      const { call: id } = await told("call");
      await tell({ do: "play", call: id, file: await rawTone("announcement.raw", 440) });
      const data = { topic: "invoice", attempts: 2 };
      const escalate = { do: "escalate", call: id, reason: "FRUSTRATED", summary: "Wants a person.", data };
      expect(await tell(escalate)).toEqual({ outcome: "CONNECTED", durability: "STORE" });
      await call.waitUntil(() => call.agentLeft, { timeoutMs: 10_000 });
      expect(call.state).not.toBe("DISCONNECTED");
      expect(await tell({ do: "readContext", endpoints: [stack.address], call: id })).toMatchObject({
        status: "HANDED_OVER",
        summary: "Wants a person.",
      });
      const context = await stack.gateway.gateway.contexts.get("default", { callId: call.id });
      expect(context).toMatchObject({ data, escalationReason: "FRUSTRATED" });
      call.hangUp();
    });

    it("comes back after a broken stream; the caller hears every frame; SIGTERM drains", async () => {
      const proxy = await startProxy(stack.address);
      stops.push(() => proxy.stop());
      const { program, tell, told } = await startAgent(proxy.address);
      const call = stack.simulator.placeCall();
      const { call: id, epoch } = await told("call");
      const count = 150;
      const file = join(files, "frames.raw");
      await writeFile(file, numberedFrames(count));
      const playing = tell({ do: "play", call: id, file });
      await call.waitUntil(
        () => call.recording.agentSpansAt("caller").some((s) => s.endMs - s.startMs > 800),
        {
          timeoutMs: 15_000,
        },
      );
      proxy.cut();
      expect(await told("attached", 1)).toMatchObject({ call: id, attached: false });
      expect(await told("attached", 2)).toMatchObject({ call: id, attached: true });
      expect(await playing).toEqual({ end: "SENT" });
      expect(await tell({ do: "drained", call: id })).toEqual({ end: "PLAYED" });
      // At the seam a frame may be cut in the middle.
      const missing = framesMissing(call, "caller", count);
      expect(missing.length, `missing: ${missing.join(",")}`).toBeLessThanOrEqual(4);
      expect(stack.gateway.gateway.calls.get("default", call.id).seat.epoch).toBe(epoch);
      process.kill(program.pid, "SIGTERM");
      await until(() => stack.gateway.gateway.fleet.agents("default", "")[0]?.draining, "the drain");
      expect(program.running).toBe(true);
      call.hangUp();
      expect(await program.ended(10_000)).toBeUndefined();
    });
  });

  describe(`the programs of the README of ${title}`, () => {
    const { hello, escalate, watch, traced } = suite.programs;

    it("are short", () => {
      const lines = (name: string) => readme.get(name)?.trim().split("\n").length;
      expect([...readme.keys()]).toEqual([hello, escalate, watch, traced]);
      expect(lines(hello)).toBeLessThanOrEqual(20);
      expect(lines(escalate)).toBeLessThanOrEqual(40);
    });

    it("hello says back what it hears and drains at SIGTERM; watch sees it; traced prints spans", async () => {
      if (suite.greets) await rawTone("greeting.raw", 440);
      const watching = start(watch);
      const tracing = start(traced);
      const answering = start(hello);
      await registered(answering);
      if (tracing.child.exitCode === null) await once(tracing.child, "exit");
      for (const line of suite.traced) expect(tracing.output()).toContain(line);
      const call = stack.simulator.placeCall({ caller: [tone(1_000, 30, 4_000)] });
      await call.waitUntil(() => toneAmplitude(call.recording.caller, RATE, 1_000) > 100, {
        timeoutMs: 15_000,
      });
      if (suite.greets) expect(toneAmplitude(call.recording.caller, RATE, 440)).toBeGreaterThan(100);
      answering.child.kill("SIGTERM");
      await until(() => stack.gateway.gateway.fleet.agents("default", "")[0]?.draining, "the drain");
      call.hangUp();
      expect((await once(answering.child, "exit"))[0], answering.output()).toBe(0);
      expect(answering.output()).toBe("");
      await until(() => watching.output().includes(suite.ended(call.id)), "the watch");
    });

    it("escalate announces, connects and leaves; if nobody is there it says so", async () => {
      const sounds = [await rawTone("announcement.raw", 440), await rawTone("nobody.raw", 700)];
      const escalating = start(escalate, sounds);
      await registered(escalating);
      const call = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
      const alone = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
      await call.waitUntil(() => call.agentLeft, { timeoutMs: 15_000 });
      expect(toneAmplitude(call.recording.caller, RATE, 440)).toBeGreaterThan(100);
      call.hangUp();
      await alone.waitFor("DISCONNECTED", 20_000);
      expect(toneAmplitude(alone.recording.caller, RATE, 700)).toBeGreaterThan(100);
      const lines = [...(suite.escalated?.(call.id, alone.id) ?? [])].sort();
      const printed = () => escalating.output().split("\n").filter(Boolean).sort();
      await until(() => printed().length >= lines.length, "what it prints");
      expect(printed()).toEqual(lines);
    });
  });
}
