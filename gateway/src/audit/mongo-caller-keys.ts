import { randomBytes } from "node:crypto";
import { Binary, type Collection, MongoServerError } from "mongodb";
import { DUPLICATE_KEY } from "../context/mongo-errors.js";
import { MongoLink, type MongoLinkOptions } from "../context/mongo-link.js";
import { CALLER_KEY_BYTES, type CallerKeyStore, dayOf, type SharedSalt } from "./caller-keys.js";

interface KeyDocument {
  readonly _id: string;
  readonly key: Binary;
  /** The day of the last use, counted from 1970; of the salt none. */
  readonly day?: number;
  readonly check?: string;
}

const SALT = "salt";
/** Connections of the audit log; it writes one batch after the other. */
const POOL_SIZE = 2;

/** Keys of callers in MongoDB, the same for all gateways of the database. */
export class MongoCallerKeys implements CallerKeyStore {
  private readonly link: MongoLink;
  private readonly collection: Collection<KeyDocument>;

  /** Throws when the URL is none; the message does not quote it. */
  constructor({ collection, ...options }: MongoLinkOptions & { readonly collection: string }) {
    this.link = new MongoLink({ ...options, maxPoolSize: Math.min(options.maxPoolSize, POOL_SIZE) });
    this.collection = this.link.db.collection<KeyDocument>(collection);
  }

  async shared(made: SharedSalt): Promise<SharedSalt> {
    return this.link.within(async () => {
      const fresh = { key: new Binary(made.salt), check: made.check };
      await this.insertMissing([{ id: SALT, fresh }]);
      const found = await this.collection.findOne({ _id: SALT });
      if (!found) throw new Error("the salt of the keys is gone");
      return { salt: Buffer.from(found.key.buffer), check: found.check ?? "" };
    });
  }

  async find(id: string): Promise<Buffer | undefined> {
    const found = await this.link.within(() => this.collection.findOne({ _id: id }));
    return found ? Buffer.from(found.key.buffer) : undefined;
  }

  ensure(ids: readonly string[], nowMs: number): Promise<ReadonlyMap<string, Buffer>> {
    return this.link.within(async () => {
      const day = dayOf(nowMs);
      const known = await this.keysOf(ids);
      const stale = ids.filter((id) => (known.get(id)?.day ?? day) < day);
      if (stale.length > 0) await this.collection.updateMany({ _id: { $in: stale } }, { $max: { day } });
      const missing = ids.filter((id) => !known.has(id));
      if (missing.length > 0) {
        await this.insertMissing(
          missing.map((id) => ({ id, fresh: { key: new Binary(randomBytes(CALLER_KEY_BYTES)), day } })),
        );
        // Of two gateways that made one at the same time, one has won.
        for (const [id, one] of await this.keysOf(missing)) known.set(id, one);
      }
      return new Map([...known].map(([id, { key }]) => [id, Buffer.from(key.buffer)]));
    });
  }

  async destroy(id: string): Promise<Buffer | undefined> {
    const found = await this.link.within(() => this.collection.findOneAndDelete({ _id: id }));
    return found ? Buffer.from(found.key.buffer) : undefined;
  }

  removeUnused(sinceMs: number, limit: number): Promise<number> {
    return this.link.within(async () => {
      const filter = { day: { $lt: dayOf(sinceMs) } };
      const old = await this.collection
        .find(filter, { projection: { _id: 1 } })
        .limit(limit)
        .toArray();
      if (old.length === 0) return 0;
      // One may have been used again since.
      const { deletedCount } = await this.collection.deleteMany({
        _id: { $in: old.map(({ _id }) => _id) },
        ...filter,
      });
      return deletedCount;
    });
  }

  close(): Promise<void> {
    return this.link.close();
  }

  private async keysOf(ids: readonly string[]): Promise<Map<string, KeyDocument>> {
    const found = await this.collection.find({ _id: { $in: [...ids] } }).toArray();
    return new Map(found.map((one) => [one._id, one]));
  }

  /** What is there stays as it is. */
  private async insertMissing(
    wanted: readonly { readonly id: string; readonly fresh: Omit<KeyDocument, "_id"> }[],
  ): Promise<void> {
    try {
      await this.collection.bulkWrite(
        wanted.map(({ id, fresh }) => ({
          updateOne: { filter: { _id: id }, update: { $setOnInsert: fresh }, upsert: true },
        })),
        { ordered: false },
      );
    } catch (error) {
      if (!(error instanceof MongoServerError) || error.code !== DUPLICATE_KEY) throw error;
    }
  }
}
