/**
 * What the offline speech costs on this machine: `npx tsx agents/speech/measure.ts`. One run, one process, nothing else
 * started; a figure of a busy machine says little.
 */
import { ensureSpeechPython, FliteTextToSpeech, PocketsphinxSpeechToText, pcmDurationMs } from "./index.js";

const SENTENCES = [
  "Hello, you are talking to an automated assistant, and our talk is written down.",
  "We are open from Monday to Friday, from nine in the morning to six in the evening.",
  "You find us at twelve Station Road, right next to the main station.",
  "Let me connect you with a specialist.",
  "One moment please.",
];

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const row = (name: string, value: string) => console.log(`${name.padEnd(58)} ${value}`);

async function speak(tts: FliteTextToSpeech, text: string): Promise<Buffer> {
  const audio = await tts.speak(text, { locale: "en" });
  const chunks: Buffer[] = [];
  for await (const chunk of audio.chunks) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function measureSpeaking(): Promise<Buffer[]> {
  const tts = new FliteTextToSpeech();
  let started = performance.now();
  await tts.warmUp();
  row("flite: start and first word", `${(performance.now() - started).toFixed(0)} ms`);
  const latencies: number[] = [];
  const rates: number[] = [];
  let spoken: Buffer[] = [];
  for (let round = 0; round < 5; round++) {
    spoken = [];
    for (const text of SENTENCES) {
      started = performance.now();
      const pcm = await speak(tts, text);
      const ms = performance.now() - started;
      latencies.push(ms);
      rates.push(ms / pcmDurationMs(pcm.length, 16_000));
      spoken.push(pcm);
    }
  }
  row(
    "flite: a sentence to its first audio, median / longest",
    `${median(latencies).toFixed(0)} / ${Math.max(...latencies).toFixed(0)} ms`,
  );
  row("flite: of real time, median", median(rates).toFixed(3));
  await tts.close();
  return spoken;
}

async function measureHearing(spoken: readonly Buffer[]): Promise<void> {
  const { found, why } = await ensureSpeechPython();
  if (!found) return row("pocketsphinx", `not here: ${why}`);
  const timings: Array<{ audioMs: number; decodeMs: number }> = [];
  const stt = new PocketsphinxSpeechToText({ python: found, onTiming: (timing) => timings.push(timing) });
  let started = performance.now();
  await stt.warmUp();
  row("pocketsphinx: start", `${(performance.now() - started).toFixed(0)} ms`);
  const finals: number[] = [];
  for (const pcm of spoken) {
    const utterance = stt.utterance({ locale: "en", speaker: "measure" });
    // As a call gives it: 20 ms each 20 ms. What counts is what is left to do when the speaker ends.
    for (let at = 0; at < pcm.length; at += 640) {
      utterance.write(pcm.subarray(at, at + 640));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    started = performance.now();
    await utterance.finish();
    finals.push(performance.now() - started);
  }
  row(
    "pocketsphinx: end of speech to its text, median / longest",
    `${median(finals).toFixed(0)} / ${Math.max(...finals).toFixed(0)} ms`,
  );
  const audioMs = timings.reduce((sum, timing) => sum + timing.audioMs, 0);
  const decodeMs = timings.reduce((sum, timing) => sum + timing.decodeMs, 0);
  row("pocketsphinx: of real time", (decodeMs / audioMs).toFixed(3));
  await stt.close();
}

await measureHearing(await measureSpeaking());
