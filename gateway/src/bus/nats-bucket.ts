import {
  type BucketEntry,
  type BusBucket,
  type BusBucketOptions,
  BusError,
  type BusHeaders,
  type BusSubscription,
  type StreamMessage,
} from "./bus.js";
import type { BusCore } from "./bus-core.js";
import { persist } from "./nats-api.js";
import { Follower } from "./nats-follower.js";
import { NatsStream } from "./nats-stream.js";

const NS_PER_MS = 1_000_000;
const KEY = /^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/;
const NAME = /^[-_a-zA-Z0-9]+$/;

/** Makes or opens a bucket, in the layout that all NATS clients use; waits as `openStream`. */
export async function openBucket(core: BusCore, options: BusBucketOptions): Promise<BusBucket> {
  if (!NAME.test(options.name)) throw new BusError("refused", "not a name of a bucket");
  const stream = new NatsStream(core, `KV_${options.name}`, {
    name: `KV_${options.name}`,
    subjects: [`$KV.${options.name}.>`],
    retention: "limits",
    max_age: options.ttlMs * NS_PER_MS,
    max_bytes: options.maxBytes > 0 ? options.maxBytes : -1,
    max_msgs: -1,
    max_consumers: -1,
    max_msgs_per_subject: 1,
    discard: "new",
    num_replicas: options.replicas,
    storage: options.storage,
    duplicate_window: (options.ttlMs > 0 ? Math.min(options.ttlMs, 120_000) : 120_000) * NS_PER_MS,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    // From NATS 2.11 on an entry that vanishes by its age is told; older servers pass over it.
    ...(options.ttlMs > 0
      ? { allow_msg_ttl: true, subject_delete_marker_ttl: Math.max(1000, options.ttlMs) * NS_PER_MS }
      : {}),
  });
  await persist(core, () => stream.ensure());
  return new NatsBucket(stream, options.name);
}

class NatsBucket implements BusBucket {
  constructor(
    private readonly stream: NatsStream,
    private readonly name: string,
  ) {}

  async get(key: string): Promise<BucketEntry | undefined> {
    const message = await this.stream.last(this.subject(key));
    if (!message || isRemoval(message.headers)) return undefined;
    return { key, value: message.data, revision: message.sequence };
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return this.write(key, value, {});
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    try {
      return await this.update(key, value, 0);
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== "conflict") throw error;
      // What is there may be the mark of a removed entry.
      const message = await this.stream.last(this.subject(key));
      if (message && !isRemoval(message.headers)) throw error;
      return this.update(key, value, message?.sequence ?? 0);
    }
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.write(key, value, { expectedLast: revision });
  }

  async delete(key: string, revision?: number): Promise<void> {
    await this.write(key, new Uint8Array(), {
      ...(revision === undefined ? {} : { expectedLast: revision }),
      headers: { "KV-Operation": "DEL" },
    });
  }

  watch(
    onEntry: (entry: { key: string; value?: Uint8Array; revision: number }) => void,
    onReady?: () => void,
  ): BusSubscription {
    const prefix = this.subject("x").slice(0, -1);
    /** Entries that were told and not removed. */
    const known = new Map<string, number>();
    /** Of a snapshot that is being read: what it held. Unset: it is over. */
    let seen: Set<string> | undefined;
    let left = 0;
    let ready = false;
    const snapshotOver = () => {
      for (const [key, revision] of known)
        if (!seen?.has(key)) {
          // It vanished while the connection was away.
          known.delete(key);
          onEntry({ key, revision });
        }
      seen = undefined;
      if (!ready) {
        ready = true;
        onReady?.();
      }
    };
    return new Follower(this.stream.core, this.stream.name, `${prefix}>`, {
      start: async () => {
        await this.stream.state();
        return { deliver_policy: "last_per_subject" };
      },
      begin: (waiting) => {
        seen = new Set();
        left = waiting;
        if (left === 0) snapshotOver();
      },
      message: (message: StreamMessage) => {
        const key = message.subject.slice(prefix.length);
        const removed = isRemoval(message.headers);
        seen?.add(key);
        // In a snapshot the marks of entries that were never told say nothing.
        const told = !removed || known.has(key);
        if (removed) known.delete(key);
        else known.set(key, message.sequence);
        if (told)
          onEntry(
            removed
              ? { key, revision: message.sequence }
              : { key, value: message.data, revision: message.sequence },
          );
        if (seen && --left <= 0) snapshotOver();
      },
    });
  }

  private async write(
    key: string,
    value: Uint8Array,
    options: { readonly expectedLast?: number; readonly headers?: BusHeaders },
  ): Promise<number> {
    const { sequence } = await this.stream.publish(this.subject(key), value, options);
    return sequence;
  }

  private subject(key: string): string {
    if (!KEY.test(key)) throw new BusError("refused", "not a key of a bucket");
    return `$KV.${this.name}.${key}`;
  }
}

function isRemoval(headers: BusHeaders): boolean {
  const operation = headers["KV-Operation"];
  return operation === "DEL" || operation === "PURGE" || headers["Nats-Marker-Reason"] !== undefined;
}
