import { afterAll, describe, expect, it } from "vitest";
import { FrameCutter, pcmBytes, pcmDurationMs, rms, wavFile } from "../pcm.js";
import { FLITE_VOICES, FliteTextToSpeech } from "./flite.js";
import { loadFvad } from "./fvad.js";
import { loadResampler } from "./resampler.js";

const tone = (hz: number, ms: number, rate: number, level = 8_000) => {
  const pcm = Buffer.alloc(pcmBytes(ms, rate));
  for (let i = 0; i < pcm.length / 2; i++) {
    pcm.writeInt16LE(Math.round(level * Math.sin((2 * Math.PI * hz * i) / rate)), i * 2);
  }
  return pcm;
};

async function speech(tts: FliteTextToSpeech, text: string, voice = "slt") {
  const audio = await tts.speak(text, { locale: "en", voice });
  const chunks: Buffer[] = [];
  for await (const chunk of audio.chunks) chunks.push(chunk);
  return { pcm: Buffer.concat(chunks), rate: audio.sampleRateHz };
}

describe("pcm", () => {
  it("converts between bytes and time", () => {
    expect(pcmDurationMs(640, 16_000)).toBe(20);
    expect(pcmBytes(20, 24_000)).toBe(960);
    expect(rms(Buffer.alloc(0))).toBe(0);
    expect(rms(tone(440, 100, 16_000))).toBeGreaterThan(5_000);
    const wav = wavFile(Buffer.alloc(640), 16_000);
    expect(wav.toString("latin1", 0, 4)).toBe("RIFF");
    expect(wav.readUInt32LE(24)).toBe(16_000);
    expect(wav.length).toBe(684);
  });

  it("cuts frames whatever the portions, and loses nothing", () => {
    const all = Buffer.from(Array.from({ length: 100 }, (_, i) => i));
    const cutter = new FrameCutter(16);
    const frames: Buffer[] = [];
    for (let at = 0; at < all.length; at += 7) frames.push(...cutter.push(all.subarray(at, at + 7)));
    expect(Buffer.concat(frames)).toEqual(all.subarray(0, 96));
    cutter.reset();
    expect(cutter.push(all.subarray(0, 16))[0]).toEqual(all.subarray(0, 16));
  });
});

describe("flite", () => {
  const tts = new FliteTextToSpeech();
  afterAll(() => tts.close());

  it.each(FLITE_VOICES)("speaks with voice %s", async (voice) => {
    const { pcm, rate } = await speech(tts, "Good morning.", voice);
    expect(rate).toBe(voice === "kal" ? 8_000 : 16_000);
    expect(pcmDurationMs(pcm.length, rate)).toBeGreaterThan(400);
    expect(rms(pcm)).toBeGreaterThan(500);
  });

  it("says the same the same way, many times, and faster when told", async () => {
    const first = await speech(tts, "Hello there.");
    for (let i = 0; i < 30; i++) expect((await speech(tts, "Hello there.")).pcm.equals(first.pcm)).toBe(true);
    const fast = new FliteTextToSpeech({ rate: 1.5 });
    const { pcm } = await speech(fast, "Hello there.");
    expect(pcm.length).toBeLessThan(first.pcm.length * 0.8);
    await fast.close();
  });

  it.each(["", "   ", "--help", "-o /x hello", "(file", "a\u0000b\nc", "ü €"])(
    "survives %j",
    async (text) => {
      const { rate } = await speech(tts, text);
      expect(rate).toBe(16_000);
    },
  );

  it("refuses more texts than may wait, and everything after it was closed", async () => {
    const small = new FliteTextToSpeech({ maxQueuedTexts: 2 });
    const results = await Promise.allSettled([1, 2, 3].map(() => speech(small, "One.")));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    const waiting = expect(speech(small, "Two.")).rejects.toMatchObject({ reason: "ABORTED" });
    await small.close();
    await waiting;
    await expect(speech(small, "Three.")).rejects.toMatchObject({ reason: "ABORTED" });
  });

  it("gives up on a worker that does not answer, after a second try", async () => {
    const slow = new FliteTextToSpeech({ timeoutMs: 1 });
    await expect(speech(slow, "A sentence that takes longer than that.")).rejects.toMatchObject({
      reason: "PROVIDER_FAILED",
    });
    await slow.close();
  });
});

describe("voice activity", () => {
  const frames = (pcm: Buffer) => new FrameCutter(640).push(pcm);

  it("finds speech between silences, and nothing in silence or hum", async () => {
    const newVad = await loadFvad();
    const tts = new FliteTextToSpeech();
    const { pcm } = await speech(tts, "Hello, I would like to know your opening hours.");
    await tts.close();
    const silence = Buffer.alloc(pcmBytes(1_000, 16_000));
    const vad = newVad();
    const events = frames(Buffer.concat([silence, pcm, silence])).flatMap((frame, i) => {
      const event = vad.process(frame);
      return event ? [{ event, ms: i * 20 }] : [];
    });
    expect(events.map(({ event }) => event)).toEqual(["SPEECH_STARTED", "SPEECH_ENDED"]);
    expect(events[0]?.ms).toBeGreaterThan(1_000);
    expect(events[0]?.ms).toBeLessThan(1_500);
    vad.reset();
    const hum = frames(tone(50, 2_000, 16_000, 60)).map((frame) => vad.process(frame));
    expect(hum.filter(Boolean)).toEqual([]);
    vad.close();
    expect(vad.process(Buffer.alloc(640))).toBeUndefined();
  });

  it("refuses a frame of another length", async () => {
    const vad = (await loadFvad())();
    expect(() => vad.process(Buffer.alloc(100))).toThrow(RangeError);
    vad.close();
  });
});

describe("resampler", () => {
  it.each([
    [8_000, 16_000],
    [16_000, 8_000],
    [24_000, 16_000],
    [16_000, 24_000],
  ])("converts %d Hz to %d Hz keeping length and level", async (from, to) => {
    const resampler = (await loadResampler())(from, to);
    const input = tone(440, 1_000, from);
    const parts: Buffer[] = [];
    for (let at = 0; at < input.length; at += 322)
      parts.push(resampler.process(input.subarray(at, at + 322)));
    const output = Buffer.concat(parts);
    expect(Math.abs(pcmDurationMs(output.length, to) - 1_000)).toBeLessThan(10);
    expect(Math.abs(rms(output) / rms(input) - 1)).toBeLessThan(0.05);
    resampler.reset();
    expect(() => resampler.process(Buffer.alloc(3))).toThrow(RangeError);
    resampler.close();
    expect(() => resampler.process(Buffer.alloc(4))).toThrow("closed");
  });

  it("gives the very bytes back at the same rate", async () => {
    const resampler = (await loadResampler())(16_000, 16_000);
    const pcm = tone(440, 20, 16_000);
    expect(resampler.process(pcm)).toBe(pcm);
  });
});
