/** Headers of a message; names as they are written, one value each. */
export type BusHeaders = Readonly<Record<string, string>>;

/** A message that came. `data` may be kept. */
export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: BusHeaders;
  /** Where an answer is wanted; empty when none is. */
  readonly reply: string;
  /** Answers; nothing happens when no answer is wanted or the bus is away. */
  respond(data: Uint8Array, headers?: BusHeaders): void;
}

/** Why the bus could not do something. */
export class BusError extends Error {
  override readonly name = "BusError";
  constructor(
    /**
     * away: not connected, nothing was sent. timeout: sent, no answer in time. no_responders: nobody listens.
     * conflict: the expected sequence or revision was wrong. full: the stream or bucket is full. gone: too old, removed.
     * refused: the server said no (permissions, limits).
     */
    readonly kind: "away" | "timeout" | "no_responders" | "conflict" | "full" | "gone" | "refused",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Something that can be ended. */
export interface BusSubscription {
  stop(): void;
}

/** Options of a subscription. */
export interface SubscribeOptions {
  /** Members of a queue group get each message once among them. */
  readonly queue?: string;
  /**
   * Messages that wait for a handler that answers with a promise, at most; beyond it the newest are dropped and counted.
   * Default 10,000. Handlers run one at a time per subscription, in order.
   */
  readonly maxPending?: number;
  /** Told once each time messages begin to be dropped. */
  readonly onDropped?: () => void;
}

/** One endpoint of a service by ADR-32. */
export interface BusEndpoint {
  readonly name: string;
  readonly subject: string;
  /** Answers by `message.respond`, or with the headers Nats-Service-Error and Nats-Service-Error-Code. */
  readonly handler: (message: BusMessage) => Promise<void>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A stream of the replicated log. */
export interface BusStreamOptions {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  /** old: the oldest go when it is full. new: what comes is refused (BusError full). */
  readonly discard: "old" | "new";
  /** 1, 3 or 5. */
  readonly replicas: number;
  readonly storage: "file" | "memory";
  /** How long a repeated message id is recognised. Default 120,000. */
  readonly duplicateWindowMs?: number;
}

/** A message of a stream. */
export interface StreamMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: BusHeaders;
  readonly timeMs: number;
}

/** A stream of the replicated log. All reject with BusError. */
export interface BusStream {
  /** Made with the stream: another one after it was deleted. Unix time in ms of its making. */
  readonly createdMs: number;
  /** Resolves when it is acknowledged. `expectedLast`: the last sequence on this subject has to be this (0: none). */
  publish(
    subject: string,
    data: Uint8Array,
    options: { readonly messageId?: string; readonly expectedLast?: number; readonly headers?: BusHeaders },
  ): Promise<{ readonly sequence: number; readonly duplicate: boolean }>;
  /** First and last sequence now. */
  state(): Promise<{ readonly firstSequence: number; readonly lastSequence: number; readonly bytes: number }>;
  /** The newest message of a subject. */
  last(subject: string): Promise<StreamMessage | undefined>;
  /**
   * Messages of the subjects (wildcards allowed) from a sequence on, oldest first, at most `limit`, and only those that
   * are there already. By a consumer that lives no longer than the reading.
   */
  read(subject: string, fromSequence: number, limit: number): Promise<StreamMessage[]>;
  /**
   * Every message from a sequence on, as it comes, in order, without gap, also over reconnects. `onMessage` may answer
   * with a promise: the next waits for it. Ends when stopped.
   */
  follow(
    subject: string,
    fromSequence: number,
    onMessage: (message: StreamMessage) => void | Promise<void>,
  ): BusSubscription;
  /** Removes all messages of a subject. */
  purge(subject: string): Promise<void>;
}

/** Options of a bucket. */
export interface BusBucketOptions {
  readonly name: string;
  /** Entries vanish after this; 0: never. */
  readonly ttlMs: number;
  /** Bytes at most; beyond it writes are refused (BusError full). 0: no limit. */
  readonly maxBytes: number;
  readonly replicas: number;
  readonly storage: "file" | "memory";
}

/** An entry of a bucket. */
export interface BucketEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A key-value bucket. Keys: A-Z a-z 0-9 - _ / = . (see encodeToken for others). All reject with BusError. */
export interface BusBucket {
  get(key: string): Promise<BucketEntry | undefined>;
  /** Whatever is there. Answers the revision. */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Only where nothing is (BusError conflict otherwise). */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Only on this revision (BusError conflict otherwise). */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Removes; with a revision only on that (BusError conflict otherwise). */
  delete(key: string, revision?: number): Promise<void>;
  /**
   * Everything that is there, then `onReady`, then every change, in order, also over reconnects (after which entries may
   * be told again). A removed entry comes without value.
   */
  watch(
    onEntry: (entry: {
      readonly key: string;
      readonly value?: Uint8Array;
      readonly revision: number;
    }) => void,
    onReady?: () => void,
  ): BusSubscription;
}

/**
 * The message bus, as the gateway needs it. One implementation: bus/nats-bus.ts, the one file that knows the library.
 * Reconnects for ever by itself.
 */
export interface Bus {
  readonly connected: boolean;
  /** Messages and bytes a publish may hold. */
  readonly maxPayloadBytes: number;
  /** Told at each change; answers how to stop. */
  onStatus(listener: (connected: boolean) => void): () => void;
  /** At most once; answers false (and counts) when the bus is away or the message is too large. Never throws. */
  publish(subject: string, data: Uint8Array, options?: { headers?: BusHeaders; reply?: string }): boolean;
  subscribe(
    subject: string,
    handler: (message: BusMessage) => void | Promise<void>,
    options?: SubscribeOptions,
  ): BusSubscription;
  /** Rejects with BusError away, timeout or no_responders. */
  request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: BusHeaders },
  ): Promise<BusMessage>;
  /** Resolves when the server has taken all that was published; rejects with BusError away. */
  flush(): Promise<void>;
  /** A service by ADR-32 (ping, info, stats). Lives over reconnects. */
  service(
    about: { readonly name: string; readonly version: string; readonly description: string },
    endpoints: readonly BusEndpoint[],
  ): Promise<BusSubscription>;
  /** Makes or opens a stream; rejects when one of that name has other subjects. */
  stream(options: BusStreamOptions): Promise<BusStream>;
  /** Makes or opens a bucket. */
  bucket(options: BusBucketOptions): Promise<BusBucket>;
  /** Flushes what can be flushed within `timeoutMs` (default 2,000) and closes. */
  close(timeoutMs?: number): Promise<void>;
}

const PLAIN = /^[A-Za-z0-9_-]$/;

/**
 * An id as one token of a subject or key: A-Z a-z 0-9 _ - stay, every other byte of its UTF-8 becomes =XX (upper-case
 * hexadecimal), so that no id can hold a wildcard or a dot. The empty text becomes "=".
 */
export function encodeToken(id: string): string {
  if (id === "") return "=";
  let token = "";
  for (const byte of Buffer.from(id, "utf8")) {
    const char = String.fromCharCode(byte);
    token += PLAIN.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
}

/** The id of a token; undefined when no id gives this token. */
export function decodeToken(token: string): string | undefined {
  if (token === "=") return "";
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const char = token[i] as string;
    if (char === "=") {
      bytes.push(Number.parseInt(token.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(char.charCodeAt(0));
  }
  if (bytes.some((byte) => !(byte >= 0 && byte <= 255))) return undefined;
  const id = Buffer.from(bytes).toString("utf8");
  return encodeToken(id) === token ? id : undefined;
}
