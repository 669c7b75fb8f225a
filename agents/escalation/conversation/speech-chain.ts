import type { Resampler } from "../../speech/local/resampler.js";
import {
  RECOGNITION_RATE_HZ,
  type ReplyModel,
  type ReplyPart,
  type ReplyRequest,
  type ReplyTurn,
  SpeechError,
  type SpeechToText,
  type TextToSpeech,
  type VoiceActivity,
} from "../../speech/ports.js";
import type { CallPort } from "../call-port.js";
import type {
  CallerTurn,
  Conversation,
  ConversationHandler,
  SaidOutcome,
  SayOptions,
} from "./conversation.js";
import { type Heard, Listener, type ListenerOptions } from "./listener.js";
import { Speaker, type SpeakerOptions } from "./speaker.js";

/** What a {@link SpeechChain} is made of; voice activity is the call's own, the rest is shared. */
export interface SpeechChainParts {
  readonly vad: VoiceActivity;
  readonly stt: SpeechToText;
  readonly model: ReplyModel;
  readonly tts: TextToSpeech;
  readonly resamplerFor: (fromHz: number, toHz: number) => Resampler;
}

/** Options of a {@link SpeechChain}; times in ms. */
export interface SpeechChainOptions extends ListenerOptions, SpeakerOptions {
  readonly instructions: string;
  readonly tools: ReplyRequest["tools"];
  /** What was said before this conversation, for the model. */
  readonly earlierTurns?: readonly ReplyTurn[];
  /** An utterance shorter than this in which nothing was understood is a noise and no turn, ms. Default 400. */
  readonly minTurnMs?: number;
  /** Longest time the model may take to its first word, and from one to the next, ms. Default 15 000. */
  readonly replyTimeoutMs?: number;
  /** Turns kept for the model, the oldest are left out beyond it; at least 1. Default 200. */
  readonly maxTurns?: number;
}

/**
 * voice activity → speech-to-text → reply → text-to-speech. While the agent speaks, the caller's first words clear its audio
 * in the tick in which they are detected. Turns are worked off one after the other; a reply that nobody has heard yet is
 * dropped when the caller goes on speaking.
 */
export class SpeechChain implements Conversation {
  readonly #parts: SpeechChainParts;
  readonly #options: SpeechChainOptions;
  readonly #listener: Listener;
  readonly #speaker: Speaker;
  readonly #turns: ReplyTurn[];
  #handler: ConversationHandler | undefined;
  #mode: "TALK" | "LISTEN" = "TALK";
  #reply: AbortController | undefined;
  /** Utterances heard and not yet answered. */
  #pending = 0;
  #work: Promise<void> = Promise.resolve();
  #interrupted: Promise<void> = Promise.resolve();
  #interrupting = false;
  /** Index in #turns of each of the agent's turns, by number. */
  readonly #written = new Map<number, number>();
  #closed = false;

  constructor(call: CallPort, parts: SpeechChainParts, options: SpeechChainOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#turns = [...(options.earlierTurns ?? [])];
    const resampler = parts.resamplerFor(call.sampleRateHz, RECOGNITION_RATE_HZ);
    this.#listener = new Listener(call, { vad: parts.vad, stt: parts.stt, resampler }, options, {
      started: () => this.#callerStarted(),
      ended: (heard) => this.#callerEnded(heard),
    });
    this.#speaker = new Speaker(call, parts, options, {
      turn: (turn) => {
        this.#write(turn.number, turn.interrupted ? (turn.heard ?? turn.text) : turn.text);
        this.#handler?.aiTurn(turn);
      },
      drained: () => this.#maybeQuiet(),
      failed: (error) => this.#failed(error),
    });
  }

  start(handler: ConversationHandler): void {
    this.#handler = handler;
    this.#listener.run().catch((error) => this.#failed(SpeechError.from(error, "listener")));
  }

  say(text: string, options: SayOptions = {}): Promise<SaidOutcome> {
    return this.#speaker.say([text], options.interruptible ?? true);
  }

  setMode(mode: "TALK" | "LISTEN"): void {
    this.#mode = mode;
    if (mode === "LISTEN") this.#reply?.abort();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#reply?.abort();
    this.#listener.close();
    this.#speaker.close();
  }

  #callerStarted(): void {
    if (this.#closed) return;
    this.#interrupting = false;
    if (this.#mode === "TALK") {
      this.#reply?.abort();
      if (this.#speaker.speaking && this.#speaker.interruptible) {
        this.#interrupting = true;
        this.#interrupted = this.#speaker.interrupt();
      }
    }
    this.#handler?.callerStarted();
  }

  #callerEnded(heard: Heard): void {
    if (this.#closed) return;
    const interrupting = this.#interrupting;
    const interrupted = this.#interrupted;
    this.#pending++;
    this.#work = this.#work.then(async () => {
      // What the agent was cut off at is written before what the caller said then.
      await interrupted;
      await this.#callerTurn(heard, interrupting).catch((error) =>
        this.#failed(SpeechError.from(error, "conversation")),
      );
      this.#pending--;
      this.#maybeQuiet();
    });
  }

  async #callerTurn(heard: Heard, interrupting: boolean): Promise<void> {
    let transcript: { text: string; confidence?: number };
    try {
      transcript = await heard.transcript;
    } catch (error) {
      this.#failed(SpeechError.from(error, this.#parts.stt.name));
      return;
    }
    if (this.#closed) return;
    const noise = transcript.text === "" && heard.durationMs < (this.#options.minTurnMs ?? 400);
    if (noise && !interrupting) return;
    if (transcript.text !== "") this.#push({ role: "CALLER", text: transcript.text });
    const turn: CallerTurn = { ...transcript, time: heard.time, durationMs: heard.durationMs, interrupting };
    const decision = await this.#handler?.callerTurn(turn);
    // If the caller is already speaking again, the next turn is answered instead.
    if (decision !== "REPLY" || this.#mode !== "TALK" || this.#closed || this.#listener.callerSpeaks) return;
    await this.#answer();
  }

  /** Ask the model and speak what it says as it comes; its tools after its words. */
  async #answer(): Promise<void> {
    const reply = new AbortController();
    this.#reply = reply;
    const calls: Array<Extract<ReplyPart, { kind: "TOOL_CALL" }>> = [];
    const timeoutMs = this.#options.replyTimeoutMs ?? 15_000;
    const parts = this.#parts.model.reply({
      turns: this.#turns,
      locale: this.#options.locale,
      instructions: this.#options.instructions,
      tools: this.#options.tools,
      signal: reply.signal,
    });
    const model = this.#parts.model.name;
    async function* texts(): AsyncGenerator<string> {
      try {
        for await (const part of inTime(parts, timeoutMs, reply.signal)) {
          if (reply.signal.aborted) return;
          if (part.kind === "TEXT") yield part.text;
          else calls.push(part);
        }
      } catch (error) {
        if (!reply.signal.aborted) throw SpeechError.from(error, model);
      }
    }
    const said = await this.#speaker.say(texts(), true);
    if (this.#reply === reply) this.#reply = undefined;
    // Nobody waits for more of it, e.g. after it took too long.
    if (said === "FAILED") reply.abort();
    if (said === "FAILED" || reply.signal.aborted || this.#closed) return;
    for (const call of calls) this.#handler?.toolCall({ name: call.name, arguments: call.arguments });
  }

  #maybeQuiet(): void {
    if (this.#closed || this.#pending > 0 || this.#listener.callerSpeaks || this.#speaker.speaking) return;
    this.#handler?.quiet();
  }

  #failed(error: SpeechError): void {
    if (this.#closed || error.reason === "ABORTED") return;
    this.#handler?.failed(error);
  }

  #push(turn: ReplyTurn): number {
    this.#turns.push(turn);
    if (this.#turns.length > (this.#options.maxTurns ?? 200)) {
      this.#turns.shift();
      for (const [number, index] of this.#written) this.#written.set(number, index - 1);
    }
    return this.#turns.length - 1;
  }

  /** What the model believes to have said is what was heard. */
  #write(number: number, text: string): void {
    const index = this.#written.get(number);
    if (index !== undefined && index >= 0) this.#turns[index] = { role: "AI", text };
    else this.#written.set(number, this.#push({ role: "AI", text }));
  }
}

/** The items until the signal aborts; throws when one takes longer than `timeoutMs`. The maker need not look at the signal. */
async function* inTime<T>(
  items: AsyncIterable<T>,
  timeoutMs: number,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  for (;;) {
    const next = iterator.next();
    next.catch(() => {}); // seen below, or no longer wanted
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("took too long")), timeoutMs);
    });
    const result = await Promise.race([next, aborted, late]).finally(() => clearTimeout(timer));
    if (!result || result.done) return;
    yield result.value;
  }
}
