import { z } from "zod";
import { ALGORITHMS } from "../auth/tokens.js";
import { ROLE_NAMES } from "../contract/principal.js";
import { EMBED_DEFAULTS } from "../desk/options.js";
import { isE164 } from "../util/numbers.js";
import { EVENT_NAMES } from "../webhooks/event-names.js";
import { WEBHOOK_DEFAULTS } from "../webhooks/options.js";
import { HOST_RULE, isHostEntry } from "../webhooks/targets.js";
import { isTimeZone, parseOpening } from "./hours.js";

const DIGITS = /^-?[0-9]+$/;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const NAME_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ -";

function unwrapNumber(value: unknown): unknown {
  return typeof value === "string" && DIGITS.test(value.trim()) ? Number(value) : value;
}

function unwrapBoolean(value: unknown): unknown {
  return value === "true" ? true : value === "false" ? false : value;
}

/** A whole number; also as text, since references to the environment are text. */
function whole(min: number, max: number, standard: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.preprocess(unwrapNumber, z.int(error).min(min, error).max(max, error)).default(standard);
}

function optionalWhole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.preprocess(unwrapNumber, z.int(error).min(min, error).max(max, error).optional()).optional();
}

function yesNo(standard: boolean) {
  return z.preprocess(unwrapBoolean, z.boolean("must be true or false")).default(standard);
}

function text(rule = "must be a text; a number needs quotes") {
  return z.string(rule).min(1, "must not be empty");
}

function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `must be one of ${values.join(", ")}`);
}

const name = z.string(NAME_RULE).regex(NAME, NAME_RULE);

function list<T extends z.ZodType>(item: T) {
  return z.array(item, "must be a list").default([]);
}

function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, { error: sectionError });
}

function isPattern(source: string): boolean {
  try {
    return !new RegExp(source, "gu").test("");
  } catch {
    return false;
  }
}

function sectionError(issue: { readonly code?: string | undefined }): string | undefined {
  return issue.code === "invalid_type" ? "must be a section with keys" : undefined;
}

const redactionPattern = section({
  name,
  pattern: z
    .string("must be a regular expression")
    .min(1, "must not be empty")
    .max(500, "must have at most 500 characters")
    .refine(isPattern, "must be a regular expression that does not match an empty text"),
  mark: z.string("must be a text").max(100, "must have at most 100 characters").default("[redacted]"),
});
/** What a credential allows; checked in full by `checkRights`. */
const rights = {
  role: choice(ROLE_NAMES as [string, ...string[]]).optional(),
  scopes: list(text()),
  pools: list(name),
  connectors: list(name),
};

const key = section({
  name,
  tenant: name.default("default"),
  ...rights,
  key: text().optional(),
  key_file: text().optional(),
  key_sha256: z
    .string("must be 64 hexadecimal digits")
    .regex(/^[0-9a-fA-F]{64}$/, "must be 64 hexadecimal digits")
    .optional(),
});

const httpUrl = z
  .string("must be a text")
  .regex(
    /^(?:https:\/\/|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])[:/])[^\s@]+$/,
    "must be an https:// address, or http:// on this machine",
  );

const issuer = section({
  issuer: text(),
  audience: text(),
  jwks_url: httpUrl.optional(),
  jwks_file: text().optional(),
  algorithms: z
    .array(choice(ALGORITHMS), "must be a list")
    .min(1, "must have one entry at least")
    .default(["RS256", "ES256", "EdDSA"]),
  tenants: z.array(name, "must be a list").min(1, "must have one entry at least").default(["default"]),
  tenant_claim: text().default("tenant"),
  role_claim: text().default("role"),
  scope_claim: text().default("scope"),
  refresh_seconds: whole(1, 86_400, 300),
  cooldown_seconds: whole(1, 3_600, 30),
  timeout_ms: whole(100, 60_000, 5_000),
});

const sanRule = 'must be "URI:…" or "DNS:…" without spaces';
const certificate = section({
  san: z.string(sanRule).regex(/^(?:URI|DNS):\S{1,256}$/, sanRule),
  name: name.optional(),
  tenant: name.default("default"),
  ...rights,
});

/** What somebody has to write who wants a port without any credential. */
export const WITHOUT_KEYS = "Everybody who reaches this port may hear, command and end every call.";

const auth = section({
  issuers: list(issuer),
  certificates: list(certificate),
  leeway_seconds: whole(0, 300, 30),
  expiry_warning_seconds: whole(0, 3_600, 60),
  watch_interval_ms: whole(0, 3_600_000, 2_000),
  without_keys: z.literal(WITHOUT_KEYS, `must be absent, or the sentence "${WITHOUT_KEYS}"`).optional(),
});

const grpc = section({
  host: text().default("127.0.0.1"),
  port: whole(0, 65_535, 7070),
  keys: list(key),
  tls: section({ cert_file: text(), key_file: text(), client_ca_file: text().optional() }).optional(),
  reflection: yesNo(true),
  receive_window_bytes: whole(65_535, 64 * 1024 * 1024, 1024 * 1024),
  max_receive_bytes: whole(65_536, 64 * 1024 * 1024, 1024 * 1024),
  max_connections: whole(1, 100_000, 1000),
  max_concurrent_streams: whole(1, 100_000, 1000),
  keepalive_time_ms: whole(1000, 3_600_000, 10_000),
  keepalive_timeout_ms: whole(100, 600_000, 5000),
  max_listen_ms: whole(100, 60_000, 2000),
  listen_bundle_ms: whole(0, 500, 60),
  watch_bundle_bytes: whole(1, 16 * 1024 * 1024, 16 * 1024),
});

const e164Rule = 'must be a number in E.164 ("+15550100")';
const patternRule = 'must be a number ("+15550100"), the beginning of one ("+1555*"), "withheld" or "*"';
const pattern = z.string(patternRule).regex(/^(?:\+?[0-9*#]*[0-9#]\*?|\*|\+\*|withheld)$/, patternRule);

/** One pattern or a list of them. */
const patterns = z.preprocess(
  (value) => (typeof value === "string" || typeof value === "number" ? [String(value)] : value),
  list(pattern),
);

const RATES = [8000, 16000, 24000] as const;
const rate = z
  .preprocess(unwrapNumber, z.literal(RATES, `must be ${RATES.join(", ").replace(/, (?=\d+$)/, " or ")}`))
  .default(24_000);

const connector = section({
  name,
  tenant: name.default("default"),
  kind: name,
  base_url: z
    .string()
    .regex(/^wss?:\/\/[^\s]+$/, "must be a ws:// or wss:// address")
    .optional(),
  auth: section({
    api_key: text().optional(),
    api_key_file: text().optional(),
    connector_uuid: text().optional(),
    cert_file: text().optional(),
    key_file: text().optional(),
    ca_file: text().optional(),
  }),
  sample_rate_hz: rate,
  audio_mode: choice(["mixed", "isolated"]).default("mixed"),
  call_flow: z
    .preprocess(
      (value) => (value === "leave_as_is" ? undefined : value),
      z
        .strictObject(
          {
            inbound_call: choice(["ALL", "MISSED_ONLY", "NO"]).default("ALL"),
            outbound_call: yesNo(false),
            inbound_message: yesNo(false),
            outbound_message: yesNo(false),
          },
          {
            error: (issue) =>
              issue.code === "invalid_type" ? 'must be "leave_as_is" or a section with keys' : undefined,
          },
        )
        .optional(),
    )
    .optional(),
  inbound: yesNo(true),
  only_callers: list(z.string(e164Rule).refine(isE164, e164Rule)),
  options: z.record(z.string(), z.unknown(), "must be a section with keys").default({}),
});

const hours = section({
  timezone: z.string().refine(isTimeZone, 'must be an IANA time zone ("Europe/Berlin")'),
  open: z
    .array(
      z
        .string("must be a text")
        .refine(
          (opening) => parseOpening(opening) !== undefined,
          'must be like "Mon-Fri 09:00-17:00" or "Sat,Sun 22:00-02:00"',
        ),
      "must be a list",
    )
    .min(1, "must have one entry at least"),
});

const route = section({
  connector: name.optional(),
  callee: patterns,
  caller: patterns,
  hours: hours.optional(),
  pool: name.default("default"),
  tenant: name.optional(),
  locale: z
    .string()
    .regex(/^(?:[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)?$/, 'must be a BCP 47 tag ("en-US")')
    .default(""),
  unserved: choice(["connect", "queue", "answer_and_hold", "announce", "leave"]).default("connect"),
  ring_time_seconds: whole(1, 120, 60),
  announcement: text().optional(),
});

/** A pool; also makes the pool "default" of a tenant that has none. */
export const poolSchema = section({
  name,
  tenant: name.default("default"),
  offer_timeout_ms: whole(100, 60_000, 2000),
  reattach_grace_ms: whole(0, 60_000, 2000),
  heartbeat_interval_ms: whole(50, 60_000, 500),
  heartbeat_misses: whole(1, 100, 3),
  on_agent_lost: choice(["cut", "finish"]).default("cut"),
  answer_on_queue: yesNo(false),
  hold: section({ file: text().optional() }).prefault({}),
  max_queue_seconds: whole(1, 86_400, 600),
  max_reoffer_seconds: whole(1, 86_400, 60),
  reoffer_pause_ms: whole(0, 60_000, 1000),
});

const natsUrlRule = 'must be "nats://host:port" or "tls://host:port", without user and password';
const natsUrl = z.string(natsUrlRule).regex(/^(?:nats|tls):\/\/[^\s@/?#]+$/, natsUrlRule);

const nats = section({
  urls: z.preprocess((value) => (typeof value === "string" ? value.split(/[\s,]+/) : value), list(natsUrl)),
  credentials_file: text().optional(),
  user: text().optional(),
  password: text().optional(),
  password_file: text().optional(),
  token: text().optional(),
  token_file: text().optional(),
  nkey_seed_file: text().optional(),
  tls: section({
    ca_file: text().optional(),
    cert_file: text().optional(),
    key_file: text().optional(),
  }).optional(),
  ping_interval_ms: whole(100, 600_000, 5_000),
  replicas: whole(1, 5, 1),
  event_encoding: choice(["json", "protobuf"]).default("json"),
  wire: section({
    enabled: yesNo(true),
    max_concurrent_requests: whole(1, 100_000, 256),
    max_sessions: whole(1, 1_000_000, 10_000),
    max_audio_publishers: whole(0, 100_000, 1_000),
    listen_lease_seconds: whole(1, 3_600, 30),
    max_listen_ms: whole(100, 60_000, 2_000),
    listen_bundle_ms: whole(0, 500, 60),
  }).prefault({}),
});

const cluster = section({
  beat_interval_ms: whole(50, 60_000, 500),
  lease_ms: whole(200, 600_000, 2_000),
  claim_rank_delay_ms: whole(0, 10_000, 100),
  call_timeout_ms: whole(100, 60_000, 2_000),
  list_timeout_ms: whole(100, 60_000, 1_000),
  max_link_requests: whole(1, 100_000, 2_000),
  takeover_first_pause_ms: whole(10, 60_000, 250),
  takeover_max_pause_ms: whole(10, 600_000, 3_000),
  takeover_give_up_ms: whole(1_000, 3_600_000, 30_000),
  takeover_grace_ms: whole(0, 600_000, 15_000),
  listen_lease_ms: whole(1_000, 600_000, 10_000),
});

const originRule = 'must be an origin ("https://desk.example.com"), without a path';
const ancestorRule = 'must be an origin ("https://crm.example.com", "https://*.example.com"), without a path';
const ANCESTOR = /^https?:\/\/(?:\*\.)?[a-z0-9.-]+(?::[0-9]{1,5})?$/;
const desk = section({
  host: text().default("127.0.0.1"),
  port: optionalWhole(0, 65_535),
  origins: list(z.string(originRule).regex(/^https?:\/\/[a-z0-9.-]+(?::[0-9]{1,5})?$/, originRule)),
  tls: section({ cert_file: text(), key_file: text() }).optional(),
  users: list(
    section({
      name,
      tenant: name.default("default"),
      numbers: list(z.string(e164Rule).refine(isE164, e164Rule)),
      pools: list(name),
    }),
  ),
  embed: section({
    frame_ancestors: list(z.string(ancestorRule).regex(ANCESTOR, ancestorRule)),
    link_ms: whole(1_000, 600_000, EMBED_DEFAULTS.linkMs),
    max_links: whole(1, 100_000, EMBED_DEFAULTS.maxLinks),
    session_ms: whole(1_000, 86_400_000, EMBED_DEFAULTS.sessionMs),
    max_sessions: whole(1, 100_000, EMBED_DEFAULTS.maxSessions),
  }).prefault({}),
  page_dir: text().optional(),
  ticket_ms: whole(1_000, 300_000, 30_000),
  max_tickets: whole(1, 100_000, 1_000),
  max_refusals_per_minute: whole(1, 10_000, 20),
  max_connections: whole(1, 100_000, 1_000),
  max_streams: whole(8, 1_000, 64),
  max_frame_bytes: whole(65_536, 64 * 1024 * 1024, 1024 * 1024),
  max_frames_per_second: whole(60, 100_000, 500),
  max_buffered_bytes: whole(1_048_576, 2 ** 30, 8 * 1024 * 1024),
  max_listen_ms: whole(100, 60_000, 2_000),
  listen_bundle_ms: whole(0, 500, 60),
  ping_interval_ms: whole(500, 600_000, 10_000),
});

const webhook = section({
  name,
  tenant: name.default("default"),
  url: text(),
  secret: text().optional(),
  secret_file: text().optional(),
  previous_secret: text().optional(),
  previous_secret_file: text().optional(),
  events: list(choice(EVENT_NAMES as [string, ...string[]])),
  pools: list(name),
  include_context: choice(["none", "header", "turns"]).default(WEBHOOK_DEFAULTS.includeContext),
  max_context_bytes: whole(1_024, 1_048_576, WEBHOOK_DEFAULTS.maxContextBytes),
  timeout_ms: whole(100, 60_000, WEBHOOK_DEFAULTS.timeoutMs),
  max_concurrent: whole(1, 1_000, WEBHOOK_DEFAULTS.maxConcurrent),
  max_waiting: whole(1, 5_000, WEBHOOK_DEFAULTS.maxWaiting),
  first_retry_ms: whole(10, 60_000, WEBHOOK_DEFAULTS.firstRetryMs),
  max_retry_ms: whole(10, 3_600_000, WEBHOOK_DEFAULTS.maxRetryMs),
  max_age_seconds: whole(0, 2_592_000, WEBHOOK_DEFAULTS.maxAgeSeconds),
  max_dead_letters: whole(1, 100_000, WEBHOOK_DEFAULTS.maxDeadLetters),
  lease_ms: whole(600, 600_000, WEBHOOK_DEFAULTS.leaseMs),
});

const mongodb = section({
  url: z
    .string("must be a text")
    .regex(/^mongodb(?:\+srv)?:\/\/[^\s]+$/, "must be a mongodb:// or mongodb+srv:// address"),
  database: text().optional(),
  collection: text().default("call_contexts"),
  timeout_ms: whole(50, 60_000, 1_000),
  max_pool_size: whole(1, 10_000, 20),
});

/** The file, with all defaults. */
export const configSchema = section({
  gateway: section({
    id: name.optional(),
    grpc: grpc.prefault({}),
    state_dir: text().optional(),
    limits: section({
      max_calls: whole(1, 1_000_000, 2_000),
      max_sessions: whole(1, 1_000_000, 10_000),
      max_listeners_per_call: whole(0, 100_000, 1000),
      media_give_up_ms: whole(1000, 600_000, 10_000),
      shed_above_ms: whole(0, 60_000, 500),
      resume_below_ms: whole(1, 60_000, 200),
      shed_windows: whole(1, 60, 3),
    }).prefault({}),
  }).prefault({}),
  auth: auth.prefault({}),
  audit: section({
    enabled: yesNo(true),
    retention_days: whole(1, 3_650, 365),
    max_bytes: whole(1_048_576, 2 ** 40, 256 * 2 ** 20),
    fsync: choice(["always", "interval", "never"]).default("always"),
    fsync_interval_ms: whole(10, 60_000, 1_000),
    max_queued: whole(100, 1_000_000, 10_000),
    max_refused_per_minute: whole(1, 100_000, 60),
    key_file: text().optional(),
  }).prefault({}),
  connectors: list(connector),
  routes: list(route),
  pools: list(poolSchema),
  playback: section({
    max_seconds: whole(1, 600, 30),
    drain_margin_ms: whole(0, 5000, 200),
  }).prefault({}),
  events: section({
    retention_days: whole(1, 3650, 7),
    max_bytes: whole(1_048_576, 2 ** 50, 2 ** 30),
  }).prefault({}),
  contexts: section({
    retention_days: whole(1, 3650, 30),
    default_country_code: z
      .preprocess(
        (value) => (typeof value === "number" ? String(value) : value),
        z.string().regex(/^(?:[1-9][0-9]{0,2})?$/, 'must be a country code without + ("49")'),
      )
      .default(""),
    redaction: section({
      cards: yesNo(true),
      ibans: yesNo(true),
      emails: yesNo(true),
      patterns: list(redactionPattern),
      hook_file: text().optional(),
    }).prefault({}),
    mongodb: mongodb.optional(),
    spool: section({
      max_local_bytes: whole(65_536, 2 ** 50, 256 * 2 ** 20),
      max_replicated_bytes: whole(65_536, 2 ** 50, 64 * 2 ** 20),
      replicas: whole(0, 5, 0),
      bus_timeout_ms: whole(50, 60_000, 400),
      retry_interval_ms: whole(50, 600_000, 1_000),
      recent_count: whole(0, 10_000_000, 2_000),
      recent_bytes: whole(0, 2 ** 40, 64 * 2 ** 20),
      recent_ms: whole(0, 86_400_000, 900_000),
    }).prefault({}),
  }).prefault({}),
  ops: section({
    enabled: yesNo(true),
    host: text().default("127.0.0.1"),
    port: optionalWhole(0, 65_535),
    max_connections: whole(1, 10_000, 64),
    tenant_labels: yesNo(false),
    metrics: yesNo(true),
  }).prefault({}),
  nats: nats.optional(),
  desk: desk.optional(),
  webhooks: list(webhook),
  webhooks_allowed_hosts: list(z.string(HOST_RULE).refine(isHostEntry, HOST_RULE)),
  cluster: cluster.prefault({}),
  serve: section({
    gateways: whole(1, 64, 1),
    port_step: whole(1, 10_000, 10),
    restart: section({
      first_pause_ms: whole(10, 600_000, 500),
      max_pause_ms: whole(10, 600_000, 30_000),
      max_restarts: whole(0, 1_000, 5),
      window_seconds: whole(1, 86_400, 300),
    }).prefault({}),
    heap_growth_percent: whole(0, 1_000, 100),
    heap_rest_seconds: whole(0, 3_600, 30),
    log_level: choice(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
    drain: section({
      max_wait_seconds: whole(0, 86_400, 3600),
      agents_move_ms: whole(0, 600_000, 5_000),
    }).prefault({}),
  }).prefault({}),
});

/** What the schema gives, before names are in camelCase. */
export type ParsedConfig = z.output<typeof configSchema>;
