import { readFile } from "node:fs/promises";
import { samplesToBytes } from "./pcm.js";
import { resampleAll } from "./resampler.js";
import { readWav, type WavAudio, WavError } from "./wav.js";

/** Level of the generated sound: RMS of the whole loop, in dB of full scale. */
export const HOLD_LEVEL_DBFS = -26;

const GENERATED_RATE_HZ = 24_000;
const BAR_SECONDS = 2.4;
const NOTE_GAP_SECONDS = 0.3;
const DECAY_SECONDS = 0.42;
const ATTACK_SECONDS = 0.012;
/** Four rising chords, in semitones from the note A of 440 Hz; all partials stay below 3.4 kHz. */
const BARS = [
  [-9, -5, -2, 3],
  [-12, -9, -5, 0],
  [-16, -12, -9, -4],
  [-14, -10, -7, -2],
] as const;
/** Strength of a note's partials. */
const PARTIALS = [1, 0.32, 0.1] as const;

let generated: HoldSound | undefined;

/** A sound to hold by, shared by all calls: the generated chimes or a WAV file. Looped without a seam. */
export class HoldSound {
  private readonly loops = new Map<number, Uint8Array>();

  private constructor(private readonly source: WavAudio) {}

  /** Soft rising chimes, 9.6 s, around −26 dBFS, never silent for 2 s. Always the same object. */
  static generated(): HoldSound {
    generated ??= new HoldSound({ sampleRateHz: GENERATED_RATE_HZ, samples: compose() });
    return generated;
  }

  /** The audio of a WAV file, as loud as it is. Throws WavError when it is shorter than 0.1 s. */
  static fromWav(audio: WavAudio): HoldSound {
    if (audio.samples.length < audio.sampleRateHz / 10) throw new WavError("shorter than 0.1 s");
    return new HoldSound(audio);
  }

  /** A reader of its own for one call, from the beginning. `sampleRateHz`: 8000, 16000 or 24000. */
  open(sampleRateHz: number): HoldAudio {
    return new HoldAudio(this.loop(sampleRateHz));
  }

  /** The whole loop, s16le at the rate. Made once per rate. */
  loop(sampleRateHz: number): Uint8Array {
    let loop = this.loops.get(sampleRateHz);
    if (!loop) {
      const { samples, sampleRateHz: from } = this.source;
      loop = samplesToBytes(resampleLoop(samples, from, sampleRateHz));
      this.loops.set(sampleRateHz, loop);
    }
    return loop;
  }
}

/** Reads the loop for one call. */
export class HoldAudio {
  private at = 0;

  /** `loop` is s16le with whole samples and is not changed. */
  constructor(private readonly loop: Uint8Array) {}

  /** Copies up to `maxBytes` into `target` at `offset`, rounded down to whole samples; answers how many. Never ends. */
  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const room = Math.min(maxBytes, target.length - offset);
    const wanted = room > 0 ? room - (room % 2) : 0;
    let done = 0;
    while (done < wanted) {
      const part = Math.min(wanted - done, this.loop.length - this.at);
      target.set(this.loop.subarray(this.at, this.at + part), offset + done);
      done += part;
      this.at = (this.at + part) % this.loop.length;
    }
    return done;
  }

  /** From the beginning again. */
  restart(): void {
    this.at = 0;
  }
}

/** The hold sound of a pool: its WAV file, or the generated one without. Throws WavError naming the file. */
export async function loadHoldSound(file?: string): Promise<HoldSound> {
  if (!file) return HoldSound.generated();
  const audio = await loadWav(file);
  return named(file, () => HoldSound.fromWav(audio));
}

/** An announcement as s16le at the rate of a call. Throws WavError naming the file; longer than `maxSeconds` (default 120) too. */
export async function loadAnnouncement(
  file: string,
  sampleRateHz: number,
  maxSeconds = 120,
): Promise<Uint8Array> {
  const audio = await loadWav(file);
  const seconds = audio.samples.length / audio.sampleRateHz;
  if (seconds > maxSeconds) throw new WavError(`${file}: ${seconds.toFixed(1)} s; at most ${maxSeconds} s`);
  return samplesToBytes(resampleAll(audio.samples, audio.sampleRateHz, sampleRateHz));
}

async function loadWav(file: string): Promise<WavAudio> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new WavError(`${file}: cannot be read (${code})`, { cause: error });
  }
  return named(file, () => readWav(bytes));
}

function named<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof WavError) throw new WavError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Resamples a loop so that its end flows into its beginning: the filter sees the neighbours across the seam. */
function resampleLoop(samples: Int16Array, fromHz: number, toHz: number): Int16Array {
  if (fromHz === toHz) return samples;
  // 10 ms on each side is more than the filter reaches, and a whole number of samples at all rates.
  const margin = Math.min(fromHz / 100, samples.length);
  const wrapped = new Int16Array(samples.length + 2 * margin);
  wrapped.set(samples.subarray(samples.length - margin));
  wrapped.set(samples, margin);
  wrapped.set(samples.subarray(0, margin), margin + samples.length);
  const begin = (margin * toHz) / fromHz;
  const length = Math.floor((samples.length * toHz) / fromHz);
  return resampleAll(wrapped, fromHz, toHz).slice(begin, begin + length);
}

function compose(): Int16Array {
  const bar = BAR_SECONDS * GENERATED_RATE_HZ;
  const mix = new Float64Array(BARS.length * bar);
  BARS.forEach((notes, index) => {
    notes.forEach((note, step) => {
      const begin = Math.round(index * bar + step * NOTE_GAP_SECONDS * GENERATED_RATE_HZ);
      chime(mix, begin, 440 * 2 ** (note / 12), 1 - step * 0.08);
    });
  });
  const rms = Math.sqrt(mix.reduce((sum, s) => sum + s * s, 0) / mix.length);
  const gain = (32_768 * 10 ** (HOLD_LEVEL_DBFS / 20)) / rms;
  return Int16Array.from(mix, (s) => Math.max(-32_768, Math.min(32_767, Math.round(s * gain))));
}

/** Adds one note; what rings beyond the end goes to the beginning of the loop. */
function chime(mix: Float64Array, begin: number, frequencyHz: number, strength: number): void {
  const length = Math.round(6 * DECAY_SECONDS * GENERATED_RATE_HZ);
  for (let i = 0; i < length; i++) {
    const t = i / GENERATED_RATE_HZ;
    const attack = t < ATTACK_SECONDS ? 0.5 - 0.5 * Math.cos((Math.PI * t) / ATTACK_SECONDS) : 1;
    // The last tenth fades to nothing, so that a note ends without a click.
    const fade = Math.min(1, (length - i) / (length / 10));
    let tone = 0;
    PARTIALS.forEach((level, p) => {
      tone +=
        level * Math.exp((-t * (1 + p)) / DECAY_SECONDS) * Math.sin(2 * Math.PI * frequencyHz * (p + 1) * t);
    });
    const at = (begin + i) % mix.length;
    mix[at] = (mix[at] as number) + strength * attack * fade * tone;
  }
}
