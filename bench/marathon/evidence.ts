import type { ContextView, LoggedEvent } from "../../demo/cluster/evidence.js";
import type { Span } from "../../demo/evidence.js";
import type { Fault } from "./plan.js";

/** Which of the two agents of a lane. */
export type Voice = 0 | 1;

/** Numbered frames of one agent that a caller heard one after the other. */
export interface HeardRun {
  readonly voice: Voice;
  /** The lane that the frames say they are for. */
  readonly lane: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Frames whose number is not above that of the one before. */
  readonly repeats: number;
}

/** What an agent process was told, or did. `instance`: the process. */
export type AgentNote = {
  readonly instance: string;
  readonly voice: Voice;
  readonly atMs: number;
} & (
  | { readonly type: "given"; readonly epoch: number }
  | { readonly type: "event"; readonly sequence: number; readonly event: string; readonly durable: boolean }
  | { readonly type: "writing"; readonly turnId: string; readonly text: string }
  | { readonly type: "written"; readonly turnId: string }
  | { readonly type: "escalating" }
  | { readonly type: "escalated"; readonly outcome: string }
  | { readonly type: "offer" | "ended" | "trouble"; readonly text: string }
);

/** A fault as it happened. */
export interface Hit {
  readonly fault: Fault;
  /** Undefined: the phase never came. */
  readonly atMs: number | undefined;
  /** Process or gateway that was hit. */
  readonly target: string;
  /** When it ran again after a freeze, or was started again. */
  readonly overMs: number | undefined;
}

/** One call of a batch. Times: Unix, ms. */
export interface CallEvidence {
  readonly lane: number;
  readonly callId: string;
  readonly caller: string;
  readonly callee: string;
  readonly placedAtMs: number;
  readonly endedAtMs: number;
  /** Why it ended for the provider; undefined: it did not by itself. */
  readonly providerEnd: string | undefined;
  /** Gateway that had the call when the fault came; undefined: none yet. */
  readonly owner: string | undefined;
  /** What the provider was asked to do, in order. */
  readonly commands: readonly string[];
  readonly heard: readonly HeardRun[];
  /** When the caller heard nothing at all. */
  readonly silent: readonly Span[];
  readonly notes: readonly AgentNote[];
  /** The log of the call, in its order. */
  readonly log: readonly LoggedEvent[];
  /** The documents of the call in the database. */
  readonly stored: readonly ContextView[];
  /** The summary that every escalation of the call writes. */
  readonly summary: string;
}

/** Everything that is known of a batch from the outside. */
export interface BatchEvidence {
  readonly number: number;
  readonly hits: readonly Hit[];
  readonly calls: readonly CallEvidence[];
  /** When the provider's process stood still: what callers heard then was made up for afterwards. Unix, ms. */
  readonly stalls: readonly Span[];
}
