import { timingSafeEqual } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import { type CertificateRule, Certificates } from "../auth/certificates.js";
import { type StaticKey, StaticKeys, sha256 } from "../auth/static-keys.js";
import { type Issuer, Tokens } from "../auth/tokens.js";
import { CallError } from "../call/call-error.js";
import { type Logger, silentLogger } from "../util/logger.js";
import { type Principal, principalOf } from "./principal.js";

export type { Principal as Credential } from "./principal.js";

/** What is believed. Everything empty: this machine alone, everything allowed. */
export interface AuthOptions {
  readonly keys?: readonly StaticKey[];
  readonly issuers?: readonly Issuer[];
  readonly certificates?: readonly CertificateRule[];
  /** How far clocks may differ when tokens are checked, in seconds. Default 30. */
  readonly leewaySeconds?: number;
  /** Without any credentials: everybody who reaches the port may do everything. Default false. */
  readonly openToAll?: boolean;
}

const LOCAL = principalOf("default", "local");

/** True for addresses of this machine alone: 127.0.0.0/8, ::1, "localhost". */
export function isLoopback(address: string): boolean {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  return plain === "localhost" || plain === "::1" || /^127(\.\d{1,3}){3}$/.test(plain);
}

/** Checks credentials, for all wires. Without any configured everything on loopback is taken and nothing else. */
export class Authenticator {
  private keys: StaticKeys;
  private tokens: Tokens;
  private certificates: Certificates;
  private openToAll: boolean;
  private readonly logger: Logger;
  private readonly audit: AuditSink;
  /** What lasts longer than a request, and whose it is. */
  private readonly lasting = new Map<() => void, Principal>();

  /** Throws an Error on what could not protect anything; see StaticKeys, Tokens and Certificates. */
  constructor(options: AuthOptions, news: { readonly logger?: Logger; readonly audit?: AuditSink } = {}) {
    this.logger = news.logger ?? silentLogger;
    this.audit = news.audit ?? NO_AUDIT;
    const made = this.make(options);
    this.keys = made.keys;
    this.tokens = made.tokens;
    this.certificates = made.certificates;
    this.openToAll = options.openToAll ?? false;
  }

  /** False: only loopback is served, unless `isOpenToAll`. */
  get hasKeys(): boolean {
    return this.keys.size + this.tokens.size + this.certificates.size > 0;
  }

  /** Everybody is served without a credential: somebody said so in plain words. */
  get isOpenToAll(): boolean {
    return this.openToAll && !this.hasKeys;
  }

  /** Other keys, issuers and rules from now on; throws, and keeps the old ones, when they cannot be. */
  async reload(options: AuthOptions): Promise<void> {
    const made = this.make(options, this);
    if (
      !options.openToAll &&
      this.hasKeys &&
      made.keys.size + made.tokens.size + made.certificates.size === 0
    )
      throw new Error("the last credential cannot be taken away while the gateway runs");
    await made.tokens.load();
    Object.assign(this, made);
    this.openToAll = options.openToAll ?? false;
    const ended = [...this.lasting].filter(([, principal]) => !this.isGood(principal));
    for (const [end] of ended) end();
    const details = { ended: String(ended.length) };
    this.audit.record({ tenant: "", kind: "CREDENTIALS_RELOADED", actor: "gateway", operation: "", details });
  }

  /**
   * `end` is told once when a reload takes away what somebody shows: the key, the rule for the certificate, the issuer, or some
   * of its rights; on the next turn when that has happened already. Answers how to stop. Whether it expires is not looked at.
   */
  onTakenAway(principal: Principal, end: () => void): () => void {
    let stopped = false;
    const once = () => {
      this.lasting.delete(once);
      if (!stopped) end();
      stopped = true;
    };
    this.lasting.set(once, principal);
    if (!this.isGood(principal)) setImmediate(once);
    return () => {
      stopped = true;
      this.lasting.delete(once);
    };
  }

  private isGood(principal: Principal): boolean {
    switch (principal.proof) {
      case "local":
        return !this.hasKeys;
      case "key":
        return this.keys.has(principal);
      case "token":
        return this.tokens.has(principal);
      case "certificate":
        return this.certificates.has(principal);
    }
  }

  /** Loads the keys of issuers. Never rejects. */
  async start(): Promise<void> {
    await this.tokens.load();
  }

  /**
   * From all values of the header `authorization: Bearer <key or token>`, else from a client certificate that TLS has
   * checked. `peer` is "address:port". Throws UNAUTHENTICATED.
   */
  async authenticate(
    values: readonly unknown[],
    peer: string,
    certificate?: PeerCertificate,
  ): Promise<Principal> {
    if (!this.hasKeys) return this.local(peer);
    const shown = this.certificates.find(certificate);
    if (values.length === 0 && shown) return shown;
    if (values.length !== 1)
      throw this.refused(peer, "exactly one authorization entry is needed: Bearer <key>");
    const match = BEARER.exec(String(values[0]).trim());
    if (!match) throw this.refused(peer, "authorization must be: Bearer <key>");
    const principal = await this.authenticateToken(match[1] as string, peer);
    // The word of the certificate is the stronger one.
    if (shown && shown.tenant !== principal.tenant)
      throw this.refused(peer, "the key is not of the certificate's tenant");
    return principal;
  }

  /** A bare token. Throws UNAUTHENTICATED. */
  async authenticateToken(token: string, peer: string): Promise<Principal> {
    if (!this.hasKeys) return this.local(peer);
    const found = this.keys.find(token);
    if (found) return found;
    let why = "not a key and not a token";
    if (this.tokens.size > 0 && token.split(".").length === 3) {
      let isExpired = false;
      const principal = await this.tokens.find(token, (reason, expired) => {
        why = reason;
        isExpired = expired;
      });
      if (principal) return principal;
      if (isExpired) throw this.refused(peer, "the token has expired", why, { why: "expired" });
    }
    throw this.refused(peer, "the key is not known here", why);
  }

  /** Whose credential this is, as far as that is known without waiting: a key, or a token that was checked lately. */
  recognise(values: readonly unknown[], peer: string): Principal | undefined {
    if (!this.hasKeys) {
      try {
        return this.local(peer);
      } catch {
        return undefined;
      }
    }
    const token = values.length === 1 ? BEARER.exec(String(values[0]).trim())?.[1] : undefined;
    return token === undefined ? undefined : (this.keys.find(token) ?? this.tokens.recall(token));
  }

  private make(options: AuthOptions, before?: Authenticator) {
    const { keys = [], issuers = [], certificates = [], leewaySeconds = 30 } = options;
    return {
      keys: new StaticKeys(keys, before?.keys),
      tokens: new Tokens({ issuers, leewaySeconds }, this.logger, before?.tokens),
      certificates: new Certificates(certificates, before?.certificates),
    };
  }

  private local(peer: string): Principal {
    if (!this.openToAll && !isLoopback(peer.slice(0, Math.max(0, peer.lastIndexOf(":")))))
      throw this.refused(peer, "without configured keys only this machine is served");
    return LOCAL;
  }

  private refused(
    peer: string,
    message: string,
    why = message,
    metadata: Readonly<Record<string, string>> = {},
  ): CallError {
    const address = peer.slice(0, Math.max(0, peer.lastIndexOf(":"))) || "unknown";
    this.logger.debug({ peer: address, why }, "a credential was refused");
    this.audit.record({
      tenant: "",
      kind: "AUTHENTICATION_REFUSED",
      actor: address,
      operation: "",
      details: { reason: why },
    });
    return new CallError("UNAUTHENTICATED", message, metadata);
  }
}

const BEARER = /^bearer +(\S+)$/i;

/** The token of an authorization header, hashed for comparing; undefined when there is none. */
export function bearerHash(value: string | undefined): Buffer | undefined {
  const token = value === undefined ? undefined : BEARER.exec(value.trim())?.[1];
  return token === undefined ? undefined : sha256(token);
}

/** Whether two hashes of tokens are the same; both may be of nobody. */
export function sameHash(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : timingSafeEqual(a, b);
}
