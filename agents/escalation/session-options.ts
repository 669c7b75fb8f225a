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
  /** Told of each step, without what was said. */
  readonly log?: SessionLog;
}

/** `event` is a fixed word; the fields are never words of the talk, numbers come masked. */
export type SessionLog = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

export const SESSION_DEFAULTS = {
  answer: true,
  silenceMs: 6_000,
  ringSeconds: 30,
  pool: "",
  maxEscalations: 2,
  unknownOutcomeMs: 10_000,
  routingHint: "",
  finalWriteMs: 5_000,
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
