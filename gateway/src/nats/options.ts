import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import type { Authenticator } from "../contract/authenticator.js";
import { DEFAULT_STREAM_LIMITS, type StaticKey, type StreamLimits } from "../contract/limits.js";

/** Options of the public wire on NATS; what has a default may be left out. */
export interface NatsWireOptions {
  /** The id of this gateway. */
  readonly gatewayId: string;
  /** The version of the service, as semantic version. */
  readonly version: string;
  /** The keys of the gateway. None: see `serverIsLocal`. Default none. */
  readonly keys?: readonly StaticKey[];
  /** Instead of `keys`: one that is shared with other wires and may be reloaded. */
  readonly authenticator?: Authenticator | undefined;
  /** Told who listened, read or was refused. Default: nothing is written down. */
  readonly audit?: AuditSink;
  /**
   * All NATS servers are on this machine (see `isLocalServer`). Without keys only then anybody is served, as tenant
   * "default"; otherwise every request is UNAUTHENTICATED. Default false.
   */
  readonly serverIsLocal?: boolean;
  /** Requests under way; one more is refused at once with LIMIT_REACHED. Default 256. */
  readonly maxConcurrentRequests?: number;
  /** Longest request, in bytes. Default 1 MiB; the server's own limit comes first. */
  readonly maxRequestBytes?: number;
  /** Streams of agents; one more is refused with LIMIT_REACHED. Default 10,000. */
  readonly maxSessions?: number;
  /** Calls, sources and formats whose audio is published at a time. Default 1,000. */
  readonly maxAudioPublishers?: number;
  /** How long audio is published after the last ListenCall, in ms. Default 30,000. */
  readonly listenLeaseMs?: number;
  /** Audio that waits to be published, in ms; beyond it the oldest is dropped and told. Default 2,000. */
  readonly maxListenMs?: number;
  /** How long audio of a listener waits for more, to go out in one message, in ms; 0: not at all. Default 60. */
  readonly listenBundleMs?: number;
  /**
   * Heartbeat intervals without any frame after which the stream of an agent ends with HEARTBEAT_LOST. One more than a
   * pool allows by default, so that the pool's own answer comes first where the session has but one stream. Default 4.
   */
  readonly silentIntervals?: number;
  /** How long other gateways have to answer for a session that is not known here, in ms. Default 500. */
  readonly forwardTimeoutMs?: number;
  /** Limits of the streams of agents. */
  readonly stream?: Partial<StreamLimits>;
}

/** The options with all defaults filled in. */
export interface ResolvedNatsOptions extends Required<Omit<NatsWireOptions, "stream" | "authenticator">> {
  readonly authenticator: Authenticator | undefined;
  readonly stream: StreamLimits;
}

/** Fills in the defaults. */
export function resolveNatsOptions(options: NatsWireOptions): ResolvedNatsOptions {
  return {
    keys: [],
    authenticator: undefined,
    audit: NO_AUDIT,
    serverIsLocal: false,
    maxConcurrentRequests: 256,
    maxRequestBytes: 1024 * 1024,
    maxSessions: 10_000,
    maxAudioPublishers: 1_000,
    listenLeaseMs: 30_000,
    maxListenMs: 2_000,
    listenBundleMs: 60,
    silentIntervals: 4,
    forwardTimeoutMs: 500,
    ...options,
    stream: { ...DEFAULT_STREAM_LIMITS, ...options.stream },
  };
}
