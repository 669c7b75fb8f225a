import type { SpeechError } from "../../speech/ports.js";

/** A turn of the caller, as understood. */
export interface CallerTurn {
  readonly text: string;
  /** 0 to 1, when the recogniser says. */
  readonly confidence?: number;
  /** When the caller began. */
  readonly time: Date;
  /** How long the caller spoke, ms. */
  readonly durationMs: number;
  /** The agent was speaking and fell silent for it. */
  readonly interrupting: boolean;
}

/** A turn of the agent, told when its text is complete and again when it was cut off. */
export interface AiTurn {
  /** Counts the agent's turns in this conversation, from 1. */
  readonly number: number;
  readonly text: string;
  readonly time: Date;
  readonly interrupted: boolean;
  /** The part that was heard, when interrupted. */
  readonly heard?: string;
}

/** A tool that the model calls; the arguments are as the model gave them, unchecked. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What the owner of a conversation is told, and decides. Nothing here may throw. */
export interface ConversationHandler {
  /** The caller begins to speak. */
  callerStarted(): void;
  /**
   * What the caller said; the text is empty when nothing was understood. REPLY lets the model answer; HANDLED means that
   * the owner says or does something itself, or that nothing is to be said. Called for one turn at a time.
   */
  callerTurn(turn: CallerTurn): Promise<"REPLY" | "HANDLED">;
  aiTurn(turn: AiTurn): void;
  /** The model wants something done; what it said before is already queued. */
  toolCall(call: ToolCall): void;
  /** Everything that was to be said has been heard, and the caller is silent. */
  quiet(): void;
  /** Recognition, reply or speech failed for good (its retry included); the turn is lost. */
  failed(error: SpeechError): void;
}

/** How something is said. */
export interface SayOptions {
  /** Whether the caller may cut it off by speaking. Default true. */
  readonly interruptible?: boolean;
}

/** How saying something went: queued at the call to its end, cut off by the caller, or not possible. */
export type SaidOutcome = "QUEUED" | "INTERRUPTED" | "FAILED";

/**
 * A spoken conversation: the caller's audio goes in and the agent's comes out through the call it was made for; turns,
 * tool calls and interruptions are told to its handler. `SpeechChain` is one (voice activity → speech-to-text → reply →
 * text-to-speech); a realtime model that does all of it at once fits the same port.
 */
export interface Conversation {
  /** Listen from now on, until the call ends or {@link close}. */
  start(handler: ConversationHandler): void;
  /** Say a given text, after what is being said. Resolves when its audio is queued at the call, so that a command that waits for drained playback comes behind it. */
  say(text: string, options?: SayOptions): Promise<SaidOutcome>;
  /**
   * TALK: the caller may interrupt and is answered. LISTEN: turns are still told, but nothing is interrupted and the model
   * is not asked, whatever `callerTurn` answers.
   */
  setMode(mode: "TALK" | "LISTEN"): void;
  /** Listen and speak no more. Of a call that is over, the last turns of the agent are told with what was heard of them. */
  close(): Promise<void>;
}
