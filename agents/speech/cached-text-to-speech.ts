import type { SpeakOptions, SpokenAudio, TextToSpeech } from "./ports.js";

/** How much is kept. */
export interface CachedTextToSpeechOptions {
  /** Audio kept, bytes; the least recently used goes first. Default 32 MiB (about 17 minutes at 16 kHz). */
  readonly maxBytes?: number;
  /** Longest text kept, characters; longer ones are hardly said twice. Default 400. */
  readonly maxTextChars?: number;
}

/** Keeps what was said, so that fixed sentences (greeting, announcement, apology) start at once and need no provider. */
export class CachedTextToSpeech implements TextToSpeech {
  readonly name: string;
  readonly #inner: TextToSpeech;
  readonly #maxBytes: number;
  readonly #maxTextChars: number;
  readonly #kept = new Map<string, { sampleRateHz: number; pcm: Buffer }>();
  #bytes = 0;

  constructor(inner: TextToSpeech, options: CachedTextToSpeechOptions = {}) {
    this.#inner = inner;
    this.name = inner.name;
    this.#maxBytes = options.maxBytes ?? 32 * 1024 * 1024;
    this.#maxTextChars = options.maxTextChars ?? 400;
  }

  warmUp(): Promise<void> {
    return this.#inner.warmUp();
  }

  close(): Promise<void> {
    this.#kept.clear();
    this.#bytes = 0;
    return this.#inner.close();
  }

  async speak(text: string, options: SpeakOptions): Promise<SpokenAudio> {
    const key = `${options.locale}\n${options.voice ?? ""}\n${text}`;
    const known = this.#kept.get(key);
    if (known) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return { sampleRateHz: known.sampleRateHz, chunks: once(known.pcm) };
    }
    const audio = await this.#inner.speak(text, options);
    if (text.length > this.#maxTextChars) return audio;
    return { sampleRateHz: audio.sampleRateHz, chunks: this.#keep(key, audio, options.signal) };
  }

  /** Make texts ready that will be said; stops at the first failure of the provider. */
  async preload(texts: Iterable<string>, options: SpeakOptions): Promise<void> {
    for (const text of texts) {
      const audio = await this.speak(text, options);
      for await (const _ of audio.chunks) {
        // kept on the way
      }
    }
  }

  async *#keep(key: string, audio: SpokenAudio, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of audio.chunks) {
      chunks.push(chunk);
      yield chunk;
    }
    const pcm = Buffer.concat(chunks);
    if (signal?.aborted || pcm.length === 0 || pcm.length > this.#maxBytes || this.#kept.has(key)) return;
    this.#kept.set(key, { sampleRateHz: audio.sampleRateHz, pcm });
    this.#bytes += pcm.length;
    for (const [oldest, { pcm: dropped }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#kept.delete(oldest);
      this.#bytes -= dropped.length;
    }
  }
}

async function* once(pcm: Buffer): AsyncGenerator<Buffer> {
  yield pcm;
}
