import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CallRecording, RECORDING_TRACKS } from "./recording.js";
import { readWav } from "./wav.js";

const FRAME = new Int16Array(160).fill(5);

function recording(limitSeconds = 3600): CallRecording {
  const made = new CallRecording(0, true, limitSeconds);
  made.setSampleRate(8000);
  return made;
}

describe("CallRecording", () => {
  it("puts all tracks on one axis, silence where nothing was written", () => {
    const made = recording();
    made.write("caller", 3, FRAME);
    made.write("callee", 120, FRAME);
    made.setLength(130);
    expect(made.durationMs).toBe(2600);
    expect(made.caller.length).toBe(130 * 160);
    expect(made.caller.indexOf(5)).toBe(3 * 160);
    expect(made.callee.indexOf(5)).toBe(120 * 160);
    expect(made.agent.every((sample) => sample === 0)).toBe(true);
  });

  it("joins neighbouring frames of agent audio into spans", () => {
    const made = recording();
    for (const frame of [1, 2, 3, 7, 8]) made.noteAgentHeard("caller", frame);
    expect(made.agentSpansAt("caller")).toEqual([
      { startMs: 20, endMs: 80 },
      { startMs: 140, endMs: 180 },
    ]);
    expect(made.agentSpansAt("callee")).toEqual([]);
  });

  it("keeps the first seconds only when it is limited, or nothing when it is off", () => {
    const made = recording(0.04);
    for (let frame = 0; frame < 5; frame++) {
      made.write("caller", frame, FRAME);
      made.noteDelivered(Buffer.from(FRAME.buffer));
    }
    made.setLength(5);
    expect(made.caller.filter((sample) => sample === 5).length).toBe(2 * 160);
    expect(made.agentDelivered.length).toBe(2 * 320);
    const off = new CallRecording(0, false, 3600);
    off.setSampleRate(8000);
    off.write("caller", 0, FRAME);
    off.setLength(1);
    expect(off.caller.every((sample) => sample === 0)).toBe(true);
  });

  it("writes a WAV per track", async () => {
    const directory = await mkdtemp(join(tmpdir(), "callweave-recording-"));
    try {
      const made = recording();
      made.write("agentSays", 0, FRAME);
      made.setLength(2);
      await made.writeWavs(directory);
      expect((await readdir(directory)).sort()).toEqual(RECORDING_TRACKS.map((name) => `${name}.wav`).sort());
      expect(await readWav(join(directory, "agentSays.wav"))).toEqual({
        sampleRate: 8000,
        samples: made.agentSays,
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
