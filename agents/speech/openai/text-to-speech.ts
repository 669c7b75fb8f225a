import type OpenAI from "openai";
import { type SpeakOptions, SpeechError, type SpokenAudio, type TextToSpeech } from "../ports.js";
import { type OpenAiOptions, openAiClient, openAiError } from "./http.js";

/** Server, key, model that speaks and its voice. */
export interface OpenAiTextToSpeechOptions extends OpenAiOptions {
  /** Model of `POST /audio/speech`. */
  readonly model: string;
  /** Default voice of the server, e.g. `alloy`. */
  readonly voice: string;
  /** Samples per second of the server's `pcm` format. Default 24 000, as OpenAI's. */
  readonly sampleRateHz?: number;
}

const NAME = "openai-speech";

/** Speech by `POST /audio/speech` with raw PCM as it is made. */
export class OpenAiTextToSpeech implements TextToSpeech {
  readonly name = NAME;
  readonly #client: OpenAI;
  readonly #options: OpenAiTextToSpeechOptions;

  constructor(options: OpenAiTextToSpeechOptions) {
    this.#client = openAiClient(options);
    this.#options = options;
  }

  async warmUp(): Promise<void> {}
  async close(): Promise<void> {}

  async speak(text: string, options: SpeakOptions): Promise<SpokenAudio> {
    try {
      const answer = await this.#client.audio.speech.create(
        {
          model: this.#options.model,
          voice: options.voice ?? this.#options.voice,
          input: text,
          response_format: "pcm",
        },
        options.signal ? { signal: options.signal } : {},
      );
      if (!answer.body) throw new SpeechError("PROVIDER_FAILED", NAME, "answered without audio");
      return {
        sampleRateHz: this.#options.sampleRateHz ?? 24_000,
        chunks: wholeSamples(answer.body, this.#options.timeoutMs ?? 10_000),
      };
    } catch (error) {
      throw openAiError(error, NAME);
    }
  }
}

/** The body in chunks of whole samples: a byte left over goes before the next chunk. Throws when it stands still. */
async function* wholeSamples(
  body: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  idleTimeoutMs: number,
): AsyncGenerator<Buffer> {
  const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  let odd: Buffer = Buffer.alloc(0);
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        const error = new SpeechError("PROVIDER_FAILED", NAME, "stopped in the middle");
        timer = setTimeout(() => reject(error), idleTimeoutMs);
      });
      const { done, value } = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
      if (done) return;
      const all = Buffer.concat([odd, value]);
      const even = all.length & ~1;
      odd = all.subarray(even);
      if (even > 0) yield all.subarray(0, even);
    }
  } catch (error) {
    throw openAiError(error, NAME);
  } finally {
    void iterator.return?.().catch(() => {});
  }
}
