import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FrameCutter, pcmBytes, pcmDurationMs } from "../pcm.js";
import type { VoiceActivity } from "../ports.js";
import { ensureSpeechPython } from "../python/install.mjs";
import { FliteTextToSpeech } from "./flite.js";
import { loadFvad } from "./fvad.js";
import { PocketsphinxSpeechToText } from "./pocketsphinx.js";
import { loadResampler } from "./resampler.js";

const SENTENCES = [
  "hello what are your opening hours",
  "i would like to know where my order is",
  "how can i reset my password",
  "what is your address",
  "can i talk to a real person please",
  "there is a fire in the building",
  "sorry i have the wrong number",
];

/** Words of `said` that `understood` lacks, substituted or left out, by edit distance. */
function wordErrors(said: string, understood: string): number {
  const a = said.split(" ");
  const b = understood.split(" ").filter(Boolean);
  let row = b.map((_, i) => i + 1);
  row.unshift(0);
  for (const [i, word] of a.entries()) {
    const next = [i + 1];
    for (const [j, other] of b.entries()) {
      next.push(
        Math.min((row[j] ?? 0) + (word === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1),
      );
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

const python = await ensureSpeechPython();
const mustRun = process.env.CI === "true";
if (!python.found && !mustRun) console.log(`skipped: offline speech round trip (${python.why})`);

describe.skipIf(!python.found && !mustRun)("offline speech, flite to pocketsphinx", () => {
  const tts = new FliteTextToSpeech();
  const timings: Array<{ audioMs: number; decodeMs: number }> = [];
  const stt = new PocketsphinxSpeechToText({
    finalTimeoutMs: 60_000,
    onTiming: (timing) => timings.push(timing),
  });
  let makeVad: () => VoiceActivity;

  beforeAll(async () => {
    const [load] = await Promise.all([loadFvad(), tts.warmUp(), stt.warmUp()]);
    makeVad = load;
  }, 120_000);
  afterAll(() => Promise.all([tts.close(), stt.close()]));

  async function say(text: string, voice: string): Promise<{ pcm: Buffer; sampleRateHz: number }> {
    const audio = await tts.speak(text, { locale: "en", voice });
    const chunks: Buffer[] = [];
    for await (const chunk of audio.chunks) chunks.push(chunk);
    return { pcm: Buffer.concat(chunks), sampleRateHz: audio.sampleRateHz };
  }

  /** The caller's way: silence, speech, silence through the voice activity detector into the recogniser. */
  async function hear(pcm: Buffer, speaker: string): Promise<string[]> {
    const vad = makeVad();
    const cutter = new FrameCutter(pcmBytes(vad.frameMs, 16_000));
    const silence = Buffer.alloc(pcmBytes(1_000, 16_000));
    const texts: string[] = [];
    let utterance: ReturnType<typeof stt.utterance> | undefined;
    const preRoll: Buffer[] = [];
    for (const frame of cutter.push(Buffer.concat([silence, pcm, silence]))) {
      const event = vad.process(frame);
      if (event === "SPEECH_STARTED") {
        utterance = stt.utterance({ locale: "en", speaker });
        for (const early of preRoll.splice(0)) utterance.write(early);
      }
      if (utterance) utterance.write(frame);
      else if (preRoll.push(frame) > 15) preRoll.shift();
      if (event === "SPEECH_ENDED" && utterance) {
        texts.push((await utterance.finish()).text);
        utterance = undefined;
      }
    }
    vad.close();
    return texts;
  }

  it.each(["slt", "rms"])(
    "understands at least four of five words of voice %s",
    async (voice) => {
      let words = 0;
      let errors = 0;
      for (const sentence of SENTENCES) {
        const { pcm } = await say(sentence, voice);
        const texts = await hear(pcm, `round-trip-${voice}`);
        expect(texts).toHaveLength(1);
        words += sentence.split(" ").length;
        errors += wordErrors(sentence, texts.join(" "));
      }
      expect(errors / words).toBeLessThan(0.2);
    },
    60_000,
  );

  it("understands as much of speech that was 24 kHz on its way", async () => {
    const resample = await loadResampler();
    const up = resample(16_000, 24_000);
    const down = resample(24_000, 16_000);
    let words = 0;
    let errors = 0;
    for (const sentence of SENTENCES) {
      const { pcm } = await say(sentence, "slt");
      const there = up.process(pcm);
      const back = down.process(there);
      expect(Math.abs(pcmDurationMs(there.length, 24_000) - pcmDurationMs(pcm.length, 16_000))).toBeLessThan(
        10,
      );
      words += sentence.split(" ").length;
      errors += wordErrors(sentence, (await hear(back, "round-trip-24k")).join(" "));
    }
    expect(errors / words).toBeLessThan(0.2);
  }, 60_000);

  it("decodes several utterances at once and more than it has decoders", async () => {
    const { pcm } = await say("what is your address", "slt");
    const texts = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const utterance = stt.utterance({ locale: "en" });
        for (let at = 0; at < pcm.length; at += 640) utterance.write(pcm.subarray(at, at + 640));
        return (await utterance.finish()).text;
      }),
    );
    for (const text of texts) expect(text).toContain("address");
  }, 90_000);

  it("starts the recogniser again when it dies, and loses no utterance", async () => {
    const { pcm } = await say("what is your address", "slt");
    const utterance = stt.utterance({ locale: "en" });
    utterance.write(pcm.subarray(0, pcm.length & (~3 >> 1)));
    const before = stt.pid;
    expect(before).toBeDefined();
    process.kill(before as number, "SIGKILL");
    while (stt.pid === before) await delay(5);
    utterance.write(Buffer.alloc(640));
    expect((await utterance.finish()).text).toContain("address");
    expect(stt.pid).not.toBe(before);
  }, 30_000);

  it("fails an utterance at a recogniser that hangs, and replaces it", async () => {
    const hanging = new PocketsphinxSpeechToText({ finalTimeoutMs: 200 });
    await hanging.warmUp();
    const before = hanging.pid;
    process.kill(before as number, "SIGSTOP");
    const utterance = hanging.utterance({ locale: "en" });
    await expect(utterance.finish()).rejects.toMatchObject({ reason: "PROVIDER_FAILED" });
    while (hanging.pid === before || hanging.pid === undefined) await delay(5);
    await hanging.warmUp();
    await hanging.close();
  }, 30_000);

  it("refuses more utterances than may be open", async () => {
    const small = new PocketsphinxSpeechToText({ maxUtterances: 1 });
    const first = small.utterance({ locale: "en" });
    const second = small.utterance({ locale: "en" });
    await expect(second.finish()).rejects.toMatchObject({ reason: "OVERLOADED" });
    expect((await first.finish()).text).toBe("");
    await small.close();
    await expect(small.utterance({ locale: "en" }).finish()).rejects.toMatchObject({ reason: "ABORTED" });
  }, 30_000);

  it("answers a forgotten utterance with ABORTED and goes on", async () => {
    const utterance = stt.utterance({ locale: "en" });
    utterance.write(Buffer.alloc(6400));
    const result = utterance.finish();
    utterance.abort();
    await expect(result).rejects.toMatchObject({ reason: "ABORTED" });
  });

  it("is faster than real time", () => {
    const audioMs = timings.reduce((sum, timing) => sum + timing.audioMs, 0);
    const decodeMs = timings.reduce((sum, timing) => sum + timing.decodeMs, 0);
    console.log(`recognition: ${(decodeMs / audioMs).toFixed(2)} of real time over ${audioMs} ms of speech`);
    expect(decodeMs).toBeLessThan(audioMs);
  });
});
