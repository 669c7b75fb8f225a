import { type ReplyTurn, SpeechError } from "../speech/ports.js";
import type { EscalationReason, Turn } from "./call-port.js";
import type { AiTurn } from "./conversation/conversation.js";
import { fill, type Prompts } from "./prompts.js";

/** What a summary says of how a talk ended. */
export interface TalkEnd {
  readonly reason?: EscalationReason | undefined;
  /** A message that the caller left. */
  readonly message?: string | undefined;
}

/** The kind of an error for a log, with nothing in it that was said: provider and reason of a SpeechError, else its class. */
export function nameOf(error: unknown): string {
  if (error instanceof SpeechError) return `${error.provider} ${error.reason}`;
  return error instanceof Error ? error.name : "unknown";
}

/** Wait for `promise`, at most `ms` milliseconds. Never rejects; a failure counts as done. */
export async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise.catch(() => {}), new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

/** What is said to go on with a talk that another agent had: what it was about, and the question that was not answered. */
export function resumption(
  { sentences }: Prompts,
  turns: readonly ReplyTurn[],
  topicOf: (text: string) => string | undefined,
): string {
  const topic = turns
    .filter(({ role }) => role === "CALLER")
    .map(({ text }) => topicOf(text))
    .findLast((name) => name !== undefined && name !== "");
  const resumed = topic ? fill(sentences.resumed_topic, { topic }) : sentences.resumed;
  const last = turns.at(-1);
  const question = last?.role === "AI" ? /[^.!?]*\?$/.exec(last.text)?.[0].trim() : undefined;
  return `${resumed} ${question ?? sentences.go_on}`;
}

/** What was not heard of a turn, from the beginning of the sentence in which it was cut off; empty when all was heard. */
export function unheardRest(turn: AiTurn): string {
  const heard = (turn.heard ?? turn.text).length;
  const from = turn.text.slice(0, heard).search(/[^.!?]*$/);
  return turn.text.slice(from).trim();
}

/** How it is written that a turn was cut off. An empty `heard` would mean all of it, so nothing is "…". */
export function cutOffFields(turn: AiTurn): Pick<Turn, "interrupted" | "heard"> {
  if (!turn.interrupted) return {};
  return { interrupted: true, ...(turn.heard === undefined ? {} : { heard: turn.heard || "…" }) };
}
