/** Rate at which two recordings are compared, Hz: what is left of speech below 2 kHz tells voices and words apart. */
const COMPARED_HZ = 4_000;
/** Length of the piece that is looked for, s: its loudest part. */
const PIECE_SECONDS = 1.2;

/** Where to look, ms. */
export interface Window {
  readonly fromMs?: number;
  readonly toMs?: number;
}

/**
 * How much the loudest second of `piece` resembles any second of `recording`, 0 to 1. A microphone is cleaned, levelled
 * and resampled by the browser, so nothing is equal sample by sample: 0.5 and more is the same words of the same voice,
 * other words stay below 0.3. Both at `sampleRate`.
 */
export function resemblance(
  piece: Int16Array,
  recording: Int16Array,
  sampleRate: number,
  { fromMs = 0, toMs = Number.POSITIVE_INFINITY }: Window = {},
): number {
  const at = (ms: number) => Math.min(recording.length, Math.round((ms * sampleRate) / 1_000));
  const whole = thinned(recording.subarray(at(fromMs), at(toMs)), sampleRate);
  const wanted = loudest(thinned(piece, sampleRate));
  const length = wanted.length;
  const norm = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0));
  if (norm === 0 || whole.length < length) return 0;
  let energy = 0;
  for (let i = 0; i < length; i++) energy += (whole[i] as number) ** 2;
  // Silence resembles nothing, however its last digits fall.
  const quiet = length * 20 ** 2;
  let best = 0;
  for (let lag = 0; lag + length <= whole.length; lag++) {
    if (lag > 0) energy += (whole[lag + length - 1] as number) ** 2 - (whole[lag - 1] as number) ** 2;
    if (energy < quiet) continue;
    let sum = 0;
    for (let i = 0; i < length; i++) sum += (wanted[i] as number) * (whole[lag + i] as number);
    best = Math.max(best, Math.abs(sum) / (norm * Math.sqrt(energy)));
  }
  return best;
}

/** Averages neighbours: a low pass and fewer samples in one. */
function thinned(samples: Int16Array, sampleRate: number): Float32Array {
  const step = Math.round(sampleRate / COMPARED_HZ);
  const out = new Float32Array(Math.floor(samples.length / step));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let j = 0; j < step; j++) sum += samples[i * step + j] as number;
    out[i] = sum / step;
  }
  return out;
}

function loudest(samples: Float32Array): Float32Array {
  const length = Math.min(samples.length, Math.round(PIECE_SECONDS * COMPARED_HZ));
  let energy = 0;
  let best = -1;
  let from = 0;
  for (let i = 0; i < samples.length; i++) {
    energy += (samples[i] as number) ** 2;
    if (i >= length) energy -= (samples[i - length] as number) ** 2;
    if (i >= length - 1 && energy > best) {
      best = energy;
      from = i - length + 1;
    }
  }
  return samples.subarray(from, from + length);
}
