import { BSON, type Collection, type Filter, MongoServerError } from "mongodb";
import { type Clock, systemClock, type Timer } from "../util/clock.js";
import { type Logger, silentLogger } from "../util/logger.js";
import {
  type ContextQuery,
  type ContextStore,
  ContextStoreAway,
  ContextStoreRefused,
  type QueriedContexts,
  UNKNOWN_VERSION,
  type VersionedContext,
} from "./context-store.js";
import type { CallContext } from "./context-types.js";
import { type ContextDocument, type ContextId, fromDocument, toDocument } from "./mongo-document.js";
import { DUPLICATE_KEY, fromMongoError } from "./mongo-errors.js";
import { MongoLink } from "./mongo-link.js";
import { setUpCollection } from "./mongo-setup.js";

/** Options of the contexts in MongoDB. */
export interface MongoContextOptions {
  /** Secret. "mongodb://…" or "mongodb+srv://…"; options in it hold, but for those that this store sets itself. */
  readonly url: string;
  /** Default: the one of the URL, else "callweave". */
  readonly database?: string;
  /** Default "call_contexts". */
  readonly collection?: string;
  /** How long one step may take, in ms; then the database counts as away. Default 1,000. */
  readonly timeoutMs?: number;
  /** Connections at most. Default 20. */
  readonly maxPoolSize?: number;
  /** How often making collection and indexes is tried until it worked, in ms. Default 5,000. */
  readonly setupIntervalMs?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** What a document may have: the 16 MiB of MongoDB, with room for what the server adds. */
const MAX_DOCUMENT_BYTES = 16 * 2 ** 20 - 65_536;

/**
 * Contexts in MongoDB. Writes are acknowledged by a majority and in the journal, reads are of what a majority has, from
 * the primary. Nothing is asked at construction.
 */
export class MongoContextStore implements ContextStore {
  private readonly link: MongoLink;
  private readonly collection: Collection<ContextDocument>;
  /** What was read or written, for as long as somebody keeps it. */
  private readonly versions = new WeakMap<CallContext, { readonly v: number; readonly hash: string }>();
  private readonly options: Required<Omit<MongoContextOptions, "url" | "database" | "collection">>;
  private timer: Timer | undefined;
  private setup: Promise<void> = Promise.resolve();
  private isSetUp = false;
  private setupError = "";
  private closed = false;

  /** Throws when the URL is none; the message does not quote it. */
  constructor({ url, database, collection, ...options }: MongoContextOptions) {
    this.options = {
      timeoutMs: 1000,
      maxPoolSize: 20,
      setupIntervalMs: 5000,
      logger: silentLogger,
      clock: systemClock,
      ...options,
    };
    this.link = new MongoLink({ ...this.options, url, ...(database !== undefined && { database }) });
    this.collection = this.link.db.collection<ContextDocument>(collection ?? "call_contexts");
  }

  /** Makes collection, validator and indexes in the background, again and again until it worked. */
  start(): void {
    this.setup = this.trySetup();
  }

  async get(tenant: string, callId: string): Promise<VersionedContext | undefined> {
    return this.one({ _id: { t: tenant, c: callId } });
  }

  async getBySession(tenant: string, sessionId: string): Promise<VersionedContext | undefined> {
    return this.one({ tenant, session_id: sessionId });
  }

  async put(context: CallContext, before: VersionedContext | undefined): Promise<"STORE" | undefined> {
    const expected = before?.version ?? 0;
    if (expected === UNKNOWN_VERSION) throw new ContextStoreAway();
    const document = toDocument(context, expected + 1);
    const bytes = BSON.calculateObjectSize(document, { ignoreUndefined: true });
    if (bytes > MAX_DOCUMENT_BYTES)
      throw new ContextStoreRefused(`a context of ${bytes} bytes is too large for MongoDB`);
    const { _id, v, hash } = document;
    const known = before && this.versions.get(before.context);
    // What was removed and written anew has the same versions again: the hash tells them apart.
    const filter = { _id, v: expected, ...(known && { hash: known.hash }) };
    const written = await this.link.within(async () => {
      if (expected === 0) return this.insert(document);
      const { matchedCount } = await this.collection.replaceOne(filter, document);
      return matchedCount === 1;
    });
    if (!written && !(await this.isThere(document))) return undefined;
    this.versions.set(context, { v, hash });
    return "STORE";
  }

  versionOf(context: CallContext): VersionedContext | undefined {
    const known = this.versions.get(context);
    return known && { context, version: known.v, durability: "STORE" };
  }

  async remove(tenant: string, callId: string): Promise<boolean> {
    const _id: ContextId = { t: tenant, c: callId };
    return this.link.within(async () => (await this.collection.deleteOne({ _id })).deletedCount === 1);
  }

  async query(query: ContextQuery): Promise<QueriedContexts> {
    const { tenant, caller, callee, statuses, sinceMs, after, limit, headersOnly } = query;
    const filter: Filter<ContextDocument> = {
      tenant,
      ...(caller !== undefined && { caller }),
      ...(callee !== undefined && { callee }),
      ...(statuses.length > 0 && { status: { $in: [...statuses] } }),
      create_time: { $gte: new Date(sinceMs) },
      ...(after && {
        $or: [
          { create_time: { $lt: new Date(after.createTimeMs) } },
          { create_time: new Date(after.createTimeMs), call_id: { $lt: after.callId } },
        ],
      }),
    };
    const documents = await this.link.within(() =>
      this.collection
        .find(filter, { maxTimeMS: this.options.timeoutMs, ...(headersOnly && { projection: { turns: 0 } }) })
        .sort({ create_time: -1, call_id: -1 })
        .limit(limit)
        .toArray(),
    );
    return { contexts: documents.map((document) => fromDocument(document)), partial: false };
  }

  /** For servers that do not remove by their TTL index, or late. */
  async removeExpired(nowMs: number, limit: number): Promise<number> {
    return this.link.within(async () => {
      const expired = await this.collection
        .find({ expire_time: { $lte: new Date(nowMs) } }, { projection: { _id: 1 } })
        .limit(limit)
        .toArray();
      if (expired.length === 0) return 0;
      const ids = expired.map(({ _id }) => _id);
      // One may have been written again since.
      const filter = { _id: { $in: ids }, expire_time: { $lte: new Date(nowMs) } };
      await this.collection.deleteMany(filter);
      return expired.length;
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    await this.link.close();
    await this.setup;
  }

  private async one(filter: Filter<ContextDocument>): Promise<VersionedContext | undefined> {
    const maxTimeMS = this.options.timeoutMs;
    const document = await this.link.within(() => this.collection.findOne(filter, { maxTimeMS }));
    if (!document) return undefined;
    const context = fromDocument(document);
    this.versions.set(context, { v: document.v, hash: document.hash });
    return { context, version: document.v, durability: "STORE" };
  }

  private async insert(document: ContextDocument): Promise<boolean> {
    try {
      await this.collection.insertOne(document);
      return true;
    } catch (error) {
      if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return false;
      throw error;
    }
  }

  /** The very write may have been done before: its answer was lost and the driver repeated it. */
  private async isThere({ _id, v, hash }: ContextDocument): Promise<boolean> {
    const found = await this.link.within(() =>
      this.collection.findOne({ _id, v }, { projection: { hash: 1 } }),
    );
    return found?.hash === hash;
  }

  private async trySetup(): Promise<void> {
    const { clock, logger, setupIntervalMs } = this.options;
    try {
      await this.link.connected();
      const { withoutValidator } = await setUpCollection(this.link.db, this.collection);
      this.isSetUp = true;
      if (withoutValidator)
        logger.warn(
          { err: fromMongoError(withoutValidator).message },
          "contexts are not validated by the database: it does not support it, or does not allow it",
        );
    } catch (error) {
      if (this.closed) return;
      const { message } = fromMongoError(error);
      // Once for each cause, not every few seconds of an outage.
      if (message !== this.setupError) logger.warn({ err: message }, "indexes of contexts are not made yet");
      this.setupError = message;
      this.timer = clock.after(setupIntervalMs, () => {
        this.setup = this.trySetup();
      });
    }
  }

  /** True when collection and indexes are there. */
  get ready(): boolean {
    return this.isSetUp;
  }
}
