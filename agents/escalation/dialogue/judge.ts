import type { ReplyTurn } from "../../speech/ports.js";
import type { EscalationReason } from "../call-port.js";
import type { Prompts } from "../prompts.js";
import { PhraseSet, words } from "./phrases.js";

/** What is to be done after a turn of the caller. */
export type Verdict =
  | { readonly kind: "ESCALATE"; readonly reason: EscalationReason }
  | { readonly kind: "WRONG_NUMBER" }
  | { readonly kind: "GOODBYE" }
  /** The caller wants to leave a message or to be called back. */
  | { readonly kind: "CALLBACK" }
  | { readonly kind: "REFUSES_TRANSCRIPT" }
  /** Ask again; the second time in a row is an escalation. */
  | { readonly kind: "NOT_UNDERSTOOD" }
  | { readonly kind: "REPLY" };

/** What the judge asks others, and its thresholds. */
export interface JudgeOptions {
  /** Whether the model can answer the last of these turns. Default: any text that is not empty. */
  readonly understands?: (turns: readonly ReplyTurn[]) => boolean;
  /** What a text is about, to notice the same question again and again. */
  readonly topicOf?: (text: string) => string | undefined;
  /** Turns not understood in a row that make an escalation. Default 2. */
  readonly maxNotUnderstood?: number;
  /** The same question so often, in one call, makes the caller count as frustrated. Default 3. */
  readonly maxSameQuestion?: number;
  /** Recognition below this counts as not understood, 0 to 1. Default 0.25. */
  readonly minConfidence?: number;
}

/** Points that make a caller frustrated, over the last {@link FRUSTRATION_TURNS} turns: a strong sign is 2, a weak one 1. */
const FRUSTRATED_FROM = 2;
const FRUSTRATION_TURNS = 3;

/**
 * Judges, after each turn of the caller, whether a human is needed. It looks at words, the same ones whatever model replies:
 * that a caller in danger or in anger reaches a human must not depend on a model's mood.
 */
export class Judge {
  readonly #signals: Record<keyof Prompts["signals"], PhraseSet>;
  readonly #options: Required<JudgeOptions>;
  #notUnderstood = 0;
  readonly #asked = new Map<string, number>();

  constructor(prompts: Prompts, options: JudgeOptions = {}) {
    const sets = Object.entries(prompts.signals).map(([name, set]) => [
      name,
      new PhraseSet(set.phrases, set.unless),
    ]);
    this.#signals = Object.fromEntries(sets);
    this.#options = {
      understands: options.understands ?? ((turns) => (turns.at(-1)?.text ?? "") !== ""),
      topicOf: options.topicOf ?? (() => undefined),
      maxNotUnderstood: options.maxNotUnderstood ?? 2,
      maxSameQuestion: options.maxSameQuestion ?? 3,
      minConfidence: options.minConfidence ?? 0.25,
    };
  }

  /** Whether a signal of the prompts file is in the text. */
  hears(signal: keyof Prompts["signals"], text: string): boolean {
    return this.#signals[signal].matches(words(text));
  }

  /** @param turns the last one is the caller's, and new. @param confidence the recogniser's, if it gives one */
  judge(turns: readonly ReplyTurn[], confidence?: number): Verdict {
    const text = turns.at(-1)?.text ?? "";
    const said = words(text);
    const hears = (signal: keyof Prompts["signals"]) => this.#signals[signal].matches(said);
    if (hears("emergency")) return { kind: "ESCALATE", reason: "EMERGENCY" };
    if (hears("ask_human")) return { kind: "ESCALATE", reason: "ASKED_FOR_HUMAN" };
    if (hears("wrong_number")) return { kind: "WRONG_NUMBER" };
    if (hears("no_transcript")) return { kind: "REFUSES_TRANSCRIPT" };
    if (this.#frustration(turns) >= FRUSTRATED_FROM) return { kind: "ESCALATE", reason: "FRUSTRATED" };
    if (hears("out_of_scope")) return { kind: "ESCALATE", reason: "OUT_OF_SCOPE" };
    if (hears("message")) return { kind: "CALLBACK" };
    const unsure = confidence !== undefined && confidence < this.#options.minConfidence;
    const understood = said.length > 0 && !unsure && this.#options.understands(turns);
    if (understood && this.#sameQuestion(text)) return { kind: "ESCALATE", reason: "FRUSTRATED" };
    if (hears("goodbye") || (said.length <= 3 && hears("no"))) return { kind: "GOODBYE" };
    if (understood) {
      this.#notUnderstood = 0;
      return { kind: "REPLY" };
    }
    this.#notUnderstood++;
    if (this.#notUnderstood >= this.#options.maxNotUnderstood)
      return { kind: "ESCALATE", reason: "NOT_UNDERSTOOD" };
    return { kind: "NOT_UNDERSTOOD" };
  }

  #frustration(turns: readonly ReplyTurn[]): number {
    let points = 0;
    for (const turn of turns.filter(({ role }) => role === "CALLER").slice(-FRUSTRATION_TURNS)) {
      const said = words(turn.text);
      if (this.#signals.frustrated_strong.matches(said)) points += 2;
      else if (this.#signals.frustrated_weak.matches(said)) points += 1;
    }
    return points;
  }

  #sameQuestion(text: string): boolean {
    const topic = this.#options.topicOf(text);
    if (topic === undefined) return false;
    const times = (this.#asked.get(topic) ?? 0) + 1;
    this.#asked.set(topic, times);
    return times >= this.#options.maxSameQuestion;
  }
}
