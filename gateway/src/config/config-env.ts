import { readFileSync } from "node:fs";
import type { ConfigProblem } from "./config-error.js";
import type { ConfigPath } from "./config-source.js";

/** Variables that replace single keys of the file. */
const OVERRIDES: Readonly<Record<string, ConfigPath>> = {
  CALLWEAVE_GATEWAY_ID: ["gateway", "id"],
  CALLWEAVE_GRPC_HOST: ["gateway", "grpc", "host"],
  CALLWEAVE_GRPC_PORT: ["gateway", "grpc", "port"],
  CALLWEAVE_STATE_DIR: ["gateway", "state_dir"],
  CALLWEAVE_OPS_ENABLED: ["ops", "enabled"],
  CALLWEAVE_OPS_HOST: ["ops", "host"],
  CALLWEAVE_OPS_PORT: ["ops", "port"],
  CALLWEAVE_DESK_HOST: ["desk", "host"],
  CALLWEAVE_DESK_PORT: ["desk", "port"],
  NATS_URL: ["nats", "urls"],
  NATS_CREDENTIALS_FILE: ["nats", "credentials_file"],
  NATS_USER: ["nats", "user"],
  NATS_PASSWORD: ["nats", "password"],
  NATS_TOKEN: ["nats", "token"],
  CALLWEAVE_NATS_WIRE_ENABLED: ["nats", "wire", "enabled"],
  CALLWEAVE_GATEWAYS: ["serve", "gateways"],
  CALLWEAVE_LOG_LEVEL: ["serve", "log_level"],
  CALLWEAVE_EVENTS_RETENTION_DAYS: ["events", "retention_days"],
  CALLWEAVE_CONTEXTS_RETENTION_DAYS: ["contexts", "retention_days"],
  MONGODB_URL: ["contexts", "mongodb", "url"],
  CALLWEAVE_DEFAULT_COUNTRY_CODE: ["contexts", "default_country_code"],
};

type Tree = Record<string, unknown>;

/** What the environment changed. */
export interface AppliedEnvironment {
  readonly value: unknown;
  /** The variable that a path (as text, joined by ".") came from. */
  readonly origin: ReadonlyMap<string, string>;
  readonly problems: readonly ConfigProblem[];
}

/**
 * Puts the environment over the values of the file: single keys, and CALLWEAVE_API_KEYS ("name=key" or
 * "tenant/name=key", by comma or line), which replaces the keys of the file. Each may be given as NAME_FILE, the name
 * of a file that holds it.
 */
export function applyEnvironment(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
): AppliedEnvironment {
  const problems: ConfigProblem[] = [];
  const origin = new Map<string, string>();
  const root = structuredClone(value);
  if (typeof root !== "object" || root === null || Array.isArray(root)) return { value, origin, problems };
  const fail = (key: string, rule: string) =>
    problems.push({ file: "environment", line: 0, column: 0, key, rule });
  const read = (variable: string): string | undefined => readVariable(env, variable, fail);

  for (const [variable, path] of Object.entries(OVERRIDES)) {
    const text = read(variable);
    if (text === undefined) continue;
    put(root as Tree, path, text);
    origin.set(path.join("."), variable);
  }
  const keys = read("CALLWEAVE_API_KEYS");
  if (keys !== undefined) {
    const parsed = parseKeys(keys);
    if (parsed) put(root as Tree, ["gateway", "grpc", "keys"], parsed);
    else fail("CALLWEAVE_API_KEYS", "must be name=key or tenant/name=key, separated by commas");
    origin.set("gateway.grpc.keys", "CALLWEAVE_API_KEYS");
  }
  return { value: root, origin, problems };
}

function readVariable(
  env: Readonly<Record<string, string | undefined>>,
  variable: string,
  fail: (key: string, rule: string) => void,
): string | undefined {
  const text = env[variable] || undefined;
  const file = env[`${variable}_FILE`] || undefined;
  if (file === undefined) return text;
  if (text !== undefined) {
    fail(variable, `must not be given together with ${variable}_FILE`);
    return undefined;
  }
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    fail(`${variable}_FILE`, `cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
    return undefined;
  }
}

function parseKeys(text: string): Tree[] | undefined {
  const keys: Tree[] = [];
  for (const entry of text.split(/[,\n]/)) {
    if (entry.trim() === "") continue;
    const match = /^(?:([^/=\s]+)\/)?([^/=\s]+)=(\S+)$/.exec(entry.trim());
    if (!match) return undefined;
    keys.push({ ...(match[1] && { tenant: match[1] }), name: match[2], key: match[3] });
  }
  return keys;
}

function put(root: Tree, path: ConfigPath, value: unknown): void {
  let at = root;
  for (const step of path.slice(0, -1)) {
    const next = at[step];
    if (typeof next !== "object" || next === null) at[step] = {};
    at = at[step] as Tree;
  }
  at[path.at(-1) as string] = value;
}
