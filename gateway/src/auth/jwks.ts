import { readFile } from "node:fs/promises";
import { createLocalJWKSet, type JSONWebKeySet } from "jose";
import type { Logger } from "../util/logger.js";

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Where the public keys of an issuer come from, and how often they are looked at. */
export interface JwksOptions {
  /** https:// or, on this machine, http://. Exactly one of `url` and `file`. */
  readonly url?: string | undefined;
  /** Absolute. */
  readonly file?: string | undefined;
  /** How often the keys are loaded anew, in ms. Default 300,000. */
  readonly refreshMs: number;
  /** An unknown kid makes them load at once, but not more often than this, in ms. Default 30,000. */
  readonly cooldownMs: number;
  /** How long loading may take, in ms. Default 5,000. */
  readonly timeoutMs: number;
}

/** The longest key set that is read. */
const MAX_JWKS_BYTES = 1024 * 1024;

/** The key set of an issuer. While its source is away the keys that are known go on; without any nobody is let in. */
export class Jwks {
  private keys: { readonly set: KeySet; readonly kids: ReadonlySet<string> } | undefined;
  private loading: Promise<void> | undefined;
  private loadedAtMs = Number.NEGATIVE_INFINITY;
  private triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: JwksOptions,
    private readonly logger: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The keys to look for `kid` in; undefined when there are none. An unknown kid may have come with a rotation. */
  async forKid(kid: string): Promise<KeySet | undefined> {
    const { refreshMs, cooldownMs } = this.options;
    const nowMs = this.now();
    const mayTry = nowMs - this.triedAtMs >= cooldownMs;
    if (!this.keys?.kids.has(kid)) {
      // The first load, or one that is under way, is waited for; afterwards not more often than the cooldown.
      if (mayTry) await this.load();
      else await this.loading;
    } else if (nowMs - this.loadedAtMs >= refreshMs && mayTry) {
      void this.load();
    }
    return this.keys?.kids.has(kid) ? this.keys.set : undefined;
  }

  /** Loads the keys now. Never rejects; what was known stays when it fails. */
  load(): Promise<void> {
    this.triedAtMs = this.now();
    this.loading ??= this.read()
      .then(
        (jwks) => {
          this.keys = { set: createLocalJWKSet(jwks), kids: kidsOf(jwks) };
          this.loadedAtMs = this.now();
        },
        (error: unknown) => {
          const known = this.keys?.kids.size ?? 0;
          const source = this.options.file ?? new URL(this.options.url ?? "").host;
          this.logger.warn(
            { err: error instanceof Error ? error.message : String(error), source, known_keys: known },
            "the keys of an issuer could not be loaded",
          );
        },
      )
      .finally(() => {
        this.loading = undefined;
      });
    return this.loading;
  }

  private async read(): Promise<JSONWebKeySet> {
    const { file, url = "", timeoutMs } = this.options;
    const text = file === undefined ? await fetched(url, timeoutMs) : await readFile(file, "utf8");
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !Array.isArray((value as JSONWebKeySet).keys))
      throw new Error("not a JSON Web Key Set");
    return publicKeys(value as JSONWebKeySet);
  }
}

async function fetched(url: string, timeoutMs: number): Promise<string> {
  const response = await fetch(url, {
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: "application/json, application/jwk-set+json" },
  });
  if (!response.ok) throw new Error(`answered ${response.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MAX_JWKS_BYTES) throw new Error(`longer than ${MAX_JWKS_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Keys that can only be meant for checking signatures, and that are named. A secret key here would be a mistake. */
function publicKeys({ keys }: JSONWebKeySet): JSONWebKeySet {
  return {
    keys: keys.filter(
      (key) =>
        typeof key === "object" &&
        key !== null &&
        ["RSA", "EC", "OKP"].includes(key.kty ?? "") &&
        typeof key.kid === "string" &&
        key.kid !== "" &&
        (key.use === undefined || key.use === "sig"),
    ),
  };
}

function kidsOf({ keys }: JSONWebKeySet): ReadonlySet<string> {
  return new Set(keys.map((key) => key.kid ?? ""));
}
