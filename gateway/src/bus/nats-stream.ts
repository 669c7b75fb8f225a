import { randomBytes } from "node:crypto";
import {
  BusError,
  type BusHeaders,
  type BusStream,
  type BusStreamOptions,
  type BusSubscription,
  type StreamMessage,
} from "./bus.js";
import type { BusCore } from "./bus-core.js";
import { API, ApiRefusal, askApi, parseAnswer, persist } from "./nats-api.js";
import { Follower, parsePlace } from "./nats-follower.js";

const NS_PER_MS = 1_000_000;
/** A stream that is missing is made again, at most this often. */
const REMAKE_EVERY_MS = 1000;

interface StreamInfo {
  readonly created: string;
  readonly config: { readonly subjects?: readonly string[] };
  readonly state: { readonly first_seq: number; readonly last_seq: number; readonly bytes: number };
}

/** A message as the API tells it. */
interface RawMessage {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly data?: string;
    readonly hdrs?: string;
    readonly time: string;
  };
}

/** Makes or opens a stream; waits for the connection, and for a server that is not ready, as long as it takes. */
export async function openStream(core: BusCore, options: BusStreamOptions): Promise<NatsStream> {
  const stream = new NatsStream(core, options.name, {
    name: options.name,
    subjects: [...options.subjects],
    retention: "limits",
    max_age: options.maxAgeMs * NS_PER_MS,
    max_bytes: options.maxBytes > 0 ? options.maxBytes : -1,
    max_msgs: -1,
    max_consumers: -1,
    max_msgs_per_subject: -1,
    discard: options.discard,
    num_replicas: options.replicas,
    storage: options.storage,
    duplicate_window: duplicateWindowMs(options) * NS_PER_MS,
    allow_direct: true,
  });
  await persist(core, () => stream.ensure());
  return stream;
}

/** The window may not be longer than messages live. */
function duplicateWindowMs({ duplicateWindowMs: ms = 120_000, maxAgeMs }: BusStreamOptions): number {
  return maxAgeMs > 0 ? Math.min(ms, maxAgeMs) : ms;
}

/** A stream of JetStream, by its API: the leader is asked, never a replica that may lag. */
export class NatsStream implements BusStream {
  createdMs = 0;
  private remadeMs = Number.NEGATIVE_INFINITY;

  constructor(
    readonly core: BusCore,
    readonly name: string,
    private readonly config: { readonly subjects: readonly string[] } & Record<string, unknown>,
  ) {}

  /** Makes it, or takes the one that is there: its subjects have to be these, its limits become these. */
  async ensure(): Promise<void> {
    let info: StreamInfo;
    try {
      info = await askApi<StreamInfo>(this.core, `STREAM.CREATE.${this.name}`, this.config);
    } catch (error) {
      if (!(error instanceof ApiRefusal) || error.code !== API.streamNameInUse) throw error;
      info = await askApi<StreamInfo>(this.core, `STREAM.INFO.${this.name}`, {});
      const wanted = [...this.config.subjects].sort().join(" ");
      if ([...(info.config.subjects ?? [])].sort().join(" ") !== wanted)
        throw new BusError("refused", `the stream ${this.name} is there with other subjects`);
      // What cannot be changed (storage) or has no room stays as it is.
      await askApi<StreamInfo>(this.core, `STREAM.UPDATE.${this.name}`, {
        ...info.config,
        ...this.config,
      }).catch((refusal: unknown) => this.core.report(refusal));
    }
    this.createdMs = Date.parse(info.created);
  }

  async publish(
    subject: string,
    data: Uint8Array,
    options: { readonly messageId?: string; readonly expectedLast?: number; readonly headers?: BusHeaders },
  ): Promise<{ sequence: number; duplicate: boolean }> {
    const headers: Record<string, string> = { ...options.headers };
    if (options.messageId !== undefined) headers["Nats-Msg-Id"] = options.messageId;
    if (options.expectedLast !== undefined)
      headers["Nats-Expected-Last-Subject-Sequence"] = String(options.expectedLast);
    return this.whole(async () => {
      const answer = await this.core.request(subject, data, {
        timeoutMs: this.core.requestTimeoutMs,
        headers,
      });
      const ack = parseAnswer<{ seq?: number; duplicate?: boolean }>(answer.data);
      if (typeof ack.seq !== "number") throw new BusError("refused", "the answer has no sequence");
      return { sequence: ack.seq, duplicate: ack.duplicate === true };
    }).catch(async (error: unknown) => {
      // The server looks at the expected sequence before it looks for the same id.
      const { messageId } = options;
      if (messageId === undefined || !(error instanceof BusError) || error.kind !== "conflict") throw error;
      const newest = await this.last(subject);
      if (newest?.headers["Nats-Msg-Id"] !== messageId) throw error;
      return { sequence: newest.sequence, duplicate: true };
    });
  }

  async state(): Promise<{ firstSequence: number; lastSequence: number; bytes: number }> {
    const { created, state } = await this.whole(() =>
      askApi<StreamInfo>(this.core, `STREAM.INFO.${this.name}`, {}),
    );
    this.createdMs = Date.parse(created);
    return { firstSequence: state.first_seq, lastSequence: state.last_seq, bytes: state.bytes };
  }

  async last(subject: string): Promise<StreamMessage | undefined> {
    try {
      const { message } = await this.whole(() =>
        askApi<RawMessage>(this.core, `STREAM.MSG.GET.${this.name}`, { last_by_subj: subject }),
      );
      return {
        sequence: message.seq,
        subject: message.subject,
        data: Buffer.from(message.data ?? "", "base64"),
        headers: parseHeaders(message.hdrs),
        timeMs: Date.parse(message.time),
      };
    } catch (error) {
      if (error instanceof ApiRefusal && error.code === API.noMessage) return undefined;
      throw error;
    }
  }

  read(subject: string, fromSequence: number, limit: number): Promise<StreamMessage[]> {
    return this.whole(() => this.readOnce(subject, fromSequence, limit));
  }

  follow(
    subject: string,
    fromSequence: number,
    onMessage: (message: StreamMessage) => void | Promise<void>,
  ): BusSubscription {
    let next = Math.max(1, fromSequence);
    let of = this.createdMs;
    return new Follower(this.core, this.name, subject, {
      start: async () => {
        // A stream that was made anew counts from 1 again.
        await this.state();
        if (this.createdMs !== of) next = 1;
        of = this.createdMs;
        return { deliver_policy: "by_start_sequence", opt_start_seq: next };
      },
      message: (message) => {
        if (message.sequence < next) return;
        next = message.sequence + 1;
        return onMessage(message);
      },
    });
  }

  async purge(subject: string): Promise<void> {
    await this.whole(() => askApi(this.core, `STREAM.PURGE.${this.name}`, { filter: subject }));
  }

  /** Does something with the stream; when there is none any more (a server without its files), makes it and tries again. */
  private async whole<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const missing =
        error instanceof BusError &&
        (error.kind === "no_responders" ||
          (error instanceof ApiRefusal && error.code === API.streamNotFound));
      if (!missing || performance.now() - this.remadeMs < REMAKE_EVERY_MS) throw error;
      this.remadeMs = performance.now();
      await this.ensure();
      return work();
    }
  }

  private async readOnce(subject: string, fromSequence: number, limit: number): Promise<StreamMessage[]> {
    const { core, name } = this;
    const consumer = randomBytes(9).toString("hex");
    const { num_pending: waiting = 0 } = await askApi<{ num_pending?: number }>(
      core,
      `CONSUMER.CREATE.${name}.${consumer}`,
      {
        stream_name: name,
        config: {
          name: consumer,
          deliver_policy: "by_start_sequence",
          opt_start_seq: Math.max(1, fromSequence),
          filter_subject: subject,
          ack_policy: "none",
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: 10_000 * NS_PER_MS,
        },
      },
    );
    try {
      const count = Math.min(limit, waiting);
      return count === 0 ? [] : await this.fetch(consumer, count);
    } finally {
      core.publish(`$JS.API.CONSUMER.DELETE.${name}.${consumer}`, new Uint8Array());
    }
  }

  private fetch(consumer: string, count: number): Promise<StreamMessage[]> {
    const { core, name } = this;
    const found: StreamMessage[] = [];
    const inbox = core.inbox();
    return new Promise((resolve, reject) => {
      const end = (error?: BusError) => {
        clearTimeout(timer);
        offStatus();
        subscription.stop();
        if (error) reject(error);
        else resolve(found);
      };
      const timer = setTimeout(
        () => end(new BusError("timeout", "the messages did not come in time")),
        core.requestTimeoutMs,
      );
      const offStatus = core.onStatus((connected) => {
        if (!connected) end(new BusError("timeout", "the connection was lost while reading"));
      });
      const subscription = core.subscribeRaw(inbox, (message) => {
        if (message.status === 503) return end(new BusError("no_responders", "the consumer is gone"));
        if (message.status > 100) return end();
        const place = parsePlace(message);
        if (!place) return;
        // Without acknowledgements what was lost on the way is seen by its number alone.
        if (place.delivered !== found.length + 1) return end(new BusError("timeout", "a message is missing"));
        found.push(place.message);
        if (found.length === count) end();
      });
      const body = Buffer.from(JSON.stringify({ batch: count, no_wait: true }));
      const subject = `$JS.API.CONSUMER.MSG.NEXT.${name}.${consumer}`;
      if (!core.publish(subject, body, { reply: inbox }))
        end(new BusError("away", "the bus is not connected"));
    });
  }
}

/** Headers of a stored message, in base64 as the API gives them. */
function parseHeaders(text: string | undefined): BusHeaders {
  const headers: Record<string, string> = Object.create(null);
  const lines = Buffer.from(text ?? "", "base64")
    .toString("utf8")
    .split("\r\n")
    .slice(1);
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return headers;
}
