import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { ESCALATION_REASONS, type EscalationReason } from "./call-port.js";

const signal = z
  .object({ phrases: z.array(z.string().min(1)).min(1), unless: z.array(z.string().min(1)).default([]) })
  .strict();

const perReason = z.object(
  Object.fromEntries(ESCALATION_REASONS.map((reason) => [reason, z.string().min(1)])) as Record<
    EscalationReason,
    z.ZodString
  >,
);

const sentence = z.string().min(1);

const schema = z
  .object({
    locale: z.string().min(2),
    business: z.string().min(1),
    sentences: z
      .object({
        disclosure: sentence,
        how_can_i_help: sentence,
        anything_else: sentence,
        not_understood: sentence,
        repeat: sentence,
        resumed_topic: sentence,
        resumed: sentence,
        go_on: sentence,
        resumed_escalation: sentence,
        consent_refused: sentence,
        silence_1: sentence,
        silence_2: sentence,
        silence_goodbye: sentence,
        wrong_number: sentence,
        goodbye: sentence,
        unanswered: sentence,
        unanswered_unclear: sentence,
        leave_message: sentence,
        leave_message_now: sentence,
        unanswered_emergency: sentence,
        message_taken: sentence,
        callback_without_message: sentence,
        trying_again: sentence,
      })
      .strict(),
    announcements: perReason,
    signals: z
      .object({
        emergency: signal,
        ask_human: signal,
        frustrated_strong: signal,
        frustrated_weak: signal,
        out_of_scope: signal,
        wrong_number: signal,
        goodbye: signal,
        yes: signal,
        no: signal,
        message: signal,
        no_transcript: signal,
      })
      .strict(),
    topics: z.array(
      z
        .object({
          id: z.string().min(1),
          name: z.string(),
          phrases: z.array(z.string().min(1)).min(1),
          asks: z.literal("order_number").optional(),
          answer: z.string(),
        })
        .strict(),
    ),
    order: z
      .object({
        ask: sentence,
        ask_again: sentence,
        unknown: sentence,
        status: sentence,
        states: z.record(z.string().regex(/^\d+$/), sentence),
      })
      .strict(),
    digits: z.record(z.string(), z.number().int().min(0).max(9)),
    summary: z
      .object({
        asked_about: sentence,
        no_topic: sentence,
        last_words: sentence,
        reasons: perReason,
        message: sentence,
        and: sentence,
      })
      .strict(),
    model: z.object({ instructions: sentence, escalate_tool: sentence, end_tool: sentence }).strict(),
  })
  .strict();

/** Everything language-dependent: what is said, what is listened for, what is answered. One file per locale. */
export type Prompts = z.infer<typeof schema>;

/** Where the sentences that come with the agent are. */
export const PROMPTS_DIR = fileURLToPath(new URL("./prompts", import.meta.url));

/** Check the content of a prompts file; throws an Error that names the field. */
export function parsePrompts(yaml: string, name: string): Prompts {
  const result = schema.safeParse(parse(yaml));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "file"}: ${issue.message}`);
  throw new Error(`${name}: ${problems.join("; ")}`);
}

/**
 * Prompts for a locale: `de-AT` takes `de-AT.yaml`, else `de.yaml`, else `fallback` (default `en`). Throws when a file is
 * not valid or the fallback is missing too.
 */
export function loadPrompts(locale: string, directory = PROMPTS_DIR, fallback = "en"): Prompts {
  const wanted = [locale, locale.split("-")[0] ?? "", fallback].filter((name) =>
    /^[A-Za-z0-9-]+$/.test(name),
  );
  for (const name of wanted) {
    const path = join(directory, `${name}.yaml`);
    if (existsSync(path)) return parsePrompts(readFileSync(path, "utf8"), `${name}.yaml`);
  }
  throw new Error(`no prompts for ${wanted.join(", ")}`);
}

/** Fill `{name}` in; an unknown name becomes nothing. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}
