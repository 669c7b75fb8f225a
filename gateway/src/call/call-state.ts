/** Where a call stands, as the vendors and the contract name it. Only forward. */
export type CallState = "PENDING" | "ANSWERED" | "CONNECTED" | "DISCONNECTED";

/** Who hears the agent leg while CONNECTED. */
export type AgentMode = "BARGE" | "WHISPER" | "SPY";

/** Why a call is over. The first cause wins. */
export type EndReason = "TERMINATED" | "DISCONNECTED" | "LEFT_TO_PARTIES" | "MEDIA_LOST" | "SESSION_CLOSED";

/** Where the seat stands. */
export type SeatState = "VACANT" | "OFFERED" | "HELD" | "SUSPENDED";

/** Why the seat changed. */
export type SeatCause =
  | "ACCEPTED"
  | "REATTACHED"
  | "LOST"
  | "GRACE_EXPIRED"
  | "RELEASED"
  | "TRANSFERRED"
  | "ESCALATED"
  | "CALL_ENDED"
  | "TAKEN_OVER";

/** The seat as others see it. */
export interface SeatSnapshot {
  readonly state: SeatState;
  readonly agentId: string;
  readonly instanceId: string;
  /** Grows with each new holder, from 1; 0 before the first. */
  readonly epoch: number;
  /** Offers so far. */
  readonly attempt: number;
  readonly suspendExpireTime?: Date;
}

/** How much of the agent's audio was played, by the gateway's clock. */
export interface PlaybackSnapshot {
  readonly queuedMs: number;
  readonly unheardAtProviderMs: number;
  readonly playedMs: number;
}

/** A call as others see it; immutable. */
export interface CallSnapshot {
  readonly tenant: string;
  readonly callId: string;
  readonly sessionId: string;
  readonly connector: string;
  readonly direction: "INBOUND";
  readonly caller: string;
  readonly callee: string;
  readonly rawCaller: string;
  readonly rawCallee: string;
  readonly pool: string;
  readonly locale: string;
  readonly state: CallState;
  /** Set while CONNECTED. */
  readonly agentMode?: AgentMode;
  /** Set in DISCONNECTED. */
  readonly endReason?: EndReason;
  readonly seat: SeatSnapshot;
  readonly sampleRateHz: number;
  readonly pending?: { readonly requestId: string; readonly verb: Verb };
  readonly playback: PlaybackSnapshot;
  readonly createTime: Date;
  readonly answerTime?: Date;
  readonly connectTime?: Date;
  readonly endTime?: Date;
  readonly gatewayId: string;
  readonly lastEventSequence: number;
}

/** The verbs, named like the RPCs. */
export type Verb =
  | "AnswerCall"
  | "ConnectCall"
  | "SetAgentMode"
  | "EscalateCall"
  | "ConfirmEscalation"
  | "TransferCall"
  | "ReleaseCall"
  | "CloseCall"
  | "DisconnectCall"
  | "CancelCommand"
  | "SendNote";
