import type { Authenticator, Credential } from "../contract/authenticator.js";
import type { ServeStats } from "../contract/serve-session.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Logger } from "../util/logger.js";
import type { Method } from "./methods.js";
import type { ResolvedDeskOptions } from "./options.js";

/** Counters since the start, for metrics. */
export interface DeskStats extends ServeStats {
  /** WebSockets open now. */
  connections: number;
  /** Frames taken from browsers. */
  frames: number;
  /** Frames that were no message of the contract, or broke a rule of the wire. */
  malformed: number;
  /** Times a socket was read later because its sender was too fast. */
  slowedDown: number;
  /** Connections closed because the browser did not read. */
  tooSlow: number;
  /** Requests and connections refused: no key, wrong origin, used ticket. */
  refused: number;
}

/** What all connections of the wire share. */
export interface DeskWire {
  readonly api: GatewayApi;
  readonly methods: ReadonlyMap<string, Method>;
  readonly authenticator: Authenticator;
  readonly options: ResolvedDeskOptions;
  readonly logger: Logger;
  readonly stats: DeskStats;
}

/** Who is at the other end of a connection. */
export interface Visitor {
  readonly credential: Credential;
  /** "address:port". */
  readonly peer: string;
}
