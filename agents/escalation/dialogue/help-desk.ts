import type { ReplyModel, ReplyPart, ReplyRequest, ReplyTurn } from "../../speech/ports.js";
import { fill, type Prompts } from "../prompts.js";
import { PhraseSet, words } from "./phrases.js";

type Topic = Prompts["topics"][number];

/**
 * A small help desk by rules: answers the topics of the prompts file, asks for an order number. It keeps nothing between
 * turns (what it asked last is in the turns), so another process can go on with the call.
 */
export class HelpDesk implements ReplyModel {
  readonly name = "rules";
  readonly #prompts: Prompts;
  readonly #topics: ReadonlyArray<{ topic: Topic; phrases: PhraseSet }>;

  constructor(prompts: Prompts) {
    this.#prompts = prompts;
    this.#topics = prompts.topics.map((topic) => ({ topic, phrases: new PhraseSet(topic.phrases) }));
  }

  /** The topic that fits best, or undefined. */
  topicOf(text: string): Topic | undefined {
    const said = words(text);
    let best: { topic: Topic; score: number } | undefined;
    for (const { topic, phrases } of this.#topics) {
      const score = phrases.count(said);
      if (score > (best?.score ?? 0)) best = { topic, score };
    }
    return best?.topic;
  }

  /** Whether something can be answered to the last of these turns. */
  understands(turns: readonly ReplyTurn[]): boolean {
    const text = turns.at(-1)?.text ?? "";
    return this.topicOf(text) !== undefined || (this.#asked(turns) && this.digitsOf(text).length >= 3);
  }

  /** The digits in a text, spoken or written: `four seven one two` is `4712`. */
  digitsOf(text: string): string {
    return words(text)
      .map((word) => (/^\d+$/.test(word) ? word : (this.#prompts.digits[word] ?? "").toString()))
      .join("");
  }

  async *reply(request: ReplyRequest): AsyncGenerator<ReplyPart> {
    const { sentences, order } = this.#prompts;
    const text = request.turns.at(-1)?.text ?? "";
    const topic = this.topicOf(text);
    const asked = this.#asked(request.turns);
    if (asked || topic?.asks === "order_number") {
      const digits = this.digitsOf(text);
      // A number counts when it was asked for, or when it is long enough not to be "to" or "for" in a sentence.
      if (digits.length >= 3) {
        yield* this.#status(digits, request.turns);
        return;
      }
      if (topic === undefined || topic.asks === "order_number") {
        yield { kind: "TEXT", text: asked ? order.ask_again : order.ask };
        return;
      }
    }
    if (!topic) {
      yield { kind: "TEXT", text: sentences.not_understood };
      return;
    }
    yield {
      kind: "TEXT",
      text: topic.id === "greeting" ? topic.answer : `${topic.answer} ${sentences.anything_else}`,
    };
  }

  *#status(digits: string, turns: readonly ReplyTurn[]): Generator<ReplyPart> {
    const { order, sentences } = this.#prompts;
    const known = Object.keys(order.states).find((number) => digits.endsWith(number));
    const spoken = [...(known ?? digits)].join(" ");
    if (known) {
      const status = fill(order.status, { number: spoken, state: order.states[known] ?? "" });
      yield { kind: "TEXT", text: `${status} ${sentences.anything_else}` };
      return;
    }
    const unknown = fill(order.unknown, { number: "" }).slice(0, 20);
    if (turns.some((turn) => turn.role === "AI" && turn.text.startsWith(unknown))) {
      yield { kind: "TOOL_CALL", name: "escalate_to_human", arguments: { reason: "OUT_OF_SCOPE" } };
      return;
    }
    yield { kind: "TEXT", text: fill(order.unknown, { number: spoken }) };
  }

  /** Whether the last thing said by the agent was the question for the order number. */
  #asked(turns: readonly ReplyTurn[]): boolean {
    const { order } = this.#prompts;
    const last = turns.findLast((turn) => turn.role === "AI")?.text ?? "";
    const unknown = fill(order.unknown, { number: "" }).slice(0, 20);
    return last.endsWith(order.ask) || last.endsWith(order.ask_again) || last.startsWith(unknown);
  }
}
