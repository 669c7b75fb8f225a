/**
 * What the agent needs of a call, and nothing more. Everything here is written against this interface; the binding to
 * the Callweave client is `call-binding.ts`, the fake of the tests `testing/fake-call.ts`.
 */

/** Why an agent hands the call to a human; the names of the contract without their prefix. */
export const ESCALATION_REASONS = [
  "ASKED_FOR_HUMAN",
  "FRUSTRATED",
  "OUT_OF_SCOPE",
  "NOT_UNDERSTOOD",
  "EMERGENCY",
  "PROVIDER_FAILED",
] as const;
/** One of {@link ESCALATION_REASONS}. */
export type EscalationReason = (typeof ESCALATION_REASONS)[number];

/**
 * How an escalation ended.
 * - `CONNECTED`: caller and human are together, the agent has left.
 * - `UNANSWERED`, `PICKED_UP_NOT_CONFIRMED`: no human took the call; the agent has it as before.
 * - `CALLER_LEFT`: the caller hung up meanwhile.
 * - `CONTEXT_NOT_SAVED`, `CANCELLED`, `REJECTED`: nothing was tried, or it was stopped; the agent has the call as before.
 * - `UNKNOWN`: the provider did not say; the call may end soon, or go on.
 * - `LEAVE_FAILED`: caller and human are together, but the agent could not leave by itself.
 */
export type EscalationOutcome =
  | "CONNECTED"
  | "UNANSWERED"
  | "PICKED_UP_NOT_CONFIRMED"
  | "CALLER_LEFT"
  | "CONTEXT_NOT_SAVED"
  | "CANCELLED"
  | "REJECTED"
  | "UNKNOWN"
  | "LEAVE_FAILED";

/** Where the talk stands, as the context of the call has it; the names of the contract without their prefix. */
export type ContextStatus =
  | "ACTIVE"
  | "ESCALATING"
  | "HANDED_OVER"
  | "CALLBACK_WANTED"
  | "ABANDONED"
  | "ENDED";

/** Something that was said, as it is written into the context of the call. */
export interface Turn {
  /** Unique within the call; the same id again only adds `heard` and `interrupted`. */
  readonly id: string;
  readonly role: "CALLER" | "AI" | "SPECIALIST";
  readonly text: string;
  readonly locale: string;
  /** When it began. */
  readonly time: Date;
  /** Of an AI turn that was cut off: the part that the caller heard, by the playback clock. Absent: all of it. */
  readonly heard?: string;
  /** The caller cut it off. */
  readonly interrupted?: boolean;
}

/** Turns that the store will never take as they are, however often they are sent. What was wrong is the `cause`. */
export class TurnsRefused extends Error {
  override readonly name = "TurnsRefused";
}

/**
 * Why the agent does not have the call any more.
 * - `HUNG_UP`: the caller hung up, or the connection to him was lost.
 * - `DISCONNECTED`: somebody of ours ended the call.
 * - `LEFT_TO_PARTIES`: caller and human talk on without the agent.
 * - `SEAT_LOST`: the call goes on with another agent, or the gateway could not be reached for too long.
 */
export type CallEndReason = "HUNG_UP" | "DISCONNECTED" | "LEFT_TO_PARTIES" | "SEAT_LOST";

/** What an earlier agent left behind, when this one takes the call over. */
export interface ResumedContext {
  /** Oldest first; possibly only the newest ones. */
  readonly turns: readonly Turn[];
  readonly summary: string;
  readonly status: ContextStatus;
  readonly escalationReason?: EscalationReason;
  /** False: the caller does not want the talk to be written down. */
  readonly transcriptAllowed: boolean;
  /** When the caller was told that he talks to a machine and that the talk is written down. */
  readonly disclosedTime?: Date;
}

/** Fields of the context to write; absent ones stay as they are. */
export interface ContextPatch {
  readonly status?: ContextStatus;
  /** At most three sentences. */
  readonly summary?: string;
  readonly summarySource?: "MODEL" | "RULES";
  readonly locale?: string;
  readonly outcome?: string;
  /** Merged into the context's data. */
  readonly data?: Readonly<Record<string, string | number | boolean>>;
  /** What the caller was told, and when, and whether the talk may be written down; written as a whole. */
  readonly consent?: { readonly disclosedTime?: Date; readonly transcript: boolean };
}

/** What is asked of the gateway to get a human, and what the human is told. */
export interface EscalateRequest {
  readonly reason: EscalationReason;
  /** At most three sentences; empty keeps the context's. */
  readonly summary: string;
  readonly summarySource: "MODEL" | "RULES";
  /** Symbolic hint for the human side, e.g. `billing`. */
  readonly routingHint: string;
  /** How long the original callee rings, seconds, 1 to 120. */
  readonly ringSeconds: number;
  /** A pool of humans that is asked before the original callee rings; none when absent. */
  readonly pool?: string;
  /** Always after the audio queued before: the announcement is heard to its end. */
  readonly after: "PLAYBACK_DRAINED";
}

/** A chunk of what the caller says, or a hole in it. */
export type CallerAudio =
  | { readonly kind: "AUDIO"; readonly pcm: Buffer; readonly positionMs: number }
  | { readonly kind: "GAP"; readonly gapMs: number };

/** What was cleared and therefore not heard. */
export interface ClearResult {
  /** Audio that had not left for the provider, ms. */
  readonly droppedMs: number;
  /** Audio at the provider that, by the clock, was not heard yet, ms. */
  readonly estimatedUnheardMs: number;
}

/** One call, as the agent has it from the offer to its end. */
export interface CallPort {
  /** The gateway's id of the call. */
  readonly id: string;
  /** E.164, empty when withheld. */
  readonly caller: string;
  /** E.164: the number that was called. */
  readonly callee: string;
  /** BCP 47, from the route; empty when it gives none. */
  readonly locale: string;
  /** Counts the offers of the call from 1; above 1 somebody else may have talked before. */
  readonly attempt: number;
  /** Samples per second of s16le mono both ways. */
  readonly sampleRateHz: number;
  /** What is already written of this call. */
  readonly context: ResumedContext | undefined;
  /** Resolves when the agent does not have the call any more. */
  readonly ended: Promise<CallEndReason>;

  /** What the caller says, from now on. Ends with the call. One reader. */
  audio(): AsyncIterable<CallerAudio>;
  /** Pick up; nothing when it is answered already. Rejects when that fails: the agent cannot talk then. */
  answer(): Promise<void>;
  /** Queue audio for the caller, s16le mono at `sampleRateHz`. */
  play(pcm: Buffer): void;
  /** Tells when all audio queued before it was played or dropped. */
  mark(name: string): Promise<"PLAYED" | "CLEARED">;
  /** Drop all audio that the caller has not heard. */
  clear(): Promise<ClearResult>;
  /** Audio queued and not yet heard, ms, as far as is known here. */
  queuedMs(): number;
  /**
   * What the caller has not heard yet, ms, by the playback clock. Of a call that is over: what was left when it ended.
   */
  unheardMs(): number;
  /** Write 1 to 100 turns, all or none. Rejects with {@link TurnsRefused} when trying again is of no use. */
  appendTurns(turns: readonly Turn[]): Promise<void>;
  /** Write these fields. Rejects when they could not be written; trying again is safe. */
  updateContext(patch: ContextPatch): Promise<void>;
  /** Resolves with how it ended; rejects when the command itself could not be given. */
  escalate(request: EscalateRequest): Promise<EscalationOutcome>;
  /** End the call for everybody, after the queued audio. */
  disconnect(options: { readonly after: "NOW" | "PLAYBACK_DRAINED" }): Promise<void>;
}
