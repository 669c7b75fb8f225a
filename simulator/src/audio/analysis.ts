/** A stretch of time in a recording, in milliseconds on the recording's own axis. */
export interface TimeSpan {
  readonly startMs: number;
  readonly endMs: number;
}

/** Part of a recording to look at; the whole when absent. */
export interface AnalysisWindow {
  /** Default 0. */
  readonly fromMs?: number;
  /** Default: the end. */
  readonly toMs?: number;
}

function cut(samples: Int16Array, sampleRate: number, window: AnalysisWindow): Int16Array {
  const from = Math.max(0, Math.round(((window.fromMs ?? 0) * sampleRate) / 1000));
  const to =
    window.toMs === undefined
      ? samples.length
      : Math.min(samples.length, Math.round((window.toMs * sampleRate) / 1000));
  return samples.subarray(from, Math.max(from, to));
}

/** Root mean square of the samples, 0–32768. */
export function rms(samples: Int16Array, sampleRate = 1000, window: AnalysisWindow = {}): number {
  const part = cut(samples, sampleRate, window);
  if (part.length === 0) return 0;
  let sum = 0;
  for (let i = 0; i < part.length; i++) sum += (part[i] as number) ** 2;
  return Math.sqrt(sum / part.length);
}

/**
 * Amplitude (peak, 0–32767) of the tone of `frequencyHz` in the window, by Goertzel's algorithm. A pure tone
 * of amplitude A that fills the window gives about A; one that fills half of it gives about A/2.
 */
export function toneAmplitude(
  samples: Int16Array,
  sampleRate: number,
  frequencyHz: number,
  window: AnalysisWindow = {},
): number {
  const part = cut(samples, sampleRate, window);
  if (part.length === 0) return 0;
  const coefficient = 2 * Math.cos((2 * Math.PI * frequencyHz) / sampleRate);
  let s1 = 0;
  let s2 = 0;
  for (let i = 0; i < part.length; i++) {
    const s0 = (part[i] as number) + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
  }
  const power = Math.max(0, s1 * s1 + s2 * s2 - coefficient * s1 * s2);
  return (2 * Math.sqrt(power)) / part.length;
}

/** Options of {@link toneSpans}. */
export interface ToneSpanOptions extends AnalysisWindow {
  /** Amplitude from which the tone counts as present. Default 1000. */
  readonly thresholdAmplitude?: number;
  /** Resolution in ms. Default 20. */
  readonly stepMs?: number;
  /** Holes up to this long do not end a span. Default 0. */
  readonly bridgeMs?: number;
}

/** When the tone of `frequencyHz` can be heard, to the resolution of `stepMs`. */
export function toneSpans(
  samples: Int16Array,
  sampleRate: number,
  frequencyHz: number,
  options: ToneSpanOptions = {},
): TimeSpan[] {
  const threshold = options.thresholdAmplitude ?? 1000;
  return spansWhere(
    samples,
    sampleRate,
    options,
    (fromMs, toMs) => toneAmplitude(samples, sampleRate, frequencyHz, { fromMs, toMs }) >= threshold,
  );
}

/** Options of {@link soundSpans} and {@link silenceGaps}. */
export interface SoundSpanOptions extends AnalysisWindow {
  /** RMS from which a step counts as sound. Default 100. */
  readonly thresholdRms?: number;
  /** Resolution in ms. Default 20. */
  readonly stepMs?: number;
  /** Silences up to this long do not end a span of sound. Default 0. */
  readonly bridgeMs?: number;
}

/** When anything can be heard. */
export function soundSpans(
  samples: Int16Array,
  sampleRate: number,
  options: SoundSpanOptions = {},
): TimeSpan[] {
  const threshold = options.thresholdRms ?? 100;
  return spansWhere(
    samples,
    sampleRate,
    options,
    (fromMs, toMs) => rms(samples, sampleRate, { fromMs, toMs }) >= threshold,
  );
}

/** Options of {@link silenceGaps}. */
export interface SilenceGapOptions extends SoundSpanOptions {
  /** Shorter silences are not reported. Default 40. */
  readonly minGapMs?: number;
}

/** Silences between the first and the last sound of the window. */
export function silenceGaps(
  samples: Int16Array,
  sampleRate: number,
  options: SilenceGapOptions = {},
): TimeSpan[] {
  const sounds = soundSpans(samples, sampleRate, options);
  const gaps: TimeSpan[] = [];
  for (let i = 1; i < sounds.length; i++) {
    const gap = { startMs: (sounds[i - 1] as TimeSpan).endMs, endMs: (sounds[i] as TimeSpan).startMs };
    if (gap.endMs - gap.startMs >= (options.minGapMs ?? 40)) gaps.push(gap);
  }
  return gaps;
}

function spansWhere(
  samples: Int16Array,
  sampleRate: number,
  options: AnalysisWindow & { readonly stepMs?: number; readonly bridgeMs?: number },
  present: (fromMs: number, toMs: number) => boolean,
): TimeSpan[] {
  const stepMs = options.stepMs ?? 20;
  const endMs = Math.min(options.toMs ?? Number.POSITIVE_INFINITY, (samples.length * 1000) / sampleRate);
  const spans: { startMs: number; endMs: number }[] = [];
  for (let atMs = options.fromMs ?? 0; atMs < endMs; atMs += stepMs) {
    const toMs = Math.min(endMs, atMs + stepMs);
    if (!present(atMs, toMs)) continue;
    const last = spans[spans.length - 1];
    if (last && atMs - last.endMs <= (options.bridgeMs ?? 0)) last.endMs = toMs;
    else spans.push({ startMs: atMs, endMs: toMs });
  }
  return spans;
}

/** A pure tone: `seconds` long, peak `amplitude` (0–32767, default 8000). */
export function makeTone(
  frequencyHz: number,
  seconds: number,
  sampleRate: number,
  amplitude = 8000,
): Int16Array {
  const step = (2 * Math.PI * frequencyHz) / sampleRate;
  return Int16Array.from({ length: Math.round(seconds * sampleRate) }, (_, i) =>
    Math.round(amplitude * Math.sin(step * i)),
  );
}
