import { rms } from "../audio/analysis.js";
import { FRAME_MS, samplesPerFrame } from "../audio/mix.js";
import type { Voice } from "../voice/voice.js";
import type { Script } from "./script.js";
import { type ScriptHost, ScriptRunner } from "./script-runner.js";

/** Who a party is in the call. */
export type PartyRole = "caller" | "callee";

/**
 * `away`: not on the phone yet; `ringing`: the phone rings; `inCall`: hears and speaks; `left`: hung up.
 */
export type PartyState = "away" | "ringing" | "inCall" | "left";

/** What a party asks of its call. */
export interface PartyHost {
  readonly voice: Voice;
  readonly seed: number;
  partyHangsUp(role: PartyRole): void;
  note(type: string, data: unknown): void;
}

/** RMS from which a heard frame counts as speech. */
const SPEECH_RMS = 150;
/** Speech shorter than this is a click. */
const SPEECH_MIN_MS = 60;
/** Audio pushed from outside is held for at most this long; the oldest goes first. */
const LIVE_LIMIT_MS = 10_000;

/** A person on the phone: speaks by a script or live, hears, hangs up. */
export class Party implements ScriptHost {
  readonly role: PartyRole;
  readonly #host: PartyHost;
  #script: Script;
  #runner: ScriptRunner | undefined;
  #state: PartyState = "away";
  #says = new Int16Array(0);
  #live: Int16Array[] = [];
  #liveSamples = 0;
  #liveOffset = 0;
  #speechMs = 0;
  #heardSilenceMs = 0;
  #heardSpeech = false;
  #listener: ((frame: Int16Array) => void) | undefined;
  /** Scratch frame for what this party hears; made by the call's mixer. @internal */
  hears = new Int16Array(0);

  constructor(role: PartyRole, script: Script, host: PartyHost) {
    this.role = role;
    this.#script = script;
    this.#host = host;
    // Make texts ready while the phone still rings.
    this.#runner = new ScriptRunner(script, this, host.voice, host.seed);
  }

  get state(): PartyState {
    return this.#state;
  }

  get heardSilenceMs(): number {
    return this.#heardSilenceMs;
  }

  get heardSpeech(): boolean {
    return this.#heardSpeech;
  }

  /** True when the script has no step left. */
  get scriptFinished(): boolean {
    return this.#runner?.finished ?? true;
  }

  /** Replaces the script; it starts at the next frame, or when the party is in the call. */
  follow(script: Script): void {
    this.#script = script;
    this.#runner = new ScriptRunner(this.#script, this, this.#host.voice, this.#host.seed);
  }

  /** Live audio at the call's rate, for a `live` step. Beyond 10 s of waiting audio the oldest is dropped. */
  push(samples: Int16Array, sampleRate: number): void {
    this.#live.push(samples);
    this.#liveSamples += samples.length;
    const limit = (sampleRate * LIVE_LIMIT_MS) / 1000;
    while (this.#liveSamples > limit && this.#live.length > 1) {
      this.#liveSamples -= (this.#live.shift() as Int16Array).length - this.#liveOffset;
      this.#liveOffset = 0;
    }
  }

  /** Calls `listener` with each 20 ms frame the party hears (valid during the call only: copy it to keep it). */
  listen(listener: ((frame: Int16Array) => void) | undefined): void {
    this.#listener = listener;
  }

  /** @internal */
  setState(state: PartyState): void {
    if (this.#state === state || this.#state === "left") return;
    this.#state = state;
    this.#host.note(`party.${state}`, { party: this.role });
  }

  /** @internal The party may be called again (a second attempt to connect). */
  reset(script: Script): void {
    this.#state = "away";
    this.follow(script);
  }

  /**
   * What the party says in this frame, or null for silence. The array is reused by the next frame.
   * @internal
   */
  speak(sampleRate: number): Int16Array | null {
    const length = samplesPerFrame(sampleRate);
    if (this.#says.length !== length) {
      this.#says = new Int16Array(length);
      this.hears = new Int16Array(length);
    }
    if (this.#state !== "inCall" || !this.#runner || this.#runner.finished) return null;
    this.#says.fill(0);
    return this.#runner.tick(this.#says, sampleRate) ? this.#says : null;
  }

  /** `frame` is null for silence. @internal */
  hear(frame: Int16Array | null): void {
    if (frame && rms(frame) >= SPEECH_RMS) {
      this.#speechMs += FRAME_MS;
      this.#heardSilenceMs = 0;
      if (this.#speechMs >= SPEECH_MIN_MS) this.#heardSpeech = true;
    } else {
      this.#heardSilenceMs += FRAME_MS;
      if (this.#heardSilenceMs > 200) this.#speechMs = 0;
    }
    if (this.#listener) this.#listener(frame ?? this.hears.fill(0));
  }

  forgetSpeech(): void {
    this.#heardSpeech = false;
    this.#speechMs = 0;
    this.#heardSilenceMs = 0;
  }

  takeLive(frame: Int16Array): boolean {
    let done = 0;
    while (done < frame.length) {
      const head = this.#live[0];
      if (!head) break;
      const part = head.subarray(this.#liveOffset, this.#liveOffset + frame.length - done);
      frame.set(part, done);
      done += part.length;
      this.#liveOffset += part.length;
      this.#liveSamples -= part.length;
      if (this.#liveOffset >= head.length) {
        this.#live.shift();
        this.#liveOffset = 0;
      }
    }
    return done > 0;
  }

  /** Hangs up, in whatever state. */
  hangUp(): void {
    if (this.#state === "left") return;
    this.#host.partyHangsUp(this.role);
  }

  note(what: string): void {
    this.#host.note("party.script", { party: this.role, what });
  }
}
