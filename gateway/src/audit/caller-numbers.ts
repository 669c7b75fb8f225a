import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { CALLER_KEY_BYTES, type CallerKeyStore, type SharedSalt } from "./caller-keys.js";

/** A number of a tenant. */
export interface TenantNumber {
  readonly tenant: string;
  /** In its one writing. */
  readonly number: string;
}

/** How much of a hash is written down, in hexadecimal digits. */
const SHOWN_DIGITS = 32;

/**
 * What stands for phone numbers: a hash with a key that is the caller's alone, random, and kept apart from what is
 * written. Equal numbers of a tenant have equal hashes; once the key is destroyed nobody can tell whose they were.
 * Everything rejects when the store of the keys cannot be asked.
 */
export class CallerNumbers {
  private idKey: Buffer | undefined;

  constructor(
    private readonly keys: CallerKeyStore,
    /** The key of the installation, where it has one apart from its stores. */
    private readonly secret: Buffer = Buffer.alloc(0),
  ) {}

  /** The hashes of these numbers, in their order; callers without a key get one. */
  async hashes(wanted: readonly TenantNumber[]): Promise<string[]> {
    if (wanted.length === 0) return [];
    const ids = await this.idsOf(wanted);
    const keys = await this.keys.ensure([...new Set(ids)], Date.now());
    return wanted.map((one, i) => {
      const key = keys.get(ids[i] ?? "");
      if (!key) throw new Error("the key of a caller was destroyed in this moment");
      return hashOf(key, one);
    });
  }

  /** The hash of a number whose caller has a key; undefined otherwise. */
  async find(wanted: TenantNumber): Promise<string | undefined> {
    const [id = ""] = await this.idsOf([wanted]);
    const key = await this.keys.find(id);
    return key && hashOf(key, wanted);
  }

  /** Destroys the key of a caller. Answers the hash that nobody can make any more; undefined when there was none. */
  async erase(wanted: TenantNumber): Promise<string | undefined> {
    const [id = ""] = await this.idsOf([wanted]);
    const key = await this.keys.destroy(id);
    return key && hashOf(key, wanted);
  }

  /** Removes keys that were not used since; at most so many. */
  removeUnused(sinceMs: number, limit: number): Promise<number> {
    return this.keys.removeUnused(sinceMs, limit);
  }

  close(): Promise<void> {
    return this.keys.close();
  }

  private async idsOf(wanted: readonly TenantNumber[]): Promise<string[]> {
    this.idKey ??= await this.loadIdKey();
    const key = this.idKey;
    return wanted.map((one) => macOf(key, textOf(one)).toString("hex").slice(0, SHOWN_DIGITS));
  }

  /** Others who share the store have to make the same ids: what one erases must be what another wrote. */
  private async loadIdKey(): Promise<Buffer> {
    const { salt, check } = await this.keys.shared(this.salted(randomBytes(CALLER_KEY_BYTES)));
    const own = Buffer.from(this.salted(salt).check);
    const theirs = Buffer.from(check);
    if (own.length !== theirs.length || !timingSafeEqual(own, theirs))
      throw new Error("audit.key_file is another one than that of the gateways which share this store");
    return this.idKeyOf(salt);
  }

  private salted(salt: Buffer): SharedSalt {
    return { salt, check: macOf(this.idKeyOf(salt), "callweave callers check").toString("hex") };
  }

  private idKeyOf(salt: Buffer): Buffer {
    return macOf(Buffer.concat([salt, this.secret]), "callweave callers ids");
  }
}

function textOf({ tenant, number }: TenantNumber): string {
  return `${tenant}\n${number}`;
}

function hashOf(key: Buffer, one: TenantNumber): string {
  return macOf(key, textOf(one)).toString("hex").slice(0, SHOWN_DIGITS);
}

function macOf(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
