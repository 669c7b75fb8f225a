import { afterAll, describe, expect, it } from "vitest";
import { rms } from "../audio/analysis.js";
import { Voice } from "./voice.js";

describe("Voice", () => {
  const voice = new Voice();
  afterAll(() => voice.close());

  it("speaks with several voices at 16 kHz, and keeps what it said", async () => {
    const text = "Hello, I would like to speak to a human.";
    const first = voice.say(text, "slt");
    const [slt, rmsVoice] = await Promise.all([first, voice.say(text, "rms")]);
    for (const pcm of [slt, rmsVoice]) {
      expect(pcm.sampleRate).toBe(16000);
      expect(pcm.samples.length).toBeGreaterThan(16000);
      expect(rms(pcm.samples)).toBeGreaterThan(300);
    }
    expect(slt.samples).not.toEqual(rmsVoice.samples);
    expect(voice.say(text, "slt")).toBe(first);
  });

  it("refuses an empty text", async () => {
    await expect(voice.say("  ")).rejects.toThrow("1 to 4000 characters");
  });
});
