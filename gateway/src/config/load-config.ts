import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { camelCased } from "./camel-case.js";
import { applyEnvironment } from "./config-env.js";
import { ConfigError, type ConfigProblem } from "./config-error.js";
import { checkRules, readFiles } from "./config-rules.js";
import { configSchema, type ParsedConfig, poolSchema } from "./config-schema.js";
import { type ConfigPath, ConfigSource, pathText } from "./config-source.js";
import type { ConnectorConfig, GatewayConfig } from "./config-types.js";

/** Where a configuration comes from. */
export interface LoadConfigOptions {
  /** The file. Default: CALLWEAVE_CONFIG, then callweave.yaml in `cwd` if it is there, else defaults alone. */
  readonly file?: string;
  /** Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: that of the process. */
  readonly cwd?: string;
  /** Default: that of the process; decides on the default state folder. */
  readonly platform?: NodeJS.Platform;
  /** Told each file that credentials are read from, the configuration itself among them. */
  readonly onFile?: (file: string) => void;
}

/** File that is read when none is named. */
export const DEFAULT_CONFIG_FILE = "callweave.yaml";

/**
 * Reads the configuration: file, then environment over it, checked, defaults filled in. File names in it are relative
 * to the file. Throws ConfigError with every problem found, its line, column, key and rule.
 */
export function loadConfig(options: LoadConfigOptions = {}): GatewayConfig {
  const { env = process.env, cwd = process.cwd(), platform = process.platform } = options;
  const file = findFile(options.file, env, cwd);
  const source = new ConfigSource(file ?? "defaults", file === undefined ? "" : readText(file), env);
  if (source.problems.length > 0) throw new ConfigError(source.problems);

  const environment = applyEnvironment(source.value, env);
  const problems: ConfigProblem[] = [...environment.problems];
  const fail = (path: ConfigPath, rule: string): void => {
    const origin = originOf(path, environment.origin);
    if (origin) problems.push({ file: "environment", line: 0, column: 0, key: origin, rule });
    else if (file === undefined)
      problems.push({ file: "defaults", line: 0, column: 0, key: pathText(path), rule });
    else problems.push({ file, ...source.place(path), key: pathText(path), rule });
  };
  const stop = () => {
    if (problems.length > 0) throw new ConfigError(problems);
  };

  stop();
  const parsed = configSchema.safeParse(environment.value);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) tellIssue(issue, environment.value, fail);
    stop();
    throw parsed.error;
  }
  const config = parsed.data;
  const folder = file === undefined ? cwd : dirname(file);
  checkRules(config, fail);
  stop();
  tellFiles(config, file, folder, env, options.onFile ?? (() => {}));
  readFiles(config, folder, fail);
  stop();
  addDefaultPools(config);
  return inShape(config, stateDirOf(config, environment.origin, { env, cwd, folder, platform }));
}

/** Before they are read: a file that cannot be used now may be mended later. */
function tellFiles(
  config: ParsedConfig,
  file: string | undefined,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  tell: (file: string) => void,
): void {
  const { keys, tls } = config.gateway.grpc;
  const named = [
    ...keys.map((key) => key.key_file),
    tls?.cert_file,
    tls?.key_file,
    tls?.client_ca_file,
    config.desk?.tls?.cert_file,
    config.desk?.tls?.key_file,
    ...config.auth.issuers.map((issuer) => issuer.jwks_file),
    ...config.connectors.flatMap(({ auth }) => [
      auth.api_key_file,
      auth.cert_file,
      auth.key_file,
      auth.ca_file,
    ]),
    config.nats?.tls?.ca_file,
    config.nats?.tls?.cert_file,
    config.nats?.tls?.key_file,
    config.nats?.password_file,
    config.nats?.token_file,
  ];
  if (file !== undefined) tell(file);
  if (env.CALLWEAVE_API_KEYS_FILE) tell(env.CALLWEAVE_API_KEYS_FILE);
  for (const one of named) if (one !== undefined) tell(resolve(folder, one));
}

function findFile(
  named: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): string | undefined {
  const wanted = named ?? (env.CALLWEAVE_CONFIG || undefined);
  if (wanted !== undefined) return resolve(cwd, wanted);
  const usual = resolve(cwd, DEFAULT_CONFIG_FILE);
  return existsSync(usual) ? usual : undefined;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new ConfigError([{ file, line: 0, column: 0, key: "", rule: `cannot be read (${code})` }]);
  }
}

/** The variable that set the path, or something that contains it. */
function originOf(path: ConfigPath, origin: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const variable = origin.get(path.slice(0, length).join("."));
    if (variable) return variable;
  }
  return undefined;
}

function tellIssue(
  issue: z.core.$ZodIssue,
  input: unknown,
  fail: (path: ConfigPath, rule: string) => void,
): void {
  const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
  if (issue.code === "unrecognized_keys") {
    for (const key of issue.keys) fail([...path, key], unknownKey(key, path));
    return;
  }
  const value = path.reduce<unknown>(
    (at, step) => (typeof at === "object" && at !== null ? (at as Record<string, unknown>)[step] : undefined),
    input,
  );
  fail(path, value === undefined ? "is missing" : issue.message);
}

function unknownKey(key: string, path: ConfigPath): string {
  const known = knownKeys(path);
  const near = known.filter(
    (other) => other.includes(key) || key.includes(other) || distance(key, other) <= 2,
  );
  if (near.length > 0) return `is not known; did you mean ${near.join(" or ")}?`;
  return `is not known; known here: ${known.join(", ")}`;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

/** The schema as JSON Schema, for editors and for the suggestions above. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: "output", unrepresentable: "any" });
}

function knownKeys(path: ConfigPath): string[] {
  let at = configJsonSchema() as JsonSchema | undefined;
  for (const step of path) at = typeof step === "number" ? at?.items : at?.properties?.[step];
  return Object.keys(at?.properties ?? {});
}

/** Edits that turn one word into another. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function addDefaultPools(config: ParsedConfig): void {
  const tenants = new Set(["default"]);
  const named = [
    ...config.gateway.grpc.keys,
    ...config.auth.certificates,
    ...config.connectors,
    ...config.pools,
    ...config.webhooks,
  ];
  for (const { tenant } of named) tenants.add(tenant);
  for (const { tenants: spokenFor } of config.auth.issuers)
    for (const tenant of spokenFor) tenants.add(tenant);
  for (const { tenant } of config.routes) if (tenant !== undefined) tenants.add(tenant);
  for (const tenant of tenants) {
    if (!config.pools.some((p) => p.tenant === tenant && p.name === "default"))
      config.pools.push(poolSchema.parse({ name: "default", tenant }));
  }
}

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly folder: string;
  readonly platform: NodeJS.Platform;
}

function stateDirOf(config: ParsedConfig, origin: ReadonlyMap<string, string>, at: Surroundings): string {
  const dir = config.gateway.state_dir;
  if (dir === undefined) return defaultStateDir(at.env, at.platform);
  return resolve(origin.has("gateway.state_dir") ? at.cwd : at.folder, dir);
}

/** Where programs of a user keep their state: XDG_STATE_HOME, or what the system has for it. */
export function defaultStateDir(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string {
  const home = (platform === "win32" ? env.USERPROFILE : env.HOME) || homedir();
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, "callweave");
  if (platform === "darwin") return join(home, "Library", "Application Support", "callweave");
  if (platform === "win32") return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "callweave");
  return join(home, ".local", "state", "callweave");
}

/** The files of secrets were read and left out already. */
function withoutFiles<T extends { passwordFile?: unknown; tokenFile?: unknown }>(nats: T) {
  const { passwordFile: _password, tokenFile: _token, ...rest } = nats;
  return rest;
}

function inShape(parsed: ParsedConfig, stateDir: string): GatewayConfig {
  const { nats: natsSection, ...config } = camelCased(parsed);
  const { gateway } = config;
  const nats = natsSection && natsSection.urls.length > 0 ? withoutFiles(natsSection) : undefined;
  const keys = gateway.grpc.keys.map(({ keyFile: _file, ...key }) => key);
  const connectors = config.connectors.map(({ auth, options, ...rest }): ConnectorConfig => {
    const { apiKeyFile: _file, ...credentials } = auth;
    return { ...rest, auth: credentials, options: options as Record<string, unknown> };
  });
  const webhooks = config.webhooks.map(
    // One of both is there by the rules.
    ({ secretFile: _file, previousSecretFile: _previous, secret = "", ...hook }) => ({ ...hook, secret }),
  );
  return {
    ...config,
    webhooks,
    ...(nats && { nats }),
    connectors,
    gateway: { ...gateway, stateDir, grpc: { ...gateway.grpc, keys } },
  };
}
