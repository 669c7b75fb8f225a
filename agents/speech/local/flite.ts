import { Worker } from "node:worker_threads";
import { pcmBytes } from "../pcm.js";
import { type SpeakOptions, SpeechError, type SpokenAudio, type TextToSpeech } from "../ports.js";

/** The English voices inside the module; `kal` is 8 kHz, the others 16 kHz. */
export const FLITE_VOICES = ["slt", "rms", "awb", "kal16", "kal"] as const;
/** One of {@link FLITE_VOICES}. */
export type FliteVoice = (typeof FLITE_VOICES)[number];

/** Options of {@link FliteTextToSpeech}. */
export interface FliteOptions {
  /** Voice when the speaker names none, or one that flite does not have. Default `slt`. */
  readonly voice?: FliteVoice;
  /** Speaking rate, 1 = the voice's own. 0.5 to 2. Default 1. */
  readonly rate?: number;
  /** Texts that may wait for the worker thread; beyond it `speak` rejects with OVERLOADED. Default 64. */
  readonly maxQueuedTexts?: number;
  /** Longest text, characters; longer ones are cut. Default 1000 (about a minute of speech). */
  readonly maxTextChars?: number;
  /** How long one text may take, ms, before the worker is replaced and the text tried once more. Default 10 000. */
  readonly timeoutMs?: number;
}

interface Job {
  readonly id: number;
  readonly text: string;
  readonly voice: FliteVoice;
  attempts: number;
  readonly resolve: (audio: { sampleRateHz: number; pcm: Buffer }) => void;
  readonly reject: (error: SpeechError) => void;
}

interface WorkerAnswer {
  readonly id: number;
  readonly sampleRateHz?: number;
  readonly pcm?: Uint8Array;
  readonly error?: string;
}

const NAME = "flite";
const CHUNK_MS = 100;

/**
 * Speech by flite, compiled to WebAssembly, in a worker thread: offline, nothing to install. English only. A sentence of
 * four seconds takes about a tenth of a second of one core; texts are spoken one after the other.
 */
export class FliteTextToSpeech implements TextToSpeech {
  readonly name = NAME;
  readonly #options: Required<FliteOptions>;
  readonly #jobs: Job[] = [];
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: FliteOptions = {}) {
    this.#options = {
      voice: options.voice ?? "slt",
      rate: Math.min(2, Math.max(0.5, options.rate ?? 1)),
      maxQueuedTexts: options.maxQueuedTexts ?? 64,
      maxTextChars: options.maxTextChars ?? 1000,
      timeoutMs: options.timeoutMs ?? 10_000,
    };
  }

  async warmUp(): Promise<void> {
    await this.#synthesise("Ready.", this.#options.voice);
  }

  async speak(text: string, options: SpeakOptions): Promise<SpokenAudio> {
    const voice = FLITE_VOICES.find((known) => known === options.voice) ?? this.#options.voice;
    const { sampleRateHz, pcm } = await this.#synthesise(text, voice);
    if (options.signal?.aborted) throw new SpeechError("ABORTED", NAME, "no longer wanted");
    return { sampleRateHz, chunks: slices(pcm, pcmBytes(CHUNK_MS, sampleRateHz), options.signal) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#jobs.splice(0)) job.reject(new SpeechError("ABORTED", NAME, "closed"));
    const worker = this.#worker;
    this.#worker = undefined;
    clearTimeout(this.#timer);
    await worker?.terminate();
  }

  #synthesise(text: string, voice: FliteVoice): Promise<{ sampleRateHz: number; pcm: Buffer }> {
    if (this.#closed) return Promise.reject(new SpeechError("ABORTED", NAME, "closed"));
    if (this.#jobs.length >= this.#options.maxQueuedTexts) {
      return Promise.reject(new SpeechError("OVERLOADED", NAME, `${this.#jobs.length} texts are waiting`));
    }
    const spoken = speakable(text).slice(0, this.#options.maxTextChars);
    if (spoken === "") return Promise.resolve({ sampleRateHz: 16_000, pcm: Buffer.alloc(0) });
    return new Promise((resolve, reject) => {
      this.#jobs.push({ id: this.#nextId++, text: spoken, voice, attempts: 0, resolve, reject });
      if (this.#jobs.length === 1) this.#next();
    });
  }

  /** Hand the first waiting job to the worker. */
  #next(): void {
    const job = this.#jobs[0];
    if (!job || this.#closed) {
      this.#worker?.unref();
      return;
    }
    job.attempts++;
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#timer = setTimeout(() => this.#failed("no answer in time"), this.#options.timeoutMs);
    this.#worker.postMessage({ id: job.id, text: job.text, voice: job.voice, rate: this.#options.rate });
  }

  #start(): Worker {
    const worker = new Worker(new URL("./flite-worker.mjs", import.meta.url), {
      execArgv: [],
    });
    worker.on("message", (answer: WorkerAnswer) => this.#answered(answer));
    worker.on("error", (error) => worker === this.#worker && this.#failed(error.message));
    worker.on("exit", (code) => worker === this.#worker && this.#failed(`worker ended with ${code}`));
    return worker;
  }

  #answered(answer: WorkerAnswer): void {
    if (answer.id === 0) return; // the module is compiled
    const job = this.#jobs[0];
    if (!job || job.id !== answer.id) return;
    clearTimeout(this.#timer);
    this.#jobs.shift();
    if (answer.pcm && answer.sampleRateHz) {
      const pcm = Buffer.from(answer.pcm.buffer, answer.pcm.byteOffset, answer.pcm.byteLength);
      job.resolve({ sampleRateHz: answer.sampleRateHz, pcm });
    } else {
      job.reject(new SpeechError("PROVIDER_FAILED", NAME, answer.error ?? "no audio"));
    }
    this.#next();
  }

  /** The worker died or hangs: replace it; its job gets one more try. */
  #failed(message: string): void {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    const job = this.#jobs[0];
    if (job && job.attempts > 1) {
      this.#jobs.shift();
      job.reject(new SpeechError("PROVIDER_FAILED", NAME, message));
    }
    if (this.#jobs.length > 0) this.#next();
  }
}

/** What flite can read: no NUL, no leading dash or `(` (an option or a file to it), no line breaks. */
function speakable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const flat = text.replace(/[\u0000-\u001f]+/g, " ").trim();
  return flat.replace(/^[-(\s]+/, "");
}

async function* slices(pcm: Buffer, bytes: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  for (let at = 0; at < pcm.length; at += bytes) {
    if (signal?.aborted) return;
    yield pcm.subarray(at, at + bytes);
  }
}
