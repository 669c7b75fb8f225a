import type { Span } from "../evidence.js";

/** How an agent is connected. */
export type AgentWire = "grpc" | "nats";

/** An agent of the demo. */
export interface AgentEvidence {
  readonly agentId: string;
  readonly wire: AgentWire;
  /** The tone that it speaks with, Hz. */
  readonly toneHz: number;
  /** The gateway that it was connected to at first; undefined on NATS, where it is nobody's. */
  readonly gatewayId: string | undefined;
}

/** What somebody reads in a context: enough to see whether anything is lost, doubled or changed. */
export interface ContextView {
  readonly callId: string;
  readonly caller: string;
  readonly callee: string;
  readonly turns: readonly { readonly id: string; readonly role: string; readonly text: string }[];
  readonly summary: string;
  readonly reason: string;
}

/** One call as the provider recorded it, and what its agent had written. Times in ms since the round began. */
export interface CallEvidence {
  /** From 1. */
  readonly number: number;
  readonly callId: string;
  readonly placedAtMs: number;
  /** Who speaks the language of the call. */
  readonly agentId: string;
  /** Whether it was handed to a human. */
  readonly escalated: boolean;
  /** When the caller heard the tone of that agent. */
  readonly heardAgent: readonly Span[];
  /** How long the caller heard the tone of another agent, ms. */
  readonly heardOthersMs: number;
  /** How long the human heard the caller, and the agent, ms. */
  readonly humanHeardCallerMs: number;
  readonly humanHeardAgentMs: number;
  /** What the provider was asked to do, in order. */
  readonly commands: readonly string[];
  /** Why it ended for the provider. */
  readonly providerEnd: string | undefined;
  readonly endedAtMs: number;
  /** Gateways that `GetCall` named, before and after the death of one. */
  readonly ownerBefore: string;
  readonly ownerAfter: string;
  /** What was written of it. */
  readonly written: ContextView;
  /** What another gateway answered while the database was dead; undefined: nothing. */
  readonly readWhileAway: ContextView | undefined;
  /** The documents of the call in the database, read without a gateway. */
  readonly stored: readonly ContextView[];
}

/** An event as a plain consumer of JetStream read it. */
export interface LoggedEvent {
  readonly callId: string;
  readonly sequence: number;
  /** The name in the contract's `oneof`. */
  readonly type: string;
  readonly atMs: number;
  /** Of `arrived` and `takenOver`. */
  readonly gatewayId?: string;
  /** Of `seatChanged` when the seat is held. */
  readonly holder?: string;
  /** Of `seatChanged`. */
  readonly seat?: LoggedSeat;
  /** Of `commandStarted` and `commandDone`. */
  readonly verb?: string;
}

/** A change of a seat as it is in the log. */
export interface LoggedSeat {
  /** "HELD", "SUSPENDED", … */
  readonly state: string;
  /** "ACCEPTED", "LOST", … */
  readonly cause: string;
  readonly epoch: number;
  readonly agentId: string;
  readonly instanceId: string;
}

/** What is known of a round from the outside: recordings of the provider, event log, database, answers of the API. */
export interface ClusterEvidence {
  readonly gateways: readonly string[];
  readonly agents: readonly AgentEvidence[];
  readonly calls: readonly CallEvidence[];
  /** In the order of the log. */
  readonly events: readonly LoggedEvent[];
  readonly killed: { readonly gatewayId: string; readonly atMs: number };
  readonly databaseAway: Span;
  /** Documents in the database that belong to none of the calls. */
  readonly foreignDocuments: number;
  readonly endMs: number;
}
