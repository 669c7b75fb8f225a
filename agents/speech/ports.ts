/**
 * The four ports between an agent and whatever hears, speaks and thinks for it. Providers live in `local/`
 * (offline), `openai/` (any OpenAI-compatible server) and `scripted/` (no recogniser at all). Nothing here knows a
 * provider, a telephone or Callweave.
 *
 * Audio is s16le mono PCM. Speech recognition always takes 16 kHz; synthesis says its own rate.
 */

/** The rate, in samples per second, that every {@link SpeechToText} and {@link VoiceActivity} takes. */
export const RECOGNITION_RATE_HZ = 16_000;

/** Why a provider could not do what it was asked. */
export type SpeechErrorReason =
  /** The provider answered with an error, died, or did not answer in time, its one retry included. */
  | "PROVIDER_FAILED"
  /** A bound of this process was reached (audio or utterances waiting); nothing was sent to the provider. */
  | "OVERLOADED"
  /** The caller of the port gave up (its AbortSignal, or `abort()`). */
  | "ABORTED";

/** The one error class of the ports. `message` never holds keys, audio or what was said. */
export class SpeechError extends Error {
  override readonly name = "SpeechError";
  constructor(
    readonly reason: SpeechErrorReason,
    /** Name of the provider, for logs: `pocketsphinx`, `flite`, `openai-chat`, … */
    readonly provider: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${provider}: ${message}`, options);
  }

  /** Anything thrown, as a SpeechError of `provider`; a SpeechError is returned as it is, the cause is kept. */
  static from(error: unknown, provider: string): SpeechError {
    if (error instanceof SpeechError) return error;
    const aborted = error instanceof Error && error.name === "AbortError";
    const message = error instanceof Error ? error.message : String(error);
    return new SpeechError(aborted ? "ABORTED" : "PROVIDER_FAILED", provider, message, { cause: error });
  }
}

/** What was understood of one utterance. An empty `text` means that nothing was. */
export interface Transcript {
  readonly text: string;
  /** 0 (a guess) to 1 (sure); undefined when the provider does not say. */
  readonly confidence?: number;
}

/** How one utterance is to be recognised, and what is told while it is spoken. */
export interface UtteranceOptions {
  /** BCP 47, e.g. `en` or `de-DE`. A provider that does not know it uses its default language. */
  readonly locale: string;
  /** Any name for who speaks, e.g. the call id: recognisers that adapt to a voice keep what they learnt under it. */
  readonly speaker?: string;
  /** Called with the text so far, as often as the provider has something new. Optional for providers. */
  readonly onPartial?: (text: string) => void;
  /**
   * Called when the provider itself judges the utterance over, for recognisers with an end-pointer of their own.
   * The caller of the port still has to call `finish()`.
   */
  readonly onEndpoint?: () => void;
}

/** One utterance being recognised. Feed it while it is spoken; ask for the text when it is over. */
export interface UtteranceStream {
  /** s16le mono at {@link RECOGNITION_RATE_HZ}, any even number of bytes, in order. Never blocks; bounded inside. */
  write(pcm: Buffer): void;
  /** The utterance is over. Resolves with what was understood; rejects with a {@link SpeechError}. Call once. */
  finish(): Promise<Transcript>;
  /** Forget this utterance. Safe at any time; a pending `finish()` rejects with ABORTED. */
  abort(): void;
}

/** Port: recognises speech, any number of utterances at a time up to a bound of the provider (then OVERLOADED). */
export interface SpeechToText {
  /** Short and fixed, for logs and {@link SpeechError}. */
  readonly name: string;
  /** Begin an utterance. Does not throw: failures come out of `finish()`. */
  utterance(options: UtteranceOptions): UtteranceStream;
  /** Get ready (start processes, load models), so that the first utterance is as fast as the others. Optional to call. */
  warmUp(): Promise<void>;
  /** End processes and connections. Pending utterances are aborted. */
  close(): Promise<void>;
}

/** How a text is to be said. */
export interface SpeakOptions {
  /** BCP 47. A provider that does not know it uses its default language. */
  readonly locale: string;
  /** A voice of the provider; its default when absent. */
  readonly voice?: string;
  /** Stop speaking: `speak()`, or its chunks, end with ABORTED or early. */
  readonly signal?: AbortSignal;
}

/** Speech of one text. */
export interface SpokenAudio {
  /** Samples per second of the chunks. */
  readonly sampleRateHz: number;
  /** s16le mono, whole samples per chunk. Throws a {@link SpeechError} when the provider fails under way. */
  readonly chunks: AsyncIterable<Buffer>;
}

/** Port: speaks texts, any number at a time up to a bound of the provider (then OVERLOADED). */
export interface TextToSpeech {
  /** Short and fixed, for logs and {@link SpeechError}. */
  readonly name: string;
  /** Say one text, best a sentence. Rejects with a {@link SpeechError} when not even the first audio could be made. */
  speak(text: string, options: SpeakOptions): Promise<SpokenAudio>;
  /** Get ready, so that the first text is spoken as fast as the others. Optional to call. Rejects when it cannot work. */
  warmUp(): Promise<void>;
  /** End threads and connections. Texts being spoken are aborted. */
  close(): Promise<void>;
}

/** What a {@link VoiceActivity} saw in a frame. */
export type VoiceEvent = "SPEECH_STARTED" | "SPEECH_ENDED";

/** Finds the beginning and the end of speech in one caller's audio. One instance per caller, synchronous, cheap. */
export interface VoiceActivity {
  /** Milliseconds of audio per frame that {@link process} takes: 10, 20 or 30. */
  readonly frameMs: number;
  /** True between SPEECH_STARTED and SPEECH_ENDED. */
  readonly speaking: boolean;
  /** How long nothing of the voice was heard, ms; 0 in the middle of a sound. Grows to the end of speech. */
  readonly silentMs: number;
  /** One frame of exactly `frameMs` at {@link RECOGNITION_RATE_HZ}. */
  process(frame: Buffer): VoiceEvent | undefined;
  /** Forget what was heard, e.g. after a gap. Ends speech without an event. */
  reset(): void;
  /** Free what it holds; not to be used afterwards. */
  close(): void;
}

/** Who said a turn: the caller, or the agent. */
export type SpeakerRole = "CALLER" | "AI";

/** One turn of the talk as a model sees it. */
export interface ReplyTurn {
  readonly role: SpeakerRole;
  readonly text: string;
}

/** A tool that the model may call instead of, or after, speaking. Parameters are JSON Schema. */
export interface ReplyTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Record<string, unknown>;
}

/** What a model is given to answer the caller. */
export interface ReplyRequest {
  /** Oldest first; the last one is the caller's. */
  readonly turns: readonly ReplyTurn[];
  /** BCP 47: the language to answer in. */
  readonly locale: string;
  /** What the model is to be and do. Rule-based models ignore it. */
  readonly instructions: string;
  /** What it may call; empty: nothing. */
  readonly tools: readonly ReplyTool[];
  /** Nobody wants the reply any more: it ends. */
  readonly signal?: AbortSignal;
}

/** A piece of a reply: words to say, or a tool to call. */
export type ReplyPart =
  | { readonly kind: "TEXT"; readonly text: string }
  | { readonly kind: "TOOL_CALL"; readonly name: string; readonly arguments: Record<string, unknown> };

/** Port: answers the caller, as words to say and tools to call. */
export interface ReplyModel {
  /** Short and fixed, for logs and {@link SpeechError}. */
  readonly name: string;
  /** Pieces in the order they are to be said and done. Throws a {@link SpeechError} when the provider fails. */
  reply(request: ReplyRequest): AsyncIterable<ReplyPart>;
}
