import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import type { Authenticator } from "../contract/authenticator.js";
import { DEFAULT_STREAM_LIMITS, type StaticKey, type StreamLimits } from "../contract/limits.js";
import type { Logger } from "../util/logger.js";

/** Structured logging as this edge needs it: that of the whole gateway. */
export type EdgeLogger = Logger;

/** TLS of the listening port, as PEM. */
export interface EdgeTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** With it a client must show a certificate that this authority signed. */
  readonly clientCa?: Buffer;
}

/** Options of the gRPC edge; everything has a default. */
export interface GrpcEdgeOptions {
  /** Default "127.0.0.1". Without keys anything but a loopback address is refused. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** None: only loopback, tenant "default", name "local". Default none. */
  readonly keys?: readonly StaticKey[];
  /** Instead of `keys`: one that is shared with other wires and may be reloaded. */
  readonly authenticator?: Authenticator;
  /** Told who listened, read or was refused. Default: nothing is written down. */
  readonly audit?: AuditSink;
  /** Default none: plain text. */
  readonly tls?: EdgeTls;
  /** gRPC reflection, behind the same keys. Default true. */
  readonly reflection?: boolean;
  /** The largest message taken, in bytes; larger ends the RPC with RESOURCE_EXHAUSTED. Default 1 MiB. */
  readonly maxReceiveBytes?: number;
  /**
   * What an agent may have under way to the gateway, per stream and per connection, in bytes; bounds the memory of a
   * connection that is not read. Default 1 MiB: 218 calls at 24 kHz and 100 ms of round trip.
   */
  readonly receiveWindowBytes?: number;
  /** Connections at a time; further ones are closed at once. Default 1,000. */
  readonly maxConnections?: number;
  /** Streams (RPCs) at a time on one connection; further ones wait at the client. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** An HTTP/2 ping after this long without one, in ms. Default 10,000. */
  readonly keepaliveTimeMs?: number;
  /** Not answered in this time, in ms: the connection is dropped. Default 5,000. */
  readonly keepaliveTimeoutMs?: number;
  /** Audio waiting for a slow listener of ListenCall, in ms; beyond it the oldest is dropped and told. Default 2,000. */
  readonly maxListenMs?: number;
  /** How long audio of a listener waits for more, to go out in one message, in ms; 0: not at all. Default 60. */
  readonly listenBundleMs?: number;
  /**
   * Bytes of watched events that are taken from the log at a time and go out in one write, to each watcher; a slow one costs the memory of
   * twice as many. Default 16 KiB.
   */
  readonly watchBundleBytes?: number;
  /** Limits of Serve streams. */
  readonly stream?: Partial<StreamLimits>;
}

/** The options with all defaults filled in. */
export interface ResolvedOptions extends Required<Omit<GrpcEdgeOptions, "tls" | "stream" | "authenticator">> {
  readonly tls: EdgeTls | undefined;
  readonly authenticator: Authenticator | undefined;
  readonly stream: StreamLimits;
}

/** Fills in the defaults. */
export function resolveOptions(options: GrpcEdgeOptions): ResolvedOptions {
  return {
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    keys: options.keys ?? [],
    authenticator: options.authenticator,
    audit: options.audit ?? NO_AUDIT,
    tls: options.tls,
    reflection: options.reflection ?? true,
    maxReceiveBytes: options.maxReceiveBytes ?? 1024 * 1024,
    receiveWindowBytes: options.receiveWindowBytes ?? 1024 * 1024,
    maxConnections: options.maxConnections ?? 1_000,
    maxConcurrentStreams: options.maxConcurrentStreams ?? 1_000,
    keepaliveTimeMs: options.keepaliveTimeMs ?? 10_000,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 5_000,
    maxListenMs: options.maxListenMs ?? 2_000,
    listenBundleMs: options.listenBundleMs ?? 60,
    watchBundleBytes: options.watchBundleBytes ?? 16 * 1024,
    stream: { ...DEFAULT_STREAM_LIMITS, ...options.stream },
  };
}
