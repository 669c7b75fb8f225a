import type { CallPort } from "./call-port.js";
import type { Conversation } from "./conversation/conversation.js";
import type { Judge } from "./dialogue/judge.js";
import type { Prompts } from "./prompts.js";

/** What an operator may choose about each call. Times in seconds or milliseconds as named. */
export interface SessionOptions {
  /** Answer the call when it is taken. Off when the gateway answers by itself. Default true. */
  readonly answer?: boolean;
  /** Silence after which the caller is asked whether he is there, ms; the same again before the second question and before the goodbye. Default 6000. */
  readonly silenceMs?: number;
  /** How long the original callee rings, seconds, 1 to 120. Default 30. */
  readonly ringSeconds?: number;
  /** A pool of humans that is asked before the original callee rings. Default: none. */
  readonly pool?: string;
  /** Tries to reach a human, in all. Default 2. */
  readonly maxEscalations?: number;
  /** After an escalation of unknown outcome: how long to wait for the call's end before the caller is spoken to again, ms. Default 10 000. */
  readonly unknownOutcomeMs?: number;
  /** Symbolic hint for the human side per reason. Default: none. */
  readonly routingHint?: string;
  /** How long writing may take when a call ends, ms. Default 5000. */
  readonly finalWriteMs?: number;
  /** How long an escalation waits until it is written that the caller refuses to be written down, ms. Default 2000. */
  readonly consentWriteMs?: number;
  /** Told of each step, without what was said. */
  readonly log?: SessionLog;
}

/** `event` is a fixed word; the fields are never words of the talk, numbers come masked. */
export type SessionLog = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

/** What {@link SessionOptions} are when left out. */
export const SESSION_DEFAULTS = {
  answer: true,
  silenceMs: 6_000,
  ringSeconds: 30,
  pool: "",
  maxEscalations: 2,
  unknownOutcomeMs: 10_000,
  routingHint: "",
  finalWriteMs: 5_000,
  consentWriteMs: 2_000,
  log: (() => {}) as SessionLog,
} as const;

/** How a call ended for this agent. */
export type SessionResult =
  | "HANDED_OVER"
  | "ENDED"
  | "WRONG_NUMBER"
  | "SILENT"
  | "CALLBACK_WANTED"
  | "ABANDONED"
  /** The call left this agent without its doing: the seat went elsewhere, the gateway went away. */
  | "LOST";

/** Where the call stands, for the agent. */
export type Phase =
  | { readonly name: "TALKING" }
  | { readonly name: "ESCALATING" }
  /** Nobody picked up: once more, or a message? `asked` how often. */
  | { readonly name: "UNANSWERED"; asked: number }
  | { readonly name: "MESSAGE" }
  | { readonly name: "ENDING" }
  | { readonly name: "OVER" };

/** What a session is made of. */
export interface SessionParts {
  readonly call: CallPort;
  readonly conversation: Conversation;
  readonly judge: Judge;
  readonly prompts: Prompts;
  /** The name of what a text is about, for summaries and for taking up a talk again; undefined when unknown. */
  readonly topicOf: (text: string) => string | undefined;
}
