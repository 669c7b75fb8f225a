/** Why a tap misses audio. */
export type TapGapReason = "PROVIDER" | "PAUSED";

/** A gap of paused audio is told when it has grown to this. */
const PAUSED_GAP_MS = 1000;

/** Who hears a call besides the seat holder. `pcm` is s16le at the rate of the call, never written to again. */
export interface AudioTap {
  audio(position: number, pcm: Uint8Array): void;
  /** Nothing is heard of this: the provider sent nothing, or nobody but the seat holder may hear it. */
  gap(from: number, durationMs: number, reason: TapGapReason): void;
  ended(): void;
}

/** Hands out the audio of one call and knows its position. */
export class CallAudio {
  private readonly mixed = new Set<AudioTap>();
  private readonly agent = new Set<AudioTap>();
  private samplesIn = 0;
  private samplesOut = 0;
  private paused = false;
  /** Samples kept from listeners and not yet told, to and from the provider. */
  private keptIn = 0;
  private keptOut = 0;

  constructor(private readonly sampleRateHz: number) {}

  /** While paused nobody but the seat holder hears anything. */
  setPaused(paused: boolean): void {
    if (!paused) this.tellKept(0);
    this.paused = paused;
  }

  /** Samples heard from the provider since the media began. */
  get position(): number {
    return this.samplesIn;
  }

  /** Positions go on from an earlier owner of the call. Only before any audio. */
  startAt(position: number): void {
    this.samplesIn = position;
  }

  /** True when somebody listens to the agent alone. */
  get agentTapped(): boolean {
    return this.agent.size > 0;
  }

  /** Listeners in all. */
  get tapCount(): number {
    return this.mixed.size + this.agent.size;
  }

  /** Audio from the provider; answers the position of its first sample. */
  heard(pcm: Uint8Array): number {
    const position = this.samplesIn;
    this.samplesIn += pcm.length >> 1;
    if (this.paused) {
      this.keptIn += pcm.length >> 1;
      this.tellKept(PAUSED_GAP_MS);
    } else if (this.mixed.size > 0) for (const tap of this.mixed) tap.audio(position, pcm);
    return position;
  }

  /** Audio that never came; answers the position where it is missing. */
  missed(samples: number, durationMs: number): number {
    this.tellKept(0);
    const from = this.samplesIn;
    this.samplesIn += samples;
    for (const tap of this.mixed) tap.gap(from, durationMs, "PROVIDER");
    return from;
  }

  /** Audio of the agent as the provider took it. */
  said(pcm: Uint8Array): void {
    const position = this.samplesOut;
    this.samplesOut += pcm.length >> 1;
    if (this.paused) {
      this.keptOut += pcm.length >> 1;
      this.tellKept(PAUSED_GAP_MS);
    } else if (this.agentTapped) for (const tap of this.agent) tap.audio(position, pcm);
  }

  private tellKept(leastMs: number): void {
    const least = Math.max(1, (leastMs * this.sampleRateHz) / 1000);
    const ms = (samples: number) => (samples * 1000) / this.sampleRateHz;
    if (this.keptIn >= least) {
      for (const tap of this.mixed) tap.gap(this.samplesIn - this.keptIn, ms(this.keptIn), "PAUSED");
      this.keptIn = 0;
    }
    if (this.keptOut >= least) {
      for (const tap of this.agent) tap.gap(this.samplesOut - this.keptOut, ms(this.keptOut), "PAUSED");
      this.keptOut = 0;
    }
  }

  /** Adds a listener; answers how to remove it. */
  tap(source: "MIXED" | "AGENT", tap: AudioTap): () => void {
    const set = source === "MIXED" ? this.mixed : this.agent;
    set.add(tap);
    return () => set.delete(tap);
  }

  /** The call is over. */
  close(): void {
    const taps = [...this.mixed, ...this.agent];
    this.mixed.clear();
    this.agent.clear();
    for (const tap of taps) tap.ended();
  }
}
