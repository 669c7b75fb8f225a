import type { CallImpl, CallLimits } from "./call-impl.js";
import type { ConnectionConfig } from "./connection.js";
import type { Contexts } from "./contexts.js";
import type { CallweaveError } from "./errors.js";
import type { Session } from "./session.js";
import type { AudioFormat, CallContext, CallInfo, EscalationReason } from "./types.js";

/** A call that an agent may take. */
export interface Offer {
  /** The call as it is now. */
  readonly call: CallInfo;
  /** Its newest turns; undefined for a new call. */
  readonly context: CallContext | undefined;
  /** Counts the offers of the call from 1. */
  readonly attempt: number;
  /** How long it may be answered. Milliseconds. */
  readonly timeLeftMs: number;
  /** Set when the call comes by an escalation. */
  readonly escalationReason: EscalationReason | undefined;
}

/** What a session registers with and its bounds, defaults filled in. */
export interface SessionConfig {
  readonly connection: ConnectionConfig;
  readonly register: {
    readonly agentId: string;
    readonly instanceId: string;
    readonly pool: string;
    readonly capacity: number;
    readonly audioFormat: AudioFormat | undefined;
    readonly labels: Readonly<Record<string, string>>;
    readonly answerOnAccept: boolean;
    readonly heartbeat: boolean;
    readonly noAudio: boolean;
  };
  readonly callLimits: Omit<CallLimits, "maxUnconfirmedMs">;
  readonly connectTimeoutMs: number;
  /** Undefined: the grace of the gateway plus 13,000. */
  readonly reattachTimeoutMs: number | undefined;
  readonly maxControlItems: number;
  readonly tickMs: number;
  /** At most so many streams. */
  readonly maxStreams: number;
  /** From so many calls a stream on a further one is opened. */
  readonly callsPerStream: number;
}

/** What a session asks and tells. */
export interface SessionPort {
  /** For the context methods of calls. */
  readonly contexts: Contexts;
  /** True takes the offer, a text declines it with that reason. */
  accept(offer: Offer): boolean | string | Promise<boolean | string>;
  assigned(call: CallImpl): void;
  connected(session: Session, gatewayId: string): void;
  disconnected(session: Session, error: CallweaveError, retryInMs: number): void;
  /** Register elsewhere; this session only keeps its calls. */
  goingAway(session: Session, deadlineMs: number): void;
  load(): number;
  error(error: unknown, callId?: string): void;
}
