import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { encodeWav, makeTone, type Simulator, toneAmplitude } from "@callweave/simulator";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { violationsOf } from "../../demo/desk/axe.js";
import { heardBy, TestBrowser } from "../../demo/desk/browser.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";

// A person at the simulator's page calls, another one is the specialist: in Chromium, whose microphone is a WAV file.
const rig = useRig();
const RATE = 24_000;
const MICROPHONE_HZ = 700;
const FILE_HZ = 1_200;
const errors: string[] = [];
let browser: TestBrowser;

beforeAll(async () => {
  browser = await TestBrowser.start({
    microphone: { samples: makeTone(MICROPHONE_HZ, 4, RATE), sampleRate: RATE },
  });
}, 60_000);
afterAll(() => browser?.stop());
afterEach(() => expect(errors.splice(0)).toEqual([]));

async function tab(simulator: Simulator, part: string, options: object = {}): Promise<Page> {
  const context = await browser.context(options);
  rig.defer(() => context.close());
  const page = await context.newPage();
  page.on("pageerror", (error: Error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.goto(`${simulator.httpUrl}/#${part}`);
  await page.getByText("Connected to the simulator.").waitFor();
  return page;
}

const setting = () => rig.stack({ simulator: { page: true, playoutBufferMs: 200 }, sampleRateHz: RATE });
const loud = (samples: Int16Array, hz: number, rate = RATE) =>
  samples.length > rate / 2 &&
  toneAmplitude(samples, rate, hz, { fromMs: (samples.length / rate) * 1000 - 400 }) > 1_000;

describe("the simulator's page", () => {
  it("lets one be the caller and another the specialist: the agent hears the microphone, the specialist the caller", async () => {
    const stack = await setting();
    const agent = await rig.agent(stack, { answerOnAccept: true });
    const caller = await tab(stack.simulator, "caller");
    const specialist = await tab(stack.simulator, "specialist", { colorScheme: "dark" });
    await caller.getByLabel("Your number").fill("+15550177");
    await caller.getByRole("button", { name: "Call", exact: true }).click();
    await caller.getByText("with the agent").waitFor();
    const call = await agent.call();
    const heard: Buffer[] = [];
    void (async () => {
      for await (const { pcm } of call.audio()) if (pcm) heard.push(Buffer.from(pcm));
    })().catch(() => {});
    const samples = () => {
      const all = Buffer.concat(heard);
      return new Int16Array(all.buffer.slice(all.byteOffset, all.byteOffset + (all.length & ~1)));
    };
    await until(() => loud(samples(), MICROPHONE_HZ), "the agent to hear the microphone");
    expect(stack.simulator.calls[0]).toMatchObject({ from: "+15550177", state: "ANSWERED" });

    // Refused first, then let ring in that tab, then picked up.
    const escalate = () =>
      call.escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: "Somebody wants a person.",
        after: "now",
        target: { callee: { ringTimeSeconds: 30 } },
      });
    const refused = escalate();
    await specialist.getByRole("button", { name: "Refuse" }).click();
    expect((await refused).outcome).toBe("UNANSWERED");
    const taken = escalate();
    await specialist.getByRole("button", { name: "Pick up" }).waitFor();
    expect(await specialist.title()).toContain("Ringing");
    expect(await violationsOf(specialist, "ringing")).toEqual([]);
    expect(await violationsOf(caller, "calling")).toEqual([]);
    await specialist.getByRole("button", { name: "Pick up" }).click();
    expect((await taken).outcome).toBe("CONNECTED");
    await specialist.getByText("caller and specialist talk, the agent has left").waitFor();
    await until(
      async () => loud(await heardBy(specialist), MICROPHONE_HZ),
      "the specialist to hear the caller",
    );
    await until(async () => loud(await heardBy(caller), MICROPHONE_HZ), "the caller to hear the specialist");
    await caller.getByRole("button", { name: "Hang up" }).click();
    await specialist.getByText("over (caller hung up)").waitFor();
  });

  it("speaks by a sound file, in several calls at a time; a closed tab hangs up", async () => {
    const stack = await setting();
    const agent = await rig.agent(stack, { answerOnAccept: true });
    const caller = await tab(stack.simulator, "");
    await caller.getByLabel("a sound file").check();
    await caller.getByRole("button", { name: "Call", exact: true }).click();
    await caller.getByText("choose a sound file first").waitFor();
    const buffer = encodeWav({ samples: makeTone(FILE_HZ, 30, RATE), sampleRate: RATE });
    await caller
      .locator("input[type=file]")
      .setInputFiles({ name: "question.wav", mimeType: "audio/wav", buffer });
    await caller.getByRole("button", { name: "Call", exact: true }).click();
    await agent.call(1);
    await caller.getByRole("button", { name: "Call", exact: true }).click();
    await agent.call(2);
    const { calls } = stack.simulator;
    expect(calls).toHaveLength(2);
    for (const sim of calls)
      await sim.waitUntil(() => loud(sim.recording.track("agent"), FILE_HZ), {
        what: "the file to be heard",
      });
    await caller.close();
    for (const sim of calls) await sim.waitFor("DISCONNECTED");
    expect(calls.map(({ endReason }) => endReason)).toEqual(["caller_hung_up", "caller_hung_up"]);
  });

  it("answers to itself alone, and bad frames bother nobody", async () => {
    const { simulator } = await setting();
    const status = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const { port } = simulator;
        const socket = new WebSocket(`ws://127.0.0.1:${port}/page/socket`, { headers });
        socket.on("open", () => {
          socket.close();
          resolve(101);
        });
        socket.on("unexpected-response", (_request, { statusCode = 0 }) => resolve(statusCode));
        socket.on("error", reject);
      });
    const own = `http://127.0.0.1:${simulator.port}`;
    expect(await status({})).toBe(404);
    expect(await status({ origin: "http://evil.example" })).toBe(404);
    expect(await status({ origin: "http://evil.example", host: "evil.example" })).toBe(404);
    expect(await status({ origin: own })).toBe(101);
    const socket = new WebSocket(`ws://127.0.0.1:${simulator.port}/page/socket`, {
      headers: { origin: own },
    });
    const told: string[] = [];
    socket.on("message", (data) => told.push(String(data)));
    await new Promise((resolve) => socket.once("open", resolve));
    for (const bad of [
      "",
      "{",
      "null",
      "[]",
      '{"do":"fly"}',
      '{"do":"pickUp","call":"none"}',
      '{"do":"call","from":7}',
    ])
      socket.send(bad);
    socket.send('{"do":"call","from":"<script>","to":"+15550100"}');
    for (const bad of [[], [1], [9, 1, 2], [0, 0, 0, 0]]) socket.send(Buffer.from(bad));
    await until(() => told.filter((text) => text.includes('"refused"')).length === 8, "eight refusals");
    expect(simulator.calls).toEqual([]);
    for (let i = 0; i < 17; i++) socket.send('{"do":"call","from":"+15550123","to":""}');
    await until(() => told.some((text) => text.includes("at most 16 calls")), "the limit");
    expect(simulator.calls).toHaveLength(16);
    socket.close();
    await until(() => simulator.calls.every(({ state }) => state === "DISCONNECTED"), "all to be over");
    const page = await fetch(`${simulator.httpUrl}/`);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self'/);
    for (const path of ["/page/../package.json", "/page/constructor", "/page/"]) {
      const code = await new Promise((resolve) =>
        request({ port: simulator.port, host: "127.0.0.1", path }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).end(),
      );
      expect(code, path).toBe(404);
    }
  });

  it("is offered with the desk by `npm run demo -- --open`, until Ctrl-C", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const args = ["--import", "tsx", "demo/main.ts", "--open"];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const over = once(child, "exit");
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    try {
      await until(() => output.includes("Ctrl-C ends it."), "the links", 60_000);
      const links = [...output.matchAll(/http:\/\/127\.0\.0\.1:\d+\/\S*/g)].map(([link]) => link);
      expect(links.map((link) => new URL(link).hash)).toEqual(["#caller", "#specialist", ""]);
      for (const link of links)
        await until(async () => (await fetch(link)).status === 200, `${link} to answer`, 60_000);
      child.kill("SIGINT");
      expect((await over)[0]).toBe(130);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("is not there unless it is asked for", async () => {
    const { simulator } = await rig.stack();
    expect((await fetch(`${simulator.httpUrl}/`)).status).toBe(404);
  });
});
