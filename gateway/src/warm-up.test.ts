import { describe, expect, it } from "vitest";
import { HoldSound } from "./audio/hold-audio.js";
import { protoJsonLoaded } from "./contract/proto-json.js";
import { warmUp } from "./warm-up.js";

describe("warmUp", () => {
  it("makes every sound at every rate once, and reads the contract only where JSON is used", () => {
    const made: string[] = [];
    const sound = (name: string) => ({ loop: (rate: number) => made.push(`${name} ${rate}`) });
    warmUp({ sounds: [sound("a"), sound("b")], sampleRatesHz: [8_000, 16_000, 8_000], json: false });
    expect(made).toEqual(["a 8000", "a 16000", "b 8000", "b 16000"]);
    expect(protoJsonLoaded()).toBe(false);
    warmUp({ sounds: [], sampleRatesHz: [], json: true });
    expect(protoJsonLoaded()).toBe(true);
  });

  it("leaves nothing to be composed for a call", () => {
    const sound = HoldSound.generated();
    warmUp({ sounds: [sound], sampleRatesHz: [16_000], json: false });
    expect(sound.loop(16_000)).toBe(sound.loop(16_000));
  });
});
