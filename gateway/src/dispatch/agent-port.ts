import type { Actor, CallCommand, CommandReply, EscalationReason } from "../call/call-commands.js";
import type { CallError } from "../call/call-error.js";
import type { StoredEvent } from "../call/call-events.js";
import type { CallSnapshot, EndReason, PlaybackSnapshot, SeatCause } from "../call/call-state.js";
import type { CallContext } from "../context/context-types.js";

/** A format of mono audio; the rate is never 0 here. */
export interface AudioFormat {
  readonly encoding: "S16LE" | "MULAW" | "ALAW";
  readonly sampleRateHz: number;
}

/** What an agent registers with, validated and defaults filled in by the wire. */
export interface Registration {
  readonly agentId: string;
  /** Empty: one is made. */
  readonly instanceId: string;
  readonly pool: string;
  readonly capacity: number;
  /** sampleRateHz 0 means the rate of each call. */
  readonly audioFormat: AudioFormat;
  readonly labels: Readonly<Record<string, string>>;
  readonly answerOnAccept: boolean;
  readonly heartbeat: boolean;
  readonly noAudio: boolean;
  /** Set when the agent is connected to another gateway, which relays: the id of that gateway. */
  readonly relayedBy?: string;
}

/** What a session is told about itself. */
export interface RegisteredInfo {
  readonly sessionToken: string;
  readonly heartbeatIntervalMs: number;
  readonly reattachGraceMs: number;
  readonly maxItems: number;
  readonly maxMessageBytes: number;
  readonly maxPlaybackMs: number;
  readonly gatewayId: string;
  readonly instanceId: string;
  /** The pool that it takes calls from. */
  readonly pool: string;
}

/** A control item for an agent. Audio goes its own way, see AgentStream. */
export type AgentNotice =
  | { readonly type: "registered"; readonly info: RegisteredInfo }
  | {
      readonly type: "offer";
      readonly offerId: string;
      readonly call: CallSnapshot;
      readonly context?: CallContext;
      readonly attempt: number;
      readonly deadline: Date;
      readonly timeLeftMs: number;
      readonly escalationReason?: EscalationReason;
    }
  | { readonly type: "offerRevoked"; readonly offerId: string }
  | {
      readonly type: "assigned";
      readonly call: CallSnapshot;
      readonly epoch: number;
      readonly handle: number;
      readonly resume: "NEW" | "REATTACHED" | "MOVED" | "TAKEN_OVER";
      readonly audioFormat: AudioFormat;
      readonly offerId: string;
      readonly attempt: number;
    }
  | {
      readonly type: "unassigned";
      readonly handle: number;
      readonly callId: string;
      readonly cause: SeatCause;
      readonly endReason?: EndReason;
    }
  | {
      readonly type: "audioGap";
      readonly handle: number;
      readonly from: number;
      readonly durationMs: number;
      readonly reason: "SLOW_RECEIVER" | "DETACHED" | "PROVIDER";
    }
  | {
      readonly type: "markReached";
      readonly handle: number;
      readonly name: string;
      readonly end: "PLAYED" | "CLEARED";
    }
  | { readonly type: "playback"; readonly handle: number; readonly position: PlaybackSnapshot }
  | {
      readonly type: "playbackCleared";
      readonly handle: number;
      readonly droppedLocalMs: number;
      readonly estimatedUnheardAtProviderMs: number;
      readonly playedMs: number;
    }
  | {
      readonly type: "commandResult";
      readonly handle: number;
      readonly requestId: string;
      readonly reply?: CommandReply;
      readonly error?: CallError;
    }
  | { readonly type: "callEvent"; readonly event: StoredEvent }
  | { readonly type: "note"; readonly handle: number; readonly text: string; readonly author: string }
  | {
      readonly type: "itemRefused";
      readonly handle: number;
      readonly item: string;
      readonly error: CallError;
    }
  | { readonly type: "goAway"; readonly deadlineMs: number }
  | { readonly type: "credentialExpiring"; readonly expireTime: Date };

/**
 * One stream to an agent, implemented by each wire (gRPC; later NATS and the browser). It flushes by itself: what is
 * ready together goes out as one message, control before audio, one write in flight.
 */
export interface AgentStream {
  /** Queues a control item. Bounded (items and bytes); beyond it the wire ends the stream with STREAM_QUEUE_FULL. */
  send(notice: AgentNotice): void;
  /**
   * Queues audio. `pcm` is in the session's format and may be kept (it is not reused). Bounded per handle in ms; full:
   * the oldest of that handle is dropped and an audioGap with SLOW_RECEIVER is sent before the next audio.
   * `position` and `samples` are at the rate of the call.
   */
  sendAudio(handle: number, position: number, samples: number, pcm: Uint8Array): void;
  /** The handle is over: drops its queued audio, forgets it. */
  endHandle(handle: number): void;
  /** Ends the stream: gracefully without, with a status otherwise. What is queued is still written. */
  end(error?: CallError): void;
}

/** The gateway's side of a stream. The wire calls these in the order the items came. None throws; refusals are notices. */
export interface AgentStreamHandler {
  accept(offerId: string): void;
  decline(offerId: string, reason: string): void;
  /** PCM in the session's format; copied before the call returns. */
  audio(handle: number, pcm: Uint8Array): void;
  mark(handle: number, name: string): void;
  clearPlayback(handle: number): void;
  command(handle: number, requestId: string, command: CallCommand): void;
  heartbeat(load: number): void;
  /** Of a session that another gateway relays: places of the agent that are taken by other ways. */
  takenElsewhere?(places: number): void;
  drain(): void;
  bye(): void;
  /** The stream ended or broke; exactly once, after which nothing else is called. */
  lost(): void;
}

/** A call to come back to. */
export interface ReattachCall {
  readonly callId: string;
  readonly epoch: number;
  readonly lastEventSequence: number;
}

/** Where streams of agents begin. All throw CallError (POOL_NOT_FOUND, SESSION_NOT_FOUND, GOING_AWAY, LIMIT_REACHED). */
export interface AgentHub {
  register(actor: Actor, registration: Registration, stream: AgentStream): AgentStreamHandler;
  join(actor: Actor, sessionToken: string, stream: AgentStream): AgentStreamHandler;
  reattach(
    actor: Actor,
    sessionToken: string,
    calls: readonly ReattachCall[],
    stream: AgentStream,
  ): AgentStreamHandler;
  /** The pool of a session of the tenant that lives here; undefined when there is none. Never throws. */
  poolOf(tenant: string, sessionToken: string): string | undefined;
}
