import type { CallLegHandler, PlaybackSource } from "../telephony/telephony.js";
import type { HeardFigures, SpokenFigures } from "./doctor-report.js";

/** Frequency and loudness of the tone. */
const TONE_HZ = 440;
const TONE_PEAK = 8_000;
/** Fade at both ends, so that it does not click. */
const FADE_MS = 10;

/** A tone, s16le mono. */
export function makeTone(sampleRateHz: number, durationMs: number): Buffer {
  const samples = Math.round((sampleRateHz * durationMs) / 1000);
  const fade = Math.max(1, Math.round((sampleRateHz * FADE_MS) / 1000));
  const pcm = Buffer.alloc(samples * 2);
  for (let i = 0; i < samples; i++) {
    const gain = Math.min(1, (i + 1) / fade, (samples - i) / fade);
    const value = TONE_PEAK * gain * Math.sin((2 * Math.PI * TONE_HZ * i) / sampleRateHz);
    pcm.writeInt16LE(Math.round(value), i * 2);
  }
  return pcm;
}

/** One call seen from the agent's leg: plays what it is given, measures what comes. Keeps no audio. */
export class CallProbe implements CallLegHandler, PlaybackSource {
  /** Resolves with why the call is over, when the other side ended it. */
  readonly over: Promise<string>;
  /** Errors that the provider reported. */
  readonly errors: string[] = [];
  private end: (why: string) => void = () => {};
  private pcm: Uint8Array = new Uint8Array(0);
  private sent = 0;
  private answeredMs = 0;
  private firstReadMs = -1;
  private lastReadMs = 0;
  private readonly channels = new Set<number>();
  private readonly lengths = new Map<number, number>();
  private frames = 0;
  private bytes = 0;
  private firstFrameBytes = 0;
  private firstMs = -1;
  private lastMs = 0;
  private longestPauseMs = 0;
  private squares = 0;
  private peak = 0;

  constructor(
    private readonly sampleRateHz: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** The call is answered: times count from here. */
  answered(): void {
    this.answeredMs = this.nowMs();
  }

  /** Gives out this audio from now on. */
  play(pcm: Uint8Array): void {
    this.pcm = pcm;
    this.sent = 0;
  }

  available(): number {
    return this.pcm.length - this.sent;
  }

  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const bytes = Math.min(maxBytes, this.available());
    if (bytes <= 0) return 0;
    target.set(this.pcm.subarray(this.sent, this.sent + bytes), offset);
    this.sent += bytes;
    this.lastReadMs = this.nowMs();
    if (this.firstReadMs < 0) this.firstReadMs = this.lastReadMs;
    return bytes;
  }

  flushTail(): boolean {
    return true;
  }

  onAudio(channel: number, pcm: Uint8Array): void {
    const now = this.nowMs();
    this.channels.add(channel);
    // Further channels are legs alone, of the same time.
    if (channel !== 0) return;
    if (this.firstMs < 0) {
      this.firstMs = now;
      this.firstFrameBytes = pcm.length;
    } else this.longestPauseMs = Math.max(this.longestPauseMs, now - this.lastMs);
    this.lastMs = now;
    this.frames++;
    this.bytes += pcm.length;
    if (this.lengths.size < 100) this.lengths.set(pcm.length, (this.lengths.get(pcm.length) ?? 0) + 1);
    const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    for (let at = 0; at + 1 < pcm.length; at += 2) {
      const sample = view.getInt16(at, true);
      this.squares += sample * sample;
      this.peak = Math.max(this.peak, Math.abs(sample));
    }
  }

  onTerminated(): void {
    this.end("the caller or the provider ended the call");
  }

  onMediaLost(detail: string): void {
    this.end(`the media connection was lost (${detail})`);
  }

  onMediaRestored(): void {}

  onSessionClosed(reason: string): void {
    if (reason === "CALL_TERMINATED") this.onTerminated();
    else this.end(`the provider closed the session (${reason})`);
  }

  onProviderError(code: string): void {
    if (this.errors.length < 20) this.errors.push(code);
  }

  /** What was heard. */
  heard(): HeardFigures {
    const audioMs = this.msOf(this.bytes);
    const elapsedMs = this.lastMs - this.firstMs;
    const [usual = 0] = [...this.lengths].sort((a, b) => b[1] - a[1])[0] ?? [];
    return {
      channels: [...this.channels].sort((a, b) => a - b),
      frames: this.frames,
      // The first frame came before the time that is measured.
      rate: elapsedMs >= 500 ? this.msOf(this.bytes - this.firstFrameBytes) / elapsedMs : 0,
      audioMs,
      frameMs: this.msOf(usual),
      firstAfterMs: this.firstMs < 0 ? -1 : Math.max(0, this.firstMs - this.answeredMs),
      longestPauseMs: this.longestPauseMs,
      rmsDb: decibels(this.bytes === 0 ? 0 : Math.sqrt(this.squares / (this.bytes / 2))),
      peakDb: decibels(this.peak),
    };
  }

  /** What became of the audio that was played. */
  spoken(asked: { readonly bytes: number; readonly requests: number }): SpokenFigures {
    return {
      audioMs: this.msOf(this.pcm.length),
      takenMs: this.msOf(this.sent),
      firstTakenAfterMs: this.firstReadMs < 0 ? -1 : Math.max(0, this.firstReadMs - this.answeredMs),
      takenWithinMs: this.firstReadMs < 0 ? 0 : this.lastReadMs - this.firstReadMs,
      askedMs: this.msOf(asked.bytes),
      requests: asked.requests,
    };
  }

  private msOf(bytes: number): number {
    return (bytes / 2 / this.sampleRateHz) * 1000;
  }
}

function decibels(value: number): number {
  return value <= 0 ? -120 : Math.max(-120, 20 * Math.log10(value / 32_768));
}
