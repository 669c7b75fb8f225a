import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type BucketEntry,
  type BusBucket,
  BusError,
  type BusHeaders,
  type BusStream,
  type BusStreamOptions,
  type BusSubscription,
  type StreamMessage,
} from "./bus.js";
import { subjectMatches } from "./subjects.js";

/** What a store needs of the client that uses it. */
interface Client {
  readonly connected: boolean;
  readonly maxPayloadBytes: number;
  whenConnected(): Promise<void>;
  onStatus(listener: (connected: boolean) => void): () => void;
}

/** The messages of one stream, in memory. */
export class MemoryStore {
  createdMs: number;
  messages: StreamMessage[] = [];
  lastSequence = 0;
  /** Told after each change. */
  readonly listeners = new Set<() => void>();
  private readonly ids = new Map<string, { sequence: number; atMs: number }>();

  constructor(
    readonly options: BusStreamOptions,
    private readonly perSubject: boolean,
    private readonly nowMs: () => number,
  ) {
    this.createdMs = nowMs();
  }

  /** Applies the age. Entries of a bucket are told as removed. */
  expire(): void {
    const { maxAgeMs } = this.options;
    if (maxAgeMs <= 0) return;
    const before = this.nowMs() - maxAgeMs;
    const old = this.messages.filter((message) => message.timeMs < before);
    if (old.length === 0) return;
    this.messages = this.messages.filter((message) => message.timeMs >= before);
    if (!this.perSubject) return;
    for (const { subject, headers } of old)
      if (!isRemoval(headers)) this.add(subject, new Uint8Array(), { "Nats-Marker-Reason": "MaxAge" });
  }

  publish(
    subject: string,
    data: Uint8Array,
    options: { readonly messageId?: string; readonly expectedLast?: number; readonly headers?: BusHeaders },
  ): { sequence: number; duplicate: boolean } {
    this.expire();
    if (!this.options.subjects.some((pattern) => subjectMatches(pattern, subject)))
      throw new BusError("no_responders", "nobody serves this subject");
    const { messageId, expectedLast, headers = {} } = options;
    const known = messageId === undefined ? undefined : this.ids.get(messageId);
    if (known && this.nowMs() - known.atMs <= (this.options.duplicateWindowMs ?? 120_000))
      return { sequence: known.sequence, duplicate: true };
    const last = this.last(subject)?.sequence ?? 0;
    if (expectedLast !== undefined && expectedLast !== last)
      throw new BusError("conflict", `wrong last sequence: ${last}`);
    this.makeRoom(subject, data.length);
    const lines = messageId === undefined ? headers : { ...headers, "Nats-Msg-Id": messageId };
    const sequence = this.add(subject, Uint8Array.from(data), lines);
    if (messageId !== undefined) this.ids.set(messageId, { sequence, atMs: this.nowMs() });
    return { sequence, duplicate: false };
  }

  last(subject: string): StreamMessage | undefined {
    return this.messages.findLast((message) => message.subject === subject);
  }

  get bytes(): number {
    return this.messages.reduce((sum, { subject, data }) => sum + subject.length + data.length, 0);
  }

  purge(subject: string): void {
    this.messages = this.messages.filter((message) => !subjectMatches(subject, message.subject));
  }

  /** Begins anew, as another stream of the same name. */
  clear(): void {
    this.messages = [];
    this.lastSequence = 0;
    this.ids.clear();
    this.createdMs = Math.max(this.nowMs(), this.createdMs + 1);
    for (const listener of [...this.listeners]) listener();
  }

  private add(subject: string, data: Uint8Array, headers: BusHeaders): number {
    const sequence = ++this.lastSequence;
    if (this.perSubject) this.messages = this.messages.filter((message) => message.subject !== subject);
    this.messages.push({ sequence, subject, data, headers: { ...headers }, timeMs: this.nowMs() });
    for (const listener of [...this.listeners]) listener();
    return sequence;
  }

  private makeRoom(subject: string, length: number): void {
    const { maxBytes, discard } = this.options;
    if (maxBytes <= 0) return;
    const replaced = this.perSubject ? (this.last(subject)?.data.length ?? -subject.length) : -subject.length;
    const over = () => this.bytes - replaced + length > maxBytes;
    if (discard === "old") while (this.messages.length > 0 && over()) this.messages.shift();
    if (over()) throw new BusError("full", "maximum bytes exceeded");
  }
}

function isRemoval(headers: BusHeaders): boolean {
  return headers["KV-Operation"] === "DEL" || headers["Nats-Marker-Reason"] !== undefined;
}

/** Runs in a later turn, as an answer of a server would; rejects when the client is off the bus then. */
async function answer<T>(client: Client, work: () => T): Promise<T> {
  if (!client.connected) throw new BusError("away", "the bus is not connected");
  await Promise.resolve();
  return work();
}

/** A stream as a client sees it. */
export function streamOf(client: Client, store: MemoryStore): BusStream {
  return {
    get createdMs() {
      return store.createdMs;
    },
    publish: (subject, data, options) =>
      answer(client, () => {
        if (data.length > client.maxPayloadBytes) throw new BusError("refused", "too large");
        return store.publish(subject, data, options);
      }),
    state: () =>
      answer(client, () => {
        store.expire();
        return {
          firstSequence: store.messages[0]?.sequence ?? store.lastSequence + 1,
          lastSequence: store.lastSequence,
          bytes: store.bytes,
        };
      }),
    last: (subject) =>
      answer(client, () => {
        store.expire();
        return store.last(subject);
      }),
    read: (subject, from, limit) =>
      answer(client, () => {
        store.expire();
        return store.messages
          .filter((message) => message.sequence >= from && subjectMatches(subject, message.subject))
          .slice(0, limit);
      }),
    follow(subject, from, onMessage) {
      let next = from;
      let of = store.createdMs;
      return following(client, store, async (stopped) => {
        if (store.createdMs !== of) next = 1;
        of = store.createdMs;
        for (;;) {
          const message = store.messages.find(
            ({ sequence, subject: s }) => sequence >= next && subjectMatches(subject, s),
          );
          if (!message || stopped() || !client.connected || store.createdMs !== of) return;
          next = message.sequence + 1;
          await onMessage(message);
        }
      });
    },
    purge: (subject) => answer(client, () => store.purge(subject)),
  };
}

/** Calls `catchUp` after every change and reconnect, never twice at once. */
function following(
  client: Client,
  store: MemoryStore,
  catchUp: (stopped: () => boolean) => Promise<void>,
): BusSubscription {
  let stopped = false;
  let running = false;
  let again = false;
  const run = async () => {
    again = true;
    if (running) return;
    running = true;
    while (again && !stopped) {
      again = false;
      await nextTurn();
      if (client.connected && !stopped) await catchUp(() => stopped).catch(() => {});
    }
    running = false;
  };
  const changed = () => void run();
  store.listeners.add(changed);
  const offStatus = client.onStatus(changed);
  changed();
  return {
    stop() {
      stopped = true;
      store.listeners.delete(changed);
      offStatus();
    },
  };
}

/** A bucket as a client sees it. */
export function bucketOf(client: Client, store: MemoryStore, name: string): BusBucket {
  const prefix = `$KV.${name}.`;
  const subjectOf = (key: string) => {
    if (!/^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/.test(key))
      throw new BusError("refused", "not a key of a bucket");
    return prefix + key;
  };
  const current = (key: string) => {
    store.expire();
    return store.last(subjectOf(key));
  };
  const live = (key: string): BucketEntry | undefined => {
    const message = current(key);
    if (!message || isRemoval(message.headers)) return undefined;
    return { key, value: message.data, revision: message.sequence };
  };
  const write = (key: string, value: Uint8Array, expectedLast?: number, headers?: BusHeaders) =>
    store.publish(subjectOf(key), value, {
      ...(expectedLast === undefined ? {} : { expectedLast }),
      ...(headers ? { headers } : {}),
    }).sequence;
  return {
    get: (key) => answer(client, () => live(key)),
    put: (key, value) => answer(client, () => write(key, value)),
    create: (key, value) =>
      answer(client, () => {
        if (live(key)) throw new BusError("conflict", "the key is there");
        return write(key, value, current(key)?.sequence ?? 0);
      }),
    update: (key, value, revision) => answer(client, () => write(key, value, revision)),
    delete: (key, revision) =>
      answer(client, () => {
        write(key, new Uint8Array(), revision, { "KV-Operation": "DEL" });
      }),
    watch(onEntry, onReady) {
      const known = new Map<string, number>();
      let ready = false;
      const timer = setInterval(() => store.expire(), 100);
      timer.unref();
      let told = 0;
      let of = store.createdMs;
      const inner = following(client, store, async () => {
        store.expire();
        if (store.createdMs !== of) {
          of = store.createdMs;
          told = 0;
          for (const [key, revision] of known) onEntry({ key, revision });
          known.clear();
        }
        for (const { subject, data, sequence, headers } of [...store.messages]) {
          if (sequence <= told) continue;
          told = sequence;
          const key = subject.slice(prefix.length);
          if (!isRemoval(headers)) {
            known.set(key, sequence);
            onEntry({ key, value: data, revision: sequence });
          } else if (known.delete(key)) onEntry({ key, revision: sequence });
        }
        if (!ready) {
          ready = true;
          onReady?.();
        }
      });
      return {
        stop() {
          clearInterval(timer);
          inner.stop();
        },
      };
    },
  };
}
