import { readFileSync } from "node:fs";
import {
  AgentServiceClient,
  CallServiceClient,
  ContextServiceClient,
  FleetServiceClient,
  type UnaryCall,
} from "@callweave/proto";
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { bounded } from "./bounded.js";
import { CallweaveError, closedError, invalidField } from "./errors.js";

/** TLS of a connection; PEM texts or paths of PEM files. */
export interface TlsOptions {
  /** Authorities to trust. Default: those of Node. */
  readonly ca?: string;
  /** The client's certificate chain, for mutual TLS. */
  readonly cert?: string;
  /** Its private key. */
  readonly key?: string;
}

/** How to reach a gateway. */
export interface ConnectionOptions {
  /** "host:port". Default: the environment variable CALLWEAVE_ENDPOINT, else "127.0.0.1:7070". */
  readonly endpoint?: string;
  /** Several gateways; the next one is tried when one cannot be reached or goes away. Default: `[endpoint]`. */
  readonly endpoints?: readonly string[];
  /**
   * The bearer token, or where to get a fresh one for each stream and request, and when that of a stream expires. A function that does not answer within
   * `connectTimeoutMs` (the stream of an agent) or `requestTimeoutMs` fails that attempt with TRANSPORT,
   * DEADLINE_EXCEEDED. Default: the environment variable CALLWEAVE_TOKEN.
   */
  readonly token?: string | (() => string | Promise<string>);
  /** TLS: true for the authorities of Node. Default: false, plain text. Use it off the machine: tokens travel in it. */
  readonly tls?: boolean | TlsOptions;
  /** How long a unary request may take with its token, its `waitMs` not counted. Whole milliseconds, 1 to 600,000. Default: 10,000. */
  readonly requestTimeoutMs?: number;
  /** How often a silent connection is probed. Whole milliseconds, 10,000 to 86,400,000. Default: 20,000. */
  readonly keepaliveMs?: number;
  /** Further options of grpc-js, over those of this library. Interceptors see every stream and request. */
  readonly grpc?: ClientOptions;
}

/** How to reach a gateway, defaults filled in. */
export interface ConnectionConfig {
  readonly endpoints: readonly string[];
  readonly token: () => string | Promise<string>;
  readonly tls: boolean | TlsOptions;
  readonly requestTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly grpc: ClientOptions;
}

const DEFAULT_ENDPOINT = "127.0.0.1:7070";

/** Fills in the defaults. Throws INVALID_FIELD. */
export function connectionConfig(options: ConnectionOptions): ConnectionConfig {
  const endpoints = options.endpoints ?? [
    options.endpoint ?? (process.env.CALLWEAVE_ENDPOINT || DEFAULT_ENDPOINT),
  ];
  if (endpoints.length === 0 || endpoints.some((endpoint) => endpoint === "")) {
    throw invalidField("endpoints", 'at least one "host:port"', endpoints.join(","));
  }
  const token = options.token ?? process.env.CALLWEAVE_TOKEN ?? "";
  return {
    endpoints,
    token: typeof token === "function" ? token : () => token,
    tls: options.tls ?? false,
    requestTimeoutMs: bounded("requestTimeoutMs", options.requestTimeoutMs ?? 10_000, 1, 600_000),
    keepaliveMs: bounded("keepaliveMs", options.keepaliveMs ?? 20_000, 10_000, 86_400_000),
    grpc: options.grpc ?? {},
  };
}

/** Whether an endpoint is this machine: then no proxy is used. */
export function isLoopback(endpoint: string): boolean {
  const host = endpoint.replace(/^(dns|ipv4|ipv6):(\/\/[^/]*\/)?/, "").replace(/:\d+$/, "");
  return /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host) || endpoint.startsWith("unix:");
}

function channelCredentials(tls: boolean | TlsOptions): ChannelCredentials {
  if (tls === false) return credentials.createInsecure();
  if (tls === true) return credentials.createSsl();
  const pem = (value: string | undefined) =>
    value === undefined ? null : value.includes("-----BEGIN") ? Buffer.from(value) : readFileSync(value);
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

/** Options of one unary request. */
export interface RequestOptions {
  /** Aborting gives up waiting; an effect is not taken back. */
  readonly signal?: AbortSignal;
  /** Added to the request timeout. Milliseconds. */
  readonly extraMs?: number;
  /** In place of the request timeout and `extraMs`. Milliseconds. */
  readonly timeoutMs?: number;
  /** While the gateway cannot be reached, wait for it within the timeout instead of failing at once. */
  readonly waitForReady?: boolean;
}

/** Options of one unary request to whichever endpoint can be reached. */
export interface RotatingRequestOptions extends Omit<RequestOptions, "timeoutMs" | "waitForReady"> {
  /** For what may be repeated: while no gateway can be reached, tries them in turn within the timeout. Default: false. */
  readonly patient?: boolean;
}

/** Between two rounds over all endpoints. */
const ROUND_PAUSE_MS = 100;

/** One HTTP/2 connection to one gateway, with a client of each service on it. */
export class Connection {
  readonly agents: AgentServiceClient;
  readonly calls: CallServiceClient;
  readonly contexts: ContextServiceClient;
  readonly fleet: FleetServiceClient;

  constructor(
    readonly config: ConnectionConfig,
    readonly endpoint: string,
  ) {
    const options: ClientOptions = {
      "grpc.enable_channelz": 0,
      "grpc.enable_retries": 0,
      "grpc.keepalive_time_ms": config.keepaliveMs,
      "grpc.keepalive_timeout_ms": 5_000,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2_000,
      "grpc.use_local_subchannel_pool": 1,
      // 64 KiB would hold 20 ms of round trip for about 68 calls only.
      "grpc-node.flow_control_window": 1 << 20,
      ...(isLoopback(endpoint) ? { "grpc.enable_http_proxy": 0 } : {}),
      ...config.grpc,
    };
    this.agents = new AgentServiceClient(endpoint, channelCredentials(config.tls), options);
    // Interceptors belong to a client, not to its channel.
    const { interceptors, interceptor_providers } = config.grpc;
    const shared: ClientOptions = {
      channelOverride: this.agents.getChannel(),
      ...(interceptors ? { interceptors } : {}),
      ...(interceptor_providers ? { interceptor_providers } : {}),
    };
    const none = credentials.createInsecure();
    this.calls = new CallServiceClient(endpoint, none, shared);
    this.contexts = new ContextServiceClient(endpoint, none, shared);
    this.fleet = new FleetServiceClient(endpoint, none, shared);
  }

  /**
   * The metadata of a request: the bearer token, if there is one. Rejects when there is no token after `timeoutMs`
   * (default: `requestTimeoutMs`), at the signal with its reason, and with what the token function throws.
   */
  async metadata(
    options: {
      readonly waitForReady?: boolean;
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<Metadata> {
    const metadata = new Metadata({ waitForReady: options.waitForReady ?? false });
    const token = await this.token(options.timeoutMs ?? this.config.requestTimeoutMs, options.signal);
    if (token !== "") metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  }

  /** Waits for the token function, but not for ever. */
  private token(timeoutMs: number, signal: AbortSignal | undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const stop = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        stop();
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        stop();
        const text = `the token function did not answer within ${timeoutMs} ms`;
        reject(new CallweaveError("TRANSPORT", "DEADLINE_EXCEEDED", text));
      }, timeoutMs);
      signal?.addEventListener("abort", abort, { once: true });
      new Promise<string>((answer) => answer(this.config.token())).then(resolve, reject).finally(stop);
    });
  }

  /** Does a unary request. Rejects with CallweaveError, without an answer in time too: the token counts. */
  async unary<Q, S>(method: UnaryCall<Q, S>, request: Q, options: RequestOptions = {}): Promise<S> {
    const { signal } = options;
    try {
      const timeoutMs = options.timeoutMs ?? this.config.requestTimeoutMs + (options.extraMs ?? 0);
      const deadline = Date.now() + timeoutMs;
      const metadata = await this.metadata({ waitForReady: options.waitForReady, timeoutMs, signal });
      signal?.throwIfAborted();
      return await new Promise<S>((resolve, reject) => {
        const call = method(request, metadata, { deadline }, (error, response) => {
          signal?.removeEventListener("abort", abort);
          if (error) reject(error);
          else resolve(response as S);
        });
        const abort = () => call.cancel();
        signal?.addEventListener("abort", abort, { once: true });
      });
    } catch (error) {
      throw CallweaveError.from(error);
    }
  }

  /** Reads a server stream. Ends when the server ends it, throws CallweaveError when it breaks. */
  async *stream<S>(
    open: (metadata: Metadata, options: Partial<CallOptions>) => ClientReadableStream<S>,
    signal?: AbortSignal,
  ): AsyncGenerator<S, void, undefined> {
    let call: ClientReadableStream<S> | undefined;
    const abort = () => call?.cancel();
    try {
      const metadata = await this.metadata({ signal });
      if (signal?.aborted) return;
      call = open(metadata, {});
      // After the reader left, the cancellation still comes as an error.
      call.on("error", () => {});
      signal?.addEventListener("abort", abort, { once: true });
      for await (const message of call) yield message as S;
    } catch (error) {
      if (signal?.aborted) return;
      throw CallweaveError.from(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      call?.cancel();
    }
  }

  /** Closes the connection. Streams on it break. */
  close(): void {
    this.agents.close();
  }
}

/** A connection that is made when it is needed and changes its endpoint when one cannot be reached. */
export class RotatingConnection {
  private current: Connection | undefined;
  private index = 0;
  private closed = false;

  constructor(readonly config: ConnectionConfig) {}

  /** The connection in use. Throws CLOSED. */
  get(): Connection {
    if (this.closed) throw closedError("client");
    this.current ??= new Connection(
      this.config,
      this.config.endpoints[this.index % this.config.endpoints.length]!,
    );
    return this.current;
  }

  /**
   * Does a unary request at the endpoint in use. When nobody answers there the next one is in use from then on, for this
   * request too if it is patient. Rejects with CallweaveError.
   */
  async unary<Q, S>(
    methodOf: (connection: Connection) => UnaryCall<Q, S>,
    request: Q,
    options: RotatingRequestOptions = {},
  ): Promise<S> {
    const { endpoints, requestTimeoutMs } = this.config;
    const { patient = false, signal } = options;
    const endMs = performance.now() + requestTimeoutMs + (options.extraMs ?? 0);
    for (let attempt = 1; ; attempt++) {
      const connection = this.get();
      const timeoutMs = Math.max(1, Math.round(endMs - performance.now()));
      const waitForReady = patient && endpoints.length === 1;
      try {
        return await connection.unary(methodOf(connection), request, { timeoutMs, waitForReady, signal });
      } catch (thrown) {
        const error = CallweaveError.from(thrown);
        if (!isUnreachable(error)) throw error;
        this.rotate(connection);
        const pauseMs = attempt % endpoints.length === 0 ? ROUND_PAUSE_MS : 0;
        if (!patient || waitForReady || performance.now() + pauseMs >= endMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        signal?.throwIfAborted();
      }
    }
  }

  /** Goes on to the next endpoint, if this connection is still the one in use. */
  rotate(from: Connection): void {
    if (this.current !== from || this.config.endpoints.length < 2) return;
    this.index++;
    this.current = undefined;
    from.close();
  }

  /** Closes the connection for good; `get` then throws CLOSED. */
  close(): void {
    this.closed = true;
    this.current?.close();
    this.current = undefined;
  }
}

/** Nobody answered, or a gateway that is leaving. Everything else was said by a gateway that is there. */
function isUnreachable({ reason, code }: CallweaveError): boolean {
  if (reason === "GOING_AWAY") return true;
  return reason === "TRANSPORT" && (code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED");
}
