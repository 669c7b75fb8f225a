import type { ContextDurability, EscalateCommand, EscalationResult } from "./call-commands.js";
import type { CallError } from "./call-error.js";
import type { AgentMode, CallSnapshot, EndReason, SeatCause, SeatSnapshot, Verb } from "./call-state.js";

/** What a route does when nobody of its pool is free. */
export type UnservedAction = "CONNECT" | "QUEUE" | "ANSWER_AND_HOLD" | "ANNOUNCE" | "LEAVE";

/** A step of an escalation, stored before its effect. */
export type EscalationStep = "SAVING" | "CONNECTING" | "CONFIRMING" | "LEAVING";

/** An escalation without its words: what another gateway needs to go on with it. */
export type EscalationPlan = Omit<
  EscalateCommand,
  "verb" | "summary" | "summarySource" | "routingHint" | "data" | "after"
>;

/** What happened; the names are the `oneof` cases of CallEvent in the contract. */
export type CallEventBody =
  | { readonly type: "arrived"; readonly call: CallSnapshot }
  | { readonly type: "unserved"; readonly action: UnservedAction }
  | {
      readonly type: "offered";
      readonly offerId: string;
      readonly agentId: string;
      readonly instanceId: string;
      readonly attempt: number;
    }
  | {
      readonly type: "offerEnded";
      readonly offerId: string;
      readonly agentId: string;
      readonly instanceId: string;
      readonly end: "DECLINED" | "EXPIRED" | "REVOKED";
    }
  | { readonly type: "seatChanged"; readonly seat: SeatSnapshot; readonly cause: SeatCause }
  | { readonly type: "answered" }
  | { readonly type: "ringing"; readonly ringTimeSeconds: number }
  | { readonly type: "connected" }
  | { readonly type: "modeSet"; readonly mode: AgentMode }
  | {
      readonly type: "commandStarted";
      readonly verb: Verb;
      readonly requestId: string;
      readonly bodyHash: string;
      readonly actor: string;
    }
  | {
      readonly type: "commandDone";
      readonly verb: Verb;
      readonly requestId: string;
      readonly error?: CallError;
      readonly escalation?: EscalationResult;
    }
  | {
      readonly type: "escalation";
      readonly requestId: string;
      readonly step: EscalationStep;
      /** With SAVING. */
      readonly plan?: EscalationPlan;
    }
  | {
      readonly type: "contextWritten";
      readonly revision: number;
      readonly turnCount: number;
      readonly durability: ContextDurability;
    }
  | { readonly type: "noteSent"; readonly actor: string; readonly delivered: boolean }
  | { readonly type: "ended"; readonly reason: EndReason }
  | {
      readonly type: "mediaChanged";
      readonly change: "LOST" | "RESTORED" | "PROVIDER_ERROR";
      readonly detail: string;
    }
  | { readonly type: "holdChanged"; readonly holding: boolean }
  | {
      readonly type: "takenOver";
      readonly fromGatewayId: string;
      readonly fromEpoch: number;
      readonly gatewayId: string;
    }
  | { readonly type: "eventsLost"; readonly fromEpoch: number };

/** An event of a call, before it is stored. */
export interface CallEvent {
  readonly tenant: string;
  readonly callId: string;
  readonly pool: string;
  /** Counts the events of the call, from 1, no holes. */
  readonly sequence: number;
  /** Counts the gateways that had the call, from 1. */
  readonly ownerEpoch: number;
  readonly time: Date;
  /** Audio position, samples at the rate of the call. */
  readonly position: number;
  readonly body: CallEventBody;
}

/** An event after it was stored (or could not be). */
export interface StoredEvent extends CallEvent {
  /** Opaque position in the store; empty when not durable. */
  readonly cursor: string;
  readonly durable: boolean;
}
