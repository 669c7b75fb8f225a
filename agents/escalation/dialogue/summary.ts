import type { ReplyTurn } from "../../speech/ports.js";
import type { EscalationReason } from "../call-port.js";
import { fill, type Prompts } from "../prompts.js";

/** Longest quotation of the caller's words, in words. */
const MAX_QUOTED_WORDS = 25;
const MAX_SUMMARY_CHARS = 2_000;

/**
 * At most three sentences for the human who takes over: what it was about, the caller's last words, why.
 * @param topicOf the name of what a text is about, or undefined
 */
export function summarise(
  prompts: Prompts,
  turns: readonly ReplyTurn[],
  topicOf: (text: string) => string | undefined,
  end: { readonly reason?: EscalationReason; readonly message?: string },
): string {
  const texts = turns.filter(({ role, text }) => role === "CALLER" && text !== "").map(({ text }) => text);
  const topics = [
    ...new Set(texts.map(topicOf).filter((topic) => topic !== undefined && topic !== "")),
  ] as string[];
  const { summary } = prompts;
  const sentences = [
    topics.length > 0
      ? fill(summary.asked_about, { topics: enumerate(topics, summary.and) })
      : summary.no_topic,
  ];
  const last = texts.at(-1);
  if (end.message !== undefined) sentences.push(fill(summary.message, { message: quote(end.message) }));
  else if (last !== undefined) sentences.push(fill(summary.last_words, { words: quote(last) }));
  if (end.reason !== undefined) sentences.push(summary.reasons[end.reason]);
  return sentences.slice(0, 3).join(" ");
}

/** The first three sentences of a model's summary, bounded. */
export function atMostThreeSentences(text: string): string {
  const sentences =
    text
      .replace(/\s+/g, " ")
      .trim()
      .match(/[^.!?]+[.!?]*/g) ?? [];
  return sentences.slice(0, 3).join("").trim().slice(0, MAX_SUMMARY_CHARS);
}

/** The caller's words without anything that would begin another sentence. */
function quote(text: string): string {
  const words = text
    .replace(/[.!?"“”„\s]+/g, " ")
    .trim()
    .split(" ");
  return words.length > MAX_QUOTED_WORDS
    ? `${words.slice(0, MAX_QUOTED_WORDS).join(" ")} …`
    : words.join(" ");
}

function enumerate(items: readonly string[], and: string): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(", ")} ${and} ${items.at(-1)}`;
}
