import { type Db, MongoClient } from "mongodb";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import { ContextStoreAway } from "./context-store.js";
import { fromMongoError } from "./mongo-errors.js";

/** How to reach a MongoDB. */
export interface MongoLinkOptions {
  /** Secret. */
  readonly url: string;
  /** Default: the one of the URL, else "callweave". */
  readonly database?: string;
  /** How long one step may take, in ms; then the database counts as away. */
  readonly timeoutMs: number;
  /** Connections at most. */
  readonly maxPoolSize: number;
  readonly clock?: Clock;
}

/** Searching and cutting off a server that does not answer: connections are given up after so long. */
const SOCKET_TIMEOUT_MS = 10_000;

/**
 * A connection to MongoDB whose writes are acknowledged by a majority and in the journal, whose reads are of what a
 * majority has, from the primary, and whose steps are bounded in time. Nothing is asked at construction.
 */
export class MongoLink {
  readonly db: Db;
  private readonly client: MongoClient;
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private isConnected = false;

  /** Throws when the URL is none; the message does not quote it. */
  constructor({ url, database, timeoutMs, maxPoolSize, clock = systemClock }: MongoLinkOptions) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    try {
      // The driver's own timeoutMS does nothing since 7.9: `within` is the bound, these are to free what it leaves.
      this.client = new MongoClient(url, {
        appName: "callweave",
        maxPoolSize,
        retryWrites: true,
        retryReads: true,
        serverSelectionTimeoutMS: timeoutMs,
        waitQueueTimeoutMS: timeoutMs,
        connectTimeoutMS: Math.max(timeoutMs, 2000),
        socketTimeoutMS: Math.max(2 * timeoutMs, SOCKET_TIMEOUT_MS),
        heartbeatFrequencyMS: 2000,
        writeConcern: { w: "majority", journal: true, wtimeoutMS: timeoutMs },
        readConcern: { level: "majority" },
        readPreference: "primary",
        ignoreUndefined: true,
      });
    } catch {
      throw new Error("the address of MongoDB is not valid");
    }
    const named = this.client.options.dbName;
    this.db = this.client.db(database ?? (named === "test" ? "callweave" : named));
  }

  /** One step at the database within `timeoutMs`. Rejects with ContextStoreAway or ContextStoreRefused. */
  async within<T>(step: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this;
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = clock.after(timeoutMs, () =>
        reject(new ContextStoreAway(`the database did not answer within ${timeoutMs} ms`)),
      );
    });
    try {
      return await Promise.race([this.connected().then(step), late]);
    } catch (error) {
      throw fromMongoError(error);
    } finally {
      timer?.cancel();
    }
  }

  /**
   * The driver connects by itself only once, and is of no use for ever when the server was away then; after a first
   * connection it finds back by itself.
   */
  async connected(): Promise<void> {
    if (this.isConnected) return;
    await this.client.connect();
    this.isConnected = true;
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    await this.client.close(true);
  }
}
