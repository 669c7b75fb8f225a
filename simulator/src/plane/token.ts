import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** Makes and checks the bearer tokens of media connections: JWTs (HS256), one secret per simulator. */
export class TokenMint {
  readonly #secret = randomBytes(32);

  /** A token for one call. Times in unix seconds. */
  issue(callId: string, sessionId: string, nowSeconds: number, lifetimeSeconds: number): string {
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({
      sub: callId,
      sid: sessionId,
      iat: nowSeconds,
      exp: nowSeconds + lifetimeSeconds,
      jti: randomUUID(),
    })}`;
    return `${signed}.${this.#sign(signed)}`;
  }

  /** Why the token does not open this call's media connection; undefined when it does. */
  reject(token: string, callId: string, nowSeconds: number): string | undefined {
    const parts = token.split(".");
    if (parts.length !== 3) return "malformed token";
    const given = Buffer.from(parts[2] as string);
    const expected = Buffer.from(this.#sign(`${parts[0]}.${parts[1]}`));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return "invalid signature";
    const claims = JSON.parse(Buffer.from(parts[1] as string, "base64url").toString()) as {
      sub: string;
      exp: number;
    };
    if (claims.sub !== callId) return "token is for another call";
    return nowSeconds >= claims.exp ? "token has expired" : undefined;
  }

  #sign(text: string): string {
    return createHmac("sha256", this.#secret).update(text).digest("base64url");
  }
}
