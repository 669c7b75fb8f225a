const ZERO_CROSSINGS = 16;

/**
 * Changes the rate of a whole piece of audio with a Hann-windowed sinc filter (offline quality; not for
 * streaming). The same rate returns the samples themselves.
 */
export function resample(samples: Int16Array, fromRate: number, toRate: number): Int16Array {
  if (fromRate === toRate) return samples;
  const out = new Int16Array(Math.max(0, Math.floor((samples.length * toRate) / fromRate)));
  // When the rate goes down the filter also removes what the new rate cannot carry.
  const cutoff = Math.min(1, toRate / fromRate);
  const reach = ZERO_CROSSINGS / cutoff;
  for (let i = 0; i < out.length; i++) {
    const centre = (i * fromRate) / toRate;
    const first = Math.max(0, Math.ceil(centre - reach));
    const last = Math.min(samples.length - 1, Math.floor(centre + reach));
    let sum = 0;
    for (let j = first; j <= last; j++) {
      const x = (j - centre) * cutoff;
      const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const window = 0.5 + 0.5 * Math.cos((Math.PI * (j - centre)) / reach);
      sum += (samples[j] as number) * sinc * window * cutoff;
    }
    out[i] = Math.max(-32768, Math.min(32767, Math.round(sum)));
  }
  return out;
}
