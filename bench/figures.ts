/** How a measure is spread. In the unit of the measure. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Collects numbers; memory grows by doubling. */
export class Samples {
  private values = new Float64Array(1024);
  private size = 0;

  add(value: number): void {
    if (this.size === this.values.length) {
      const larger = new Float64Array(this.size * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.size++] = value;
  }

  clear(): void {
    this.size = 0;
  }

  spread(): Spread {
    return spreadOf(this.values.subarray(0, this.size));
  }
}

/** The spread of some numbers; zeros when there are none. The percentiles are values that occurred (nearest rank). */
export function spreadOf(values: ArrayLike<number>): Spread {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Median and range of a few repeats. */
export interface Repeats {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of an even number of values the mean of the middle two. NaN when there are none. */
export function repeatsOf(values: readonly number[]): Repeats {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Memory over a window. In MB (2^20 bytes). */
export interface Memory {
  readonly startMb: number;
  readonly middleMb: number;
  readonly endMb: number;
  readonly maxMb: number;
  /** Median of the last third less that of the first: what stayed. */
  readonly growthMb: number;
}

/** What samples of resident memory, taken evenly, say. Throws when there are none. */
export function memoryOf(samplesMb: readonly number[]): Memory {
  if (samplesMb.length === 0) throw new RangeError("no samples of memory");
  const third = Math.max(1, Math.floor(samplesMb.length / 3));
  return {
    startMb: samplesMb[0]!,
    middleMb: samplesMb[Math.floor(samplesMb.length / 2)]!,
    endMb: samplesMb.at(-1)!,
    maxMb: Math.max(...samplesMb),
    growthMb: repeatsOf(samplesMb.slice(-third)).median - repeatsOf(samplesMb.slice(0, third)).median,
  };
}
