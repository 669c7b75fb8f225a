import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { readWav } from "../audio/wav.js";
import { parseScope } from "../contract/principal.js";
import { MIN_SECRET_LENGTH } from "../webhooks/options.js";
import { AllowedHosts } from "../webhooks/targets.js";
import type { ParsedConfig } from "./config-schema.js";
import type { ConfigPath } from "./config-source.js";
import { DEFAULT_PORTS, memberPort } from "./member-config.js";

/** Tells a problem. */
export type Fail = (path: ConfigPath, rule: string) => void;

const LOOPBACK = /^(?:localhost|::1|127(?:\.[0-9]{1,3}){3})$/;

/** What the schema cannot say: names that must exist or be unique, keys that go together, exposure without keys. */
export function checkRules(config: ParsedConfig, fail: Fail): void {
  checkGrpc(config, fail);
  checkAuthSection(config, fail);
  checkNats(config.nats, fail);
  checkDesk(config, fail);
  checkGateways(config, fail);
  checkWebhooks(config, fail);
  checkTenants(config, fail);
  if (config.cluster.lease_ms < 2 * config.cluster.beat_interval_ms)
    fail(["cluster", "lease_ms"], "must be at least twice beat_interval_ms");
  const { shed_above_ms, resume_below_ms } = config.gateway.limits;
  if (shed_above_ms > 0 && resume_below_ms > shed_above_ms)
    fail(["gateway", "limits", "resume_below_ms"], "must be at most shed_above_ms");
  checkUnique(config.connectors, (c) => c.name, ["connectors"], "name", fail);
  checkUnique(config.pools, (p) => `${p.tenant}/${p.name}`, ["pools"], "name", fail);
  config.connectors.forEach((connector, i) => {
    checkAuth(connector.auth, ["connectors", i, "auth"], fail);
  });
  config.routes.forEach((route, i) => {
    checkRoute(config, route, ["routes", i], fail);
  });
}

function checkGrpc(config: ParsedConfig, fail: Fail): void {
  const { host, keys } = config.gateway.grpc;
  const path = ["gateway", "grpc"];
  const { issuers, certificates, without_keys } = config.auth;
  const credentials = keys.length + issuers.length + certificates.length;
  if (!LOOPBACK.test(host) && credentials === 0 && without_keys === undefined)
    fail([...path, "host"], "must be a loopback address (127.0.0.1, ::1, localhost) unless keys are set");
  checkKeyNames(keys, [...path, "keys"], fail);
  checkUnique(keys, (key) => key.key, [...path, "keys"], "key", fail);
  checkUnique(keys, (key) => key.key_sha256?.toLowerCase(), [...path, "keys"], "key_sha256", fail);
  keys.forEach(({ key, key_file, key_sha256 }, i) => {
    const given = [key, key_file, key_sha256].filter((value) => value !== undefined).length;
    if (given !== 1) fail([...path, "keys", i], "must have exactly one of key, key_file and key_sha256");
    else if (key !== undefined) checkKey(key, [...path, "keys", i, "key"], fail);
  });
}

/** Of the 64 characters of a name, for `-64`. */
const MAX_BASE_ID = 61;

function checkGateways({ serve, gateway, ops, desk, nats }: ParsedConfig, fail: Fail): void {
  const { gateways, port_step, restart } = serve;
  if (restart.max_pause_ms < restart.first_pause_ms)
    fail(["serve", "restart", "max_pause_ms"], "must be at least first_pause_ms");
  if (gateways === 1) return;
  if ((nats?.urls.length ?? 0) === 0)
    fail(
      ["serve", "gateways"],
      "above 1 needs nats.urls (NATS_URL): without NATS gateways know nothing of each other",
    );
  if ((gateway.id?.length ?? 0) > MAX_BASE_ID)
    fail(["gateway", "id"], `must have at most ${MAX_BASE_ID} characters with several gateways`);
  const first = [
    gateway.grpc.port,
    ops.enabled ? (ops.port ?? DEFAULT_PORTS.ops) : 0,
    desk ? (desk.port ?? DEFAULT_PORTS.desk) : 0,
  ].filter((port) => port > 0);
  const numbers = Array.from({ length: gateways }, (_, i) => i + 1);
  const ports = first.flatMap((port) => numbers.map((number) => memberPort(port, number, port_step)));
  if (new Set(ports).size < ports.length)
    fail(["serve", "port_step"], `must keep the ports of all gateways apart: ${ports.join(", ")}`);
  if (Math.max(0, ...ports) > 65_535)
    fail(["serve", "port_step"], `must keep ports up to 65535: ${Math.max(...ports)}`);
}

function checkDesk({ desk, gateway, auth, pools }: ParsedConfig, fail: Fail): void {
  if (!desk) return;
  const exposed = gateway.grpc.keys.length + auth.issuers.length > 0 || auth.without_keys !== undefined;
  if (!LOOPBACK.test(desk.host) && !exposed)
    fail(["desk", "host"], "must be a loopback address (127.0.0.1, ::1, localhost) unless keys are set");
  if (!LOOPBACK.test(desk.host) && desk.origins.length === 0)
    fail(["desk", "origins"], "must name the addresses of the page when host is not a loopback address");
  desk.origins.forEach((origin, i) => {
    if (!exposed && !LOOPBACK.test(new URL(origin).hostname))
      fail(["desk", "origins", i], "must be of a loopback address unless keys are set");
  });
  checkUnique(desk.users, (u) => `${u.tenant}/${u.name}`, ["desk", "users"], "name", fail);
  desk.users.forEach((user, i) => {
    user.pools.forEach((pool, j) => {
      const known = pools.some((p) => p.tenant === user.tenant && p.name === pool);
      if (!known && pool !== "default")
        fail(["desk", "users", i, "pools", j], `must be a pool of tenant ${user.tenant}`);
    });
  });
}

function checkWebhooks(config: ParsedConfig, fail: Fail): void {
  const { webhooks, webhooks_allowed_hosts, pools } = config;
  const hosts = new AllowedHosts(webhooks_allowed_hosts);
  checkUnique(webhooks, (hook) => `${hook.tenant}/${hook.name}`, ["webhooks"], "name", fail);
  webhooks.forEach((hook, i) => {
    const path = ["webhooks", i];
    const problem = hosts.problemOf(hook.url);
    if (problem !== undefined) fail([...path, "url"], problem);
    if ((hook.secret === undefined) === (hook.secret_file === undefined))
      fail(path, "must have exactly one of secret and secret_file");
    if (hook.previous_secret !== undefined && hook.previous_secret_file !== undefined)
      fail(path, "must not have both previous_secret and previous_secret_file");
    for (const field of WEBHOOK_SECRETS) checkSecret(hook[field], [...path, field], fail);
    if (hook.max_retry_ms < hook.first_retry_ms)
      fail([...path, "max_retry_ms"], "must be at least first_retry_ms");
    hook.pools.forEach((pool, j) => {
      if (pool !== "default" && !pools.some((p) => p.tenant === hook.tenant && p.name === pool))
        fail([...path, "pools", j], `must be a pool of tenant ${hook.tenant}`);
    });
  });
}

const WEBHOOK_SECRETS = ["secret", "previous_secret"] as const;

function checkSecret(secret: string | undefined, path: ConfigPath, fail: Fail): void {
  if (secret !== undefined && secret.length < MIN_SECRET_LENGTH)
    fail(path, `must have ${MIN_SECRET_LENGTH} characters at least`);
}

/** A name may have two keys, so that one can leave while another comes; they have the same rights. */
function checkKeyNames(keys: ParsedConfig["gateway"]["grpc"]["keys"], path: ConfigPath, fail: Fail): void {
  keys.forEach((key, i) => {
    checkRights(key, [...path, i], fail);
    const earlier = keys
      .slice(0, i)
      .filter((other) => other.name === key.name && other.tenant === key.tenant);
    if (earlier.length > 1) fail([...path, i, "name"], "must not be given more than twice");
    const rights = ({ role, scopes, pools, connectors }: typeof key) =>
      JSON.stringify([role, scopes, pools, connectors]);
    const [first] = earlier;
    if (first && rights(first) !== rights(key))
      fail([...path, i, "name"], "must not be given twice with different rights");
  });
}

function checkRights(
  rights: { role?: string | undefined; scopes: string[]; pools: string[]; connectors: string[] },
  path: ConfigPath,
  fail: Fail,
): void {
  rights.scopes.forEach((scope, i) => {
    try {
      parseScope(scope);
    } catch (error) {
      fail([...path, "scopes", i], `must be right: ${(error as Error).message}`);
    }
  });
}

function checkAuthSection(config: ParsedConfig, fail: Fail): void {
  const { issuers, certificates, without_keys } = config.auth;
  checkUnique(issuers, (one) => one.issuer, ["auth", "issuers"], "issuer", fail);
  issuers.forEach((issuer, i) => {
    if ((issuer.jwks_url === undefined) === (issuer.jwks_file === undefined))
      fail(["auth", "issuers", i], "must have exactly one of jwks_url and jwks_file");
    for (const tenant of issuer.tenants)
      if (tenant.startsWith("_")) fail(["auth", "issuers", i, "tenants"], "must not begin with _");
  });
  certificates.forEach((certificate, i) => {
    const path = ["auth", "certificates", i];
    checkRights(certificate, path, fail);
    if (certificate.role === undefined && certificate.scopes.length === 0)
      fail(path, "must have a role or scopes");
  });
  if (certificates.length > 0 && config.gateway.grpc.tls?.client_ca_file === undefined)
    fail(["auth", "certificates"], "need gateway.grpc.tls.client_ca_file");
  if (
    without_keys !== undefined &&
    config.gateway.grpc.keys.length + issuers.length + certificates.length > 0
  )
    fail(["auth", "without_keys"], "must be absent where there are keys, issuers or certificates");
}

/** Names with _ in front are the gateways' own on NATS. */
function checkTenants(config: ParsedConfig, fail: Fail): void {
  const check = (items: readonly { readonly tenant?: string | undefined }[], path: ConfigPath) =>
    items.forEach(({ tenant }, i) => {
      if (tenant?.startsWith("_")) fail([...path, i, "tenant"], "must not begin with _");
    });
  check(config.gateway.grpc.keys, ["gateway", "grpc", "keys"]);
  check(config.auth.certificates, ["auth", "certificates"]);
  check(config.connectors, ["connectors"]);
  check(config.routes, ["routes"]);
  check(config.pools, ["pools"]);
  check(config.desk?.users ?? [], ["desk", "users"]);
  check(config.webhooks, ["webhooks"]);
}

function checkNats(nats: ParsedConfig["nats"], fail: Fail): void {
  if (!nats) return;
  for (const secret of ["password", "token"] as const) {
    if (nats[secret] !== undefined && nats[`${secret}_file`] !== undefined)
      fail(["nats"], `must not have both ${secret} and ${secret}_file`);
  }
  const password = nats.password ?? nats.password_file;
  if ((nats.user === undefined) !== (password === undefined))
    fail(["nats"], "must have user and password together");
  const ways = [nats.credentials_file, nats.user, nats.token ?? nats.token_file, nats.nkey_seed_file];
  if (ways.filter((way) => way !== undefined).length > 1)
    fail(["nats"], "must have at most one of credentials_file, user with password, token, nkey_seed_file");
  if ((nats.tls?.cert_file === undefined) !== (nats.tls?.key_file === undefined))
    fail(["nats", "tls"], "must have cert_file and key_file together");
  if (nats.replicas % 2 === 0) fail(["nats", "replicas"], "must be 1, 3 or 5");
}

function checkKey(key: string, path: ConfigPath, fail: Fail): void {
  if (!/^\S{16,}$/.test(key)) fail(path, "must have at least 16 characters and no spaces");
}

function checkAuth(auth: ParsedConfig["connectors"][number]["auth"], path: ConfigPath, fail: Fail): void {
  const { api_key, api_key_file, connector_uuid, cert_file, key_file } = auth;
  if (api_key !== undefined && api_key_file !== undefined)
    fail(path, "must not have both api_key and api_key_file");
  const byKey = (api_key ?? api_key_file) !== undefined || connector_uuid !== undefined;
  const byCert = cert_file !== undefined || key_file !== undefined;
  const complete = byCert
    ? cert_file !== undefined && key_file !== undefined
    : (api_key ?? api_key_file) !== undefined && connector_uuid !== undefined;
  if (byKey === byCert || !complete)
    fail(path, "must have either api_key and connector_uuid, or cert_file and key_file");
}

function checkRoute(
  config: ParsedConfig,
  route: ParsedConfig["routes"][number],
  path: ConfigPath,
  fail: Fail,
): void {
  const { connectors, pools } = config;
  const named = connectors.find((c) => c.name === route.connector);
  if (route.connector !== undefined && !named) {
    fail([...path, "connector"], `must be one of the connectors (${listed(connectors)})`);
    return;
  }
  const tenants =
    route.tenant !== undefined
      ? [route.tenant]
      : named
        ? [named.tenant]
        : connectors.length > 0
          ? [...new Set(connectors.map((c) => c.tenant))]
          : ["default"];
  for (const tenant of tenants) {
    const known = pools.filter((p) => p.tenant === tenant);
    if (route.pool === "default" || known.some((p) => p.name === route.pool)) continue;
    fail(
      [...path, "pool"],
      `must be a pool of tenant ${tenant} (${listed([{ name: "default" }, ...known])})`,
    );
  }
  if (route.unserved === "announce" && route.announcement === undefined)
    fail([...path, "unserved"], "announce needs an announcement");
}

function listed(items: readonly { readonly name: string }[]): string {
  return [...new Set(items.map((item) => item.name))].join(", ") || "there are none";
}

function checkUnique<T>(
  items: readonly T[],
  value: (item: T) => string | undefined,
  path: ConfigPath,
  field: string,
  fail: Fail,
): void {
  const seen = new Set<string>();
  items.forEach((item, i) => {
    const text = value(item);
    if (text === undefined) return;
    if (seen.has(text)) fail([...path, i, field], "must not be given twice");
    seen.add(text);
  });
}

/** Makes file names absolute, reads secrets from their files, checks that audio files can be used. */
export function readFiles(config: ParsedConfig, folder: string, fail: Fail): void {
  const tls = config.gateway.grpc.tls;
  for (const field of ["cert_file", "key_file", "client_ca_file"] as const) {
    if (tls?.[field] === undefined) continue;
    tls[field] = checkedFile(folder, tls[field], ["gateway", "grpc", "tls", field], fail);
  }
  const desk = config.desk;
  for (const field of ["cert_file", "key_file"] as const) {
    if (desk?.tls) desk.tls[field] = checkedFile(folder, desk.tls[field], ["desk", "tls", field], fail);
  }
  readWebhookSecrets(config.webhooks, folder, fail);
  if (desk?.page_dir !== undefined) desk.page_dir = resolve(folder, desk.page_dir);
  config.gateway.grpc.keys.forEach((key, i) => {
    if (key.key_file === undefined) return;
    const path = ["gateway", "grpc", "keys", i, "key_file"];
    key.key = contents(resolve(folder, key.key_file), path, fail)?.toString("utf8").trim();
    if (key.key !== undefined) checkKey(key.key, path, fail);
    delete key.key_file;
  });
  config.connectors.forEach(({ auth }, i) => {
    const path = ["connectors", i, "auth"];
    for (const field of ["cert_file", "key_file", "ca_file"] as const) {
      if (auth[field] !== undefined) auth[field] = checkedFile(folder, auth[field], [...path, field], fail);
    }
    if (auth.api_key_file === undefined) return;
    const file = resolve(folder, auth.api_key_file);
    auth.api_key = contents(file, [...path, "api_key_file"], fail)
      ?.toString("utf8")
      .trim();
    delete auth.api_key_file;
  });
  const { redaction } = config.contexts;
  if (redaction.hook_file !== undefined) {
    const path = ["contexts", "redaction", "hook_file"];
    redaction.hook_file = checkedFile(folder, redaction.hook_file, path, fail);
  }
  config.auth.issuers.forEach((issuer, i) => {
    if (issuer.jwks_file !== undefined)
      issuer.jwks_file = checkedFile(folder, issuer.jwks_file, ["auth", "issuers", i, "jwks_file"], fail);
  });
  const { audit } = config;
  if (audit.key_file !== undefined)
    audit.key_file = checkedFile(folder, audit.key_file, ["audit", "key_file"], fail);
  if (config.nats) readNatsFiles(config.nats, folder, fail);
  config.pools.forEach(({ hold }, i) => {
    if (hold.file !== undefined)
      hold.file = checkedWav(folder, hold.file, ["pools", i, "hold", "file"], fail);
  });
  config.routes.forEach((route, i) => {
    if (route.announcement !== undefined)
      route.announcement = checkedWav(folder, route.announcement, ["routes", i, "announcement"], fail);
  });
}

function readWebhookSecrets(webhooks: ParsedConfig["webhooks"], folder: string, fail: Fail): void {
  webhooks.forEach((hook, i) => {
    for (const secret of WEBHOOK_SECRETS) {
      const file = hook[`${secret}_file`];
      if (file === undefined) continue;
      const path = ["webhooks", i, `${secret}_file`];
      const value = contents(resolve(folder, file), path, fail)?.toString("utf8").trim();
      checkSecret(value, path, fail);
      if (value !== undefined) hook[secret] = value;
      delete hook[`${secret}_file`];
    }
  });
}

function readNatsFiles(nats: NonNullable<ParsedConfig["nats"]>, folder: string, fail: Fail): void {
  for (const field of ["credentials_file", "nkey_seed_file"] as const) {
    const name = nats[field];
    if (name !== undefined) nats[field] = checkedFile(folder, name, ["nats", field], fail);
  }
  for (const field of ["ca_file", "cert_file", "key_file"] as const) {
    const name = nats.tls?.[field];
    if (nats.tls && name !== undefined)
      nats.tls[field] = checkedFile(folder, name, ["nats", "tls", field], fail);
  }
  for (const secret of ["password", "token"] as const) {
    const name = nats[`${secret}_file`];
    if (name === undefined) continue;
    const value = contents(resolve(folder, name), ["nats", `${secret}_file`], fail);
    if (value) nats[secret] = value.toString("utf8").trim();
    delete nats[`${secret}_file`];
  }
}

function contents(file: string, path: ConfigPath, fail: Fail): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    fail(path, `must be a file that can be read (${code})`);
    return undefined;
  }
}

function checkedFile(folder: string, name: string, path: ConfigPath, fail: Fail): string {
  const file = resolve(folder, name);
  contents(file, path, fail);
  return file;
}

function checkedWav(folder: string, name: string, path: ConfigPath, fail: Fail): string {
  const file = resolve(folder, name);
  const bytes = contents(file, path, fail);
  if (!bytes) return file;
  try {
    readWav(bytes);
  } catch (error) {
    fail(path, `must be a WAV file that can be played: ${(error as Error).message}`);
  }
  return file;
}
