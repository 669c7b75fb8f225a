import { Worker } from "node:worker_threads";
import type { Pcm } from "../audio/wav.js";

/** Voices of the synthesizer: `slt` sounds female, `rms` and `awb` male. */
export type VoiceName = "slt" | "rms" | "awb" | "kal16";

/** Rate of synthesized speech in Hz. */
export const VOICE_SAMPLE_RATE = 16000;

const MAX_CACHED = 500;
const MAX_TEXT_CHARACTERS = 4000;

interface Waiting {
  resolve(pcm: Pcm): void;
  reject(error: Error): void;
}

/**
 * English text to speech, offline, with flite in a worker thread, so that the real-time tick does not stall.
 * What was said once is kept (the last 500 texts).
 */
export class Voice {
  #worker: Worker | undefined;
  #next = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #cache = new Map<string, Promise<Pcm>>();

  /**
   * Speaks `text` (up to 4000 characters) at 16 kHz.
   * @throws Error when the synthesizer fails or the text is empty or too long
   */
  say(text: string, voice: VoiceName = "slt"): Promise<Pcm> {
    const key = `${voice}\n${text}`;
    const cached = this.#cache.get(key);
    if (cached) return cached;
    if (text.trim() === "" || text.length > MAX_TEXT_CHARACTERS)
      return Promise.reject(new Error(`a text to speak has 1 to ${MAX_TEXT_CHARACTERS} characters`));
    const made = new Promise<Pcm>((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      const worker = this.#start();
      worker.ref();
      worker.postMessage({ id, text, voice });
    });
    this.#cache.set(key, made);
    made.catch(() => this.#cache.delete(key));
    if (this.#cache.size > MAX_CACHED) {
      const oldest = this.#cache.keys().next().value;
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    return made;
  }

  /** Ends the worker thread; a later `say` starts a new one. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("./flite-worker.mjs", import.meta.url), { execArgv: [] });
    worker.on("message", (message: { id: number; samples?: Int16Array; rate?: number; error?: string }) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (this.#waiting.size === 0) worker.unref();
      if (message.samples)
        waiting?.resolve({ sampleRate: message.rate ?? VOICE_SAMPLE_RATE, samples: message.samples });
      else waiting?.reject(new Error(`speech synthesis failed: ${message.error}`));
    });
    const ended = (error: Error) => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const waiting of this.#waiting.values()) waiting.reject(error);
      this.#waiting.clear();
    };
    worker.on("error", ended);
    worker.on("exit", () => ended(new Error("the synthesizer's thread ended")));
    worker.unref();
    this.#worker = worker;
    return worker;
  }
}

/** The process's shared synthesizer. */
export const sharedVoice = new Voice();
