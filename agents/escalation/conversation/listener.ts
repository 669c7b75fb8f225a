import type { Resampler } from "../../speech/local/resampler.js";
import { FrameCutter, pcmBytes } from "../../speech/pcm.js";
import {
  RECOGNITION_RATE_HZ,
  SpeechError,
  type SpeechToText,
  type Transcript,
  type UtteranceStream,
  type VoiceActivity,
} from "../../speech/ports.js";
import type { CallPort } from "../call-port.js";

/** How the caller is listened to; times in ms. */
export interface ListenerOptions {
  readonly locale: string;
  /** The name under which the recogniser knows this caller. Default: the call's id. */
  readonly speaker?: string;
  /** Audio from before the detected beginning that goes to the recogniser too, ms. Default 300. */
  readonly preRollMs?: number;
  /**
   * Silence after words that goes to the recogniser, ms; what is longer is held back until the caller speaks on. In silence
   * recognisers hear words that nobody said. Default 200.
   */
  readonly keepSilenceMs?: number;
  /** Longest utterance, ms; then it is ended although the caller still speaks. Default 30 000. */
  readonly maxUtteranceMs?: number;
}

/** One utterance of the caller, told when it is over. */
export interface Heard {
  readonly time: Date;
  readonly durationMs: number;
  /** What was understood; rejects with a SpeechError. */
  readonly transcript: Promise<Transcript>;
}

/** What a {@link Listener} tells. */
export interface ListenerEvents {
  /** In the same tick as the frame in which speech was detected. */
  started(): void;
  /** The utterance is over; its text is on its way. */
  ended(heard: Heard): void;
}

/** The caller's audio through voice activity detection into the recogniser. Reads the call until it ends. */
export class Listener {
  readonly #call: CallPort;
  readonly #vad: VoiceActivity;
  readonly #stt: SpeechToText;
  readonly #resampler: Resampler;
  readonly #options: Required<ListenerOptions>;
  readonly #events: ListenerEvents;
  readonly #cutter: FrameCutter;
  readonly #preRoll: Buffer[] = [];
  #utterance: { stream: UtteranceStream; time: Date; ms: number; held: Buffer[] } | undefined;
  #closed = false;

  constructor(
    call: CallPort,
    parts: { readonly vad: VoiceActivity; readonly stt: SpeechToText; readonly resampler: Resampler },
    options: ListenerOptions,
    events: ListenerEvents,
  ) {
    this.#call = call;
    this.#vad = parts.vad;
    this.#stt = parts.stt;
    this.#resampler = parts.resampler;
    this.#options = {
      locale: options.locale,
      speaker: options.speaker ?? call.id,
      preRollMs: options.preRollMs ?? 300,
      keepSilenceMs: options.keepSilenceMs ?? 200,
      maxUtteranceMs: options.maxUtteranceMs ?? 30_000,
    };
    this.#events = events;
    this.#cutter = new FrameCutter(pcmBytes(this.#vad.frameMs, RECOGNITION_RATE_HZ));
  }

  /** Whether the caller is speaking. */
  get callerSpeaks(): boolean {
    return this.#utterance !== undefined;
  }

  async run(): Promise<void> {
    for await (const chunk of this.#call.audio()) {
      if (this.#closed) return;
      if (chunk.kind === "GAP") this.#gap();
      else for (const frame of this.#cutter.push(this.#resampler.process(chunk.pcm))) this.#frame(frame);
    }
  }

  close(): void {
    this.#closed = true;
    this.#utterance?.stream.abort();
    this.#utterance = undefined;
    this.#vad.close();
    this.#resampler.close();
  }

  #frame(frame: Buffer): void {
    if (this.#closed) return;
    const event = this.#vad.process(frame);
    if (event === "SPEECH_STARTED") this.#begin();
    const utterance = this.#utterance;
    if (utterance) {
      utterance.held.push(frame);
      if (this.#vad.silentMs <= this.#options.keepSilenceMs) {
        for (const held of utterance.held.splice(0)) utterance.stream.write(held);
      }
      utterance.ms += this.#vad.frameMs;
      if (event === "SPEECH_ENDED" || utterance.ms >= this.#options.maxUtteranceMs) this.#end();
    } else {
      this.#preRoll.push(frame);
      if (this.#preRoll.length * this.#vad.frameMs > this.#options.preRollMs) this.#preRoll.shift();
    }
  }

  #begin(): void {
    const { locale, speaker } = this.#options;
    const stream = this.#stt.utterance({ locale, speaker });
    this.#utterance = { stream, time: new Date(), ms: 0, held: [] };
    this.#events.started();
    for (const frame of this.#preRoll.splice(0)) stream.write(frame);
  }

  #end(): void {
    const utterance = this.#utterance;
    if (!utterance) return;
    this.#utterance = undefined;
    if (this.#vad.speaking) this.#vad.reset();
    const transcript = utterance.stream.finish().catch((error: unknown) => {
      throw SpeechError.from(error, this.#stt.name);
    });
    transcript.catch(() => {}); // whoever gets the promise sees it
    this.#events.ended({ time: utterance.time, durationMs: utterance.ms, transcript });
  }

  /** Audio is missing: what was said so far is an utterance of its own. */
  #gap(): void {
    this.#end();
    this.#vad.reset();
    this.#cutter.reset();
    this.#resampler.reset();
    this.#preRoll.length = 0;
  }
}
