import type { PlayoutOptions, PlayoutStats } from "./audio/playout.js";
import type { CommandName } from "./plane/messages.js";

/** States of a call, named as the vendor's documentation names them. */
export type CallState = "PENDING" | "ANSWERED" | "CONNECTED" | "DISCONNECTED";

/** Who hears the agent while connected. */
export type AgentMode = "barge" | "whisper" | "spy";

/** Who began the call: `inbound` was placed by `placeCall`, `outbound` by the agent's `session.create`. */
export type CallDirection = "inbound" | "outbound";

/**
 * Why a call ended.
 * `caller_hung_up`, `callee_hung_up`, `agent_closed` (close while answered or pending), `agent_disconnected`,
 * `rest_closed`, `forced` (by the test), `orphaned`, `media_lost`, `unserved`, `not_picked_up` (outbound).
 */
export type CallEndReason =
  | "caller_hung_up"
  | "callee_hung_up"
  | "agent_closed"
  | "agent_disconnected"
  | "rest_closed"
  | "forced"
  | "orphaned"
  | "media_lost"
  | "unserved"
  | "not_picked_up"
  | "simulator_stopped";

/** A fault on one command. */
export interface CommandFault {
  /** Which command; absent: the next one, whichever it is. */
  readonly command?: CommandName;
  /** How many commands are hit. Default 1. */
  readonly count?: number;
  /** The answer comes this much later, in ms; beyond the command's `timeout_ms` it becomes TIMEOUT. */
  readonly delayMs?: number;
  /** With `delayMs`: send the late answer even after `timeout_ms`, and no TIMEOUT. Default false. */
  readonly ignoreTimeout?: boolean;
  /** The command takes effect, but no answer comes, ever. */
  readonly swallow?: boolean;
  /** The command has no effect and is answered with this `error_code`. */
  readonly errorCode?: string;
  /** The answer is sent this many times. Default 1. */
  readonly responses?: number;
}

/** Figures of a call's media connection. */
export interface CallStats extends PlayoutStats {
  /** Binary frames sent to the agent. */
  readonly framesToAgent: number;
  /** Binary frames not sent because the agent did not read fast enough. */
  readonly framesDropped: number;
  /** Text frames from the agent that could not be understood. */
  readonly badFrames: number;
  /** Times a media connection was opened. */
  readonly mediaConnections: number;
  /** Milliseconds of agent audio waiting in the play-out buffer now. */
  readonly bufferedMs: number;
}

/** Behaviour of a call that the vendor leaves open, or that a test wants different. Defaults in {@link CALL_DEFAULTS}. */
export interface CallOptions extends PlayoutOptions {
  /** The caller hears ring-back tone while it rings. Default false. */
  readonly ringback?: boolean;
  /** Keep what everybody says and hears. Default true. */
  readonly recording?: boolean;
  /** A recording keeps the first so many seconds of a call. Default 3600. */
  readonly recordingLimitSeconds?: number;
  /**
   * What becomes of a connected call when the remote party (the caller of an inbound call) leaves while the
   * agent is in it. Default `end`.
   */
  readonly whenRemoteLeaves?: "end" | "stay";
  /** The same for the subscriber (the callee of an inbound call). Without the agent it always ends. Default `stay`. */
  readonly whenSubscriberLeaves?: "end" | "stay";
  /** Which answer `call.connect` gets when ring time and `timeout_ms` end together. Default `unanswered`. */
  readonly connectRace?: "unanswered" | "timeout";
  /** Send `call.terminated` also when the agent leaves a connected call by `call.close`. Default false. */
  readonly terminatedOnLeave?: boolean;
  /** Delay of `call.terminated` (and of closing the media connection) after the call's end, ms. Default 0. */
  readonly terminatedDelayMs?: number;
  /** An answered call whose media connection was lost ends after this long, ms. Default 30000. */
  readonly mediaLostGraceMs?: number;
  /** Audio to the agent is dropped while this much waits unread in the socket, in bytes. Default 1 MiB. */
  readonly maxUnsentBytes?: number;
  /** Isolated audio: channel of each leg (assumption A2). Default caller 1, callee 2. */
  readonly isolatedChannels?: { readonly caller: number; readonly callee: number };
  /** Rate when the parties talk without any connector having claimed the call. Default 16000. */
  readonly defaultSampleRate?: 8000 | 16000 | 24000;
}

/** Defaults of {@link CallOptions} without those of the play-out buffer. */
export const CALL_DEFAULTS = {
  ringback: false,
  recording: true,
  recordingLimitSeconds: 3600,
  whenRemoteLeaves: "end",
  whenSubscriberLeaves: "stay",
  connectRace: "unanswered",
  terminatedOnLeave: false,
  terminatedDelayMs: 0,
  mediaLostGraceMs: 30_000,
  maxUnsentBytes: 1024 * 1024,
  isolatedChannels: { caller: 1, callee: 2 },
  defaultSampleRate: 16000,
} as const;
