import { describe, expect, it } from "vitest";
import { samplesPerFrame } from "../audio/mix.js";
import { sharedVoice } from "../voice/voice.js";
import { Party } from "./party.js";
import {
  frameTone,
  hangUp,
  live,
  noise,
  play,
  type Script,
  source,
  tone,
  wait,
  waitForAgent,
  waitForAgentSilence,
  waitUntil,
} from "./script.js";

const RATE = 8000;
const LOUD = new Int16Array(samplesPerFrame(RATE)).fill(3000);

function setup(script: Script, seed = 1) {
  const notes: string[] = [];
  let left = 0;
  const party = new Party("caller", script, {
    voice: sharedVoice,
    seed,
    partyHangsUp: () => {
      left += 1;
    },
    note: (_, data) => notes.push((data as { what?: string }).what ?? ""),
  });
  party.setState("inCall");
  /** Runs so many frames in which the party hears `heard`; returns whether it spoke in each. */
  const run = (frames: number, heard: Int16Array | null = null) =>
    Array.from({ length: frames }, () => {
      const spoke = party.speak(RATE) !== null;
      party.hear(heard);
      return spoke;
    });
  return { party, run, notes, hungUp: () => left };
}

describe("a script", () => {
  it("waits, speaks and hangs up in order, to the frame", () => {
    const { run, hungUp } = setup([wait(0.1), tone(440, 0.1), wait(0.04), hangUp()]);
    expect(run(5)).toEqual([false, false, false, false, false]);
    expect(run(5)).toEqual([true, true, true, true, true]);
    expect(run(2)).toEqual([false, false]);
    expect(hungUp()).toBe(0);
    run(1);
    expect(hungUp()).toBe(1);
  });

  it("says nothing before its person is in the call", () => {
    const { party } = setup([tone(440)]);
    const away = new Party("callee", [tone(440)], {
      voice: sharedVoice,
      seed: 1,
      partyHangsUp: () => {},
      note: () => {},
    });
    expect(away.speak(RATE)).toBeNull();
    expect(party.speak(RATE)).not.toBeNull();
  });

  it("speaks after the agent has finished: not before, not during, not in a short pause", () => {
    const { run } = setup([...waitForAgent(0.5), tone(440, 0.02)]);
    expect(run(100).some(Boolean)).toBe(false);
    expect(run(50, LOUD).some(Boolean)).toBe(false);
    expect(run(20).some(Boolean)).toBe(false);
    expect(run(50, LOUD).some(Boolean)).toBe(false);
    const silence = run(40);
    expect(silence.indexOf(true)).toBeGreaterThanOrEqual(24);
    expect(silence.indexOf(true)).toBeLessThanOrEqual(26);
  });

  it("takes only what came after its own words for the answer", () => {
    const { run } = setup([tone(440, 0.4), ...waitForAgent(0.2), tone(700, 0.02)]);
    run(20, LOUD);
    expect(run(60).some(Boolean)).toBe(false);
    run(10, LOUD);
    expect(run(20).some(Boolean)).toBe(true);
  });

  it("does not take a click for speech", () => {
    const { run } = setup([...waitForAgent(0.2), tone(440, 0.02)]);
    run(2, LOUD);
    expect(run(60).some(Boolean)).toBe(false);
  });

  it("goes on after the timeout, and says so", () => {
    const { run, notes } = setup([...waitForAgent(0.1, 1), tone(440, 0.02)]);
    expect(run(70).some(Boolean)).toBe(true);
    expect(notes).toContain("script.timeout: step 0");
  });

  it("waits for silence and for conditions", () => {
    let open = false;
    const { run } = setup([waitForAgentSilence(0.2), waitUntil(() => open), tone(440, 0.02)]);
    run(30, LOUD);
    run(30);
    open = true;
    expect(run(1)).toEqual([true]);
  });

  it("plays samples at the call's rate", async () => {
    const { party } = setup([play({ sampleRate: 16000, samples: new Int16Array(3200).fill(1000) })]);
    party.speak(RATE);
    await new Promise((resolve) => setImmediate(resolve));
    let frames = 0;
    while (party.speak(RATE)) frames += 1;
    expect(frames).toBe(10);
    expect(party.scriptFinished).toBe(true);
  });

  it("makes the same noise from the same seed", () => {
    const first = setup([noise(1)], 7)
      .party.speak(RATE)
      ?.slice();
    expect(setup([noise(1)], 7).party.speak(RATE)).toEqual(first);
    expect(setup([noise(1)], 8).party.speak(RATE)).not.toEqual(first);
  });

  it("takes audio from a function and from outside", () => {
    const made = setup([source((frame, index) => index < 3 && Boolean(frame.fill(index + 1)))]);
    expect(made.run(5)).toEqual([true, true, true, false, false]);
    const { party, run } = setup([live()]);
    expect(run(2)).toEqual([false, false]);
    party.push(new Int16Array(400).fill(9), RATE);
    expect(run(4)).toEqual([true, true, true, false]);
    party.push(new Int16Array(RATE * 12), RATE);
    party.push(new Int16Array(RATE * 3), RATE);
    expect(run(200).filter(Boolean).length).toBe(150);
  });

  it("numbers its frames from 0", () => {
    const { party } = setup([frameTone()]);
    const first = party.speak(RATE)?.slice();
    expect(party.speak(RATE)).not.toEqual(first);
  });
});
