import { CallweaveError } from "./errors.js";
import type { AudioChunk, AudioData, AudioGap } from "./types.js";

/** Gaps have no length in the queue; this bounds their number. */
const MAX_CHUNKS = 10_000;

/**
 * The audio of a call that nobody has read yet. Bounded in milliseconds: full, the oldest audio is dropped and told as
 * one gap before what follows it. One reader at a time.
 */
export class AudioQueue implements AsyncIterable<AudioChunk> {
  private readonly chunks: { readonly chunk: AudioChunk; readonly ms: number }[] = [];
  private head = 0;
  private queuedMs = 0;
  private ended = false;
  private reading = false;
  private wake: (() => void) | undefined;

  constructor(
    /** Milliseconds. */
    private readonly maxQueuedMs: number,
  ) {}

  /** Queued and not yet read, in milliseconds. */
  get lengthMs(): number {
    return this.queuedMs;
  }

  /** Adds audio of this length; drops the oldest if that makes it too much. */
  push(data: AudioData, ms: number): void {
    if (this.ended) return;
    this.chunks.push({ chunk: data, ms });
    this.queuedMs += ms;
    if (this.queuedMs > this.maxQueuedMs) this.dropOldest();
    this.wake?.();
  }

  /** Adds a gap that a gateway told. */
  pushGap(gap: AudioGap): void {
    if (this.ended) return;
    this.chunks.push({ chunk: gap, ms: 0 });
    if (this.chunks.length - this.head > MAX_CHUNKS) this.dropOldest();
    this.wake?.();
  }

  /** No more audio comes; what is queued can still be read. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** Reads. Leaving the loop early loses nothing: a later loop goes on there. Throws when somebody else is reading. */
  async *[Symbol.asyncIterator](): AsyncIterator<AudioChunk, void, undefined> {
    if (this.reading) {
      throw new CallweaveError("CALL_STATE", "FAILED_PRECONDITION", "audio() is already being read");
    }
    this.reading = true;
    try {
      for (;;) {
        const entry = this.shift();
        if (entry) yield entry;
        else if (this.ended) return;
        else
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        this.wake = undefined;
      }
    } finally {
      this.reading = false;
    }
  }

  private shift(): AudioChunk | undefined {
    const entry = this.chunks[this.head];
    if (!entry) return undefined;
    this.head++;
    this.queuedMs -= entry.ms;
    this.compact();
    return entry.chunk;
  }

  private dropOldest(): void {
    let gapMs = 0;
    let first: AudioChunk | undefined;
    while (this.queuedMs > this.maxQueuedMs || this.chunks.length - this.head > MAX_CHUNKS) {
      const entry = this.chunks[this.head];
      if (!entry) break;
      this.head++;
      this.queuedMs -= entry.ms;
      gapMs += entry.chunk.gapMs ?? entry.ms;
      first ??= entry.chunk;
    }
    if (!first) return;
    // The place of the newest dropped chunk is free. An older gap at the head was taken into this one.
    this.head--;
    const { positionSamples, atMs } = first;
    this.chunks[this.head] = {
      chunk: { gapMs, reason: "LOCAL_QUEUE_FULL", positionSamples, atMs },
      ms: 0,
    };
    this.compact();
  }

  private compact(): void {
    if (this.head < 256 || this.head * 2 < this.chunks.length) return;
    this.chunks.splice(0, this.head);
    this.head = 0;
  }
}
