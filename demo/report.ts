import type { CallContext } from "callweave";
import type { DemoResult } from "./result.js";
import type { Check } from "./verifier.js";

/** A check of whatever demo. */
export type AnyCheck = Omit<Check, "name"> & { readonly name: string };

/** The context as somebody at the desk reads it, as lines. */
export function contextLines(context: CallContext): string[] {
  const field = (name: string, value: string | undefined) => (value ? [`  ${name.padEnd(9)} ${value}`] : []);
  const data = Object.entries(context.data ?? {});
  return [
    ...field("call", context.callId),
    ...field("caller", context.caller),
    ...field("callee", context.callee),
    ...field("status", context.status),
    ...field("reason", context.escalationReason),
    ...field("outcome", context.escalationOutcome ?? context.outcome),
    ...field("summary", context.summary),
    ...data.flatMap(([name, value]) => field(name, String(value))),
    ...(context.consent?.disclosedTime ? field("consent", "told that it is automated and written down") : []),
    "  turns",
    ...context.turns.map(({ role, text, interrupted, heard }) => {
      const cut = interrupted ? ` (cut off after “${heard || "…"}”)` : "";
      return `    ${role.toLowerCase().padEnd(7)} ${text}${cut}`;
    }),
  ];
}

/** One line per check. */
export function checkLines(checks: readonly AnyCheck[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks.map(({ name, ok, detail }) => `  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${detail}`);
}

/** What to do next, for people. */
export function closingLines(result: DemoResult): string[] {
  return [
    "",
    "Listen to what each of them heard, look at call.svg; or try",
    "  npm run demo -- --caller=angry",
    "  npm run demo -- --caller=asks --callee=no-answer",
    "  npm run demo -- --help",
    ...(result.speechToText === "scripted"
      ? ["For real speech recognition install Python 3.10 to 3.13 and run npm install again."]
      : []),
  ];
}

/** What is printed with `--open`; `why` says why the agent understands nobody. */
export function openingLines(simulatorUrl: string, deskPort: number, why: string | undefined): string[] {
  return [
    "",
    "Open each in a tab of its own, on this machine; a microphone is asked for:",
    "",
    `  be the caller       ${simulatorUrl}/#caller`,
    `  be the specialist   ${simulatorUrl}/#specialist`,
    `  watch at the desk   http://127.0.0.1:${deskPort}/`,
    "",
    why === undefined
      ? 'The agent understands English on this machine (pocketsphinx). Say "I want to speak to a human".'
      : `The agent understands nobody here (${why}): take the call at the desk instead.`,
    "Ctrl-C ends it.",
  ];
}
