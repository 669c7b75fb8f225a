import { samplesPerFrame } from "./mix.js";

/**
 * Two sets of carriers that do not disturb each other: a caller on `a` and a callee on `b` can be decoded
 * from one mix.
 */
export type FrameToneBand = "a" | "b";

/** One frame found by {@link decodeFrameTone}. */
export interface DecodedFrame {
  /** The frame number, 0–65535; the encoder wraps beyond that (after about 22 minutes). */
  readonly number: number;
  /** First sample of the frame in the audio given. */
  readonly startSample: number;
  /** True when every sample equals what {@link encodeFrameTone} makes: nothing was mixed, scaled or converted. */
  readonly exact: boolean;
}

// Carriers are multiples of 62.5 Hz (period 16 ms): a 16 ms window anywhere inside the 20 ms frame sees each
// of them whole, so up to 4 ms of misalignment does not disturb the reading.
const SPACING_HZ = 62.5;
const WINDOW_MS = 16;
const FIRST_CARRIER = 6;
const NUMBER_BITS = 16;
const CHECK_BITS = 7;
const CARRIERS = 1 + NUMBER_BITS + CHECK_BITS;
const AMPLITUDE = 500;
/** Below this correlation a reading that passed its check is chance. Two bands of one level give 0.7. */
const MIN_LIKENESS = 0.45;

function carrier(band: FrameToneBand, index: number): number {
  return FIRST_CARRIER + index * 2 + (band === "b" ? 1 : 0);
}

function check(number: number): number {
  let crc = 0x5a;
  for (let bit = NUMBER_BITS - 1; bit >= 0; bit--) {
    const top = ((crc >> 6) & 1) ^ ((number >> bit) & 1);
    crc = (crc << 1) & 0x7f;
    if (top) crc ^= 0x09;
  }
  return crc;
}

/** Frames made lately: many calls send the same numbers. Emptied when full. */
const MAX_MADE = 4096;
const madeFrames = new Map<number, Int16Array>();

const waves = new Map<string, Float32Array[]>();

function wavesOf(sampleRate: number, band: FrameToneBand): Float32Array[] {
  const key = `${sampleRate}${band}`;
  let made = waves.get(key);
  if (!made) {
    const length = samplesPerFrame(sampleRate);
    made = Array.from({ length: CARRIERS }, (_, index) => {
      const step = (2 * Math.PI * SPACING_HZ * carrier(band, index)) / sampleRate;
      // Newman phases keep the peaks of the sum low.
      const phase = (Math.PI * index * index) / CARRIERS;
      return Float32Array.from({ length }, (_, i) => AMPLITUDE * Math.sin(step * i + phase));
    });
    waves.set(key, made);
  }
  return made;
}

/**
 * One 20 ms frame of tone that carries `frameNumber` (taken modulo 65536). Deterministic, so that a received
 * frame can be compared byte for byte. Each bit is a carrier that is on or off between 375 Hz and 3.4 kHz.
 * @param into the frame to write to; made when absent
 */
export function encodeFrameTone(
  frameNumber: number,
  sampleRate: number,
  band: FrameToneBand = "a",
  into: Int16Array = new Int16Array(samplesPerFrame(sampleRate)),
): Int16Array {
  const number = frameNumber & 0xffff;
  const key = (number * 3 + sampleRate / 8000 - 1) * 2 + (band === "b" ? 1 : 0);
  let frame = madeFrames.get(key);
  if (!frame) {
    frame = makeFrame(number, sampleRate, band);
    if (madeFrames.size >= MAX_MADE) madeFrames.clear();
    madeFrames.set(key, frame);
  }
  into.set(frame);
  return into;
}

function makeFrame(number: number, sampleRate: number, band: FrameToneBand): Int16Array {
  const bits = (number << CHECK_BITS) | check(number);
  const made = wavesOf(sampleRate, band);
  const into = new Int16Array(samplesPerFrame(sampleRate));
  for (let i = 0; i < into.length; i++) {
    let sum = (made[0] as Float32Array)[i] as number;
    for (let b = 0; b < NUMBER_BITS + CHECK_BITS; b++) {
      if ((bits >> b) & 1) sum += (made[b + 1] as Float32Array)[i] as number;
    }
    into[i] = Math.round(sum);
  }
  return into;
}

function magnitude(samples: Int16Array, from: number, length: number, k: number): number {
  // The window holds whole periods, so k/(periods in the window) is an exact Goertzel bin.
  const coefficient = 2 * Math.cos((2 * Math.PI * k) / length);
  let s1 = 0;
  let s2 = 0;
  for (let i = from; i < from + length; i++) {
    const s0 = (samples[i] as number) + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
  }
  return (2 * Math.sqrt(Math.max(0, s1 * s1 + s2 * s2 - coefficient * s1 * s2))) / length;
}

function readNumber(
  samples: Int16Array,
  from: number,
  windowSamples: number,
  band: FrameToneBand,
): number | undefined {
  const pilot = magnitude(samples, from, windowSamples, carrier(band, 0));
  if (pilot < AMPLITUDE * 0.2) return undefined;
  let bits = 0;
  for (let b = 0; b < NUMBER_BITS + CHECK_BITS; b++) {
    if (magnitude(samples, from, windowSamples, carrier(band, b + 1)) > pilot / 2) bits |= 1 << b;
  }
  const number = bits >> CHECK_BITS;
  return (bits & ((1 << CHECK_BITS) - 1)) === check(number) ? number : undefined;
}

interface Alignment {
  readonly start: number;
  readonly score: number;
}

function align(samples: Int16Array, near: number, reach: number, frame: Int16Array): Alignment {
  let best: Alignment = { start: near, score: Number.NEGATIVE_INFINITY };
  for (let start = Math.max(0, near - reach); start <= near + reach; start++) {
    if (start + frame.length > samples.length) break;
    let score = 0;
    for (let i = 0; i < frame.length; i++) score += (samples[start + i] as number) * (frame[i] as number);
    if (score > best.score) best = { start, score };
  }
  return best;
}

/** Correlation of the audio at an alignment with the frame it should be: 1 is a perfect match. */
function likeness(samples: Int16Array, { start, score }: Alignment, frame: Int16Array): number {
  let heard = 0;
  let expected = 0;
  for (let i = 0; i < frame.length; i++) {
    heard += (samples[start + i] as number) ** 2;
    expected += (frame[i] as number) ** 2;
  }
  return heard === 0 ? 0 : score / Math.sqrt(heard * expected);
}

function equalAt(samples: Int16Array, start: number, frame: Int16Array): boolean {
  for (let i = 0; i < frame.length; i++) if (samples[start + i] !== frame[i]) return false;
  return true;
}

/** Whether a frame that is exact begins within `reach` samples. */
function exactSoon(
  samples: Int16Array,
  from: number,
  reach: number,
  sampleRate: number,
  band: FrameToneBand,
): boolean {
  const reference = new Int16Array(samplesPerFrame(sampleRate));
  const windowSamples = (sampleRate * WINDOW_MS) / 1000;
  const half = (reference.length - windowSamples) / 2;
  for (let at = from + 1; at <= from + reach && at + reference.length <= samples.length; at += half) {
    const number = readNumber(samples, at + half, windowSamples, band);
    if (number === undefined) continue;
    encodeFrameTone(number, sampleRate, band, reference);
    if (equalAt(samples, align(samples, at, half * 2, reference).start, reference)) return true;
  }
  return false;
}

/**
 * Finds the numbered frames of one band in a piece of audio, in order, wherever they begin. Survives
 * silence between frames, mixing with the other band, a moderate change of level, and µ-law. Frames cut in
 * pieces are not reported.
 */
export function decodeFrameTone(
  samples: Int16Array,
  sampleRate: number,
  band: FrameToneBand = "a",
): DecodedFrame[] {
  const frameSamples = samplesPerFrame(sampleRate);
  const windowSamples = (sampleRate * WINDOW_MS) / 1000;
  const guard = frameSamples - windowSamples;
  const stepSamples = sampleRate / 1000;
  const found: DecodedFrame[] = [];
  const reference = new Int16Array(frameSamples);
  /** Where a frame begins that follows the last one without a pause. */
  let next = -1;
  for (let at = 0; at + frameSamples <= samples.length; ) {
    // The usual case: the next frame begins exactly here.
    const number = readNumber(samples, at + guard / 2, windowSamples, band);
    if (number === undefined) {
      at += stepSamples;
      continue;
    }
    encodeFrameTone(number, sampleRate, band, reference);
    let start = at;
    let exact = equalAt(samples, at, reference);
    if (!exact) {
      let alignment = align(samples, at, guard / 2 + stepSamples, reference);
      exact = equalAt(samples, alignment.start, reference);
      if (!exact) {
        // A part of a frame may be enough to read it; then it begins up to a window later.
        const far = align(samples, at, windowSamples, reference);
        if (far.score > alignment.score * 1.2) alignment = far;
        exact = equalAt(samples, alignment.start, reference);
      }
      // Before the beginning of a frame a part of it may be read as another number.
      const early = !exact && at !== next && exactSoon(samples, at, windowSamples, sampleRate, band);
      if (early || (!exact && likeness(samples, alignment, reference) < MIN_LIKENESS)) {
        at += stepSamples;
        continue;
      }
      start = alignment.start;
    }
    found.push({ number, startSample: start, exact });
    at = start + frameSamples;
    next = at;
  }
  return found;
}
