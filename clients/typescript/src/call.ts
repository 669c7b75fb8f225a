import type { UpdateContextOptions } from "./contexts.js";
import type {
  AgentMode,
  AudioChunk,
  AudioFormat,
  CallContext,
  CallEvent,
  CallInfo,
  CallState,
  ContextDurability,
  ContextFields,
  EndReason,
  EscalationReason,
  EscalationResult,
  SeatCause,
  Turn,
  WrittenContext,
} from "./types.js";
import type {
  CloseOptions,
  ConnectOptions,
  DisconnectOptions,
  EscalateOptions,
  TransferOptions,
  VerbOptions,
} from "./verbs.js";

/** Whether what a mark or `play` waited for was heard, or dropped by `clear()` or by the end of the call. */
export type MarkEnd = "PLAYED" | "CLEARED";

/** How audio was handed over: given to the gateway, or dropped by `clear()` before. */
export type PlayEnd = "SENT" | "CLEARED";

/** Audio to play: in the agreed format, whole or as it is made. A half sample at the end is kept for what follows. */
export type PlaySource = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What an interrupt dropped. Estimates by the clock. Milliseconds. */
export interface Cleared {
  /** Was still in this library or in the gateway. */
  readonly droppedMs: number;
  /** Was at the provider and not yet heard. */
  readonly estimatedUnheardMs: number;
  /** Heard since the media of the call began; 0 when the gateway could not be asked. */
  readonly playedMs: number;
}

/** Why this agent does not have the call any more. */
export interface CallEnd {
  /** `CALL_ENDED`: the call is over. `CLOSED`: the worker was closed. `LOST`: the connection did not come back in time. */
  readonly cause: SeatCause | "CLOSED";
  /** With `CALL_ENDED`: why. */
  readonly endReason?: EndReason;
}

/** Where the agent's audio is. Estimates. Milliseconds. */
export interface PlaybackStatus {
  /** Waits in this library. */
  readonly queuedMs: number;
  /** Sent to the gateway and not yet heard. */
  readonly aheadMs: number;
  /** Heard since the media began, as the gateway last told. */
  readonly playedMs: number;
}

/** What `call.on` tells. */
export interface CallListeners {
  /** Everything that happened to the call, in order. */
  event: (event: CallEvent) => void;
  /** A text from a supervisor, heard by nobody. */
  note: (note: { readonly text: string; readonly author: string }) => void;
  /** The call is in another state. */
  state: (state: CallState) => void;
  /** Who hears the agent changed. */
  mode: (mode: AgentMode) => void;
  /** The gateway told how far the playback is: at most twice a second. */
  playback: (status: PlaybackStatus) => void;
  /** False: the connection broke, the seat is reserved for a moment; true: it is back. */
  attached: (attached: boolean) => void;
  /** The agent does not have the call any more. */
  ended: (end: CallEnd) => void;
}

/**
 * A call whose seat this agent has. Everything that fails rejects with CallweaveError; after the end with `CALL_OVER`.
 * A rejection that nobody awaits does no harm.
 */
export interface Call {
  /** The call, unique within the tenant. */
  readonly id: string;
  /** All that is known of the call now. */
  readonly info: CallInfo;
  /** The caller's number in E.164, empty when withheld. */
  readonly caller: string;
  /** The number that was called, in E.164. */
  readonly callee: string;
  /** A BCP 47 tag, from the route. */
  readonly locale: string;
  /** The pool that the call came by. */
  readonly pool: string;
  /** Counts the offers of the call from 1; above 1 somebody else may have talked before. */
  readonly attempt: number;
  /** Of the seat; grows with each new holder. */
  readonly epoch: number;
  /** Where the call stands now. */
  readonly state: CallState;
  /** Who hears the agent; set while CONNECTED. */
  readonly mode: AgentMode | undefined;
  /** The agreed format of audio both ways. */
  readonly audioFormat: Required<AudioFormat>;
  /** Its sample rate, of `audio()` and `play()`. */
  readonly sampleRateHertz: number;
  /** The context as it came with the offer, its newest turns; undefined for a new call. */
  readonly context: CallContext | undefined;
  /** Set when the call came by an escalation. */
  readonly escalationReason: EscalationReason | undefined;
  /** Aborted when the agent does not have the call any more. Pass it to whatever works for the call. */
  readonly signal: AbortSignal;
  /** Resolves when the agent does not have the call any more. Never rejects. */
  readonly ended: Promise<CallEnd>;
  /** Where the agent's audio is. */
  readonly playback: PlaybackStatus;

  /** Answers the call. Not needed with `answerOnAccept`. */
  answer(options?: VerbOptions): Promise<void>;
  /**
   * The caller's audio, from the acceptance on; ends with the call. What nobody reads is kept up to `maxAudioQueuedMs`,
   * then the oldest is dropped and told as a gap. One reader at a time; a later loop goes on where one stopped.
   */
  audio(): AsyncIterable<AudioChunk>;
  /**
   * Plays audio after what was played before. Resolves when all of it is with the gateway, about `sendAheadMs` before
   * its end is heard; use `mark()` or `drained()` to know when it was heard. A buffer must not be changed meanwhile.
   * Rejects with QUEUE_FULL, taking nothing, when more than `maxPlaybackQueuedMs` would wait; an iterable is read only
   * as fast as it is played.
   */
  play(audio: PlaySource): Promise<PlayEnd>;
  /** Resolves when all audio before it was heard, or dropped. At most `maxMarks` wait, then QUEUE_FULL. */
  mark(name?: string): Promise<MarkEnd>;
  /** Resolves when all audio until now was heard, or dropped. The same as a mark without a name. */
  drained(): Promise<MarkEnd>;
  /** Interrupt: drops all audio until now, here, in the gateway and at the provider. */
  clear(): Promise<Cleared>;

  /** Rings the original callee; resolves when they picked up. CALLEE_UNANSWERED: the call is as it was. */
  connect(options?: ConnectOptions): Promise<void>;
  /** Says who hears the agent. In CONNECTED. */
  setMode(mode: AgentMode, options?: VerbOptions): Promise<void>;
  /** Saves the context, lets the announcement end, connects a human and leaves. Resolves with how it ended. */
  escalate(options: EscalateOptions): Promise<EscalationResult>;
  /** Says whether the human accepted, for an escalation that asked for confirmation. */
  confirmEscalation(accepted: boolean, options?: VerbOptions): Promise<void>;
  /** Moves the seat to another agent; resolves when that one has it. TRANSFER_UNANSWERED: you keep it. */
  transfer(options: TransferOptions): Promise<void>;
  /** Gives the seat back; the call is offered again. */
  release(options?: VerbOptions): Promise<void>;
  /** The agent leaves. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs `endCall`. */
  close(options?: CloseOptions): Promise<void>;
  /** Ends the call for everyone. */
  disconnect(options?: DisconnectOptions): Promise<void>;
  /** Cancels a command that has had no effect yet. Default: the one that waits. */
  cancel(requestId?: string): Promise<void>;

  /** Appends 1 to 100 turns to the context. */
  appendTurns(turns: readonly Turn[]): Promise<{ turnCount: number; durability?: ContextDurability }>;
  /** Writes the context: fields that are set replace what is there. */
  saveContext(fields: ContextFields & { readonly turns?: readonly Turn[] }): Promise<WrittenContext>;
  /** Writes single fields, if wanted only when the revision is still the one given. */
  updateContext(fields: ContextFields, options?: UpdateContextOptions): Promise<WrittenContext>;
  /** Reads the context with all turns. */
  getContext(): Promise<CallContext>;

  /** Listens; answers how to stop. A listener that throws is reported to the worker's `onError`. */
  on<K extends keyof CallListeners>(name: K, listener: CallListeners[K]): () => void;
  /**
   * The events of the call from now on; ends with the call. At most `maxEventsQueued` wait for the reader, then
   * it throws QUEUE_FULL.
   */
  events(): AsyncIterable<CallEvent>;
}
