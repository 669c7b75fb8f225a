/** What is measured of the gateway, second by second, and how much may grow. */
export interface Measure {
  readonly name: string;
  /** Of what it is in the middle, over the whole window: that much is no growth. */
  readonly share: number;
  /** And so much in its own unit on top. */
  readonly allowance: number;
}

/** How a measure went. In the unit of the measure. */
export interface Trend {
  readonly name: string;
  readonly first: number;
  readonly median: number;
  readonly last: number;
  /** Median of the slopes between all pairs of samples (Theil–Sen), over the whole window. */
  readonly growth: number;
  readonly allowed: number;
  readonly ok: boolean;
}

/**
 * Judges whether a measure stays as it is: the median of the slopes between all pairs of samples, times the window, is at
 * most the allowance. Single peaks, of the garbage collector or of a busy machine, do not move it. Throws RangeError below
 * 10 samples, which say nothing.
 */
export function trendOf(samples: readonly number[], measure: Measure): Trend {
  if (samples.length < 10) throw new RangeError("a trend needs 10 samples");
  const slopes: number[] = [];
  for (let i = 0; i < samples.length; i++)
    for (let j = i + 1; j < samples.length; j++)
      slopes.push(((samples[j] as number) - (samples[i] as number)) / (j - i));
  const growth = medianOf(slopes) * (samples.length - 1);
  const median = medianOf(samples);
  const allowed = measure.share * median + measure.allowance;
  return {
    name: measure.name,
    first: round(samples[0] as number),
    median: round(median),
    last: round(samples.at(-1) as number),
    growth: round(growth),
    allowed: round(allowed),
    ok: growth <= allowed,
  };
}

function medianOf(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
