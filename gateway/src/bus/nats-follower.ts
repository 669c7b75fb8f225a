import { randomBytes } from "node:crypto";
import { BusError, type StreamMessage } from "./bus.js";
import type { BusCore, StatusMessage } from "./bus-core.js";
import { askApi } from "./nats-api.js";

/** Messages asked for at once; as many more may wait for the handler. */
const BATCH = 500;
/** Bytes asked for at once. */
const BATCH_BYTES = 4 * 2 ** 20;
/** How often the server says that it is alive while it has nothing. */
const HEARTBEAT_MS = 2000;
const EXPIRES_MS = 30_000;
const NS_PER_MS = 1_000_000;
const LONGEST_WAIT_MS = 2000;

/** What a follower does with what comes. Everything is called in order, one after the other. */
export interface FollowerPart {
  /** Where the next consumer begins. */
  start(): Promise<{ readonly deliver_policy: string; readonly opt_start_seq?: number }>;
  /** A consumer begins; so many messages are there already. */
  begin?(waiting: number): void;
  message(message: StreamMessage): void | Promise<void>;
}

/**
 * Reads a stream for ever by consumers that it makes anew whenever a message is missing, the server falls silent or
 * the connection was lost.
 */
export class Follower {
  private stopped = false;
  private readonly tasks: (() => void | Promise<void>)[] = [];
  private working = false;
  private endSession: (error: Error) => void = () => {};
  private pull: () => void = () => {};

  constructor(
    private readonly core: BusCore,
    private readonly stream: string,
    private readonly subject: string,
    private readonly part: FollowerPart,
  ) {
    void this.run();
  }

  stop(): void {
    this.stopped = true;
    this.tasks.length = 0;
    this.endSession(new Error("stopped"));
  }

  private async run(): Promise<void> {
    let waitMs = 50;
    while (!this.stopped && !this.core.closed) {
      const began = performance.now();
      try {
        await this.core.whenConnected();
        if (!this.stopped) await this.session();
      } catch (error) {
        if (this.stopped || this.core.closed) return;
        if (this.core.connected) this.core.report(error);
      }
      if (performance.now() - began > 10_000) waitMs = 50;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
    }
  }

  /** Reads by one consumer; rejects when that is over. */
  private async session(): Promise<void> {
    const { core, stream } = this;
    const consumer = randomBytes(9).toString("hex");
    const inbox = core.inbox();
    let delivered = 0;
    let wanted = 0;
    let lastHeardMs = performance.now();
    const ended = new Promise<never>((_, reject) => {
      this.endSession = reject;
    });
    ended.catch(() => {});
    const offStatus = core.onStatus((connected) => {
      if (!connected) this.endSession(new Error("the connection was lost"));
    });
    this.pull = () => {
      if (wanted > 0 || this.tasks.length > BATCH / 2) return;
      wanted = BATCH;
      lastHeardMs = performance.now();
      const body = {
        batch: BATCH,
        max_bytes: BATCH_BYTES,
        expires: EXPIRES_MS * NS_PER_MS,
        idle_heartbeat: HEARTBEAT_MS * NS_PER_MS,
      };
      core.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, Buffer.from(JSON.stringify(body)), {
        reply: inbox,
      });
    };
    const subscription = core.subscribeRaw(inbox, (message) => {
      lastHeardMs = performance.now();
      if (message.status === 100) return;
      if (message.status === 503)
        return this.endSession(new BusError("no_responders", "the consumer is gone"));
      if (message.status > 0) {
        if (/deleted|leadership/i.test(message.description))
          return this.endSession(new BusError("gone", message.description));
        wanted = 0;
        return this.pull();
      }
      const place = parsePlace(message);
      if (!place) return;
      if (place.delivered !== ++delivered) return this.endSession(new Error("a message is missing"));
      wanted--;
      this.push(() => this.part.message(place.message));
      this.pull();
    });
    const monitor = setInterval(() => {
      if (wanted > 0 && performance.now() - lastHeardMs > 2.5 * HEARTBEAT_MS)
        this.endSession(new Error("the server fell silent"));
    }, HEARTBEAT_MS / 2);
    try {
      const start = await this.part.start();
      const made = await askApi<{ num_pending?: number }>(core, `CONSUMER.CREATE.${stream}.${consumer}`, {
        stream_name: stream,
        config: {
          name: consumer,
          ...start,
          filter_subject: this.subject,
          ack_policy: "none",
          replay_policy: "instant",
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: 60_000 * NS_PER_MS,
        },
      });
      const waiting = made.num_pending ?? 0;
      this.push(() => this.part.begin?.(waiting));
      this.pull();
      await ended;
    } finally {
      clearInterval(monitor);
      offStatus();
      subscription.stop();
      this.endSession = () => {};
      this.pull = () => {};
      if (core.connected) core.publish(`$JS.API.CONSUMER.DELETE.${stream}.${consumer}`, new Uint8Array());
    }
  }

  private push(task: () => void | Promise<void>): void {
    if (this.stopped) return;
    this.tasks.push(task);
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    for (let task = this.tasks.shift(); task; task = this.tasks.shift()) {
      try {
        const result = task();
        if (result) await result;
      } catch (error) {
        this.core.report(error);
      }
      this.pull();
    }
    this.working = false;
  }
}

/** Where in its stream a message of a consumer is; undefined when it is none. */
export function parsePlace(
  message: StatusMessage,
): { readonly delivered: number; readonly message: StreamMessage } | undefined {
  // $JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<delivered>.<time>.<pending>, or with domain and account before.
  const tokens = message.reply.split(".");
  if (tokens.length < 9 || tokens[1] !== "ACK") return undefined;
  const at = tokens.length === 9 ? 4 : 6;
  const [sequence, delivered, timeNs] = tokens.slice(at + 1, at + 4).map(Number);
  if (!sequence || !delivered || !timeNs) return undefined;
  return {
    delivered,
    message: {
      sequence,
      subject: message.subject,
      data: message.data,
      headers: message.headers,
      timeMs: Math.floor(timeNs / NS_PER_MS),
    },
  };
}
