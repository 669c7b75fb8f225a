import type { Resampler } from "../../speech/local/resampler.js";
import { pcmDurationMs } from "../../speech/pcm.js";
import { SpeechError, type TextToSpeech } from "../../speech/ports.js";
import type { CallPort } from "../call-port.js";
import type { AiTurn, SaidOutcome } from "./conversation.js";
import { heardText, SentenceSplitter, type SpokenPiece } from "./heard.js";

/** How the agent speaks; times in ms. */
export interface SpeakerOptions {
  readonly locale: string;
  /** Voice of the provider; its default when absent. */
  readonly voice?: string | undefined;
  /** Audio queued ahead of what is heard, ms; synthesis waits beyond it. Default 10 000 (the gateway's ring holds 30 s). */
  readonly maxAheadMs?: number;
  /** When the call ends with no more than this unheard, by the clock, all of it counts as heard, ms. Default 300. */
  readonly clockToleranceMs?: number;
}

/** What a {@link Speaker} tells. */
export interface SpeakerEvents {
  /** The text of a turn is complete, or it was cut off. */
  turn(turn: AiTurn): void;
  /** Everything queued was heard. */
  drained(): void;
  failed(error: SpeechError): void;
}

interface SpeakingTurn {
  readonly number: number;
  /** When its first word is heard, by the playback clock. */
  time: Date;
  readonly interruptible: boolean;
  readonly pieces: SpokenPiece[];
  readonly cancel: AbortController;
  text: string;
  told: boolean;
}

/** A turn's text, as it becomes known. */
export type TextSource = AsyncIterable<string> | readonly string[];

/** Speaks turns one after the other and knows, when cut off, what of them was heard. */
export class Speaker {
  readonly #call: CallPort;
  readonly #tts: TextToSpeech;
  readonly #resamplerFor: (fromHz: number, toHz: number) => Resampler;
  readonly #options: Required<Omit<SpeakerOptions, "voice">> & { voice: string | undefined };
  readonly #events: SpeakerEvents;
  /** Turns with audio not yet heard, or still being made; oldest first. */
  #turns: SpeakingTurn[] = [];
  /** Turns whose audio was cleared by somebody else, or by the end of the call: how much of each was heard, ms. */
  readonly #cleared = new Map<SpeakingTurn, number>();
  #queue: Promise<unknown> = Promise.resolve();
  #nextNumber = 1;
  #marks = 0;
  #closed = false;

  constructor(
    call: CallPort,
    parts: { readonly tts: TextToSpeech; readonly resamplerFor: (fromHz: number, toHz: number) => Resampler },
    options: SpeakerOptions,
    events: SpeakerEvents,
  ) {
    this.#call = call;
    this.#tts = parts.tts;
    this.#resamplerFor = parts.resamplerFor;
    this.#options = {
      locale: options.locale,
      voice: options.voice,
      maxAheadMs: options.maxAheadMs ?? 10_000,
      clockToleranceMs: options.clockToleranceMs ?? 300,
    };
    this.#events = events;
  }

  /** Whether something is being said or about to be. */
  get speaking(): boolean {
    return this.#turns.length > 0;
  }

  /** Whether the caller may cut off all that is being said. */
  get interruptible(): boolean {
    return this.#turns.every((turn) => turn.interruptible);
  }

  /** Say a text after what is being said. Resolves when its audio is queued, or it was cut off. Never rejects. */
  say(source: TextSource, interruptible: boolean): Promise<SaidOutcome> {
    const turn: SpeakingTurn = {
      number: this.#nextNumber++,
      time: new Date(),
      interruptible,
      pieces: [],
      cancel: new AbortController(),
      text: "",
      told: false,
    };
    this.#turns.push(turn);
    const said = this.#queue.then(() => this.#speak(turn, source));
    this.#queue = said;
    return said;
  }

  /**
   * Stop: nothing more is heard of what was being said. The audio is cleared in this very tick; resolves when the turns have
   * been told with what was heard of them.
   */
  async interrupt(): Promise<void> {
    const turns = this.#turns;
    if (turns.length === 0) return;
    this.#turns = [];
    for (const turn of turns) turn.cancel.abort();
    const queuedMs = this.#call.unheardMs();
    // The call ended under it: then its clock knows.
    const cleared = await this.#call.clear().catch(() => ({ droppedMs: queuedMs, estimatedUnheardMs: 0 }));
    const heardOf = heardMsOf(turns, cleared.droppedMs + cleared.estimatedUnheardMs);
    for (const turn of turns) this.#tellCutOff(turn, heardOf.get(turn) ?? 0);
  }

  /**
   * Say nothing more. Of a call that is over, what was being said is told once more with what was heard of it, if that was
   * not all.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const turns = this.#turns.splice(0);
    for (const turn of turns) turn.cancel.abort();
    for (const [turn, heardMs] of heardMsOf(turns, this.#unheardMs())) this.#cleared.set(turn, heardMs);
    for (const [turn, heardMs] of this.#cleared) this.#tellCutOff(turn, heardMs);
  }

  /** The clock is not exact to the word: so little is taken for nothing. */
  #unheardMs(): number {
    const unheardMs = this.#call.unheardMs();
    return unheardMs <= this.#options.clockToleranceMs ? 0 : unheardMs;
  }

  /** A turn that was not heard to its end. One of which nothing was heard was never said, unless it is written down already. */
  #tellCutOff(turn: SpeakingTurn, heardMs: number): void {
    const heard = heardText(turn.pieces, heardMs);
    if (turn.told ? heard === turn.text : heard === "") return;
    this.#tell(turn, heard === turn.text ? undefined : heard, true);
  }

  async #speak(turn: SpeakingTurn, source: TextSource): Promise<SaidOutcome> {
    const splitter = new SentenceSplitter();
    try {
      for await (const text of source) {
        if (turn.cancel.signal.aborted) return "INTERRUPTED";
        for (const sentence of splitter.push(text)) await this.#speakSentence(turn, sentence);
      }
      for (const sentence of splitter.end()) await this.#speakSentence(turn, sentence);
    } catch (error) {
      if (turn.cancel.signal.aborted || this.#closed) return "INTERRUPTED";
      this.#finish(turn);
      const failure = SpeechError.from(error, this.#tts.name);
      this.#events.failed(failure);
      return "FAILED";
    }
    if (turn.cancel.signal.aborted) return "INTERRUPTED";
    this.#finish(turn);
    return "QUEUED";
  }

  async #speakSentence(turn: SpeakingTurn, sentence: string): Promise<void> {
    const { signal } = turn.cancel;
    if (signal.aborted) return;
    turn.text = turn.text === "" ? sentence : `${turn.text} ${sentence}`;
    await this.#roomAhead();
    if (signal.aborted) return;
    const piece: SpokenPiece = { text: sentence, ms: 0, complete: false };
    turn.pieces.push(piece);
    const audio = await this.#tts.speak(sentence, { ...this.#options, signal });
    const resampler = this.#resamplerFor(audio.sampleRateHz, this.#call.sampleRateHz);
    try {
      for await (const chunk of audio.chunks) {
        if (signal.aborted) return;
        const pcm = resampler.process(chunk);
        if (pcm.length === 0) continue;
        // It is heard behind what is queued already.
        if (turn.pieces.every(({ ms }) => ms === 0)) turn.time = new Date(Date.now() + this.#call.queuedMs());
        this.#call.play(pcm);
        piece.ms += pcmDurationMs(pcm.length, this.#call.sampleRateHz);
      }
      piece.complete = true;
    } finally {
      resampler.close();
    }
  }

  /** Wait until what is queued is short enough; its end is known by marks, not by waiting a time. */
  async #roomAhead(): Promise<void> {
    if (this.#call.queuedMs() <= this.#options.maxAheadMs) return;
    await this.#mark();
  }

  /** The turn's text is complete and its audio queued, as far as there is any. */
  #finish(turn: SpeakingTurn): void {
    if (turn.pieces.some((piece) => piece.ms > 0)) this.#tell(turn, undefined, false);
    void this.#mark().then((end) => {
      if (!this.#turns.includes(turn)) return; // it was cut off
      // Cleared, and not by an interruption: probably the call is over. What was heard is told when this is closed.
      if (end === "CLEARED") {
        this.#cleared.set(turn, heardMsOf(this.#turns, this.#unheardMs()).get(turn) ?? 0);
      }
      this.#turns = this.#turns.filter((other) => other !== turn);
      if (end === "PLAYED" && this.#turns.length === 0 && !this.#closed) this.#events.drained();
    });
  }

  #mark(): Promise<"PLAYED" | "CLEARED"> {
    return this.#call.mark(`said-${++this.#marks}`).catch(() => "CLEARED" as const);
  }

  #tell(turn: SpeakingTurn, heard: string | undefined, interrupted: boolean): void {
    turn.told = true;
    this.#events.turn({
      number: turn.number,
      text: turn.text,
      time: turn.time,
      interrupted,
      ...(heard === undefined ? {} : { heard }),
    });
  }
}

/** How much of each turn was heard, ms: the newest audio is what was not, so it is counted off from the end. */
function heardMsOf(turns: readonly SpeakingTurn[], unheardMs: number): Map<SpeakingTurn, number> {
  let leftMs = unheardMs;
  const heardOf = new Map<SpeakingTurn, number>();
  for (const turn of [...turns].reverse()) {
    const ms = turn.pieces.reduce((sum, piece) => sum + piece.ms, 0);
    const unheard = Math.min(ms, leftMs);
    leftMs -= unheard;
    heardOf.set(turn, ms - unheard);
  }
  return new Map([...heardOf].reverse());
}
