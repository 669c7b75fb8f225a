import { createHash, timingSafeEqual } from "node:crypto";
import { CallError } from "../call/call-error.js";
import type { StaticKey } from "./limits.js";

/** Who asks: proven by a key, or a process on this machine when there are no keys. */
export interface Credential {
  /** Everything the request sees belongs to it. */
  readonly tenant: string;
  /** The name of the key. */
  readonly name: string;
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const LOCAL: Credential = { tenant: "default", name: "local" };

/** True for addresses of this machine alone: 127.0.0.0/8, ::1, "localhost". */
export function isLoopback(address: string): boolean {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  return plain === "localhost" || plain === "::1" || /^127(\.\d{1,3}){3}$/.test(plain);
}

/** Checks credentials. Without keys everything on loopback is taken and nothing else. */
export class Authenticator {
  private readonly keys: readonly { readonly hash: Buffer; readonly credential: Credential }[];

  /** Throws on a key that could not protect anything: no name, too short, given twice. */
  constructor(keys: readonly StaticKey[]) {
    this.keys = keys.map((key) => {
      if (!NAME.test(key.name)) throw new Error(`key name must match ${NAME.source}`);
      if (!NAME.test(key.tenant)) throw new Error(`tenant of key ${key.name} must match ${NAME.source}`);
      return { hash: hashOf(key), credential: { tenant: key.tenant, name: key.name } };
    });
    const hashes = new Set(this.keys.map((key) => key.hash.toString("hex")));
    if (hashes.size !== this.keys.length) throw new Error("two entries have the same key");
  }

  /** False: only loopback is served. */
  get hasKeys(): boolean {
    return this.keys.length > 0;
  }

  /** From all values of the header `authorization: Bearer <key>`. `peer` is "address:port". Throws UNAUTHENTICATED. */
  authenticate(values: readonly unknown[], peer: string): Credential {
    if (!this.hasKeys) return this.local(peer);
    if (values.length !== 1) throw unauthenticated("exactly one authorization entry is needed: Bearer <key>");
    const match = /^bearer +(\S+)$/i.exec(String(values[0]).trim());
    if (!match) throw unauthenticated("authorization must be: Bearer <key>");
    return this.authenticateToken(match[1] as string, peer);
  }

  /** A bare token. Throws UNAUTHENTICATED. */
  authenticateToken(token: string, peer: string): Credential {
    if (!this.hasKeys) return this.local(peer);
    const hash = sha256(token);
    let found: Credential | undefined;
    // Each key is compared, so that time tells nothing about which one was near.
    for (const key of this.keys) if (timingSafeEqual(key.hash, hash)) found = key.credential;
    if (!found) throw unauthenticated("the key is not known here");
    return found;
  }

  private local(peer: string): Credential {
    if (!isLoopback(peer.slice(0, Math.max(0, peer.lastIndexOf(":"))))) {
      throw unauthenticated("without configured keys only this machine is served");
    }
    return LOCAL;
  }
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

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function unauthenticated(message: string): CallError {
  return new CallError("UNAUTHENTICATED", message);
}
