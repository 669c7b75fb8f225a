import type { AuditLists } from "./audit/audit-lists.js";
import type { TapGapReason } from "./call/call-audio.js";
import type { Actor, CallCommand, CommandReply } from "./call/call-commands.js";
import type { CallSnapshot, CallState, EndReason } from "./call/call-state.js";
import type { EventLog } from "./call/event-log.js";
import type { ContextService } from "./context/context-types.js";
import type { AgentHub, AudioFormat } from "./dispatch/agent-port.js";

/** Which calls. Empty lists do not narrow. */
export interface CallFilter {
  readonly callIds: readonly string[];
  readonly pools: readonly string[];
  readonly states: readonly CallState[];
}

/** Who hears a call. Implemented by the wire; audio is bounded there, the oldest is dropped and told. */
export interface Listener {
  /** `pcm` in the listener's format; may be kept. `position` and `samples` at the rate of the call. */
  audio(position: number, samples: number, pcm: Uint8Array): void;
  /** Nothing is heard of this: the provider sent nothing, or the talk is paused for listeners. */
  gap(from: number, durationMs: number, reason: TapGapReason): void;
  /** The call is over; last. */
  ended(reason: EndReason): void;
}

/** Calls of all gateways, and the ids of those gateways that did not answer in time. */
export interface CallList {
  /** Newest first. */
  readonly calls: readonly CallSnapshot[];
  readonly unreachableGateways: readonly string[];
}

/** A listener that hears a call. */
export interface Listening {
  /** The format in effect. */
  readonly format: AudioFormat;
  stop(): void;
}

/** Calls for the wires. Everything throws or rejects with CallError; a call of another tenant is CALL_NOT_FOUND. */
export interface CallApi {
  get(tenant: string, callId: string): Promise<CallSnapshot>;
  list(tenant: string, filter: CallFilter): Promise<CallList>;
  /**
   * Gives a verb from outside the seat (a unary client). `requestId` may be empty: not repeatable. `waitMs` > 0 waits
   * that long for the result of a command that takes long; 0 answers at once with `pending`.
   */
  execute(
    actor: Actor,
    callId: string,
    requestId: string,
    command: CallCommand,
    waitMs: number,
  ): Promise<CommandReply>;
  /** Begins to hear a call; the format's rate 0 means the call's. Answers the format in effect and how to stop. */
  listen(
    actor: Actor,
    callId: string,
    source: "MIXED" | "AGENT",
    format: AudioFormat,
    listener: Listener,
  ): Promise<Listening>;
}

/** A pool as FleetService shows it. */
export interface PoolInfo {
  readonly name: string;
  readonly agentCount: number;
  readonly capacity: number;
  readonly busy: number;
  readonly waiting: number;
}

/** An agent session as FleetService shows it. */
export interface AgentInfo {
  readonly agentId: string;
  readonly instanceId: string;
  readonly pool: string;
  readonly capacity: number;
  readonly callIds: readonly string[];
  readonly load: number;
  readonly draining: boolean;
  readonly connected: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly registerTime: Date;
}

/** A gateway as FleetService shows it. */
export interface GatewayInfo {
  readonly gatewayId: string;
  readonly version: string;
  readonly callCount: number;
  readonly draining: boolean;
  readonly connectors: readonly { readonly name: string; readonly ready: boolean }[];
  readonly startTime: Date;
}

/** Pools by name, over all gateways that answered. */
export interface PoolList {
  readonly pools: readonly PoolInfo[];
  readonly unreachableGateways: readonly string[];
}

/** Agents by pool and time, over all gateways that answered. */
export interface AgentList {
  readonly agents: readonly AgentInfo[];
  readonly unreachableGateways: readonly string[];
}

/** Who is there. */
export interface FleetApi {
  pools(tenant: string): Promise<PoolList>;
  agents(tenant: string, pool: string): Promise<AgentList>;
  gateways(): Promise<readonly GatewayInfo[]>;
}

/** Everything a wire needs. */
export interface GatewayApi {
  readonly calls: CallApi;
  readonly agents: AgentHub;
  readonly contexts: ContextService;
  readonly events: EventLog;
  readonly fleet: FleetApi;
  /** Undefined where no audit log is kept. */
  readonly audit?: AuditLists | undefined;
}
