import { sharedVoice } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { resemblance } from "./resemblance.js";

const RATE = 16_000;
const say = async (text: string, voice: "slt" | "rms") => (await sharedVoice.say(text, voice)).samples;

describe("resemblance", () => {
  it("finds words that were made louder and mixed with noise, and no others", async () => {
    const words = await say("Your parcel is in our warehouse, I will send it today.", "slt");
    const other = await say("I want to know where my parcel is, it has not come.", "rms");
    const recording = new Int16Array(RATE * 8);
    words.forEach((value, i) => {
      const noise = Math.sin(i * 12.9898) * 43_758.5453;
      recording[i + 30_001] = value * 1.4 + (noise - Math.floor(noise) - 0.5) * 600;
    });
    expect(resemblance(words, recording, RATE)).toBeGreaterThan(0.8);
    expect(resemblance(other, recording, RATE)).toBeLessThan(0.35);
    expect(resemblance(words, recording, RATE, { toMs: 1_500 })).toBe(0);
  });

  it("finds nothing in silence or in what is too short", async () => {
    const words = await say("Hello.", "slt");
    expect(resemblance(words, new Int16Array(RATE * 4), RATE)).toBe(0);
    expect(resemblance(words, words.subarray(0, 100), RATE)).toBe(0);
    expect(resemblance(new Int16Array(RATE), words, RATE)).toBe(0);
  });
});
