import type { Logger } from "../util/logger.js";

/** Structured logging as this edge needs it: that of the whole gateway. */
export type EdgeLogger = Logger;

/** A static key. Give the key itself or its SHA-256 in hexadecimal; only the hash is kept. */
export interface StaticKey {
  /** Who has it; appears as "client:<name>" in events and notes. 1 to 64 of A-Z a-z 0-9 . _ - */
  readonly name: string;
  /** The tenant that its holder belongs to. The same rule as the name. */
  readonly tenant: string;
  /** At least 16 characters. */
  readonly key?: string;
  /** 64 hexadecimal digits. */
  readonly keySha256?: string;
}

/** TLS of the listening port, as PEM. */
export interface EdgeTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** With it a client must show a certificate that this authority signed. */
  readonly clientCa?: Buffer;
}

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
}

/** Options of the gRPC edge; everything has a default. */
export interface GrpcEdgeOptions {
  /** Default "127.0.0.1". Without keys anything but a loopback address is refused. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** None: only loopback, tenant "default", name "local". Default none. */
  readonly keys?: readonly StaticKey[];
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
  /** Limits of Serve streams. */
  readonly stream?: Partial<StreamLimits>;
}

/** The options with all defaults filled in. */
export interface ResolvedOptions extends Required<Omit<GrpcEdgeOptions, "tls" | "stream">> {
  readonly tls: EdgeTls | undefined;
  readonly stream: StreamLimits;
}

/** Limits of a Serve stream where nothing else is said. */
export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  maxItems: 256,
  maxMessageBytes: 256 * 1024,
  maxControlItems: 10_000,
  maxControlBytes: 1024 * 1024,
  maxAudioMs: 2_000,
  registerTimeoutMs: 10_000,
};

/** Fills in the defaults. */
export function resolveOptions(options: GrpcEdgeOptions): ResolvedOptions {
  return {
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    keys: options.keys ?? [],
    tls: options.tls,
    reflection: options.reflection ?? true,
    maxReceiveBytes: options.maxReceiveBytes ?? 1024 * 1024,
    receiveWindowBytes: options.receiveWindowBytes ?? 1024 * 1024,
    maxConnections: options.maxConnections ?? 1_000,
    maxConcurrentStreams: options.maxConcurrentStreams ?? 1_000,
    keepaliveTimeMs: options.keepaliveTimeMs ?? 10_000,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 5_000,
    maxListenMs: options.maxListenMs ?? 2_000,
    stream: { ...DEFAULT_STREAM_LIMITS, ...options.stream },
  };
}
