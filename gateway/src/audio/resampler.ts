import { invalidField } from "../call/call-error.js";
import { CALL_RATES_HZ } from "./pcm.js";

/** Kaiser shape for about 75 dB of stopband attenuation. */
const KAISER_BETA = 7.2;
/** Edges of the transition band, as a share of the lower of both rates: 3.4 to 4 kHz at 8 kHz. */
const PASS_EDGE = 0.425;
const STOP_EDGE = 0.5;
/** Half the filter in samples of the lower rate: 4 ms at 8 kHz, 2 ms at 16 kHz. */
const HALF_LENGTH = 32;

interface Filter {
  /** Interpolation: samples of the common rate for each input sample. */
  readonly up: number;
  /** Decimation: samples of the common rate for each output sample. */
  readonly down: number;
  /** Coefficients per phase, in the order in which the input lies in memory (oldest first). */
  readonly phases: readonly Float64Array[];
  /** Input samples that a phase looks at. */
  readonly taps: number;
  /** Group delay in output samples, a whole number for all pairs of rates. */
  readonly delay: number;
}

const filters = new Map<string, Filter>();

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Modified Bessel function of the first kind, order 0. */
function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 60; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function design(fromHz: number, toHz: number): Filter {
  const divisor = gcd(fromHz, toHz);
  const up = toHz / divisor;
  const down = fromHz / divisor;
  const commonHz = fromHz * up;
  const lowHz = Math.min(fromHz, toHz);
  const half = (HALF_LENGTH * commonHz) / lowHz;
  const cutoff = (((PASS_EDGE + STOP_EDGE) / 2) * lowHz) / commonHz;
  const impulse = Float64Array.from({ length: 2 * half + 1 }, (_, n) => {
    const t = n - half;
    const sinc = t === 0 ? 2 * cutoff : Math.sin(2 * Math.PI * cutoff * t) / (Math.PI * t);
    const window = bessel0(KAISER_BETA * Math.sqrt(1 - (t / half) ** 2)) / bessel0(KAISER_BETA);
    return sinc * window;
  });
  // A multiple of four, for the unrolled loop; the extra ones are 0 and look at the oldest input.
  const taps = 4 * Math.ceil(impulse.length / up / 4);
  const phases = Array.from({ length: up }, (_, phase) => {
    const row = new Float64Array(taps);
    for (let k = 0; k < taps; k++) row[taps - 1 - k] = impulse[phase + k * up] ?? 0;
    // Each phase has gain 1 at 0 Hz, so that silence with an offset stays what it is.
    const gain = row.reduce((sum, c) => sum + c, 0);
    return row.map((c) => c / gain);
  });
  return { up, down, phases, taps, delay: half / down };
}

/**
 * Changes the rate of a mono stream among 8, 16 and 24 kHz: a linear-phase FIR, computed by phases. Flat to 0.425 of
 * the lower rate (3.4 kHz at 8 kHz), 70 dB down from half of it; delays by 4 ms (2 ms between 16 and 24 kHz). How the
 * input is cut into chunks does not change a bit of the output.
 */
export class Resampler {
  private readonly filter: Filter;
  /** The last taps − 1 inputs before the chunk at hand. */
  private readonly history: Float64Array;
  private work = new Float64Array(0);
  /** Position of the next output, in samples of the common rate, counted from the first input of the next chunk. */
  private next = 0;

  /** Throws INVALID_FIELD for other rates. */
  constructor(fromHz: number, toHz: number) {
    for (const [field, rate] of [
      ["from_hz", fromHz],
      ["to_hz", toHz],
    ] as const) {
      if (!(CALL_RATES_HZ as readonly number[]).includes(rate))
        throw invalidField(field, "8000, 16000 or 24000", rate);
    }
    const key = `${fromHz}:${toHz}`;
    let filter = filters.get(key);
    if (!filter) {
      filter = design(fromHz, toHz);
      filters.set(key, filter);
    }
    this.filter = filter;
    this.history = new Float64Array(filter.taps - 1);
  }

  /** Group delay, in samples of the output. */
  get delaySamples(): number {
    return this.filter.delay;
  }

  /** Takes the next samples of the stream and answers those of the output that they complete, in a new array. */
  process(input: Int16Array): Int16Array {
    const { up, down, phases, taps } = this.filter;
    const kept = taps - 1;
    const total = kept + input.length;
    if (this.work.length < total) this.work = new Float64Array(total);
    const work = this.work;
    work.set(this.history);
    for (let i = 0; i < input.length; i++) work[kept + i] = input[i] as number;

    const span = input.length * up;
    const count = this.next < span ? Math.ceil((span - this.next) / down) : 0;
    const output = new Int16Array(count);
    for (let n = 0; n < count; n++) {
      const at = this.next + n * down;
      const phase = at % up;
      const row = phases[phase] as Float64Array;
      const first = (at - phase) / up;
      // Four sums of their own, so that an addition need not wait for the one before it.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let k = 0, w = first; k < taps; k += 4, w += 4) {
        a += (row[k] as number) * (work[w] as number);
        b += (row[k + 1] as number) * (work[w + 1] as number);
        c += (row[k + 2] as number) * (work[w + 2] as number);
        d += (row[k + 3] as number) * (work[w + 3] as number);
      }
      const sum = a + b + (c + d);
      output[n] = sum >= 32_767 ? 32_767 : sum <= -32_768 ? -32_768 : Math.round(sum);
    }
    this.next += count * down - span;
    this.history.set(work.subarray(input.length, total));
    return output;
  }

  /** Forgets what came before: the next input is the beginning of a stream. */
  reset(): void {
    this.history.fill(0);
    this.next = 0;
  }
}

/** A whole recording at another rate, without delay and as long as before. */
export function resampleAll(samples: Int16Array, fromHz: number, toHz: number): Int16Array {
  if (fromHz === toHz) return samples;
  const resampler = new Resampler(fromHz, toHz);
  const delay = resampler.delaySamples;
  const padded = new Int16Array(samples.length + Math.ceil((delay * fromHz) / toHz));
  padded.set(samples);
  return resampler.process(padded).slice(delay, delay + Math.ceil((samples.length * toHz) / fromHz));
}
