import type { CallContext } from "callweave";
import type { Evidence } from "./evidence.js";
import type { Variant } from "./options.js";
import { type Check, endReasonOf, escalationOutcomesOf, statesOf, type Verdict } from "./verifier.js";

/** What `--json` prints as its last line, and what is kept as `result.json`. */
export interface DemoResult extends Variant {
  readonly ok: boolean;
  readonly speechToText: Evidence["speechToText"];
  readonly callId: string;
  readonly states: readonly string[];
  readonly transcript: ReadonlyArray<{ readonly role: string; readonly text: string }>;
  readonly context: CallContext | null;
  /** How the last escalation ended, else the context's outcome. */
  readonly outcome: string | null;
  readonly endReason: string | null;
  readonly agentLeft: boolean;
  /** The announcement before the handover, or the goodbye before the end; null when there was none. */
  readonly announcementHeardFully: boolean | null;
  readonly callerSpecialistTalked: boolean;
  /** Share of the caller's words that were understood, 0 to 1; null when nothing was to be understood. */
  readonly wordShare: number | null;
  readonly checks: readonly Check[];
  readonly recordings: Readonly<Record<string, string>>;
  /** Length of the call, s. */
  readonly callSeconds: number;
  /** What kept the run from its end; absent when it came to it. */
  readonly error?: string;
}

/** Puts evidence and verdict together. */
export function resultOf(
  evidence: Evidence,
  verdict: Verdict,
  recordings: Readonly<Record<string, string>>,
): DemoResult {
  const { context } = evidence;
  return {
    ok: verdict.ok,
    ...evidence.variant,
    speechToText: evidence.speechToText,
    callId: evidence.callId,
    states: statesOf(evidence),
    transcript: context?.turns.map(({ role, text }) => ({ role, text })) ?? [],
    context: context ?? null,
    outcome: escalationOutcomesOf(evidence).at(-1) ?? (context?.outcome || null),
    endReason: endReasonOf(evidence) ?? null,
    agentLeft: verdict.agentLeft,
    announcementHeardFully: verdict.announcementHeardFully ?? null,
    callerSpecialistTalked: verdict.callerSpecialistTalked,
    wordShare: verdict.wordShare ?? null,
    checks: verdict.checks,
    recordings,
    callSeconds: Math.round(evidence.durationMs / 100) / 10,
  };
}
