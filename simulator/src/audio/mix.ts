/** Frame length of the whole simulator in milliseconds. */
export const FRAME_MS = 20;

/** Sample rates the provider offers, in Hz. */
export type SampleRate = 8000 | 16000 | 24000;

/** True for a rate the provider offers. */
export function isSampleRate(value: unknown): value is SampleRate {
  return value === 8000 || value === 16000 || value === 24000;
}

/** Samples in one 20 ms frame at `sampleRate` Hz. */
export function samplesPerFrame(sampleRate: number): number {
  return (sampleRate * FRAME_MS) / 1000;
}

/**
 * Mixes up to three frames of s16 samples into `out`, clipped to the 16-bit range; `null` is silence.
 * A single source comes out unchanged, sample by sample.
 * @returns whether anything but silence was written
 */
export function mixFrames(
  out: Int16Array,
  a: Int16Array | null,
  b: Int16Array | null = null,
  c: Int16Array | null = null,
): boolean {
  const sources = (a ? 1 : 0) + (b ? 1 : 0) + (c ? 1 : 0);
  if (sources === 0) {
    out.fill(0);
    return false;
  }
  if (sources === 1) {
    out.set((a ?? b ?? c) as Int16Array);
    return true;
  }
  for (let i = 0; i < out.length; i++) {
    const sum = (a ? (a[i] as number) : 0) + (b ? (b[i] as number) : 0) + (c ? (c[i] as number) : 0);
    out[i] = Math.max(-32768, Math.min(32767, sum));
  }
  return true;
}
