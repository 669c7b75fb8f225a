import type { CallState } from "../call/call-state.js";

/** What metrics and readiness see of the gateway itself, over all tenants. */
export interface GatewaySource {
  /** True once it takes nothing new. */
  readonly draining: boolean;
  /** Live calls at most. */
  readonly maxCalls: number;
  /** True while new calls are left alone because the event loop is late. */
  readonly shedding?: boolean;
  /** New calls that were not claimed, by reason, since the start. */
  readonly callsLeft?: { readonly overloaded: number; readonly maxCalls: number };
  connectors(): readonly ConnectorView[];
  /** The states of the live calls. */
  callStates(): Iterable<CallState>;
  pools(): Iterable<PoolView>;
}

/** A connector as it stands. */
export interface ConnectorView {
  readonly name: string;
  readonly ready: boolean;
  /** What the adapter counted since it was made; whole numbers that only grow, by name. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** A pool as it stands. */
export interface PoolView {
  readonly tenant: string;
  readonly name: string;
  /** Agent sessions with a stream. */
  readonly sessions: number;
  /** Places of the sessions that take offers, and how many of them are free. */
  readonly places: number;
  readonly freePlaces: number;
  /** Calls that look for an agent. */
  readonly waiting: number;
  /** Items of agents that were refused, by reason, since the start. */
  readonly refused: Iterable<readonly [reason: string, count: number]>;
}

/** What metrics see of the gRPC port; all but the first two count since the start. */
export interface GrpcSource {
  readonly connections: number;
  readonly stats: {
    /** Serve streams open now. */
    readonly serveStreams: number;
    readonly messagesIn: number;
    readonly itemsIn: number;
    readonly unknownItems: number;
    readonly refusedItems: number;
    readonly queueFull: number;
    readonly droppedAudioMs: number;
    readonly malformed: number;
  };
}

/** The message bus, where there is one. */
export interface BusSource {
  readonly connected: boolean;
  /** Connections that were made again since the start. */
  readonly reconnects?: number;
  /** Messages that were not published or were dropped before their handler, since the start. */
  readonly dropped?: number;
}

/** The store of contexts and what waits for it. */
export interface ContextStoreSource {
  /** False: the store is away, writes go to a spool. */
  readonly connected: boolean;
  /** What waits for the store, and where. */
  spools?(): readonly SpoolView[];
  /** Writes that came to the store from a spool, since the start. */
  readonly replayed?: number;
  /** Fields that lost against another write when they were replayed; kept in `conflicts` of their context. */
  readonly conflicts?: number;
  /** Contexts that the store does not take and that stay in a spool, now. */
  readonly refused?: number;
}

/** A spool of context writes. */
export interface SpoolView {
  /** A place: "local", "replicated". */
  readonly name: string;
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** True while writes are refused for want of room. */
  readonly full: boolean;
  /** Age of the oldest entry, ms; 0 when empty. */
  readonly oldestMs: number;
}

/** The store of events. */
export interface EventStoreSource {
  /** False: the store is away, events are told with durable = false. */
  readonly connected: boolean;
  /** Events that wait for their acknowledgement. */
  readonly pending?: number;
  /** Events that this gateway had told and that no store will ever have, since the start. */
  readonly lost?: number;
}

/** The wire for browsers. */
export interface DeskSource {
  readonly stats: {
    readonly connections: number;
    readonly frames: number;
    readonly malformed: number;
    readonly slowedDown: number;
    readonly tooSlow: number;
    readonly refused: number;
    readonly droppedAudioMs: number;
  };
}

/** A certificate of a port, or one that the gateway shows itself. */
export interface CertificateView {
  /** What it is for. */
  readonly use: "grpc" | "grpc_client_ca" | "desk" | "nats" | "connector";
  /** When it ends, wall clock in ms. */
  readonly expireTimeMs: number;
}

/** The certificates of the ports, of NATS and of the connectors. */
export interface CertificateSource {
  views(): readonly CertificateView[];
}

/** The other gateways. */
export interface ClusterSource {
  /** Live gateways, this one included. */
  readonly gateways: number;
  /** Calls of dead gateways that this one took over, since the start. */
  readonly takeovers?: number;
  /** Times that this gateway found a newer owner and gave a call up, since the start. */
  readonly fenced?: number;
}

/** A webhook as it stands. */
export interface WebhookView {
  readonly tenant: string;
  readonly name: string;
  /** Deliveries, failed attempts, dead letters, and events that the log no longer had, since the start. */
  readonly delivered: number;
  readonly failed: number;
  readonly dead: number;
  readonly gone: number;
  /** Whether it is this gateway that delivers. */
  readonly delivering: boolean;
  /** Dead letters that are kept here. */
  readonly deadLetters: number;
  /** Events that wait for their delivery, and how old the oldest is, ms. */
  readonly waiting: number;
  readonly oldestMs: number;
}

/** The webhooks, where there are any. */
export interface WebhooksSource {
  views(): readonly WebhookView[];
}

/**
 * Where the figures come from. Everything is optional: what is not there has no metric and no check. Everything is read
 * when it is asked for, so a source may be added at any time.
 */
export interface OpsSources {
  gateway?: GatewaySource;
  grpc?: GrpcSource;
  desk?: DeskSource;
  bus?: BusSource;
  contextStore?: ContextStoreSource;
  eventStore?: EventStoreSource;
  cluster?: ClusterSource;
  webhooks?: WebhooksSource;
  certificates?: CertificateSource;
}
