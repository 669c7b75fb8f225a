import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, exportSPKI, type JWTPayload, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Authenticator } from "../contract/authenticator.js";
import { FakeLogger } from "../contract/testing.js";
import { makeKey, makeKeyFile, signToken } from "./auth-commands.js";
import type { Issuer } from "./tokens.js";

const ISSUER = "https://issuer.example";
const now = () => Math.floor(Date.now() / 1000);

interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}
let rsa: Pair;
let other: Pair;
let jwks: { keys: object[] };
let folder: string;
let jwksFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "callweave-tokens-"));
  rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  other = generateKeyPairSync("rsa", { modulusLength: 2048 });
  jwks = { keys: [{ ...(await exportJWK(rsa.publicKey)), kid: "k1", alg: "RS256", use: "sig" }] };
  jwksFile = join(folder, "jwks.json");
  writeFileSync(jwksFile, JSON.stringify(jwks));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function issuer(changes: Partial<Issuer> = {}): Issuer {
  return {
    issuer: ISSUER,
    audience: "callweave",
    file: jwksFile,
    algorithms: ["RS256"],
    tenants: ["acme"],
    tenantClaim: "tenant",
    roleClaim: "role",
    scopeClaim: "scope",
    refreshMs: 300_000,
    cooldownMs: 0,
    timeoutMs: 1_000,
    ...changes,
  };
}

const auth = (changes: Partial<Issuer> = {}) =>
  new Authenticator({ issuers: [issuer(changes)] }, { logger: new FakeLogger() });

interface Wanted {
  readonly claims?: JWTPayload;
  readonly header?: Record<string, unknown>;
  readonly key?: KeyObject;
}

function token({ claims = {}, header = {}, key = rsa.privateKey }: Wanted = {}): Promise<string> {
  const all = {
    iss: ISSUER,
    aud: "callweave",
    sub: "desk-1",
    tenant: "acme",
    role: "observer",
    exp: now() + 600,
    ...claims,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(given).setProtectedHeader({ alg: "RS256", kid: "k1", ...header }).sign(key);
}

/** A token whose parts nobody checked. */
function raw(header: object, payload: object, signature = ""): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}

const good = () => ({
  iss: ISSUER,
  aud: "callweave",
  sub: "desk-1",
  tenant: "acme",
  role: "admin",
  exp: now() + 600,
});

describe("tokens", () => {
  it("give tenant, name and rights", async () => {
    const claims = { scope: "note disconnect@pool=sales", pools: ["sales", "support"] };
    const first = await auth().authenticateToken(await token({ claims }), "192.0.2.1:1");
    expect(first).toMatchObject({ tenant: "acme", name: "desk-1", role: "observer", proof: "token" });
    expect(first.grants.get("listen")).toEqual([{ pools: ["sales", "support"], connectors: [] }]);
    expect(first.grants.get("disconnect")).toEqual([{ pools: ["sales"], connectors: [] }]);
    expect(first.grants.has("context:erase")).toBe(false);
    expect(first.endTimeMs).toBe((first.expireTimeMs ?? 0) + 30_000);
    const nothing = await auth().authenticateToken(
      await token({ claims: { role: undefined } }),
      "192.0.2.1:1",
    );
    expect(nothing.grants.size).toBe(0);
  });

  it("may be off by the leeway and no more (fault 48)", async () => {
    for (const [claims, taken] of [
      [{ exp: now() - 25 }, true],
      [{ exp: now() - 35 }, false],
      [{ nbf: now() + 25 }, true],
      [{ nbf: now() + 40 }, false],
    ] as const) {
      const found = await auth()
        .authenticateToken(await token({ claims }), "192.0.2.1:1")
        .catch(() => undefined);
      expect(found !== undefined, JSON.stringify(claims)).toBe(taken);
    }
  });

  const HOSTILE: Record<string, () => string | Promise<string>> = {
    "alg none": () => raw({ alg: "none", kid: "k1" }, good()),
    "alg None, with a signature of nothing": () => raw({ alg: "None", kid: "k1" }, good(), "AA"),
    "alg none without kid": () => raw({ alg: "none" }, good()),
    "HMAC with the public key as its secret": async () => {
      const unsigned = raw({ alg: "HS256", kid: "k1" }, good()).slice(0, -1);
      const secret = await exportSPKI(rsa.publicKey as never);
      return `${unsigned}.${createHmac("sha256", secret).update(unsigned).digest("base64url")}`;
    },
    "an algorithm that the issuer does not list": async () => token({ header: { alg: "PS256" } }),
    "a signature of another key under our kid": () => token({ key: other.privateKey }),
    "a key in its own header": async () =>
      token({ key: other.privateKey, header: { jwk: await exportJWK(other.publicKey) } }),
    "a key set of its own by jku": () =>
      token({ key: other.privateKey, header: { jku: "http://127.0.0.1:9/jwks", kid: "theirs" } }),
    "no kid": () => token({ header: { kid: undefined } }),
    "an unknown kid": () => token({ header: { kid: "k2" } }),
    "a kid that leads elsewhere": () => token({ header: { kid: "../../../../dev/null" } }),
    "a kid with SQL": () => token({ header: { kid: "k1' OR '1'='1" } }),
    "a kid that is no text": () => token({ header: { kid: ["k1"] } }),
    "a kid of an object's own property": () => token({ header: { kid: "__proto__" } }),
    "another audience": () => token({ claims: { aud: "other" } }),
    "no audience": () => token({ claims: { aud: undefined } as never }),
    "another issuer": () => token({ claims: { iss: "https://evil.example" } }),
    "an issuer that begins alike": () => token({ claims: { iss: `${ISSUER}.evil.example` } }),
    "no issuer": () => token({ claims: { iss: undefined } as never }),
    "an issuer that is an object": () => token({ claims: { iss: { toString: 1 } } as never }),
    "no expiry": () => token({ claims: { exp: undefined } as never }),
    "an expiry that is a text": () => token({ claims: { exp: "never" } as never }),
    "expired, of another issuer": () =>
      token({ claims: { exp: now() - 86_400, iss: "https://evil.example" } }),
    "expired, for another audience": () => token({ claims: { exp: now() - 86_400, aud: "other" } }),
    "expired, with a wrong signature": () =>
      token({ claims: { exp: now() - 86_400 }, key: other.privateKey }),
    "not yet valid": () => token({ claims: { nbf: now() + 3_600 } }),
    "no subject": () => token({ claims: { sub: undefined } as never }),
    "a subject with a line break": () => token({ claims: { sub: "operator\nadmin" } }),
    "no tenant": () => token({ claims: { tenant: undefined } }),
    "a tenant the issuer may not speak for": () => token({ claims: { tenant: "globex" } }),
    "a tenant that is a list": () => token({ claims: { tenant: ["acme"] } }),
    "a tenant of the gateways' own": () => token({ claims: { tenant: "_gw" } }),
    "a role that there is not": () => token({ claims: { role: "root" } }),
    "a role of an object's own property": () => token({ claims: { role: "constructor" } }),
    "a scope that there is not": () => token({ claims: { scope: "everything" } }),
    "a narrowing that cannot be read": () => token({ claims: { pools: [1] } }),
    "a critical extension": () => raw({ alg: "RS256", kid: "k1", crit: ["exp"], exp: 1 }, good(), "AA"),
    "a changed payload": async () => {
      const [head, , signature] = (await token()).split(".");
      return `${head}.${Buffer.from(JSON.stringify(good())).toString("base64url")}.${signature}`;
    },
    "no signature": async () => `${(await token()).split(".").slice(0, 2).join(".")}.`,
    "an encrypted one": () => raw({ alg: "RSA-OAEP", enc: "A256GCM", kid: "k1" }, good(), "AA.AA.AA"),
    "three parts of nothing": () => "..",
    "three parts of noise": () => "a.b.c",
    "a very long one": () => token({ claims: { pad: "x".repeat(10_000) } }),
  };

  it.each(Object.keys(HOSTILE))("refuses %s (fault 41)", async (name) => {
    const hostile = (await HOSTILE[name]?.()) ?? "";
    const error = await auth()
      .authenticateToken(hostile, "127.0.0.1:1")
      .catch((thrown: unknown) => thrown);
    // The same answer for all of them: it teaches nothing.
    expect(error).toMatchObject({
      reason: "UNAUTHENTICATED",
      message: "the key is not known here",
      metadata: {},
    });
  });

  it("ends what lasts when its issuer, or its tenant at the issuer, is taken away", async () => {
    const gateway = auth();
    let ended = 0;
    const ben = await gateway.authenticateToken(await token(), "127.0.0.1:1");
    gateway.onTakenAway(ben, () => ended++);
    await gateway.reload({ issuers: [issuer()] });
    expect(ended).toBe(0);
    await gateway.reload({ issuers: [issuer({ tenants: ["globex"] })] });
    expect(ended).toBe(1);
  });

  it("says of an expired one that it is, when nothing else is wrong; within the leeway it is good (fault 39)", async () => {
    const gateway = auth();
    const shown = await token({ claims: { exp: now() - 86_400 } });
    await expect(gateway.authenticateToken(shown, "127.0.0.1:1")).rejects.toMatchObject({
      reason: "UNAUTHENTICATED",
      message: "the token has expired",
      metadata: { why: "expired" },
    });
    const late = await token({ claims: { exp: now() - 20 } });
    expect(await gateway.authenticateToken(late, "127.0.0.1:1")).toMatchObject({ proof: "token" });
  });

  it("cannot be configured with a symmetric algorithm (fault 41)", () => {
    for (const algorithms of [["HS256"], ["none"], []])
      expect(() => auth({ algorithms })).toThrow("algorithms must be");
  });
});

describe("key sets", () => {
  /** A server whose answer the test changes. */
  async function source() {
    const state = { status: 200, body: JSON.stringify(jwks), asked: 0 };
    const server = createServer((_request, response) => {
      state.asked++;
      response
        .writeHead(state.status, state.status === 302 ? { location: "/elsewhere" } : {})
        .end(state.body);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    return { state, url: `http://127.0.0.1:${port}/jwks` };
  }
  const remote = (url: string, changes: Partial<Issuer> = {}) => {
    const { file: _file, ...rest } = issuer(changes);
    return new Authenticator({ issuers: [{ ...rest, url }] }, { logger: new FakeLogger() });
  };
  const login = async (gateway: Authenticator, wanted?: Wanted) =>
    gateway.authenticateToken(await token(wanted), "127.0.0.1:1").then(
      () => true,
      () => false,
    );

  it("are loaded once, and go on while their source is away", async () => {
    const { state, url } = await source();
    const gateway = remote(url, { refreshMs: 1, cooldownMs: 0 });
    expect(await login(gateway, { claims: { jti: "1" } })).toBe(true);
    state.status = 503;
    for (const jti of ["2", "3", "4"]) expect(await login(gateway, { claims: { jti } })).toBe(true);
    expect(state.asked).toBeGreaterThan(1);
  });

  it("let nobody in when they never came", async () => {
    const { state, url } = await source();
    const gateway = remote(url);
    for (const [status, body] of [
      [503, ""],
      [200, "no json"],
      [200, "[]"],
      [302, ""],
      [200, `{"keys":[${" ".repeat(1024 * 1024)}]}`],
    ] as const) {
      Object.assign(state, { status, body });
      expect(await login(gateway), `${status} ${body.slice(0, 10)}`).toBe(false);
    }
    Object.assign(state, { status: 200, body: JSON.stringify(jwks) });
    expect(await login(gateway)).toBe(true);
  });

  it("rotate: an unknown kid is looked for at once, but not more often than the cooldown", async () => {
    const { state, url } = await source();
    const gateway = remote(url, { cooldownMs: 60_000 });
    expect(await login(gateway)).toBe(true);
    const fresh = { ...(await exportJWK(other.publicKey)), kid: "k2", alg: "RS256" };
    state.body = JSON.stringify({ keys: [...jwks.keys, fresh] });
    const byNew = { header: { kid: "k2" }, key: other.privateKey };
    expect(await login(gateway, byNew)).toBe(false);
    expect(state.asked).toBe(1);
    const eager = remote(url, { cooldownMs: 0 });
    expect(await login(eager, byNew)).toBe(true);
    expect(await login(eager, { claims: { jti: "old" } })).toBe(true);
  });

  it("of a secret kind, without kid, or for encryption are as if they were not there", async () => {
    const { state, url } = await source();
    const [key] = jwks.keys as [Record<string, unknown>];
    const gateway = remote(url);
    for (const bad of [
      { ...key, use: "enc" },
      { ...key, kid: undefined },
      { ...key, alg: "PS256" },
      { kty: "oct", kid: "k1", k: "AAAA" },
    ]) {
      state.body = JSON.stringify({ keys: [bad] });
      expect(await login(gateway)).toBe(false);
    }
  });

  it("stay known when the configuration is loaded anew while their source is away", async () => {
    const { state, url } = await source();
    const gateway = remote(url);
    expect(await login(gateway)).toBe(true);
    state.status = 503;
    const { file: _file, ...rest } = issuer();
    await gateway.reload({ issuers: [{ ...rest, url }] });
    expect(await login(gateway, { claims: { jti: "5" } })).toBe(true);
  });
});

describe("commands", () => {
  it("make a key whose hash is its entry", async () => {
    const flags = {
      name: "agents",
      tenant: "acme",
      role: "agent",
      scope: [],
      pool: ["sales"],
      connector: [],
    };
    const { key, entry } = makeKey(flags);
    expect(key).toMatch(/^cw_[A-Za-z0-9_-]{43}$/);
    expect(entry).not.toContain(key);
    const { parse } = await import("yaml");
    const { keys } = (parse(entry) as { gateway: { grpc: { keys: [Record<string, string>] } } }).gateway.grpc;
    const { key_sha256: keySha256 = "", name = "", tenant = "", role = "" } = keys[0];
    const gateway = new Authenticator({ keys: [{ name, tenant, role, keySha256 }] });
    expect(await gateway.authenticateToken(key, "127.0.0.1:1")).toMatchObject({
      name: "agents",
      role: "agent",
    });
    expect(() => makeKey(flags, "short")).toThrow("16 characters");
    expect(() => makeKey({ ...flags, role: "boss" })).toThrow("role must be");
  });

  it("sign a token that the gateway takes", async () => {
    const keyFile = join(folder, "trial.key");
    const file = await makeKeyFile(keyFile);
    const flags = { tenant: "acme", role: "desk", scope: ["audit"], pool: [], connector: [] };
    const signed = await signToken({
      ...flags,
      keyFile,
      issuer: ISSUER,
      audience: "callweave",
      subject: "ben",
      ttl: 60,
    });
    const gateway = auth({ file, algorithms: ["ES256"] });
    const ben = await gateway.authenticateToken(signed, "127.0.0.1:1");
    expect(ben).toMatchObject({ name: "ben", role: "desk", tenant: "acme" });
    expect(ben.grants.has("audit")).toBe(true);
    await expect(
      signToken({ ...flags, role: "x", keyFile, issuer: "", audience: "", subject: "", ttl: 1 }),
    ).rejects.toThrow("role must be");
  });
});
