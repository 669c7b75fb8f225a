import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import type { Authenticator } from "../contract/authenticator.js";
import { DEFAULT_STREAM_LIMITS, type StaticKey, type StreamLimits } from "../contract/limits.js";

/** A person who works at the desk. */
export interface DeskUser {
  /** As the name of the key that the person signs in with. */
  readonly name: string;
  /** Default "default". */
  readonly tenant: string;
  /** Numbers whose calls pop up at this person alone, E.164. */
  readonly numbers: readonly string[];
  /** Pools whose calls the person is offered; the first is where the person takes seats. */
  readonly pools: readonly string[];
}

/** Options of the browser wire and its page; what has a default may be left out. */
export interface DeskOptions {
  /** Default "127.0.0.1". Anything but a loopback address needs keys and origins. */
  readonly host?: string;
  /** 0: any free port. Default 7072, or any free port when that is taken. */
  readonly port?: number | undefined;
  /** Instead of `keys`: one that is shared with other wires and may be reloaded. */
  readonly authenticator?: Authenticator | undefined;
  /** Told who listened, read or was refused. Default: nothing is written down. */
  readonly audit?: AuditSink;
  /** The keys of the gateway. None: only this machine, tenant "default", name "local". Default none. */
  readonly keys?: readonly StaticKey[];
  /**
   * Where pages may come from that use this port, as "https://desk.example.com"; their hosts are also the only ones the
   * port answers to. Always allowed: this port by a loopback name. Default none.
   */
  readonly origins?: readonly string[];
  /** PEM; without: plain HTTP, where browsers give a microphone to loopback addresses alone. Default none. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  /** Who works here. Default none: everybody sees what pops up for anybody. */
  readonly users?: readonly DeskUser[];
  /** Folder of the built page. Default: desk/dist of this project, built when it is not there. */
  readonly pageDir?: string;
  /** How long a ticket may be used, once, in ms. Default 30,000. */
  readonly ticketMs?: number;
  /** Tickets not used yet; one more is refused with LIMIT_REACHED. Default 1,000. */
  readonly maxTickets?: number;
  /** Wrong keys from one address within a minute; then LIMIT_REACHED until the minute is over. Default 20. */
  readonly maxRefusalsPerMinute?: number;
  /** Connections (WebSockets) at a time; one more is refused with 503. Default 1,000. */
  readonly maxConnections?: number;
  /** Streams at a time on one connection; one more ends with LIMIT_REACHED. Default 64. */
  readonly maxStreams?: number;
  /** The largest frame taken, in bytes; a larger one closes the connection with 1009. Default 1 MiB. */
  readonly maxFrameBytes?: number;
  /** Frames that one connection may send per second; beyond it the socket is read later, nothing is lost. Default 500. */
  readonly maxFramesPerSecond?: number;
  /** Bytes waiting for a slow browser; beyond it the connection is closed with 4008. Default 8 MiB. */
  readonly maxBufferedBytes?: number;
  /** Audio waiting for a slow browser, in ms; beyond it the oldest is dropped and told. Default 2,000. */
  readonly maxListenMs?: number;
  /** How long audio of a listener waits for more, to go out in one message, in ms; 0: not at all. Default 60. */
  readonly listenBundleMs?: number;
  /** A ping after this long, and the connection is cut when the one before was not answered, in ms. Default 10,000. */
  readonly pingIntervalMs?: number;
  /** Context cards in other pages. */
  readonly embed?: Partial<EmbedOptions>;
  /** Limits of Serve streams. */
  readonly stream?: Partial<StreamLimits>;
}

/** Options of the context cards in other pages. */
export interface EmbedOptions {
  /** Pages whose frames may hold a card, as "https://crm.example.com" or "https://*.example.com". Default none: no frames. */
  readonly frameAncestors: readonly string[];
  /** How long a link may be used, once, in ms. Default 60,000. */
  readonly linkMs: number;
  /** Links not used yet; one more is refused with LIMIT_REACHED. Default 1,000. */
  readonly maxLinks: number;
  /** How long a card goes on after its link was used, in ms. Default 4 hours. */
  readonly sessionMs: number;
  /** Cards at a time; one more is refused with LIMIT_REACHED. Default 1,000. */
  readonly maxSessions: number;
}

/** The defaults of context cards. */
export const EMBED_DEFAULTS: EmbedOptions = {
  frameAncestors: [],
  linkMs: 60_000,
  maxLinks: 1_000,
  sessionMs: 14_400_000,
  maxSessions: 1_000,
};

/** The options with all defaults filled in. */
export interface ResolvedDeskOptions
  extends Required<Omit<DeskOptions, "tls" | "pageDir" | "stream" | "embed" | "authenticator" | "port">> {
  readonly port: number | undefined;
  readonly authenticator: Authenticator | undefined;
  readonly tls: DeskOptions["tls"];
  readonly pageDir: string | undefined;
  readonly embed: EmbedOptions;
  readonly stream: StreamLimits;
}

/** Fills in the defaults. */
export function resolveDeskOptions(options: DeskOptions): ResolvedDeskOptions {
  return {
    host: "127.0.0.1",
    port: undefined,
    authenticator: undefined,
    audit: NO_AUDIT,
    keys: [],
    origins: [],
    users: [],
    ticketMs: 30_000,
    maxTickets: 1_000,
    maxRefusalsPerMinute: 20,
    maxConnections: 1_000,
    maxStreams: 64,
    maxFrameBytes: 1024 * 1024,
    maxFramesPerSecond: 500,
    maxBufferedBytes: 8 * 1024 * 1024,
    maxListenMs: 2_000,
    listenBundleMs: 60,
    pingIntervalMs: 10_000,
    ...options,
    tls: options.tls,
    pageDir: options.pageDir,
    embed: { ...EMBED_DEFAULTS, ...options.embed },
    stream: { ...DEFAULT_STREAM_LIMITS, ...options.stream },
  };
}
