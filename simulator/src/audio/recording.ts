import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TimeSpan } from "./analysis.js";
import { FRAME_MS, samplesPerFrame } from "./mix.js";
import { writeWav } from "./wav.js";

/**
 * One track of a call's recording; all share one time axis.
 * - `caller`, `callee`: what that party heard
 * - `agent`: what the agent was sent on channel 0
 * - `callerSays`, `calleeSays`: what that party said
 * - `agentSays`: the agent's audio as it was played out, whoever heard it
 */
export type RecordingTrack = "caller" | "callee" | "agent" | "callerSays" | "calleeSays" | "agentSays";

/** All tracks of a recording. */
export const RECORDING_TRACKS: readonly RecordingTrack[] = [
  "caller",
  "callee",
  "agent",
  "callerSays",
  "calleeSays",
  "agentSays",
];

const FRAMES_PER_BLOCK = 50;

/** Sparse audio: a second of silence takes no memory. */
class Track {
  readonly #blocks: (Int16Array | undefined)[] = [];
  readonly #frameSamples: number;
  readonly spans: { startMs: number; endMs: number }[] = [];

  constructor(frameSamples: number) {
    this.#frameSamples = frameSamples;
  }

  write(frame: number, samples: Int16Array): void {
    const index = Math.floor(frame / FRAMES_PER_BLOCK);
    let block = this.#blocks[index];
    if (!block) {
      block = new Int16Array(FRAMES_PER_BLOCK * this.#frameSamples);
      this.#blocks[index] = block;
    }
    block.set(samples, (frame % FRAMES_PER_BLOCK) * this.#frameSamples);
  }

  read(frames: number): Int16Array {
    const out = new Int16Array(frames * this.#frameSamples);
    const blockSamples = FRAMES_PER_BLOCK * this.#frameSamples;
    for (let index = 0; index < this.#blocks.length; index++) {
      const block = this.#blocks[index];
      const at = index * blockSamples;
      if (block && at < out.length) out.set(block.subarray(0, Math.min(blockSamples, out.length - at)), at);
    }
    return out;
  }
}

/**
 * What everybody on a call said and heard, as s16 PCM on one time axis: sample 0 is the moment the call
 * was placed. Audio before the first claim is silence, since its rate is not known until then.
 */
export class CallRecording {
  readonly #startMs: number;
  readonly #tracks = new Map<RecordingTrack, Track>();
  readonly #delivered: Buffer[] = [];
  readonly #agentAt: Record<"caller" | "callee", { startMs: number; endMs: number }[]> = {
    caller: [],
    callee: [],
  };
  readonly enabled: boolean;
  readonly #limitFrames: number;
  #deliveredBytes = 0;
  #frames = 0;
  #sampleRate = 0;

  /**
   * `startMs`: the simulator clock's time at sample 0. `limitSeconds`: what comes later is not kept (the time
   * axis goes on, silent).
   */
  constructor(startMs: number, enabled: boolean, limitSeconds: number) {
    this.#limitFrames = (limitSeconds * 1000) / FRAME_MS;
    this.#startMs = startMs;
    this.enabled = enabled;
  }

  /** Time on the simulator's clock of sample 0. */
  get startMs(): number {
    return this.#startMs;
  }

  /** Rate of all tracks in Hz; 0 until the call has audio. */
  get sampleRate(): number {
    return this.#sampleRate;
  }

  /** Length so far in ms. */
  get durationMs(): number {
    return this.#frames * FRAME_MS;
  }

  /** @internal */
  setSampleRate(sampleRate: number): void {
    if (this.#sampleRate === 0) this.#sampleRate = sampleRate;
  }

  /** @internal */
  setLength(frames: number): void {
    this.#frames = Math.max(this.#frames, frames);
  }

  /** @internal */
  write(track: RecordingTrack, frame: number, samples: Int16Array): void {
    if (!this.enabled || this.#sampleRate === 0 || frame >= this.#limitFrames) return;
    let target = this.#tracks.get(track);
    if (!target) {
      target = new Track(samplesPerFrame(this.#sampleRate));
      this.#tracks.set(track, target);
    }
    target.write(frame, samples);
  }

  /** @internal */
  noteAgentHeard(party: "caller" | "callee", frame: number): void {
    const spans = this.#agentAt[party];
    const last = spans[spans.length - 1];
    const startMs = frame * FRAME_MS;
    if (last && startMs <= last.endMs) last.endMs = startMs + FRAME_MS;
    else spans.push({ startMs, endMs: startMs + FRAME_MS });
  }

  /** @internal */
  noteDelivered(bytes: Buffer): void {
    const limitBytes = this.#limitFrames * samplesPerFrame(this.#sampleRate) * 2;
    if (!this.enabled || this.#deliveredBytes + bytes.length > limitBytes) return;
    this.#deliveredBytes += bytes.length;
    this.#delivered.push(bytes);
  }

  /** The samples of one track from the beginning of the call to now. A copy. */
  track(track: RecordingTrack): Int16Array {
    const found = this.#tracks.get(track);
    return (
      found?.read(this.#frames) ?? new Int16Array(this.#frames * samplesPerFrame(this.#sampleRate || 8000))
    );
  }

  /** What the caller heard. */
  get caller(): Int16Array {
    return this.track("caller");
  }

  /** What the callee heard. */
  get callee(): Int16Array {
    return this.track("callee");
  }

  /** What the agent was sent on channel 0. */
  get agent(): Int16Array {
    return this.track("agent");
  }

  /** The agent's audio as it was played out. */
  get agentSays(): Int16Array {
    return this.track("agentSays");
  }

  /** Every byte of audio the agent sent, in order, without a time axis. */
  get agentDelivered(): Buffer {
    return Buffer.concat(this.#delivered);
  }

  /** When agent audio (silent samples included) was played to a party, in ms since sample 0. */
  agentSpansAt(party: "caller" | "callee"): readonly TimeSpan[] {
    return this.#agentAt[party].map((span) => ({ ...span }));
  }

  /** Writes one WAV file per track (`caller.wav` …) into `directory`, which is made if absent. Returns the paths. */
  async writeWavs(directory: string): Promise<string[]> {
    await mkdir(directory, { recursive: true });
    const paths: string[] = [];
    for (const track of RECORDING_TRACKS) {
      const path = join(directory, `${track}.wav`);
      await writeWav(path, { sampleRate: this.#sampleRate || 8000, samples: this.track(track) });
      paths.push(path);
    }
    return paths;
  }
}
