import type { Span } from "./evidence.js";

/** Where a piece of audio was found in a longer recording. */
export interface Match extends Span {
  /** How much of the piece is there, in its order, 0 to 1. */
  readonly share: number;
  /** What of the piece is not there, ms. */
  readonly missingMs: number;
  /** Holes in it, ms in all: audio of something else, or silence, between parts of the piece. */
  readonly holesMs: number;
}

/** How closely and where to look. */
export interface MatchOptions {
  readonly sampleRateHz: number;
  /** Look only from here, ms. Default 0. */
  readonly fromMs?: number;
  /** Look only up to here, ms. Default: the end. */
  readonly toMs?: number;
  /** Samples that differ by at most this count as equal. Default 2: copies, not sound-alikes. */
  readonly tolerance?: number;
  /** Longest single hole that is passed over, ms. Default 400. */
  readonly maxHoleMs?: number;
}

/** Length of the piece by which a place is found, in samples. */
const ANCHOR = 160;
/** A rest that is shorter is not looked for after a hole. */
const SHORTEST = 24;
/** Peak from which audio is loud enough to be an anchor. */
const LOUD = 300;

/**
 * Looks for `piece` in `recording`, sample by sample, and passes over holes (the provider's buffer ran empty). Returns
 * the earliest place where its beginning is; when the beginning is nowhere, the earliest where a later part is.
 * Undefined when no part of it is there.
 */
export function findAudio(
  piece: Int16Array,
  recording: Int16Array,
  options: MatchOptions,
): Match | undefined {
  const perMs = options.sampleRateHz / 1000;
  const from = Math.max(0, Math.round((options.fromMs ?? 0) * perMs));
  const to = Math.min(recording.length, Math.round((options.toMs ?? Number.POSITIVE_INFINITY) * perMs));
  const tolerance = options.tolerance ?? 2;
  const trimmed = trimSilence(piece);
  for (const anchor of anchors(trimmed, options.sampleRateHz)) {
    const at = findExact(trimmed, anchor, ANCHOR, recording, from, to, tolerance);
    if (at < 0) continue;
    const maxHole = (options.maxHoleMs ?? 400) * perMs;
    const after = walk(trimmed.subarray(anchor), recording.subarray(at, to), tolerance, maxHole);
    // The same backwards, for what comes before the anchor.
    const reach = Math.max(from, at - anchor - 4 * maxHole);
    const before = walk(
      trimmed.slice(0, anchor).reverse(),
      recording.slice(reach, at).reverse(),
      tolerance,
      maxHole,
    );
    const matched = before.matched + after.matched;
    return {
      startMs: (at - before.end) / perMs,
      endMs: (at + after.end) / perMs,
      share: matched / trimmed.length,
      missingMs: (trimmed.length - matched) / perMs,
      holesMs: (before.holes + after.holes) / perMs,
    };
  }
  return undefined;
}

/** A hundred loud places at most, from the beginning on. */
function* anchors(piece: Int16Array, sampleRateHz: number): Generator<number> {
  const step = Math.max(Math.round(sampleRateHz / 20), Math.ceil(piece.length / 100));
  let last = Number.NEGATIVE_INFINITY;
  for (let at = 0; at + ANCHOR <= piece.length; at++) {
    if (at - last < step) continue;
    if (Math.abs(piece[at] as number) < LOUD) continue;
    last = at;
    yield at;
  }
}

function findExact(
  piece: Int16Array,
  anchor: number,
  length: number,
  recording: Int16Array,
  from: number,
  to: number,
  tolerance: number,
): number {
  const last = to - length;
  for (let at = from; at <= last; at++) {
    let i = 0;
    while (i < length && near(piece[anchor + i], recording[at + i], tolerance)) i++;
    if (i === length) return at;
  }
  return -1;
}

/** Follows the piece in the recording from the beginning of both, over holes. */
function walk(
  piece: Int16Array,
  recording: Int16Array,
  tolerance: number,
  maxHole: number,
): { matched: number; end: number; holes: number } {
  let inPiece = 0;
  let inRecording = 0;
  let matched = 0;
  let holes = 0;
  let end = 0;
  while (inPiece < piece.length && inRecording < recording.length) {
    if (near(piece[inPiece], recording[inRecording], tolerance)) {
      matched++;
      inPiece++;
      inRecording++;
      end = inRecording;
      continue;
    }
    const length = Math.min(ANCHOR, piece.length - inPiece);
    if (length < SHORTEST) break;
    const to = Math.min(recording.length, inRecording + maxHole + length);
    const resume = findExact(piece, inPiece, length, recording, inRecording, to, tolerance);
    if (resume < 0) break;
    holes += resume - inRecording;
    inRecording = resume;
  }
  return { matched, end, holes };
}

function near(a: number | undefined, b: number | undefined, tolerance: number): boolean {
  return Math.abs((a as number) - (b as number)) <= tolerance;
}

/** Without the silence at both ends. */
export function trimSilence(samples: Int16Array, level = 30): Int16Array {
  let from = 0;
  let to = samples.length;
  while (from < to && Math.abs(samples[from] as number) <= level) from++;
  while (to > from && Math.abs(samples[to - 1] as number) <= level) to--;
  return samples.subarray(from, to);
}

/** Longest stretch without sound between `fromMs` and `toMs`, the ends counted; 20 ms steps. */
export function longestSilence(
  samples: Int16Array,
  sampleRateHz: number,
  fromMs: number,
  toMs: number,
  thresholdRms = 60,
): Span {
  const step = sampleRateHz / 50;
  let longest: Span = { startMs: fromMs, endMs: fromMs };
  let startMs = fromMs;
  for (let atMs = fromMs; atMs < toMs; atMs += 20) {
    const begin = Math.round((atMs * sampleRateHz) / 1000);
    const frame = samples.subarray(begin, begin + step);
    const endMs = Math.min(toMs, atMs + 20);
    if (loudness(frame) >= thresholdRms) startMs = endMs;
    else if (endMs - startMs > longest.endMs - longest.startMs) longest = { startMs, endMs };
  }
  return longest;
}

/** Root mean square, 0 to 32768. */
export function loudness(samples: Int16Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}
