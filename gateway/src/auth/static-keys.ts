import { createHash, timingSafeEqual } from "node:crypto";
import { grantsOf, PLAIN_NAME, type Principal, type Rights, sameRights } from "../contract/principal.js";

/** A static key. Give the key itself or its SHA-256 in hexadecimal; only the hash is kept. */
export interface StaticKey extends Rights {
  /** Who has it; appears as "client:<name>" in events and notes. 1 to 64 of A-Z a-z 0-9 . _ - */
  readonly name: string;
  /** The tenant that its holder belongs to. The same rule as the name. */
  readonly tenant: string;
  /** At least 16 characters. */
  readonly key?: string | undefined;
  /** 64 hexadecimal digits. */
  readonly keySha256?: string | undefined;
}

/** How many keys one name may have at a time: the one that is leaving and the one that is coming. */
export const MAX_KEYS_PER_NAME = 2;

/** Hashed keys, compared in constant time. */
export class StaticKeys {
  private readonly keys: readonly { readonly hash: Buffer; readonly principal: Principal }[];

  /**
   * Throws on a key that could not protect anything: no name, too short, given twice; and on rights that are none. A key
   * that was in `before` with the same rights stands for the same principal.
   */
  constructor(keys: readonly StaticKey[], before?: StaticKeys) {
    this.keys = keys.map((key) => {
      if (!PLAIN_NAME.test(key.name)) throw new Error(`key name must match ${PLAIN_NAME.source}`);
      if (!PLAIN_NAME.test(key.tenant))
        throw new Error(`tenant of key ${key.name} must match ${PLAIN_NAME.source}`);
      const hash = hashOf(key);
      const fresh = principalOf(key);
      const known = before?.keys.find((one) => one.hash.equals(hash))?.principal;
      return { hash, principal: known && sameRights(known, fresh) ? known : fresh };
    });
    const hashes = new Set(this.keys.map((key) => key.hash.toString("hex")));
    if (hashes.size !== this.keys.length) throw new Error("two entries have the same key");
    const names = new Map<string, number>();
    for (const { principal } of this.keys) {
      const id = `${principal.tenant}/${principal.name}`;
      names.set(id, (names.get(id) ?? 0) + 1);
      if ((names.get(id) ?? 0) > MAX_KEYS_PER_NAME)
        throw new Error(`key ${principal.name} is given more than twice`);
    }
  }

  get size(): number {
    return this.keys.length;
  }

  /** Whether this was found here, or in the keys before, and still stands. */
  has(principal: Principal): boolean {
    return this.keys.some((key) => key.principal === principal);
  }

  /** Whose key it is; undefined when nobody's. */
  find(token: string): Principal | undefined {
    const hash = sha256(token);
    let found: Principal | undefined;
    // Each key is compared, so that time tells nothing about which one was near.
    for (const key of this.keys) if (timingSafeEqual(key.hash, hash)) found = key.principal;
    return found;
  }
}

function principalOf(key: StaticKey): Principal {
  // A key without a word about rights has them all, as before there were any.
  const role = key.role || ((key.scopes?.length ?? 0) > 0 ? "" : "admin");
  return { tenant: key.tenant, name: key.name, proof: "key", role, grants: grantsOf({ ...key, role }) };
}

function hashOf(key: StaticKey): Buffer {
  if (key.keySha256 !== undefined) {
    if (!/^[0-9a-f]{64}$/i.test(key.keySha256)) {
      throw new Error(`SHA-256 of key ${key.name} must be 64 hexadecimal digits`);
    }
    if (key.key !== undefined) throw new Error(`key ${key.name} is given both plain and hashed`);
    return Buffer.from(key.keySha256, "hex");
  }
  if (key.key === undefined || !/^\S{16,}$/.test(key.key)) {
    throw new Error(`key ${key.name} must have at least 16 characters without spaces`);
  }
  return sha256(key.key);
}

/** SHA-256 of a text. */
export function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
