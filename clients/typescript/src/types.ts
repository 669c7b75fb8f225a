import type { CallweaveError } from "./errors.js";

/** Where a call stands. Only forward; connect is allowed from PENDING. */
export type CallState = "PENDING" | "ANSWERED" | "CONNECTED" | "DISCONNECTED";

/** Who hears the agent leg while CONNECTED: both parties, only the callee, nobody. */
export type AgentMode = "BARGE" | "WHISPER" | "SPY";

/** Why a call is over. */
export type EndReason = "TERMINATED" | "DISCONNECTED" | "LEFT_TO_PARTIES" | "MEDIA_LOST" | "SESSION_CLOSED";

/** Where the seat of a call stands. */
export type SeatState = "VACANT" | "OFFERED" | "HELD" | "SUSPENDED";

/** Why a seat changed. */
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

/** Why an agent hands the call to a human. */
export type EscalationReason =
  | "ASKED_FOR_HUMAN"
  | "FRUSTRATED"
  | "OUT_OF_SCOPE"
  | "NOT_UNDERSTOOD"
  | "EMERGENCY"
  | "PROVIDER_FAILED";

/** How an escalation ended; `UNANSWERED`, `CANCELLED` and the like: the agent still has the call. */
export type EscalationOutcome =
  | "CONNECTED"
  | "UNANSWERED"
  | "PICKED_UP_NOT_CONFIRMED"
  | "CALLER_LEFT"
  | "CONTEXT_NOT_SAVED"
  | "CANCELLED"
  | "REJECTED"
  | "UNKNOWN"
  | "LEAVE_FAILED";

/** Where a written context is safe. */
export type ContextDurability = "STORE" | "REPLICATED_LOG" | "LOCAL_DISK";

/** How an escalation ended. */
export interface EscalationResult {
  /** How it ended. */
  readonly outcome: EscalationOutcome;
  /** Where the context is safe; undefined when it was not written, or when nothing was said about it. */
  readonly durability?: ContextDurability;
}

/** How samples are written; mono. `MULAW` and `ALAW` at 8000 Hz alone. */
export type AudioEncoding = "S16LE" | "MULAW" | "ALAW";

/** A format of mono audio. */
export interface AudioFormat {
  /** Default `S16LE`. */
  readonly encoding?: AudioEncoding;
  /** 8000, 16000 or 24000. Default: the rate of the call. */
  readonly sampleRateHertz?: number;
}

/** How much of the agent's audio was played, by the gateway's clock. Estimates. */
export interface PlaybackPosition {
  /** Waits in the gateway. Milliseconds. */
  readonly queuedMs: number;
  /** At the provider and, by the clock, not yet heard. Milliseconds. */
  readonly unheardAtProviderMs: number;
  /** Heard since the media began. Milliseconds. */
  readonly playedMs: number;
}

/** The one agent leg of a call and who has it. */
export interface Seat {
  /** Where it stands. */
  readonly state: SeatState;
  /** Empty when nobody holds it. */
  readonly agentId: string;
  /** The process that holds it; empty when nobody does. */
  readonly instanceId: string;
  /** Grows with each new holder, from 1; 0 before the first. */
  readonly epoch: number;
  /** How many times the call was offered so far. */
  readonly attempt: number;
  /** While SUSPENDED: when the reservation ends. */
  readonly suspendExpireTime?: Date;
}

/** A call as a gateway shows it. */
export interface CallInfo {
  /** Unique within the tenant; the provider's id of the call. */
  readonly callId: string;
  /** The provider's id of the session that the call belongs to. */
  readonly sessionId: string;
  /** The connector's name in the configuration of the gateway. */
  readonly connector: string;
  /** Who began it: the caller. */
  readonly direction: "INBOUND";
  /** E.164, empty when withheld. */
  readonly caller: string;
  /** E.164. */
  readonly callee: string;
  /** As the provider wrote it. */
  readonly rawCaller: string;
  /** The number that was called, as the provider wrote it. */
  readonly rawCallee: string;
  /** The pool that the route chose. */
  readonly pool: string;
  /** A BCP 47 tag. */
  readonly locale: string;
  /** Where it stands. */
  readonly state: CallState;
  /** Set while CONNECTED. */
  readonly agentMode?: AgentMode;
  /** Set in DISCONNECTED. */
  readonly endReason?: EndReason;
  /** Its seat. */
  readonly seat: Seat;
  /** 8000, 16000 or 24000; positions count in it. */
  readonly sampleRateHertz: number;
  /** The ending command under way, if any. */
  readonly pending?: { readonly requestId: string; readonly verb: string };
  /** The agent's audio so far. */
  readonly playback: PlaybackPosition;
  /** When the gateway was given the call. */
  readonly createTime?: Date;
  /** When it was answered by us. */
  readonly answerTime?: Date;
  /** When the callee picked up. */
  readonly connectTime?: Date;
  /** When it was over for us. */
  readonly endTime?: Date;
  /** The gateway that has the sockets of the call. */
  readonly gatewayId: string;
  /** Of the newest event of the call. */
  readonly lastEventSequence: number;
}

/** What happened; `type` is the name in the contract's `oneof`. */
export type CallEventBody =
  | { readonly type: "arrived"; readonly call: CallInfo }
  | {
      readonly type: "unserved";
      readonly action: "CONNECT" | "QUEUE" | "ANSWER_AND_HOLD" | "ANNOUNCE" | "LEAVE";
    }
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
  | { readonly type: "seatChanged"; readonly seat: Seat; readonly cause: SeatCause }
  | { readonly type: "answered" }
  | { readonly type: "ringing"; readonly ringTimeSeconds: number }
  | { readonly type: "connected" }
  | { readonly type: "modeSet"; readonly mode: AgentMode }
  | {
      readonly type: "commandStarted";
      readonly verb: string;
      readonly requestId: string;
      readonly bodyHash: string;
      readonly actor: string;
    }
  | {
      readonly type: "commandDone";
      readonly verb: string;
      readonly requestId: string;
      readonly error?: CallweaveError;
      readonly escalation?: EscalationResult;
    }
  | {
      readonly type: "escalation";
      readonly requestId: string;
      readonly step: "SAVING" | "CONNECTING" | "CONFIRMING" | "LEAVING";
    }
  | {
      readonly type: "contextWritten";
      readonly revision: number;
      readonly turnCount: number;
      readonly durability?: ContextDurability;
    }
  | { readonly type: "noteSent"; readonly actor: string; readonly delivered: boolean }
  | { readonly type: "ended"; readonly reason: EndReason }
  | {
      readonly type: "mediaChanged";
      readonly change: "LOST" | "RESTORED" | "PROVIDER_ERROR";
      readonly detail: string;
    }
  | { readonly type: "holdChanged"; readonly holding: boolean }
  /** Another gateway has the call now, or the same one after a restart. What was queued for playback there is gone. */
  | {
      readonly type: "takenOver";
      readonly fromGatewayId: string;
      readonly fromEpoch: number;
      readonly gatewayId: string;
    }
  /** Events that were told under this owner epoch with `durable: false` will never be in the store. */
  | { readonly type: "eventsLost"; readonly fromEpoch: number }
  /** A kind newer than this library. */
  | { readonly type: "unknown" };

/** Something that happened to a call. */
export type CallEvent = CallEventBody & {
  /** The call. */
  readonly callId: string;
  /** Counts the events of the call, from 1. */
  readonly sequence: number;
  /** When it happened, by the gateway's wall clock. */
  readonly time: Date;
  /** Opaque, for `watch`; empty when not durable. */
  readonly cursor: string;
  /** False when the store was away: the event may be missing from the history. */
  readonly durable: boolean;
  /** Audio position, samples at the rate of the call. */
  readonly position: number;
  /** The pool of the call. */
  readonly pool: string;
  /**
   * Counts the gateways that had the call, from 1. An event with `durable: false` is void when one with the same sequence
   * and a higher owner epoch comes.
   */
  readonly ownerEpoch: number;
};

/** Audio that came. */
export interface AudioData {
  /** Whole samples in the agreed format. A view: copy it to keep it for long. */
  readonly pcm: Buffer;
  /** Position of the first sample, in samples at the rate of the call, since the media began. */
  readonly positionSamples: number;
  /** The same in milliseconds. */
  readonly atMs: number;
  /** Not set: this is audio. */
  readonly gapMs?: undefined;
}

/** Audio that will not come. */
export interface AudioGap {
  /** Not set: this is a gap. */
  readonly pcm?: undefined;
  /** How much is missing. Milliseconds. */
  readonly gapMs: number;
  /**
   * The receiver was too slow, its stream was away, the provider sent nothing; `LOCAL_QUEUE_FULL`: nobody read
   * `audio()` fast enough in this process.
   */
  readonly reason: "SLOW_RECEIVER" | "DETACHED" | "PROVIDER" | "PAUSED" | "LOCAL_QUEUE_FULL" | "UNSPECIFIED";
  /** Position of the first missing sample. */
  readonly positionSamples: number;
  /** The same in milliseconds. */
  readonly atMs: number;
}

/** One step of `audio()`: `chunk.pcm` is set, or `chunk.gapMs` is. */
export type AudioChunk = AudioData | AudioGap;

/** Where the conversation stands. */
export type ContextStatus =
  | "ACTIVE"
  | "ESCALATING"
  | "HANDED_OVER"
  | "CALLBACK_WANTED"
  | "ABANDONED"
  | "ENDED";

/** Who wrote a summary. */
export type SummarySource = "MODEL" | "RULES";

/** Something that was said. */
export interface Turn {
  /** Unique within the call, at most 100 characters; appending the same id again changes nothing. Default: a UUID. */
  readonly id?: string;
  /** Who said it. */
  readonly role: "CALLER" | "AI" | "SPECIALIST";
  /** At most 10,000 characters. */
  readonly text: string;
  /** A BCP 47 tag. Default: the locale of the context. */
  readonly locale?: string;
  /** When it began. Default: now. */
  readonly time?: Date;
  /** Of an AI turn that was cut off: the part heard. */
  readonly heard?: string;
  /** The turn was cut off. Default: false. */
  readonly interrupted?: boolean;
}

/** What the caller was told and agreed to. */
export interface Consent {
  /** When the agent said that it is automated and writes down the talk. */
  readonly disclosedTime?: Date;
  /** False: no turns are stored or published. */
  readonly transcript: boolean;
  /**
   * True while something is spoken that nobody may keep, such as the number of a card: turns appended meanwhile are kept
   * without their words, listeners hear nothing. Ends with the next consent that is written without it.
   */
  readonly paused?: boolean;
}

/** The fields of a context that a program may write. Unset fields stay as they are. */
export interface ContextFields {
  /** A BCP 47 tag. */
  readonly locale?: string;
  /** Where the conversation stands. */
  readonly status?: ContextStatus;
  /** Why it was escalated. */
  readonly escalationReason?: EscalationReason;
  /** At most 100 characters. */
  readonly routingHint?: string;
  /** At most three sentences, 2,000 characters. */
  readonly summary?: string;
  /** Who wrote the summary. */
  readonly summarySource?: SummarySource;
  /** Facts for programs, at most 64 KiB as JSON; merged key by key. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** What the caller was told and agreed to. */
  readonly consent?: Consent;
  /** At most 500 characters. */
  readonly outcome?: string;
}

/** The record of a conversation. */
export interface CallContext extends ContextFields {
  /** The call; unique within the tenant. */
  readonly callId: string;
  /** The provider's id of the session. */
  readonly sessionId: string;
  /** E.164, empty when withheld. */
  readonly caller: string;
  /** E.164. */
  readonly callee: string;
  /** What was said, in the order of appending. */
  readonly turns: readonly Turn[];
  /** How many turns there are in all. */
  readonly turnCount: number;
  /** True when turns are left out here. */
  readonly truncated: boolean;
  /** Notes of humans. */
  readonly notes: readonly { readonly time?: Date; readonly author: string; readonly text: string }[];
  /** What was written elsewhere while the store was away and is not in the fields above; oldest first. */
  readonly conflicts: readonly {
    readonly time?: Date;
    /** As in the contract: "summary", "data.order_id". */
    readonly field: string;
    readonly value: string;
    readonly writeTime?: Date;
  }[];
  /** How the escalation ended. */
  readonly escalationOutcome?: EscalationOutcome;
  /** Grows with every write except appending turns. */
  readonly revision: number;
  /** When it was first written. */
  readonly createTime?: Date;
  /** When it was last written. */
  readonly updateTime?: Date;
  /** When it will be deleted. */
  readonly expireTime?: Date;
}

/** A written context, without turns, and where it is safe. */
export interface WrittenContext {
  /** As it is now. */
  readonly context: CallContext;
  /** Where it is safe. */
  readonly durability?: ContextDurability;
}
