import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CachedTextToSpeech,
  ensureSpeechPython,
  FliteTextToSpeech,
  PocketsphinxSpeechToText,
} from "../speech/index.js";
import { EscalationAgent } from "./agent.js";
import type { SessionResult } from "./session-options.js";
import type { Speech } from "./speech-setup.js";
import { FakeCall } from "./testing/fake-call.js";

const python = await ensureSpeechPython();
const mustRun = process.env.CI === "true";
if (!python.found && !mustRun) console.log(`skipped: talk with offline speech (${python.why})`);

/** The whole agent with real speech: a synthetic caller speaks with one voice, the agent with another. */
describe.skipIf(!python.found && !mustRun)("a talk with offline speech", () => {
  const callerVoice = new FliteTextToSpeech({ voice: "rms" });
  const agentTexts: string[] = [];
  const events: string[] = [];
  let agent: EscalationAgent;
  let speech: Speech;

  beforeAll(async () => {
    const tts = new CachedTextToSpeech(new FliteTextToSpeech());
    const speak = tts.speak.bind(tts);
    tts.speak = (text, options) => {
      agentTexts.push(text);
      return speak(text, options);
    };
    const stt = new PocketsphinxSpeechToText();
    speech = {
      stt,
      tts,
      model: undefined,
      voice: undefined,
      locales: ["en"],
      scripted: undefined,
      close: async () => {
        await Promise.all([stt.close(), tts.close()]);
      },
    };
    agent = await EscalationAgent.create({
      speech,
      log: (event, fields) => events.push(`${event} ${JSON.stringify(fields)}`),
      session: { silenceMs: 60_000 },
    });
  }, 120_000);
  afterAll(() => Promise.all([callerVoice.close(), speech.close()]));

  async function until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!condition()) {
      if (Date.now() > end)
        throw new Error(`${what} did not happen; the agent said: ${agentTexts.join(" | ")}`);
      await delay(5);
    }
  }

  /** The caller says it and is silent for a second, as fast as it can be taken. */
  async function say(call: FakeCall, text: string): Promise<void> {
    const audio = await callerVoice.speak(text, { locale: "en" });
    const silence = Buffer.alloc(16_000 * 2);
    const chunks: Buffer[] = [];
    for await (const chunk of audio.chunks) chunks.push(chunk);
    call.hear(Buffer.concat([...chunks, silence]));
  }

  async function talk(sentences: readonly string[], options?: ConstructorParameters<typeof FakeCall>[0]) {
    agentTexts.length = 0;
    const call = new FakeCall(options);
    const result: Promise<SessionResult> = agent.handle(call);
    // The greeting is two turns; after it the caller waits for each answer to its end.
    const heardTurns = () =>
      call.queuedMs() === 0 ? [...call.turns.values()].filter(({ role }) => role === "AI").length : 0;
    for (const [index, sentence] of sentences.entries()) {
      await until(() => heardTurns() >= index + 2 || call.isOver, `what comes before "${sentence}"`);
      await say(call, sentence);
    }
    return { call, result: await result };
  }

  it("answers a question, understands who asks for a human and hands over", async () => {
    const { call, result } = await talk([
      "what are your opening hours",
      "how can i reset my password",
      "can i talk to a real person please",
    ]);
    expect(result).toBe("HANDED_OVER");
    expect(call.escalations[0]?.reason).toBe("ASKED_FOR_HUMAN");
    expect(call.escalations[0]?.summary).toContain("the opening hours and a password");
    const roles = [...call.turns.values()].map(({ role }) => role);
    expect(roles).toEqual(["AI", "AI", "CALLER", "AI", "CALLER", "AI", "CALLER", "AI"]);
  }, 60_000);

  it("connects an emergency at once", async () => {
    const { call } = await talk(["there is a fire in the building"]);
    expect(call.escalations[0]?.reason).toBe("EMERGENCY");
  }, 60_000);

  it("speaks at the rate of the call", async () => {
    agentTexts.length = 0;
    const call = new FakeCall({ sampleRateHz: 8_000 });
    const result = agent.handle(call);
    await until(() => agentTexts.length >= 2, "the greeting");
    call.end();
    expect(await result).toBe("ABANDONED");
    const ms = call.played.reduce((sum, pcm) => sum + pcm.length / 16, 0);
    expect(ms).toBeGreaterThan(4_000);
    expect(ms).toBeLessThan(9_000);
  }, 60_000);

  it("finds an order by its spoken number", async () => {
    const { result } = await talk([
      "i would like to know where my package is",
      "four seven one two",
      "no thank you that is all",
    ]);
    expect(agentTexts.some((text) => text.startsWith("Your order 4 7 1 2 left"))).toBe(true);
    expect(result).toBe("ENDED");
  }, 60_000);
});
