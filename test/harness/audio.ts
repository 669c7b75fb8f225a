import {
  decodeFrameTone,
  encodeFrameTone,
  makeTone,
  type SimCall,
  samplesPerFrame,
  type TimeSpan,
  toneAmplitude,
} from "@callweave/simulator";

/** Who heard it, as the tracks of a recording are named. */
export type Ear = "caller" | "callee";

/** s16le of samples. */
export function bytesOf(samples: Int16Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Numbered 20 ms frames from `first` on, so that every frame heard can be counted. */
export function numberedFrames(count: number, sampleRateHz = 16_000, first = 0): Uint8Array {
  const length = samplesPerFrame(sampleRateHz as 8000 | 16_000 | 24_000);
  const samples = new Int16Array(count * length);
  for (let i = 0; i < count; i++) {
    encodeFrameTone(first + i, sampleRateHz, "a", samples.subarray(i * length, (i + 1) * length));
  }
  return bytesOf(samples);
}

/** The frame numbers a party heard, in order, with the time of each on the axis of the call. */
export function numbersHeard(call: SimCall, ear: Ear): { number: number; atMs: number }[] {
  const { recording } = call;
  const rate = recording.sampleRate || 16_000;
  return decodeFrameTone(recording.track(ear), rate).map(({ number, startSample }) => ({
    number,
    atMs: (startSample * 1000) / rate,
  }));
}

/** Which of the frames `first` … `first + count − 1` a party did not hear. */
export function framesMissing(call: SimCall, ear: Ear, count: number, first = 0): number[] {
  const heard = new Set(numbersHeard(call, ear).map(({ number }) => number));
  return Array.from({ length: count }, (_, i) => first + i).filter((number) => !heard.has(number));
}

/** A chunk of audio, or the reason why one is missing. */
interface Heard {
  readonly pcm?: Buffer | undefined;
  readonly reason?: string;
}

/** What an agent is sent, kept: the numbers of the frames in it, and the gaps it was told. */
export class Ears {
  readonly gaps: string[] = [];
  private readonly pieces: Buffer[] = [];

  /** Listens to `call.audio()` of an agent, or to `calls.listen` of an observer; or to what `hear` is given. */
  constructor(
    audio?: AsyncIterable<Heard>,
    private readonly sampleRateHz = 16_000,
  ) {
    if (!audio) return;
    void (async () => {
      for await (const chunk of audio) this.hear(chunk);
    })().catch(() => {});
  }

  /** One more chunk. */
  hear({ pcm, reason }: Heard): void {
    if (pcm) this.pieces.push(Buffer.from(pcm));
    else this.gaps.push(reason ?? "");
  }

  /** The frame numbers heard so far, in order. */
  numbers(): number[] {
    const all = Buffer.concat(this.pieces);
    const bytes = new Uint8Array(all.length & ~1);
    bytes.set(all.subarray(0, bytes.length));
    return decodeFrameTone(new Int16Array(bytes.buffer), this.sampleRateHz).map(({ number }) => number);
  }

  /** How much was heard, in ms. */
  get heardMs(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0) / (this.sampleRateHz * 0.002);
  }
}

/** The numbers that are missing between the first and the last. */
export function holesIn(numbers: readonly number[]): number[] {
  const there = new Set(numbers);
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? first;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((number) => !there.has(number));
}

/** A tone as s16le. */
export function toneBytes(
  hz: number,
  durationMs: number,
  sampleRateHz = 16_000,
  amplitude = 6000,
): Uint8Array {
  return bytesOf(makeTone(hz, durationMs / 1000, sampleRateHz, amplitude));
}

/** A tone without end in pieces of 100 ms, for `call.play`, which reads it only as fast as it is played. */
export async function* endlessTone(
  hz: number,
  signal?: AbortSignal,
  sampleRateHz = 16_000,
): AsyncGenerator<Uint8Array> {
  // Whole periods in each piece: the frequencies of the tests are multiples of 10 Hz.
  const piece = toneBytes(hz, 100, sampleRateHz);
  while (!signal?.aborted) yield piece;
}

/** When a party could hear a tone at all, even faintly: steps of 20 ms. On the axis of the call, in ms. */
export function heardTone(
  call: SimCall,
  ear: Ear,
  hz: number,
  window: { readonly fromMs?: number; readonly toMs?: number } = {},
): TimeSpan[] {
  return toneSpansOf(call.recording.track(ear), call.recording.sampleRate || 16_000, hz, window);
}

/** How long a party heard a tone, in ms. */
export function msHeard(
  call: SimCall,
  ear: Ear,
  hz: number,
  window: { readonly fromMs?: number; readonly toMs?: number } = {},
): number {
  return heardTone(call, ear, hz, window).reduce((sum, span) => sum + span.endMs - span.startMs, 0);
}

/** Now, on the axis of the call's recording. */
export function callTimeMs(call: SimCall): number {
  return performance.now() - call.startMs;
}

function toneSpansOf(
  samples: Int16Array,
  rate: number,
  hz: number,
  window: { readonly fromMs?: number; readonly toMs?: number },
): TimeSpan[] {
  const stepMs = 20;
  const endMs = Math.min(window.toMs ?? Number.POSITIVE_INFINITY, (samples.length * 1000) / rate);
  const spans: { startMs: number; endMs: number }[] = [];
  for (let atMs = Math.floor((window.fromMs ?? 0) / stepMs) * stepMs; atMs < endMs; atMs += stepMs) {
    if (toneAmplitude(samples, rate, hz, { fromMs: atMs, toMs: atMs + stepMs }) < 1500) continue;
    const last = spans[spans.length - 1];
    if (last && last.endMs === atMs) last.endMs = atMs + stepMs;
    else spans.push({ startMs: atMs, endMs: atMs + stepMs });
  }
  return spans;
}
