import type * as p from "@callweave/proto";
import type { CallImpl } from "./call-impl.js";
import { Connection } from "./connection.js";
import { CallweaveError } from "./errors.js";
import { ServeStream } from "./serve-stream.js";
import type { SessionConfig } from "./session-port.js";

/** Items of a message; less when the gateway says so. */
export const MAX_MESSAGE_ITEMS = 256;
/** Bytes of a message; less when the gateway says so. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** After a further stream that could not be opened the next is tried this much later. */
const JOIN_AGAIN_MS = 2_000;

/** What the streams of a session tell. */
export interface StreamsPort {
  item(item: p.GatewayItem, stream: ServeStream): void;
  /** A stream is gone and others live: these calls were on it. */
  strayed(calls: readonly CallImpl[]): void;
  /** The last stream is gone. */
  ended(error: CallweaveError): void;
}

/** The streams of a session, each on its own connection, and which call is on which. */
export class Streams {
  private readonly open = new Set<ServeStream>();
  private readonly homes = new Map<CallImpl, ServeStream>();
  private joining: ServeStream | undefined;
  private joinAtMs = 0;

  constructor(
    private readonly config: SessionConfig,
    private readonly port: StreamsPort,
  ) {}

  /** Where what belongs to no call is sent. */
  get first(): ServeStream | undefined {
    let any: ServeStream | undefined;
    for (const stream of this.open) {
      if (stream.ready) return stream;
      any ??= stream;
    }
    return any;
  }

  /** How many there are, those that are being opened too. */
  get size(): number {
    return this.open.size;
  }

  /** All there are. */
  get all(): ServeStream[] {
    return [...this.open];
  }

  has(stream: ServeStream): boolean {
    return this.open.has(stream);
  }

  /** Opens a stream with its first item. An endpoint that cannot be dialled is told to the port. */
  start(endpoint: string, first: p.AgentItem, maxBytes: number): ServeStream | undefined {
    let connection: Connection;
    try {
      connection = new Connection(this.config.connection, endpoint);
    } catch (error) {
      if (this.open.size === 0) {
        this.port.ended(new CallweaveError("INVALID_FIELD", "INVALID_ARGUMENT", String(error)));
      }
      return undefined;
    }
    const stream: ServeStream = new ServeStream(
      connection,
      {
        item: (item) => {
          if (this.open.has(stream)) this.port.item(item, stream);
        },
        ended: (error) => this.ended(stream, error),
      },
      {
        maxItems: MAX_MESSAGE_ITEMS,
        maxBytes,
        maxControlItems: this.config.maxControlItems,
        tickMs: this.config.tickMs,
      },
    );
    this.open.add(stream);
    stream.reattaches = first.item?.$case === "reattach";
    void stream.open(first, this.config.connectTimeoutMs);
    return stream;
  }

  /** Opens a further stream when the calls are more than those there are should carry. */
  joinByNeed(calls: number, endpoint: string, sessionToken: string, maxBytes: number): void {
    const { maxStreams, callsPerStream } = this.config;
    if (this.joining || this.open.size >= maxStreams || calls < callsPerStream * this.open.size) return;
    if (sessionToken === "" || performance.now() < this.joinAtMs) return;
    this.joining = this.start(endpoint, { item: { $case: "join", value: { sessionToken } } }, maxBytes);
  }

  /** The gateway answered on a stream; the smaller bounds of a message hold from now on. */
  answered(stream: ServeStream, limits?: { readonly maxItems: number; readonly maxBytes: number }): void {
    stream.ready = true;
    if (this.joining === stream) this.joining = undefined;
    if (limits) stream.outbox.limits = { ...stream.outbox.limits, ...limits };
  }

  /** A call is on this stream from now on. */
  bind(call: CallImpl, stream: ServeStream): void {
    this.unbind(call);
    this.homes.set(call, stream);
    stream.sources.add(call);
  }

  unbind(call: CallImpl): void {
    this.homes.get(call)?.sources.delete(call);
    this.homes.delete(call);
  }

  /** Sends an item of a call on its stream; without one the call is away and keeps what it needs itself. */
  send(call: CallImpl, item: p.AgentItem): void {
    this.homes.get(call)?.outbox.send(item);
  }

  /** There may be something to send for a call. */
  kick(call: CallImpl): void {
    this.homes.get(call)?.outbox.kick();
  }

  /** Breaks all streams off; each tells its end. */
  fail(error: CallweaveError): void {
    for (const stream of this.all) stream.fail(error);
  }

  /** Forgets all; what they still tell is ignored. */
  clear(): void {
    for (const call of [...this.homes.keys()]) this.unbind(call);
    this.open.clear();
    this.joining = undefined;
  }

  private ended(stream: ServeStream, error: CallweaveError): void {
    if (!this.open.delete(stream)) return;
    if (this.joining === stream) {
      this.joining = undefined;
      this.joinAtMs = performance.now() + JOIN_AGAIN_MS;
    }
    const calls = [...this.homes].filter(([, home]) => home === stream).map(([call]) => call);
    for (const call of calls) this.unbind(call);
    if (this.open.size === 0) this.port.ended(error);
    // Nobody has answered on the others: they will not carry the calls.
    else if (!this.first?.ready) this.fail(error);
    else if (calls.length > 0 || stream.reattaches) this.port.strayed(calls);
  }
}
