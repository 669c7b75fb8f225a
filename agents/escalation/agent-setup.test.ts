import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EscalationAgent } from "./agent.js";
import { makeLog, maskNumber } from "./log.js";
import { command } from "./main.js";
import { makeSpeech } from "./speech-setup.js";
import { FakeCall } from "./testing/fake-call.js";
import { SILENT_FRAME } from "./testing/fake-speech.js";

const OPEN_AI = {
  apiKey: "sk-test",
  baseUrl: "http://127.0.0.1:9/v1",
  transcriptionModel: "a",
  speechModel: "b",
  voice: "c",
  chatModel: "d",
};

describe("log", () => {
  it("writes one line of JSON, or a text, or nothing", () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    makeLog("json", write)("call_taken", { attempt: 1, text: 'a "b"\nc' });
    makeLog("text", write)("call_taken", { attempt: 1 });
    makeLog("off", write)("call_taken");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ event: "call_taken", attempt: 1, text: 'a "b"\nc' });
    expect(lines[0]?.match(/\n/g)).toHaveLength(1);
    expect(lines.slice(1)).toEqual(["call taken attempt=1\n"]);
  });

  it.each([
    ["+15550100", "***0100"],
    ["12345", "***45"],
    ["112", "***"],
    ["", "withheld"],
  ])("shows %s as %s", (number, masked) => {
    expect(maskNumber(number)).toBe(masked);
  });
});

describe("command line", () => {
  const parse = (...args: string[]) => {
    const program = command()
      .exitOverride()
      .configureOutput({ writeErr() {}, writeOut() {} });
    return program.parse(args, { from: "user" }).opts();
  };

  it("has defaults for everything", () => {
    expect(parse()).toMatchObject({
      gateway: ["127.0.0.1:7070"],
      pool: "default",
      speech: "local",
      capacity: 10,
      ringSeconds: 30,
      silenceMs: 6000,
    });
  });

  it.each([
    ["--capacity", "0"],
    ["--capacity", "many"],
    ["--ring-seconds", "121"],
    ["--speech", "telepathy"],
    ["--log", "xml"],
  ])("refuses %s %s", (...args) => {
    expect(() => parse(...args)).toThrow();
  });

  it("has no option for a key: they come from the environment", () => {
    expect(command().options.some(({ flags }) => /key|token/i.test(flags))).toBe(false);
  });
});

describe("makeSpeech", () => {
  it("wants a script for a scripted caller, and a key for a server", async () => {
    const log = () => {};
    await expect(makeSpeech({ kind: "scripted" }, log)).rejects.toThrow("--script");
    await expect(makeSpeech({ kind: "openai" }, log)).rejects.toThrow("OPENAI_API_KEY");
    await expect(makeSpeech({ kind: "scripted", reply: "openai", script: "x" }, log)).rejects.toThrow(
      "OPENAI_API_KEY",
    );
  });

  it("makes what was asked for", async () => {
    const speech = await makeSpeech({ kind: "openai", openAi: OPEN_AI }, () => {});
    expect([speech.stt.name, speech.tts.name, speech.model?.name]).toEqual([
      "openai-transcription",
      "openai-speech+flite",
      "openai-chat",
    ]);
    expect(speech.locales).toBeUndefined();
    await speech.close();
  });
});

describe("EscalationAgent", () => {
  async function scripted(sentences: readonly string[], run: (agent: EscalationAgent) => Promise<void>) {
    const folder = mkdtempSync(join(tmpdir(), "agent-"));
    const script = join(folder, "caller.jsonl");
    writeFileSync(script, sentences.map((text, at) => JSON.stringify({ at, text })).join("\n"));
    const speech = await makeSpeech({ kind: "scripted", script, voice: "no such voice" }, () => {});
    try {
      const agent = await EscalationAgent.create({ speech, log: () => {}, locale: "de" });
      await agent.preload();
      await run(agent);
    } finally {
      await speech.close();
      rmSync(folder, { recursive: true });
    }
  }

  /** Noise that the voice activity detector takes for speech: the scripted recogniser does not listen to it. */
  async function voice(call: FakeCall): Promise<void> {
    const { FliteTextToSpeech } = await import("../speech/index.js");
    const tts = new FliteTextToSpeech({ voice: "rms" });
    const { chunks } = await tts.speak("any words will do here", { locale: "en" });
    for await (const chunk of chunks) call.hear(chunk);
    for (let i = 0; i < 50; i++) call.hear(SILENT_FRAME);
    await tts.close();
  }

  it("talks with a scripted caller, in English although German was asked for: it has no German voice", async () => {
    await scripted(["what is your address", "i want my money back"], async (agent) => {
      const call = new FakeCall();
      const result = agent.handle(call);
      await voice(call);
      while ([...call.turns.values()].filter(({ role }) => role === "AI").length < 2) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await voice(call);
      expect(await result).toBe("HANDED_OVER");
      expect(call.escalations[0]?.reason).toBe("OUT_OF_SCOPE");
      const texts = [...call.turns.values()].map(({ text }) => text);
      expect(texts).toContain("what is your address");
      expect(texts[0]).toMatch(/^Hello/);
    });
  }, 60_000);

  it("takes the script up where the agent before it left off", async () => {
    await scripted(["first", "there is a fire"], async (agent) => {
      const turn = (id: string, role: "CALLER" | "AI", text: string) => ({
        id,
        role,
        text,
        locale: "en",
        time: new Date(0),
      });
      const turns = [turn("1-a1", "AI", "Hello"), turn("1-c1", "CALLER", "first")];
      const context = { turns, summary: "", status: "ACTIVE" as const, transcriptAllowed: true };
      const call = new FakeCall({ attempt: 2, context });
      const result = agent.handle(call);
      await voice(call);
      expect(await result).toBe("HANDED_OVER");
      expect(call.escalations[0]?.reason).toBe("EMERGENCY");
    });
  }, 60_000);
});
