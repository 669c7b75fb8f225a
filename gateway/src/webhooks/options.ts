/** What of the call's context goes along with an event. */
export type IncludeContext = "none" | "header" | "turns";

/** A webhook: where events of a tenant's calls are sent to. */
export interface WebhookOptions {
  /** Unique within the tenant; in logs, metrics and dead letters. */
  readonly name: string;
  readonly tenant: string;
  /** https, or http to a loopback address. */
  readonly url: string;
  /** Signs each delivery; 24 characters at least. Never logged. */
  readonly secret: string;
  /** While secrets are changed: signs as well, so that receivers may know either. */
  readonly previousSecret?: string | undefined;
  /** Names of events (see event-names.ts). Empty: all. */
  readonly events: readonly string[];
  /** Empty: calls of all pools. */
  readonly pools: readonly string[];
  /** Default "none". */
  readonly includeContext: IncludeContext;
  /** Bytes of words in a context, about; the oldest turns are left out. Default 32,768. */
  readonly maxContextBytes: number;
  /** A whole delivery, from the look-up of the name to the end of the answer. Default 5,000. */
  readonly timeoutMs: number;
  /** Deliveries under way; those of one call never at the same time. Default 16. */
  readonly maxConcurrent: number;
  /** Events that wait here; beyond it they wait in the event log. Default 1,000. */
  readonly maxWaiting: number;
  /** Pause after the first failure, doubled with each; half of it is random. Default 500. */
  readonly firstRetryMs: number;
  /** Longest pause. Default 30,000. */
  readonly maxRetryMs: number;
  /** An event that is older and fails once more is a dead letter. Default 86,400. */
  readonly maxAgeSeconds: number;
  /** Dead letters kept; beyond it the oldest goes. Default 10,000. */
  readonly maxDeadLetters: number;
  /** With several gateways: one that was silent for this long delivers no more, another does. Default 5,000. */
  readonly leaseMs: number;
}

/** The defaults of a webhook. */
export const WEBHOOK_DEFAULTS = {
  events: [],
  pools: [],
  includeContext: "none",
  maxContextBytes: 32_768,
  timeoutMs: 5_000,
  maxConcurrent: 16,
  maxWaiting: 1_000,
  firstRetryMs: 500,
  maxRetryMs: 30_000,
  maxAgeSeconds: 86_400,
  maxDeadLetters: 10_000,
  leaseMs: 5_000,
} as const satisfies Partial<WebhookOptions>;

/** Shortest secret, in characters. */
export const MIN_SECRET_LENGTH = 24;
