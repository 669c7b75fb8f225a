import { encodeFrameTone } from "../audio/frame-tone.js";
import { FRAME_MS } from "../audio/mix.js";
import { resample } from "../audio/resample.js";
import { type Pcm, readWav } from "../audio/wav.js";
import type { Voice } from "../voice/voice.js";
import type { Script, ScriptStep } from "./script.js";

/** What a script needs from the person who follows it. */
export interface ScriptHost {
  /** ms since speech was last heard; grows while it is silent. */
  readonly heardSilenceMs: number;
  /** True when speech was heard since this person's own last words. */
  readonly heardSpeech: boolean;
  /** Own words ended: what is heard from now on is the answer. */
  forgetSpeech(): void;
  /** Takes the next frame that was pushed from outside; false when there is none. */
  takeLive(frame: Int16Array): boolean;
  hangUp(): void;
  /** Something worth a line in the call's event log. */
  note(what: string): void;
}

type Advance = "speaking" | "silent" | "done";

/** Follows one script, frame by frame. */
export class ScriptRunner {
  readonly #steps: Script;
  readonly #host: ScriptHost;
  readonly #prepared = new Map<ScriptStep, Promise<Int16Array | Pcm>>();
  #index = -1;
  #framesInStep = 0;
  #audio: Int16Array | undefined;
  #audioAt = 0;
  #loading = false;
  #random: number;

  /** Texts and files are made ready at once, in the background. `seed` feeds `noise`. */
  constructor(steps: Script, host: ScriptHost, voice: Voice, seed: number) {
    this.#steps = steps;
    this.#host = host;
    this.#random = seed >>> 0 || 1;
    for (const step of steps) {
      let audio: Promise<Pcm> | undefined;
      if (step.do === "say") audio = voice.say(step.text, step.voice);
      else if (step.do === "play")
        audio = typeof step.audio === "string" ? readWav(step.audio) : Promise.resolve(step.audio);
      if (!audio) continue;
      audio.catch((error: Error) => host.note(`script.failed: ${step.do}: ${error.message}`));
      this.#prepared.set(step, audio);
    }
  }

  /** True after the last step. */
  get finished(): boolean {
    return this.#index >= this.#steps.length;
  }

  /** The number of the step being done, from 0; -1 before the first. */
  get stepIndex(): number {
    return this.#index;
  }

  /** Fills `frame` (zeroed by the caller). Returns whether the person says anything in it. */
  tick(frame: Int16Array, sampleRate: number): boolean {
    if (this.#index < 0) this.#enter(0, sampleRate);
    // Steps that take no time follow one another in the same frame.
    for (let guard = 0; guard < 1000; guard++) {
      const step = this.#steps[this.#index];
      if (!step) return false;
      const advance = this.#advance(step, frame, sampleRate);
      if (advance !== "done") {
        this.#framesInStep += 1;
        return advance === "speaking";
      }
      this.#enter(this.#index + 1, sampleRate);
    }
    return false;
  }

  #enter(index: number, sampleRate: number): void {
    this.#index = index;
    this.#framesInStep = 0;
    this.#audio = undefined;
    this.#audioAt = 0;
    const step = this.#steps[index];
    if (!step) return;
    this.#host.note(`script.step ${index}: ${step.do}`);
    const audio = this.#prepared.get(step);
    if (!audio) return;
    this.#loading = true;
    audio.then(
      (pcm) => {
        const made = pcm as Pcm;
        this.#audio = resample(made.samples, made.sampleRate, sampleRate);
        this.#loading = false;
      },
      () => {
        this.#audio = new Int16Array(0);
        this.#loading = false;
      },
    );
  }

  #advance(step: ScriptStep, frame: Int16Array, sampleRate: number): Advance {
    const elapsedMs = this.#framesInStep * FRAME_MS;
    switch (step.do) {
      case "wait":
        return elapsedMs >= step.seconds * 1000 ? "done" : "silent";
      case "waitForAgentSpeech":
        return this.#until(this.#host.heardSpeech, elapsedMs, step.timeoutSeconds);
      case "waitForAgentSilence":
        return this.#until(
          this.#host.heardSilenceMs >= step.silenceSeconds * 1000,
          elapsedMs,
          step.timeoutSeconds,
        );
      case "waitUntil":
        return this.#until(step.predicate(), elapsedMs, step.timeoutSeconds);
      case "say":
      case "play":
        return this.#playOn(frame);
      case "tone": {
        if (elapsedMs >= step.seconds * 1000) return this.#spoken();
        const first = this.#framesInStep * frame.length;
        const factor = (2 * Math.PI * step.frequencyHz) / sampleRate;
        for (let i = 0; i < frame.length; i++)
          frame[i] = Math.round(step.amplitude * Math.sin(factor * (first + i)));
        return "speaking";
      }
      case "frameTone":
        if (elapsedMs >= step.seconds * 1000) return this.#spoken();
        encodeFrameTone(this.#framesInStep, sampleRate, step.band, frame);
        return "speaking";
      case "noise":
        if (elapsedMs >= step.seconds * 1000) return this.#spoken();
        for (let i = 0; i < frame.length; i++) {
          // Numerical Recipes' linear congruence: the same seed, the same noise.
          this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
          frame[i] = Math.round((this.#random / 0x80000000 - 1) * step.amplitude);
        }
        return "speaking";
      case "source":
        return step.read(frame, this.#framesInStep, sampleRate) ? "speaking" : this.#spoken();
      case "live":
        if (elapsedMs >= step.seconds * 1000) return this.#spoken();
        return this.#host.takeLive(frame) ? "speaking" : "silent";
      case "hangUp":
        this.#host.hangUp();
        return "silent";
    }
  }

  #until(met: boolean, elapsedMs: number, timeoutSeconds: number): Advance {
    if (met) return "done";
    if (elapsedMs < timeoutSeconds * 1000) return "silent";
    this.#host.note(`script.timeout: step ${this.#index}`);
    return "done";
  }

  #playOn(frame: Int16Array): Advance {
    if (this.#loading || !this.#audio) return "silent";
    if (this.#audioAt >= this.#audio.length) return this.#spoken();
    const part = this.#audio.subarray(this.#audioAt, this.#audioAt + frame.length);
    frame.set(part);
    this.#audioAt += part.length;
    return "speaking";
  }

  #spoken(): Advance {
    this.#host.forgetSpeech();
    return "done";
  }
}
