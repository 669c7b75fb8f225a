import type OpenAI from "openai";
import { toFile } from "openai";
import { pcmBytes, wavFile } from "../pcm.js";
import {
  RECOGNITION_RATE_HZ,
  SpeechError,
  type SpeechToText,
  type Transcript,
  type UtteranceOptions,
  type UtteranceStream,
} from "../ports.js";
import { type OpenAiOptions, openAiClient, openAiError } from "./http.js";

/** Server, key and model that hears. */
export interface OpenAiSpeechToTextOptions extends OpenAiOptions {
  /** Model of `POST /audio/transcriptions`, e.g. `whisper-1` or what the server offers. */
  readonly model: string;
  /** Longest utterance, ms of audio; what is longer is left out. Default 60 000. */
  readonly maxUtteranceMs?: number;
}

const NAME = "openai-transcription";
/** Shorter than this is a click, not speech; servers refuse it. */
const MIN_UTTERANCE_MS = 100;

/** Recognition by `POST /audio/transcriptions`: the utterance is sent as one WAV file when it is over. No partial texts. */
export class OpenAiSpeechToText implements SpeechToText {
  readonly name = NAME;
  readonly #client: OpenAI;
  readonly #model: string;
  readonly #maxBytes: number;
  readonly #open = new Set<AbortController>();

  constructor(options: OpenAiSpeechToTextOptions) {
    this.#client = openAiClient(options);
    this.#model = options.model;
    this.#maxBytes = pcmBytes(options.maxUtteranceMs ?? 60_000, RECOGNITION_RATE_HZ);
  }

  async warmUp(): Promise<void> {}

  utterance(options: UtteranceOptions): UtteranceStream {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const cancel = new AbortController();
    this.#open.add(cancel);
    return {
      write: (pcm) => {
        const kept = pcm.subarray(0, this.#maxBytes - bytes);
        bytes += kept.length;
        if (kept.length > 0) chunks.push(Buffer.from(kept));
      },
      finish: async () => {
        try {
          return await this.#transcribe(Buffer.concat(chunks), options.locale, cancel.signal);
        } finally {
          this.#open.delete(cancel);
        }
      },
      abort: () => {
        this.#open.delete(cancel);
        chunks.length = 0;
        cancel.abort();
      },
    };
  }

  async close(): Promise<void> {
    for (const cancel of this.#open) cancel.abort();
    this.#open.clear();
  }

  async #transcribe(pcm: Buffer, locale: string, signal: AbortSignal): Promise<Transcript> {
    if (signal.aborted) throw new SpeechError("ABORTED", NAME, "aborted");
    if (pcm.length < pcmBytes(MIN_UTTERANCE_MS, RECOGNITION_RATE_HZ)) return { text: "" };
    try {
      const file = await toFile(wavFile(pcm, RECOGNITION_RATE_HZ), "utterance.wav", { type: "audio/wav" });
      const language = locale.split("-")[0] ?? "en";
      const answer = await this.#client.audio.transcriptions.create(
        { file, model: this.#model, language, response_format: "json" },
        { signal },
      );
      if (typeof answer.text !== "string")
        throw new SpeechError("PROVIDER_FAILED", NAME, "answered without a text");
      return { text: answer.text.trim() };
    } catch (error) {
      throw openAiError(error, NAME);
    }
  }
}
