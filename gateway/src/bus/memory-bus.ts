import {
  type Bus,
  type BusBucket,
  type BusBucketOptions,
  type BusEndpoint,
  BusError,
  type BusHeaders,
  type BusMessage,
  type BusStream,
  type BusStreamOptions,
  type BusSubscription,
  type SubscribeOptions,
} from "./bus.js";
import { startService } from "./bus-service.js";
import { Delivery } from "./delivery.js";
import { bucketOf, MemoryStore, streamOf } from "./memory-store.js";
import { isPlainSubject, subjectMatches } from "./subjects.js";

/** Options of a bus in memory. */
export interface MemoryBusOptions {
  /** As the server's limit. Default 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** Unix time in ms, for stamps and ages. Default the machine's. */
  readonly nowMs?: () => number;
}

interface Sub {
  readonly client: MemoryBus;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly delivery: Delivery;
}

/** A message bus in this process, by the same rules as the one on NATS: for tests. */
export class MemoryBusServer {
  readonly maxPayloadBytes: number;
  readonly nowMs: () => number;
  private readonly subs = new Set<Sub>();
  private readonly stores = new Map<string, MemoryStore>();
  private inboxes = 0;

  constructor(options: MemoryBusOptions = {}) {
    this.maxPayloadBytes = options.maxPayloadBytes ?? 1_048_576;
    this.nowMs = options.nowMs ?? Date.now;
  }

  /** A client, connected. */
  connect(): MemoryBus {
    return new MemoryBus(this);
  }

  /** @internal */
  add(sub: Sub): BusSubscription {
    this.subs.add(sub);
    return {
      stop: () => {
        this.subs.delete(sub);
        sub.delivery.stop();
      },
    };
  }

  /** @internal Hands a message to those who listen, after this turn; answers to how many. */
  send(subject: string, data: Uint8Array, headers: BusHeaders, reply: string): number {
    const groups = new Map<string, Sub[]>();
    for (const sub of this.subs) {
      if (!sub.client.connected || !subjectMatches(sub.subject, subject)) continue;
      const group = sub.queue === undefined ? `s${groups.size}` : `q${sub.subject} ${sub.queue}`;
      groups.set(group, [...(groups.get(group) ?? []), sub]);
    }
    const copy = Uint8Array.from(data);
    for (const members of groups.values()) {
      const sub = members[Math.floor(Math.random() * members.length)] as Sub;
      const message: BusMessage = {
        subject,
        data: copy,
        headers: { ...headers },
        reply,
        respond: (answer, lines) => {
          if (reply !== "") sub.client.publish(reply, answer, lines ? { headers: lines } : {});
        },
      };
      queueMicrotask(() => {
        if (sub.client.connected) sub.delivery.push(message);
      });
    }
    return groups.size;
  }

  /** @internal */
  inbox(): string {
    return `_INBOX.${++this.inboxes}`;
  }

  /** @internal */
  store(options: BusStreamOptions, perSubject: boolean): MemoryStore {
    const found = this.stores.get(options.name);
    if (!found) {
      const made = new MemoryStore(options, perSubject, this.nowMs);
      this.stores.set(options.name, made);
      return made;
    }
    if ([...found.options.subjects].sort().join(" ") !== [...options.subjects].sort().join(" "))
      throw new BusError("refused", `the stream ${options.name} is there with other subjects`);
    return found;
  }

  /** Removes a stream (a bucket's is "KV_<name>"), as if the server had lost its files. */
  forget(name: string): void {
    this.stores.get(name)?.clear();
  }
}

/** A client of a bus in memory. */
export class MemoryBus implements Bus {
  readonly maxPayloadBytes: number;
  /** Messages that `publish` refused. */
  refused = 0;
  private up = true;
  private closed = false;
  private readonly listeners = new Set<(connected: boolean) => void>();
  private readonly subscriptions = new Set<BusSubscription>();

  constructor(private readonly server: MemoryBusServer) {
    this.maxPayloadBytes = server.maxPayloadBytes;
  }

  get connected(): boolean {
    return this.up && !this.closed;
  }

  /** Takes this client off the bus, or puts it back. */
  setConnected(connected: boolean): void {
    if (this.up === connected || this.closed) return;
    this.up = connected;
    for (const listener of [...this.listeners]) listener(connected);
  }

  onStatus(listener: (connected: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  publish(
    subject: string,
    data: Uint8Array,
    options: { headers?: BusHeaders; reply?: string } = {},
  ): boolean {
    if (!this.connected || !isPlainSubject(subject) || data.length > this.maxPayloadBytes) {
      this.refused++;
      return false;
    }
    const { headers = {}, reply = "" } = options;
    const count = this.server.send(subject, data, headers, reply);
    if (count === 0 && reply !== "") this.server.send(reply, new Uint8Array(), { Status: "503" }, "");
    return true;
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): BusSubscription {
    const delivery = new Delivery(handler, options, () => {});
    const added = this.server.add({ client: this, subject, queue: options.queue, delivery });
    this.subscriptions.add(added);
    return {
      stop: () => {
        this.subscriptions.delete(added);
        added.stop();
      },
    };
  }

  request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: BusHeaders },
  ): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      if (!this.connected) return reject(away());
      if (!isPlainSubject(subject) || data.length > this.maxPayloadBytes)
        return reject(new BusError("refused", "not a subject to publish under, or too large"));
      const reply = this.server.inbox();
      const timer = setTimeout(() => end(new BusError("timeout", "no answer in time")), options.timeoutMs);
      const offStatus = this.onStatus((connected) => {
        if (!connected) end(new BusError("timeout", "the connection was lost before the answer"));
      });
      const subscription = this.subscribe(reply, (message) => {
        end(
          message.headers.Status === "503"
            ? new BusError("no_responders", "nobody serves this subject")
            : message,
        );
      });
      const end = (result: BusMessage | BusError) => {
        clearTimeout(timer);
        offStatus();
        subscription.stop();
        if (result instanceof BusError) reject(result);
        else resolve(result);
      };
      this.publish(subject, data, { reply, ...(options.headers ? { headers: options.headers } : {}) });
    });
  }

  async flush(): Promise<void> {
    if (!this.connected) throw away();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async service(
    about: { readonly name: string; readonly version: string; readonly description: string },
    endpoints: readonly BusEndpoint[],
  ): Promise<BusSubscription> {
    return startService(this, about, endpoints);
  }

  async stream(options: BusStreamOptions): Promise<BusStream> {
    await this.whenConnected();
    return streamOf(this, this.server.store(options, false));
  }

  async bucket(options: BusBucketOptions): Promise<BusBucket> {
    await this.whenConnected();
    const store = this.server.store(
      {
        name: `KV_${options.name}`,
        subjects: [`$KV.${options.name}.>`],
        maxAgeMs: options.ttlMs,
        maxBytes: options.maxBytes,
        discard: "new",
        replicas: options.replicas,
        storage: options.storage,
      },
      true,
    );
    return bucketOf(this, store, options.name);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.setConnected(false);
    this.closed = true;
    for (const subscription of this.subscriptions) subscription.stop();
    for (const listener of [...this.listeners]) listener(false);
    this.listeners.clear();
  }

  /** @internal */
  whenConnected(): Promise<void> {
    if (this.closed) return Promise.reject(away());
    if (this.up) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = this.onStatus((connected) => {
        if (!connected && !this.closed) return;
        stop();
        if (connected) resolve();
        else reject(away());
      });
    });
  }
}

function away(): BusError {
  return new BusError("away", "the bus is not connected");
}
