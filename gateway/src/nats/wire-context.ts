import type { Bus } from "../bus/bus.js";
import type { Authenticator } from "../contract/authenticator.js";
import { type ServeStats, serveStats } from "../contract/serve-session.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Logger } from "../util/logger.js";
import type { ResolvedNatsOptions } from "./options.js";

/** Counters since the start, for metrics. */
export interface NatsStats extends ServeStats {
  /** Service requests that came, and those that were answered with an error. */
  requests: number;
  errors: number;
  /** Service requests under way now. */
  requestsRunning: number;
  /** Requests and frames that were no message of the contract. */
  malformed: number;
  /** Requests without a reply subject that is an inbox; nothing is done for them. */
  withoutReply: number;
  /** Frames of agents that did not show the credential of their session. */
  forgedFrames: number;
  /** Streams of agents that ended by a hole or a repeat in the numbers of .up. */
  sequenceHoles: number;
  /** Calls, sources and formats whose audio is published now. */
  audioPublishers: number;
}

/** What all parts of the wire share. */
export interface WireContext {
  readonly api: GatewayApi;
  readonly bus: Bus;
  readonly authenticator: Authenticator;
  readonly options: ResolvedNatsOptions;
  readonly logger: Logger;
  readonly stats: NatsStats;
  /** Who is on the other side, as the authenticator wants it. */
  readonly peer: string;
}

/** Counters at the start. */
export function natsStats(): NatsStats {
  return {
    ...serveStats(),
    requests: 0,
    errors: 0,
    requestsRunning: 0,
    malformed: 0,
    withoutReply: 0,
    forgedFrames: 0,
    sequenceHoles: 0,
    audioPublishers: 0,
  };
}
