import { describe, expect, it } from "vitest";
import { CallAudio } from "./call-audio.js";

const RATE = 8000;
const pcm = (ms: number) => new Uint8Array((ms * RATE * 2) / 1000);

function listened(source: "MIXED" | "AGENT") {
  const audio = new CallAudio(RATE);
  const told: unknown[] = [];
  audio.tap(source, {
    audio: (position, { length }) => told.push(["audio", position, length / 16]),
    gap: (from, durationMs, reason) => told.push(["gap", from, durationMs, reason]),
    ended: () => told.push("ended"),
  });
  return { audio, told };
}

describe("CallAudio paused", () => {
  it("tells listeners gaps, one a second and the rest at the end, and audio goes on in its place", () => {
    const { audio, told } = listened("MIXED");
    audio.heard(pcm(20));
    audio.setPaused(true);
    for (let i = 0; i < 75; i++) expect(audio.heard(pcm(20))).toBe(160 * (i + 1));
    audio.setPaused(false);
    audio.heard(pcm(20));
    expect(told).toEqual([
      ["audio", 0, 20],
      ["gap", 160, 1000, "PAUSED"],
      ["gap", 160 + 8000, 500, "PAUSED"],
      ["audio", 160 + 12_000, 20],
    ]);
  });

  it("keeps what the agent says from its listeners too", () => {
    const { audio, told } = listened("AGENT");
    audio.setPaused(true);
    audio.said(pcm(300));
    audio.setPaused(false);
    audio.said(pcm(20));
    expect(told).toEqual([
      ["gap", 0, 300, "PAUSED"],
      ["audio", 2400, 20],
    ]);
  });

  it("tells what was kept before what the provider did not send", () => {
    const { audio, told } = listened("MIXED");
    audio.setPaused(true);
    audio.heard(pcm(20));
    expect(audio.missed(800, 100)).toBe(160);
    audio.setPaused(false);
    expect(told).toEqual([
      ["gap", 0, 20, "PAUSED"],
      ["gap", 160, 100, "PROVIDER"],
    ]);
  });

  it("tells nothing when nothing was said meanwhile", () => {
    const { audio, told } = listened("MIXED");
    audio.setPaused(true);
    audio.setPaused(false);
    expect(told).toEqual([]);
  });
});
