import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { grantsOf, PLAIN_NAME, type Principal } from "../contract/principal.js";
import type { Logger } from "../util/logger.js";
import { Jwks, type JwksOptions } from "./jwks.js";
import { sha256 } from "./static-keys.js";

/** Signatures that may be allowed: asymmetric ones, so that no public key can be mistaken for a secret. */
export const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

/** Somebody whose tokens are believed. */
export interface Issuer extends JwksOptions {
  /** The claim `iss`, exactly. */
  readonly issuer: string;
  /** The claim `aud` has to name this. */
  readonly audience: string;
  /** Of ALGORITHMS. */
  readonly algorithms: readonly string[];
  /** The tenants that it may speak for. */
  readonly tenants: readonly string[];
  /** The claims that name tenant, role, scopes (a text with spaces, or a list), pools and connectors. */
  readonly tenantClaim: string;
  readonly roleClaim: string;
  readonly scopeClaim: string;
}

/** Options of all tokens. */
export interface TokenOptions {
  readonly issuers: readonly Issuer[];
  /** How far clocks may differ, in seconds. Default 30. */
  readonly leewaySeconds: number;
}

const KID = /^[A-Za-z0-9._~+=:-]{1,200}$/;
const SUBJECT = /^[\x21-\x7e]{1,128}$/;
const MAX_TOKEN_CHARS = 8_192;
/** How long a token that was checked is believed without looking again; a key that was taken away ends sooner or later. */
const REMEMBER_MS = 60_000;
const MAX_REMEMBERED = 10_000;

/** Signed tokens (JWT) of the issuers. */
export class Tokens {
  private readonly issuers: ReadonlyMap<string, { readonly issuer: Issuer; readonly jwks: Jwks }>;
  /** Who said who somebody is. */
  private readonly sources: WeakMap<Principal, string>;
  private readonly remembered = new Map<
    string,
    { readonly principal: Principal; readonly untilMs: number }
  >();

  constructor(
    private readonly options: TokenOptions,
    logger: Logger,
    /** The tokens before a reload: what is known of the same key sets goes on. */
    before?: Tokens,
  ) {
    for (const { algorithms } of options.issuers) {
      const odd = algorithms.find((one) => !(ALGORITHMS as readonly string[]).includes(one));
      if (odd !== undefined || algorithms.length === 0)
        throw new Error(`algorithms must be of ${ALGORITHMS.join(", ")}`);
    }
    this.issuers = new Map(
      options.issuers.map((issuer) => [
        issuer.issuer,
        { issuer, jwks: before?.jwksOf(issuer) ?? new Jwks(issuer, logger) },
      ]),
    );
    this.sources = before?.sources ?? new WeakMap();
    if (this.issuers.size !== options.issuers.length) throw new Error("an issuer is given twice");
  }

  get size(): number {
    return this.issuers.size;
  }

  private jwksOf({ issuer, url, file }: Issuer): Jwks | undefined {
    const known = this.issuers.get(issuer);
    return known && known.issuer.url === url && known.issuer.file === file ? known.jwks : undefined;
  }

  /** Loads the keys of all issuers, so that the first token does not wait for them. Never rejects. */
  async load(): Promise<void> {
    this.remembered.clear();
    await Promise.all([...this.issuers.values()].map(({ jwks }) => jwks.load()));
  }

  /** Whether the issuer of somebody's token is still believed about that tenant. A key that rotated away takes nothing back. */
  has(principal: Principal): boolean {
    const known = this.issuers.get(this.sources.get(principal) ?? "");
    return known?.issuer.tenants.includes(principal.tenant) ?? false;
  }

  /** Whose token it is, if it was checked a moment ago. */
  recall(token: string): Principal | undefined {
    const known = this.remembered.get(memoryKey(token));
    const nowMs = Date.now();
    if (!known || known.untilMs < nowMs || (known.principal.endTimeMs ?? 0) < nowMs) return undefined;
    return known.principal;
  }

  /**
   * Whose token it is; undefined for anything that is not exactly right. What was wrong is for the log alone, but for
   * `expired`: signature, issuer and audience are right then, so that it tells whoever shows it nothing that it cannot read.
   */
  async find(
    token: string,
    onRefused: (why: string, expired: boolean) => void,
  ): Promise<Principal | undefined> {
    const recalled = this.recall(token);
    if (recalled) return recalled;
    try {
      const principal = await this.verified(token);
      this.remember(token, principal);
      return principal;
    } catch (error) {
      onRefused(whyOf(error), error instanceof errors.JWTExpired);
      return undefined;
    }
  }

  private async verified(token: string): Promise<Principal> {
    if (token.length > MAX_TOKEN_CHARS) throw new Error("too long");
    const { kid, alg = "", crit } = decodeProtectedHeader(token);
    if (typeof kid !== "string" || !KID.test(kid)) throw new Error("no usable kid");
    if (crit !== undefined) throw new Error("critical extensions are not known here");
    const known = this.issuers.get(decodeJwt(token).iss ?? "");
    if (!known) throw new Error("issuer not known");
    const { issuer, jwks } = known;
    if (!issuer.algorithms.includes(alg)) throw new Error("algorithm not allowed");
    const keys = await jwks.forKid(kid);
    if (!keys) throw new Error("no key of that kid");
    const { payload } = await jwtVerify(token, keys, {
      algorithms: [...issuer.algorithms],
      issuer: issuer.issuer,
      audience: issuer.audience,
      clockTolerance: this.options.leewaySeconds,
      requiredClaims: ["exp", "sub"],
    });
    return this.principalOf(payload, issuer);
  }

  private principalOf(payload: JWTPayload, issuer: Issuer): Principal {
    const tenant = payload[issuer.tenantClaim];
    if (typeof tenant !== "string" || !PLAIN_NAME.test(tenant) || !issuer.tenants.includes(tenant))
      throw new Error("not a tenant of the issuer");
    const { sub = "", exp = 0 } = payload;
    if (!SUBJECT.test(sub)) throw new Error("sub is not usable as a name");
    const role = payload[issuer.roleClaim] ?? "";
    if (typeof role !== "string") throw new Error("role is not a text");
    const grants = grantsOf({
      role,
      scopes: texts(payload[issuer.scopeClaim]),
      pools: texts(payload.pools),
      connectors: texts(payload.connectors),
    });
    const expireTimeMs = exp * 1000;
    const endTimeMs = expireTimeMs + this.options.leewaySeconds * 1000;
    const found: Principal = { tenant, name: sub, proof: "token", role, grants, expireTimeMs, endTimeMs };
    this.sources.set(found, issuer.issuer);
    return found;
  }

  private remember(token: string, principal: Principal): void {
    this.remembered.set(memoryKey(token), { principal, untilMs: Date.now() + REMEMBER_MS });
    if (this.remembered.size <= MAX_REMEMBERED) return;
    for (const oldest of this.remembered.keys()) {
      this.remembered.delete(oldest);
      break;
    }
  }
}

/** A text with spaces, or a list of texts. A narrowing that cannot be read must not become none. */
function texts(claim: unknown): string[] {
  if (claim === undefined) return [];
  if (typeof claim === "string") return claim.split(" ").filter((one) => one !== "");
  if (Array.isArray(claim) && claim.every((one) => typeof one === "string")) return claim;
  throw new Error("scopes, pools and connectors must be texts");
}

function memoryKey(token: string): string {
  return sha256(token).toString("base64");
}

/** jose's messages name claims and rules, never values. */
function whyOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : "unknown";
}
