import type { BackoffOptions } from "./backoff.js";
import type { CallFlow } from "./messages.js";

/** How the gateway shows who it is. */
export type TelcoflowAuth =
  | { readonly apiKey: string; readonly connectorUuid: string }
  /** Mutual TLS; PEM texts. */
  | { readonly cert: string; readonly key: string };

/** What may be replaced while a connector runs. */
export interface TelcoflowCredentials {
  readonly auth: TelcoflowAuth;
  /** Certificate authorities to trust, PEM text. Default: those of Node.js. */
  readonly ca?: string;
}

/** What must be said about a connector. */
export interface TelcoflowOptions extends Partial<TelcoflowLimits>, TelcoflowCredentials {
  /** Name of the connector in calls, logs and metrics. */
  readonly name: string;
  /** wss:// or ws:// address of the provider. Default the production address. */
  readonly baseUrl?: string;
  /** Rate of all calls of the connector: 8000, 16000 or 24000. Default 16000. */
  readonly sampleRateHz?: 8000 | 16000 | 24000;
  /** "isolated": while spying, each leg alone on channels 1, 2, …. Default "mixed". */
  readonly audioMode?: "mixed" | "isolated";
  /** Sent after each sign-in, since the provider forgets it. Default: left as it is. */
  readonly callFlow?: CallFlow;
  /**
   * Hosts that media may come from beside the base URL's: "media.example.com" or ".example.com", with or without ":port".
   * Default: none; at the production address, every host of the provider's domain.
   */
  readonly mediaHosts?: readonly string[];
  /** Version told to the provider, which may refuse an old one (HTTP 426). Default "1.0.0". */
  readonly sdkVersion?: string;
  /**
   * Told every text frame of the provider as it came, before it is read; for diagnosis. Frames hold numbers and tokens:
   * never log them. Must not throw.
   */
  readonly observer?: FrameObserver;
}

/** See TelcoflowOptions.observer. */
export type FrameObserver = (connection: "control" | "media", text: string) => void;

/** All limits and waits. Times in milliseconds, sizes in bytes, unless the name says otherwise. */
export interface TelcoflowLimits {
  /** TCP, TLS and upgrade of a websocket. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /** From the open control connection to `setup.done`; then reconnect. Default 10,000. */
  readonly setupTimeoutMs: number;
  /** Answer to a control request. Default 30,000. */
  readonly requestTimeoutMs: number;
  /** REST request, from start to the last byte. Default 10,000. */
  readonly restTimeoutMs: number;
  /** Longest REST answer read. Default 4 MiB. */
  readonly restMaxBytes: number;
  /** Control: a ping this often; no sign of life for `controlPongTimeoutMs` after it: reconnect. Default 30,000. */
  readonly controlPingMs: number;
  /** Default 10,000. */
  readonly controlPongTimeoutMs: number;
  /** Media: likewise. Default 20,000. */
  readonly mediaPingMs: number;
  /** Default 20,000. */
  readonly mediaPongTimeoutMs: number;
  /** Closing handshake of a websocket; then it is cut. Default 3,000. */
  readonly closeTimeoutMs: number;
  /** Waits between control connections: 500 × 1.5ⁿ up to 10,000, + 0–20 %, over again after 30,000 of stability. */
  readonly reconnect: BackoffOptions;
  /** Longest wait before a reconnect that the provider may ask for (Retry-After). Default 60,000. */
  readonly maxRetryAfterMs: number;
  /** Longest message of the control connection; a longer one closes it (1009). Default 256 KiB. */
  readonly controlMaxPayloadBytes: number;
  /** Longest message of a media connection; a longer one closes it (1009). Default 64 KiB. */
  readonly mediaMaxPayloadBytes: number;
  /** Fragments of one message; more close the connection (1008). Default 256. */
  readonly maxFragments: number;
  /** Unread pieces of one message; more close the connection (1008). Default 1,024. */
  readonly maxBufferedChunks: number;
  /**
   * Frames per connection and minute that cannot be read; one more closes a control connection (1008), which
   * reconnects. Media connections only count them. Default 100.
   */
  readonly badFramesPerMinute: number;
  /** Control requests without an answer; one more fails at once. Default 1,000. */
  readonly maxPendingRequests: number;
  /** Sessions known at a time; further notices are ignored. Default 10,000. */
  readonly maxSessions: number;
  /** From our `session.ready` to `call.in`; then the claim counts as lost. Default 10,000. */
  readonly callInTimeoutMs: number;
  /** How long a finished call's session is not claimed again. Default 600,000. */
  readonly endedMemoryMs: number;
  /** Claims of own calls after a reconnect that run at once. Default 16. */
  readonly reclaimConcurrency: number;
  /** Ask for open sessions at the first sign-in too, not only after a reconnect. Default true. */
  readonly reconcileAtStart: boolean;
  /** The provider's time for a command other than connect. Default 10,000. */
  readonly commandTimeoutMs: number;
  /** What the provider gets beyond the ring time to answer a connect. Default 2,000. */
  readonly connectExtraMs: number;
  /** How much longer than the provider's time we wait for its answer. Default 5,000. */
  readonly commandSlackMs: number;
  /** Commands of one call without an answer; one more fails at once. Default 64. */
  readonly maxPendingCommands: number;
  /** After a successful close or disconnect: how long the provider has to close the media. Default 2,000. */
  readonly endGraceMs: number;
  /** Wait before a lost media connection is opened once more. Default 250. */
  readonly mediaReopenDelayMs: number;
  /** Media connections of one call reopened per minute; after that a loss is final. Default 6. */
  readonly mediaReopensPerMinute: number;
  /** Longest frame of agent audio, milliseconds of audio. Default 200. */
  readonly maxFrameMs: number;
  /** Preferred frame of agent audio where the provider names none. Default 960. */
  readonly defaultPreferBytes: number;
  /** Requests for audio kept apart; further ones are added to the newest. Default 1,024. */
  readonly maxCreditRequests: number;
  /** Unanswered credit; what goes over it is cut. A number only, no memory. Default 16 MiB. */
  readonly maxCreditBytes: number;
  /** Audio waiting in a media socket; above it the playback is not read. Default 64 KiB. */
  readonly maxSendBufferBytes: number;
}

/** Defaults of the limits. */
export const DEFAULT_LIMITS: TelcoflowLimits = {
  handshakeTimeoutMs: 10_000,
  setupTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  restTimeoutMs: 10_000,
  restMaxBytes: 4 * 1024 * 1024,
  controlPingMs: 30_000,
  controlPongTimeoutMs: 10_000,
  mediaPingMs: 20_000,
  mediaPongTimeoutMs: 20_000,
  closeTimeoutMs: 3_000,
  reconnect: { minMs: 500, maxMs: 10_000, factor: 1.5, jitter: 0.2, stableMs: 30_000 },
  maxRetryAfterMs: 60_000,
  controlMaxPayloadBytes: 256 * 1024,
  mediaMaxPayloadBytes: 64 * 1024,
  maxFragments: 256,
  maxBufferedChunks: 1_024,
  badFramesPerMinute: 100,
  maxPendingRequests: 1_000,
  maxSessions: 10_000,
  callInTimeoutMs: 10_000,
  endedMemoryMs: 600_000,
  reclaimConcurrency: 16,
  reconcileAtStart: true,
  commandTimeoutMs: 10_000,
  connectExtraMs: 2_000,
  commandSlackMs: 5_000,
  maxPendingCommands: 64,
  endGraceMs: 2_000,
  mediaReopenDelayMs: 250,
  mediaReopensPerMinute: 6,
  maxFrameMs: 200,
  defaultPreferBytes: 960,
  maxCreditRequests: 1_024,
  maxCreditBytes: 16 * 1024 * 1024,
  maxSendBufferBytes: 64 * 1024,
};

/** The provider's production address. */
export const PRODUCTION_BASE_URL = "wss://wss-prod.agentao.com";
const PRODUCTION_MEDIA_HOSTS = [".agentao.com"];

/** How a connector shows who it is. */
export interface Identity {
  readonly auth: TelcoflowAuth;
  /** Of the control connection and of REST; media connections take the authority alone. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Headers of the control connection and of REST; secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Texts that must not appear anywhere. */
  readonly secrets: readonly string[];
}

/** Options with every default filled in. */
export interface TelcoflowSettings extends TelcoflowLimits {
  readonly name: string;
  /** Replaced when credentials are loaded anew: to be read at each connection. */
  identity: Identity;
  readonly baseUrl: string;
  readonly sampleRateHz: 8000 | 16000 | 24000;
  readonly audioMode: "mixed" | "isolated";
  readonly callFlow: CallFlow | undefined;
  readonly mediaHosts: readonly string[];
  readonly sdkVersion: string;
  readonly observer: FrameObserver | undefined;
}

/** Fills in the defaults. Throws RangeError naming the option that is wrong, never with its value. */
export function resolveOptions(options: TelcoflowOptions): TelcoflowSettings {
  const baseUrl = (options.baseUrl ?? PRODUCTION_BASE_URL).replace(/\/+$/, "");
  if (!URL.canParse(baseUrl)) throw new RangeError("baseUrl must be a ws:// or wss:// address");
  const { protocol, username, password, search, hash } = new URL(baseUrl);
  if (protocol !== "ws:" && protocol !== "wss:")
    throw new RangeError("baseUrl must begin with ws:// or wss://");
  if (username || password || search || hash) {
    throw new RangeError("baseUrl must have no user, password, query or fragment");
  }
  const sampleRateHz = options.sampleRateHz ?? 16_000;
  if (![8000, 16_000, 24_000].includes(sampleRateHz)) {
    throw new RangeError("sampleRateHz must be 8000, 16000 or 24000");
  }
  const limits: Record<string, unknown> = { ...DEFAULT_LIMITS };
  for (const [key, fallback] of Object.entries(DEFAULT_LIMITS)) {
    const value = options[key as keyof TelcoflowLimits];
    if (value === undefined) continue;
    if (typeof fallback === "number" && (!Number.isFinite(value) || (value as number) < 0)) {
      throw new RangeError(`${key} must be a number of 0 or above`);
    }
    limits[key] = value;
  }
  const sdkVersion = options.sdkVersion ?? "1.0.0";
  return {
    ...(limits as unknown as TelcoflowLimits),
    name: options.name,
    identity: resolveIdentity(options, { baseUrl, sdkVersion }),
    baseUrl,
    sampleRateHz,
    audioMode: options.audioMode ?? "mixed",
    callFlow: options.callFlow,
    mediaHosts:
      options.mediaHosts ??
      (new URL(baseUrl).host === new URL(PRODUCTION_BASE_URL).host ? PRODUCTION_MEDIA_HOSTS : []),
    sdkVersion,
    observer: typeof options.observer === "function" ? options.observer : undefined,
  };
}

/** Throws RangeError naming the option that is wrong, never with its value. */
export function resolveIdentity(
  { auth, ca }: TelcoflowCredentials,
  { baseUrl, sdkVersion }: Pick<TelcoflowSettings, "baseUrl" | "sdkVersion">,
): Identity {
  const headers = { "x-sdk-version": sdkVersion };
  const trusted = ca === undefined ? {} : { ca };
  if ("apiKey" in auth) {
    const { apiKey, connectorUuid } = auth;
    if (!isHeaderValue(apiKey)) throw new RangeError("auth.apiKey must be visible ASCII");
    if (!isHeaderValue(connectorUuid)) throw new RangeError("auth.connectorUuid must be visible ASCII");
    return {
      auth,
      tls: trusted,
      headers: { ...headers, "x-api-key": apiKey, "x-connector-uuid": connectorUuid },
      secrets: [apiKey],
    };
  }
  const { cert, key } = auth;
  if (!cert || !key) throw new RangeError("auth.cert and auth.key must both be given");
  if (new URL(baseUrl).protocol !== "wss:")
    throw new RangeError("a client certificate needs a wss:// baseUrl");
  return { auth, tls: { ...trusted, cert, key }, headers, secrets: [key] };
}

/** Credentials of the past whose texts are still kept out of logs. */
const MAX_SECRETS = 16;

/**
 * The identity after `now`, of the same connector. Throws RangeError when it cannot be used, or would be another one: by
 * key instead of certificate, or of another id.
 */
export function nextIdentity(settings: TelcoflowSettings, credentials: TelcoflowCredentials): Identity {
  const fresh = resolveIdentity(credentials, settings);
  const now = settings.identity;
  const idOf = ({ auth }: Identity) => ("apiKey" in auth ? auth.connectorUuid : undefined);
  if ("apiKey" in fresh.auth !== "apiKey" in now.auth)
    throw new RangeError("auth cannot go from a key to a certificate or back while the connector runs");
  if (idOf(fresh) !== idOf(now))
    throw new RangeError("auth.connectorUuid cannot be changed while the connector runs");
  const secrets = [...new Set([...fresh.secrets, ...now.secrets])].slice(0, MAX_SECRETS);
  return { ...fresh, secrets };
}

function isHeaderValue(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}

/** Longest frame of agent audio in bytes; even. */
export function maxFrameBytes(settings: Pick<TelcoflowSettings, "maxFrameMs" | "sampleRateHz">): number {
  return Math.max(2, 2 * Math.floor((settings.maxFrameMs * settings.sampleRateHz) / 1000));
}
