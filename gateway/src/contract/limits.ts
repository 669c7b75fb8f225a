export type { StaticKey } from "../auth/static-keys.js";

/** The limits of one Serve stream. */
export interface StreamLimits {
  /** Items in a message, either way. Default 256. */
  readonly maxItems: number;
  /** Bytes of a message, either way. Default 256 KiB. A single larger item from the gateway goes alone. */
  readonly maxMessageBytes: number;
  /** Control items waiting for a slow agent; beyond it the stream ends with STREAM_QUEUE_FULL. Default 10,000. */
  readonly maxControlItems: number;
  /** The same in bytes. Default 1 MiB. */
  readonly maxControlBytes: number;
  /** Audio waiting for a slow agent, per call, in ms; beyond it the oldest is dropped and told. Default 2,000. */
  readonly maxAudioMs: number;
  /** How long a new stream may stay without its first item, in ms; then NOT_REGISTERED. Default 10,000. */
  readonly registerTimeoutMs: number;
  /** How long before its end an agent is told that its credential expires, in ms. Default 60,000. */
  readonly expiryWarningMs: number;
}

/** Limits of a Serve stream where nothing else is said. */
export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  maxItems: 256,
  maxMessageBytes: 256 * 1024,
  maxControlItems: 10_000,
  maxControlBytes: 1024 * 1024,
  maxAudioMs: 2_000,
  registerTimeoutMs: 10_000,
  expiryWarningMs: 60_000,
};
