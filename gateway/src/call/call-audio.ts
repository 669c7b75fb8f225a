/** Who hears a call besides the seat holder. `pcm` is s16le at the rate of the call, only valid during the call. */
export interface AudioTap {
  audio(position: number, pcm: Uint8Array): void;
  /** The provider sent nothing for this long. */
  gap(from: number, durationMs: number): void;
  ended(): void;
}

/** Hands out the audio of one call and knows its position. */
export class CallAudio {
  private readonly mixed = new Set<AudioTap>();
  private readonly agent = new Set<AudioTap>();
  private samplesIn = 0;
  private samplesOut = 0;

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
    for (const tap of this.mixed) tap.audio(position, pcm);
    return position;
  }

  /** Audio that never came; answers the position where it is missing. */
  missed(samples: number, durationMs: number): number {
    const from = this.samplesIn;
    this.samplesIn += samples;
    for (const tap of this.mixed) tap.gap(from, durationMs);
    return from;
  }

  /** Audio of the agent as the provider took it. */
  said(pcm: Uint8Array): void {
    const position = this.samplesOut;
    this.samplesOut += pcm.length >> 1;
    for (const tap of this.agent) tap.audio(position, pcm);
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
