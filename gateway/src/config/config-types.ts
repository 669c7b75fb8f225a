import type { EmbedOptions } from "../desk/options.js";
import type { WebhookOptions } from "../webhooks/options.js";
import type { ServeConfig } from "./serve-config.js";

/** The whole configuration, all defaults filled in. The YAML file has the same shape with snake_case keys. */
export interface GatewayConfig {
  readonly gateway: GatewaySection;
  readonly auth: AuthConfig;
  readonly audit: AuditConfig;
  readonly connectors: readonly ConnectorConfig[];
  /** First match wins; a call that none matches goes to the pool "default". */
  readonly routes: readonly RouteConfig[];
  /** Each tenant has a pool "default" at least. */
  readonly pools: readonly PoolConfig[];
  readonly playback: PlaybackConfig;
  readonly events: EventsConfig;
  readonly contexts: ContextsConfig;
  readonly ops: OpsConfig;
  /** Undefined without a URL: an in-process bus is used. */
  readonly nats?: NatsConfig;
  /** Undefined: no page and no wire for browsers. `desk: {}` opens it for this machine. */
  readonly desk?: DeskConfig;
  /** Where events are sent to by HTTP. */
  readonly webhooks: readonly WebhookConfig[];
  /** Hosts, addresses and ranges that webhooks may go to. */
  readonly webhooksAllowedHosts: readonly string[];
  readonly cluster: ClusterConfig;
  readonly serve: ServeConfig;
}

/** The process itself. */
export interface GatewaySection {
  /** Name of this gateway in events; without one it is made at start. */
  readonly id?: string;
  readonly grpc: GrpcConfig;
  /** Folder of the event log and the contexts; absolute. */
  readonly stateDir: string;
  readonly limits: LimitsConfig;
}

/** The listening port. */
export interface GrpcConfig {
  /** Default 127.0.0.1. Anything but a loopback address needs keys. */
  readonly host: string;
  /** Default 7070; 0: any free port. */
  readonly port: number;
  readonly keys: readonly KeyConfig[];
  /** PEM files; without: plain text. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string };
  /** Default true. */
  readonly reflection: boolean;
  /** Default 1 MiB. */
  readonly maxReceiveBytes: number;
  /** What an agent may have under way, per stream and per connection. Default 1 MiB. */
  readonly receiveWindowBytes: number;
  /** Default 1,000. */
  readonly maxConnections: number;
  /** RPCs at a time on one connection. Default 1,000. */
  readonly maxConcurrentStreams: number;
  /** Default 10,000. */
  readonly keepaliveTimeMs: number;
  /** Default 5,000. */
  readonly keepaliveTimeoutMs: number;
  /** Audio waiting for a slow listener. Default 2,000. */
  readonly maxListenMs: number;
  /** How long audio of a listener waits for more, to go out in one message; 0: not at all. Default 60. */
  readonly listenBundleMs: number;
  /** Bytes of watched events that go out in one write to each watcher. Default 16 KiB. */
  readonly watchBundleBytes: number;
}

/** Credentials beside the static keys. */
export interface AuthConfig {
  /** Whose signed tokens are believed. */
  readonly issuers: readonly IssuerConfig[];
  /** Which client certificates stand for whom; they need `gateway.grpc.tls.client_ca_file`. */
  readonly certificates: readonly CertificateConfig[];
  /** How far clocks may differ when tokens are checked. Default 30. */
  readonly leewaySeconds: number;
  /** How long before its end an agent is told that its credential expires. Default 60. */
  readonly expiryWarningSeconds: number;
  /** How often files are looked at for changes; 0: never, SIGHUP alone. Default 2,000. */
  readonly watchIntervalMs: number;
  /** Set: without credentials everybody who reaches the port may do everything. */
  readonly withoutKeys?: string;
}

/** An issuer of tokens. Exactly one of `jwksUrl` and `jwksFile`. */
export interface IssuerConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl?: string;
  /** Absolute. */
  readonly jwksFile?: string;
  readonly algorithms: readonly string[];
  /** Default ["default"]. */
  readonly tenants: readonly string[];
  readonly tenantClaim: string;
  readonly roleClaim: string;
  readonly scopeClaim: string;
  /** Default 300. */
  readonly refreshSeconds: number;
  /** Default 30. */
  readonly cooldownSeconds: number;
  /** Default 5,000. */
  readonly timeoutMs: number;
}

/** What a credential allows. */
export interface RightsConfig {
  readonly role?: string;
  readonly scopes: readonly string[];
  readonly pools: readonly string[];
  readonly connectors: readonly string[];
}

/** Whose client certificate stands for whom. */
export interface CertificateConfig extends RightsConfig {
  /** "URI:spiffe://…" or "DNS:…", a star for one part. */
  readonly san: string;
  readonly name?: string;
  /** Default "default". */
  readonly tenant: string;
}

/** The audit log in the state folder. */
export interface AuditConfig {
  /** Default true. */
  readonly enabled: boolean;
  /** Default 365. */
  readonly retentionDays: number;
  /** Of all files; the oldest go first. Default 256 MiB. */
  readonly maxBytes: number;
  /** When what was written is on the disk. Default "always". */
  readonly fsync: "always" | "interval" | "never";
  /** Default 1,000. */
  readonly fsyncIntervalMs: number;
  /** Entries that wait for the disk; further ones are counted and lost. Default 10,000. */
  readonly maxQueued: number;
  /** Refused credentials that get an entry of their own in a minute; further ones are counted. Default 60. */
  readonly maxRefusedPerMinute: number;
  /** Absolute. None: a key is made in the state folder. */
  readonly keyFile?: string;
}

/** Who may come. Exactly one of `key` and `keySha256`. Neither role nor scopes: everything in the tenant. */
export interface KeyConfig extends RightsConfig {
  readonly name: string;
  /** Default "default". */
  readonly tenant: string;
  /** Secret; at least 16 characters. */
  readonly key?: string;
  /** 64 hexadecimal digits. */
  readonly keySha256?: string;
}

/** Bounds of the gateway. */
export interface LimitsConfig {
  /** Live calls; beyond it nothing is claimed. Default 2,000. */
  readonly maxCalls: number;
  /** Agent sessions in all. Default 10,000. */
  readonly maxSessions: number;
  /** Default 1,000. */
  readonly maxListenersPerCall: number;
  /** How long a call without media is kept when the provider gives no sign. Default 10,000. */
  readonly mediaGiveUpMs: number;
  /** p99 of the event loop's delay in one second, from which on new calls are left to the provider. 0: never. Default 500. */
  readonly shedAboveMs: number;
  /** Below this new calls are taken again; at most `shedAboveMs`, where that is not 0. Default 200. */
  readonly resumeBelowMs: number;
  /** So many seconds in a row before either happens. Default 3. */
  readonly shedWindows: number;
}

/** Credentials of a connector: key and id, or a client certificate (PEM files). */
export interface ConnectorAuth {
  /** Secret. */
  readonly apiKey?: string;
  readonly connectorUuid?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Authorities to trust instead of the usual ones. */
  readonly caFile?: string;
}

/** Which kinds of traffic the provider delivers to a connector. */
export interface CallFlowConfig {
  readonly inboundCall: "ALL" | "MISSED_ONLY" | "NO";
  readonly outboundCall: boolean;
  readonly inboundMessage: boolean;
  readonly outboundMessage: boolean;
}

/** A connection to a telephony provider. */
export interface ConnectorConfig {
  readonly name: string;
  /** Whose calls these are. Default "default". */
  readonly tenant: string;
  /** Which adapter: "telcoflow". */
  readonly kind: string;
  /** Default: the provider's production address. */
  readonly baseUrl?: string;
  readonly auth: ConnectorAuth;
  /** 8000, 16000 or 24000. Default 24000. */
  readonly sampleRateHz: 8000 | 16000 | 24000;
  /** Default "mixed". */
  readonly audioMode: "mixed" | "isolated";
  /** Unset (`leave_as_is`, the default): what is set at the provider stays. */
  readonly callFlow?: CallFlowConfig;
  /** False: no inbound call is taken. Default true. */
  readonly inbound: boolean;
  /** When not empty, only calls from these numbers (E.164) are taken. */
  readonly onlyCallers: readonly string[];
  /** Further options of the adapter, keys in camelCase; it checks them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a route does when no agent is free. */
export type UnservedChoice = "connect" | "queue" | "answer_and_hold" | "announce" | "leave";

/** Which calls go where. */
export interface RouteConfig {
  /** Empty: of every connector. */
  readonly connector?: string;
  /** Numbers, "+1555*" for a prefix, "withheld". Empty: all. */
  readonly callee: readonly string[];
  readonly caller: readonly string[];
  readonly hours?: HoursConfig;
  /** Default "default". */
  readonly pool: string;
  /** Default: the connector's. */
  readonly tenant?: string;
  /** BCP 47; empty: not known. */
  readonly locale: string;
  /** Default "connect". */
  readonly unserved: UnservedChoice;
  /** With "connect": how long the original callee rings. Default 60. */
  readonly ringTimeSeconds: number;
  /** With "announce": a WAV file; absolute. */
  readonly announcement?: string;
}

/** When a route is open. */
export interface HoursConfig {
  /** An IANA name ("Europe/Berlin"). */
  readonly timezone: string;
  /** "Mon-Fri 09:00-17:00", "Sat,Sun 10:00-14:00", "22:00-06:00" (every day, over midnight). */
  readonly open: readonly string[];
}

/** A pool of agents. */
export interface PoolConfig {
  readonly name: string;
  readonly tenant: string;
  /** How long an agent may think about an offer. Default 2,000. */
  readonly offerTimeoutMs: number;
  /** How long a seat waits for its agent after a lost stream. Default 2,000. */
  readonly reattachGraceMs: number;
  /** Default 500. */
  readonly heartbeatIntervalMs: number;
  /** Heartbeats missed before an agent counts as frozen. Default 3. */
  readonly heartbeatMisses: number;
  /** What becomes of audio queued by an agent that was lost. Default "cut". */
  readonly onAgentLost: "cut" | "finish";
  /** Answer a call that has to wait, so that it hears hold audio. Default false. */
  readonly answerOnQueue: boolean;
  readonly hold: {
    /** A WAV file; absolute. Without: the generated sound. */
    readonly file?: string;
  };
  /** Waiting longer, a call rings its original callee. Default 600. */
  readonly maxQueueSeconds: number;
  /** The same for a call that has had an agent. Default 60. */
  readonly maxReofferSeconds: number;
  /** Pause after a round in which every agent declined. Default 1,000. */
  readonly reofferPauseMs: number;
}

/** Agent audio on its way to the caller. */
export interface PlaybackConfig {
  /** What one call may queue. Default 30. */
  readonly maxSeconds: number;
  /** Added to the estimate before playback counts as drained. Default 200. */
  readonly drainMarginMs: number;
}

/** The event log. */
export interface EventsConfig {
  /** Default 7. */
  readonly retentionDays: number;
  /** Default 1 GiB. */
  readonly maxBytes: number;
}

/** The contexts. */
export interface ContextsConfig {
  /** After the last write. Default 30. */
  readonly retentionDays: number;
  /** Country of numbers written without one ("1", "49"). Default empty: none. */
  readonly defaultCountryCode: string;
  readonly redaction: RedactionConfig;
  /** Without: contexts are kept in the state folder. */
  readonly mongodb?: MongoConfig;
  readonly spool: ContextSpoolConfig;
}

/** What is taken out of words before they are stored or published. */
export interface RedactionConfig {
  /** Default true. */
  readonly cards: boolean;
  /** Default true. */
  readonly ibans: boolean;
  /** Default true. */
  readonly emails: boolean;
  /** Regular expressions of JavaScript with the flags g and u. */
  readonly patterns: readonly { readonly name: string; readonly pattern: string; readonly mark: string }[];
  /** An ES module whose default export gets each text and answers the one to keep; absolute. */
  readonly hookFile?: string;
}

/** The database of the contexts. */
export interface MongoConfig {
  /** Secret. "mongodb://…" or "mongodb+srv://…". */
  readonly url: string;
  /** Default: the one of the URL, else "callweave". */
  readonly database?: string;
  /** Default "call_contexts". */
  readonly collection: string;
  /** One step at the database; then it counts as away. Default 1,000. */
  readonly timeoutMs: number;
  /** Connections at most. Default 20. */
  readonly maxPoolSize: number;
}

/** Contexts that wait while MongoDB is away, and those that stay readable. */
export interface ContextSpoolConfig {
  /** In the state folder; beyond it writes are refused. Default 256 MiB. */
  readonly maxLocalBytes: number;
  /** On NATS; beyond it they go to the state folder. Default 64 MiB. */
  readonly maxReplicatedBytes: number;
  /** Copies on NATS. Default 0: as `nats.replicas`. */
  readonly replicas: number;
  /** A write to NATS. Default 400. */
  readonly busTimeoutMs: number;
  /** How often MongoDB is asked whether it is back. Default 1,000. */
  readonly retryIntervalMs: number;
  /** Contexts kept in memory for reading without MongoDB. Default 2,000. */
  readonly recentCount: number;
  /** Bytes of them, estimated. Default 64 MiB. */
  readonly recentBytes: number;
  /** How long they are kept after they were read or written. Default 900,000. */
  readonly recentMs: number;
}

/** The port of operations: health, readiness, metrics. */
export interface OpsConfig {
  /** False: the port does not exist. Default true. */
  readonly enabled: boolean;
  /** Default 127.0.0.1. What it shows is no secret, but nobody is asked for a key. */
  readonly host: string;
  /** 0: any free port. Unset: 7071, or any free port when that is taken. A port that is set and taken is an error. */
  readonly port?: number;
  /** Connections at a time; further ones are closed at once. Default 64. */
  readonly maxConnections: number;
  /** Label the figures of pools with their tenant. Default false: pools of one name are added up. */
  readonly tenantLabels: boolean;
  /** False: health and readiness alone. Default true. */
  readonly metrics: boolean;
}

/** The message bus. At most one of `credentialsFile`, `user` with `password`, `token`, `nkeySeedFile`. */
export interface NatsConfig {
  /** Servers of one cluster; one at least. */
  readonly urls: readonly string[];
  /** A .creds file; read anew at each connection. */
  readonly credentialsFile?: string;
  readonly user?: string;
  /** Secret. */
  readonly password?: string;
  /** Secret. */
  readonly token?: string;
  /** File of an nkey seed; read anew at each connection. */
  readonly nkeySeedFile?: string;
  /** PEM files; read at the start and at each reload. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** How often the server is asked for a sign of life. Default 5,000. */
  readonly pingIntervalMs: number;
  /** Copies of streams and buckets: 1, 3 or 5. Default 1. */
  readonly replicas: number;
  /** How events and contexts are published. Default "json". */
  readonly eventEncoding: "json" | "protobuf";
  readonly wire: NatsWireConfig;
}

/** The public services, agents and audio on NATS. */
export interface NatsWireConfig {
  /** False: only events and contexts are published. Default true. */
  readonly enabled: boolean;
  /** Service requests under way; one more is refused with LIMIT_REACHED. Default 256. */
  readonly maxConcurrentRequests: number;
  /** Agent sessions at this gateway that came by NATS. Default 10,000. */
  readonly maxSessions: number;
  /** Calls, sources and formats whose audio is published at a time. Default 1,000. */
  readonly maxAudioPublishers: number;
  /** How long audio is published after the last ListenCall. Default 30. */
  readonly listenLeaseSeconds: number;
  /** Audio that waits to be published. Default 2,000. */
  readonly maxListenMs: number;
  /** How long audio of a listener waits for more, to go out in one message; 0: not at all. Default 60. */
  readonly listenBundleMs: number;
}

/** The page for people, and the wire for browsers. Its keys are those of gRPC. */
export interface DeskConfig {
  /** Default 127.0.0.1. Anything but a loopback address needs keys. */
  readonly host: string;
  /** 0: any free port. Unset: 7072, or any free port when that is taken. A port that is set and taken is an error. */
  readonly port?: number;
  /** Where pages may come from, as "https://desk.example.com"; needs keys. Always: this port by a loopback name. */
  readonly origins: readonly string[];
  /** PEM files. Without: plain HTTP, where browsers give a microphone to loopback addresses alone. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Who works here. */
  readonly users: readonly DeskUserConfig[];
  /** Context cards in other pages; see desk/options.ts. */
  readonly embed: EmbedOptions;
  /** Folder of the built page, absolute. Default: the one of this project, built when it is not there. */
  readonly pageDir?: string;
  /** How long a ticket may be used, once. Default 30,000. */
  readonly ticketMs: number;
  /** Tickets not used yet. Default 1,000. */
  readonly maxTickets: number;
  /** Wrong keys from one address within a minute; then none is looked at until it is over. Default 20. */
  readonly maxRefusalsPerMinute: number;
  /** Browsers at a time. Default 1,000. */
  readonly maxConnections: number;
  /** Streams of one browser at a time. Default 64. */
  readonly maxStreams: number;
  /** The largest frame of a browser. Default 1 MiB. */
  readonly maxFrameBytes: number;
  /** Frames of one browser per second; beyond it they are read later. Default 500. */
  readonly maxFramesPerSecond: number;
  /** What may wait for a slow browser; beyond it the connection is closed. Default 8 MiB. */
  readonly maxBufferedBytes: number;
  /** Audio waiting for a slow browser; the oldest is dropped and told. Default 2,000. */
  readonly maxListenMs: number;
  /** How long audio of a listener waits for more, to go out in one message; 0: not at all. Default 60. */
  readonly listenBundleMs: number;
  /** How often a browser is asked for a sign of life. Default 10,000. */
  readonly pingIntervalMs: number;
}

/** A person at the desk. */
export interface DeskUserConfig {
  /** As the key that the person signs in with. */
  readonly name: string;
  /** Default "default". */
  readonly tenant: string;
  /** Numbers whose calls pop up at this person alone (E.164). */
  readonly numbers: readonly string[];
  /** Pools whose calls the person is offered. */
  readonly pools: readonly string[];
}

/** A webhook; see webhooks/options.ts. */
export type WebhookConfig = WebhookOptions;

/** Several gateways on one NATS. Without NATS nothing of it is used. */
export interface ClusterConfig {
  /** How often a gateway shows that it lives. Default 500. */
  readonly beatIntervalMs: number;
  /** Silent for this long it counts as dead and its calls are taken over. Default 2,000. */
  readonly leaseMs: number;
  /** Later claim per place in the order of claims. Default 100. */
  readonly claimRankDelayMs: number;
  /** How long a question to the gateway of a call waits. Default 2,000. */
  readonly callTimeoutMs: number;
  /** How long a list waits for each gateway. Default 1,000. */
  readonly listTimeoutMs: number;
  /** Questions of other gateways under way at a time. Default 2,000. */
  readonly maxLinkRequests: number;
  /** First pause between two looks for calls of a dead gateway; doubled each time. Default 250. */
  readonly takeoverFirstPauseMs: number;
  /** Longest pause. Default 3,000. */
  readonly takeoverMaxPauseMs: number;
  /** A call that nobody could take over is written off after this long. Default 30,000. */
  readonly takeoverGiveUpMs: number;
  /** How long an agent's seat at a dead gateway is kept for the one that takes the call over. Default 15,000. */
  readonly takeoverGraceMs: number;
  /** A listener at another gateway that does not show up for this long is dropped. Default 10,000. */
  readonly listenLeaseMs: number;
}
