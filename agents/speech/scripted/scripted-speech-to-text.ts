import {
  SpeechError,
  type SpeechToText,
  type Transcript,
  type UtteranceOptions,
  type UtteranceStream,
} from "../ports.js";
import type { CallerScript } from "./caller-script.js";

const NAME = "scripted";

/**
 * Recognition for machines that have none: whoever makes the caller's voice knows the words, so each utterance that the
 * voice activity detector finds takes the next sentence of the caller's script. It hears that somebody speaks, when and
 * for how long, but not what: fit for demonstrations and tests, not for people.
 */
export class ScriptedSpeechToText implements SpeechToText {
  readonly name = NAME;
  readonly #script: CallerScript;
  readonly #waitMs: number;
  readonly #nextOf = new Map<string, number>();

  /** @param waitMs how long `finish()` waits for a sentence that is not in the script yet, ms; then the text is empty. Default 2000. */
  constructor(script: CallerScript, options: { readonly waitMs?: number } = {}) {
    this.#script = script;
    this.#waitMs = options.waitMs ?? 2_000;
  }

  async warmUp(): Promise<void> {}

  async close(): Promise<void> {
    this.#script.close();
  }

  /** The next utterance of `speaker` takes sentence `n` (from 0): for a call that another process began. */
  skipTo(speaker: string, n: number): void {
    this.#nextOf.delete(speaker);
    this.#nextOf.set(speaker, n);
    if (this.#nextOf.size > 1_000) this.#nextOf.delete(this.#nextOf.keys().next().value ?? "");
  }

  utterance(options: UtteranceOptions): UtteranceStream {
    const speaker = options.speaker ?? "";
    const cancel = new AbortController();
    return {
      write() {},
      finish: async (): Promise<Transcript> => {
        if (cancel.signal.aborted) throw new SpeechError("ABORTED", NAME, "aborted");
        const n = this.#nextOf.get(speaker) ?? 0;
        this.skipTo(speaker, n + 1);
        const text = await this.#script.sentence(speaker, n, this.#waitMs, cancel.signal);
        if (cancel.signal.aborted) throw new SpeechError("ABORTED", NAME, "aborted");
        return { text: text ?? "", confidence: 1 };
      },
      abort: () => cancel.abort(),
    };
  }
}
