import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  importPKCS8,
  type JWK,
  SignJWT,
} from "jose";
import { stringify } from "yaml";
import { grantsOf, PLAIN_NAME, ROLE_NAMES } from "../contract/principal.js";
import { StaticKeys, sha256 } from "./static-keys.js";

interface KeyFlags {
  readonly name: string;
  readonly tenant: string;
  readonly role?: string;
  readonly scope: string[];
  readonly pool: string[];
  readonly connector: string[];
  readonly stdin?: boolean;
}

interface TokenFlags extends Omit<KeyFlags, "name" | "stdin"> {
  readonly keyFile: string;
  readonly makeKey?: boolean;
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly ttl: number;
}

/** Adds `key` and `token` to the program. */
export function addAuthCommands(program: Command): void {
  withRights(
    program
      .command("key")
      .description("make a static key: the key on stdout, its entry for the configuration on stderr")
      .requiredOption("--name <name>", "who gets it")
      .option("--stdin", "hash the key that is given on stdin instead of making one"),
  ).action((flags: KeyFlags) => {
    const { key, entry } = makeKey(flags, flags.stdin ? readFileSync(0, "utf8").trim() : undefined);
    if (!flags.stdin) console.log(key);
    console.error(entry);
  });
  withRights(
    program
      .command("token")
      .description("sign a token (JWT) for tests and trials, on stdout")
      .requiredOption("--key-file <file>", "private key: a JWK, or PKCS #8 in PEM")
      .option(
        "--make-key",
        "make an ES256 key in that file if there is none, and its public part in FILE.jwks.json",
      )
      .requiredOption("--issuer <text>", "as auth.issuers[].issuer")
      .requiredOption("--audience <text>", "as auth.issuers[].audience")
      .requiredOption("--subject <name>", "who gets it")
      .option("--ttl <seconds>", "how long it is good", seconds, 3_600),
  ).action(async (flags: TokenFlags) => {
    if (flags.makeKey && !existsSync(flags.keyFile)) {
      const jwksFile = await makeKeyFile(flags.keyFile);
      console.error(`made ${flags.keyFile}; its public part for auth.issuers[].jwks_file: ${jwksFile}`);
    }
    console.log(await signToken(flags));
  });
}

/** A key and its entry of `gateway.grpc.keys`, with the hash alone. Throws on rights that there are not, and weak keys. */
export function makeKey(flags: KeyFlags, given?: string): { readonly key: string; readonly entry: string } {
  const key = given ?? `cw_${randomBytes(32).toString("base64url")}`;
  const { name, tenant, role, scope, pool, connector } = flags;
  // Checked by what will read it, which also refuses a short key.
  new StaticKeys([{ name, tenant, key, role, scopes: scope, pools: pool, connectors: connector }]);
  const entry = {
    name,
    tenant,
    ...(role && { role }),
    ...(scope.length > 0 && { scopes: scope }),
    ...(pool.length > 0 && { pools: pool }),
    ...(connector.length > 0 && { connectors: connector }),
    key_sha256: sha256(key).toString("hex"),
  };
  return { key, entry: stringify({ gateway: { grpc: { keys: [entry] } } }).trimEnd() };
}

/** A signed token. Throws on a key that cannot sign, and on rights that there are not. */
export async function signToken(flags: TokenFlags): Promise<string> {
  const { tenant, role, scope, pool, connector } = flags;
  if (!PLAIN_NAME.test(tenant)) throw new Error(`tenant must match ${PLAIN_NAME.source}`);
  grantsOf({ role, scopes: scope, pools: pool, connectors: connector });
  const { key, alg, kid } = await privateKey(readFileSync(flags.keyFile, "utf8"));
  return new SignJWT({
    tenant,
    ...(role && { role }),
    ...(scope.length > 0 && { scope: scope.join(" ") }),
    ...(pool.length > 0 && { pools: pool }),
    ...(connector.length > 0 && { connectors: connector }),
  })
    .setProtectedHeader({ alg, kid, typ: "JWT" })
    .setIssuer(flags.issuer)
    .setAudience(flags.audience)
    .setSubject(flags.subject)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + flags.ttl)
    .sign(key);
}

/** Makes an ES256 key for its owner alone, and a key set with its public part; answers the name of that. */
export async function makeKeyFile(file: string): Promise<string> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const secret = { ...(await exportJWK(privateKey)), kid, alg: "ES256" };
  writeFileSync(file, `${JSON.stringify(secret, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  const jwksFile = `${file}.jwks.json`;
  const jwks = { keys: [{ ...jwk, kid, alg: "ES256", use: "sig" }] };
  writeFileSync(jwksFile, `${JSON.stringify(jwks, null, 2)}\n`);
  return jwksFile;
}

async function privateKey(text: string) {
  if (text.includes("-----BEGIN")) {
    for (const alg of ["ES256", "RS256", "EdDSA"]) {
      const key = await importPKCS8(text, alg, { extractable: true }).catch(() => undefined);
      if (key) return { key, alg, kid: await calculateJwkThumbprint(await exportJWK(key)) };
    }
    throw new Error("the key is none of ES256, RS256 and EdDSA");
  }
  let jwk: JWK;
  try {
    jwk = JSON.parse(text) as JWK;
  } catch {
    // Not with the text in the message.
    throw new Error("the key file is neither a JWK nor PEM");
  }
  if (jwk.d === undefined || jwk.alg === undefined)
    throw new Error("the key file needs a private JWK with alg");
  return { key: await importJWK(jwk), alg: jwk.alg, kid: jwk.kid ?? (await calculateJwkThumbprint(jwk)) };
}

function withRights(command: Command): Command {
  return command
    .option("--tenant <name>", "its tenant", "default")
    .option("--role <role>", `one of ${ROLE_NAMES.join(", ")}`)
    .option("--scope <scope>", "a single scope; may be given again", collect, [])
    .option("--pool <name>", "narrow to this pool; may be given again", collect, [])
    .option("--connector <name>", "narrow to this connector; may be given again", collect, []);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 31_536_000)
    throw new InvalidArgumentError("must be whole seconds from 1 to 31536000");
  return value;
}
