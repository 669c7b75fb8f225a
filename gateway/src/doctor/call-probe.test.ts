import { describe, expect, it } from "vitest";
import { CallProbe, makeTone } from "./call-probe.js";

const RATE = 16_000;
const FRAME = 640; // 20 ms

describe("CallProbe", () => {
  it("measures what came", () => {
    const clock = { ms: 1_000 };
    const probe = new CallProbe(RATE, () => clock.ms);
    probe.answered();
    const tone = makeTone(RATE, 2_000);
    for (let i = 0; i < 50; i++) {
      // 20 ms apart, but one frame comes 80 ms after the one before.
      clock.ms += i === 10 ? 80 : 20;
      probe.onAudio(0, tone.subarray(i * FRAME, (i + 1) * FRAME));
      probe.onAudio(1, tone.subarray(0, FRAME));
    }
    const heard = probe.heard();
    expect(heard).toMatchObject({
      channels: [0, 1],
      frames: 50,
      audioMs: 1_000,
      frameMs: 20,
      firstAfterMs: 20,
      longestPauseMs: 80,
    });
    expect(heard.rate).toBeCloseTo(980 / 1_040, 3);
    expect(heard.rmsDb).toBeCloseTo(-15.3, 0);
    expect(heard.peakDb).toBeCloseTo(-12.2, 0);
  });

  it("knows silence and nothing at all", () => {
    const probe = new CallProbe(RATE);
    expect(probe.heard()).toMatchObject({ frames: 0, rate: 0, firstAfterMs: -1, rmsDb: -120 });
    probe.onAudio(0, new Uint8Array(FRAME));
    expect(probe.heard()).toMatchObject({ frames: 1, rmsDb: -120, peakDb: -120 });
  });

  it("gives its audio out as it is asked for", () => {
    const clock = { ms: 0 };
    const probe = new CallProbe(RATE, () => clock.ms);
    probe.answered();
    expect(probe.read(Buffer.alloc(100), 0, 100)).toBe(0);
    const tone = makeTone(RATE, 100);
    probe.play(tone);
    const target = Buffer.alloc(tone.length);
    clock.ms = 40;
    expect(probe.read(target, 0, 2_000)).toBe(2_000);
    clock.ms = 90;
    expect(probe.read(target, 2_000, 10_000)).toBe(tone.length - 2_000);
    expect(target.equals(tone)).toBe(true);
    expect(probe.spoken({ bytes: 6_400, requests: 2 })).toEqual({
      audioMs: 100,
      takenMs: 100,
      firstTakenAfterMs: 40,
      takenWithinMs: 50,
      askedMs: 200,
      requests: 2,
    });
  });

  it("resolves with why the call is over, once", async () => {
    const probe = new CallProbe(RATE);
    probe.onTerminated();
    probe.onMediaLost("1006");
    expect(await probe.over).toBe("the caller or the provider ended the call");
  });
});
