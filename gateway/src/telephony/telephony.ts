import type { AgentMode } from "../call/call-state.js";

/** A call that a provider delivers, once claimed. */
export interface IncomingCall {
  /** Name of the connector it came by. */
  readonly connector: string;
  /** The provider's id of the call. */
  readonly callId: string;
  /** The provider's id of the session. */
  readonly sessionId: string;
  /** As the provider wrote it; empty when withheld. */
  readonly from: string;
  readonly to: string;
  /** 8000, 16000 or 24000. */
  readonly sampleRateHz: number;
  readonly audioMode: "mixed" | "isolated";
}

/** What the claim policy looks at, before the call is claimed. */
export interface CallNotice {
  readonly connector: string;
  readonly sessionId: string;
  readonly from: string;
  readonly to: string;
}

/** Where the adapter takes the agent's audio from, when the provider asks for it. s16le mono at the rate of the call. */
export interface PlaybackSource {
  /** Bytes that may be read now; even. */
  available(): number;
  /** Copies up to `maxBytes` (even) into `target` at `offset`; answers how many. They count as sent. */
  read(target: Uint8Array, offset: number, maxBytes: number): number;
  /** True when a tail shorter than the provider's preferred frame is to be sent now: a mark or a drain waits for it, or nothing follows it. */
  flushTail(): boolean;
}

/** How ringing the callee ended. `unknown`: no answer in time; never repeated, judged by the next event. */
export type ConnectOutcome = "connected" | "unanswered" | "unknown";

/** A command that the provider refused or that could not be delivered. */
export class TelephonyError extends Error {
  override readonly name = "TelephonyError";
  constructor(
    /** refused: the provider said no. unavailable: it was not sent. unknown: sent, no answer in time. */
    readonly kind: "refused" | "unavailable" | "unknown",
    message: string,
    /** The provider's own code, if it gave one. */
    readonly providerCode = "",
  ) {
    super(message);
  }
}

/** One call at the provider. All commands reject with TelephonyError. */
export interface CallLeg {
  /** Who is told; set once, before the first command. */
  attach(handler: CallLegHandler, playback: PlaybackSource): void;
  answer(): Promise<void>;
  /** The call was answered before it came here: its media are wanted at once. Told as restored or lost. */
  resume(): void;
  /** Rings the original callee for `ringTimeSeconds` (1–120). */
  connect(ringTimeSeconds: number): Promise<ConnectOutcome>;
  setAgentMode(mode: AgentMode): Promise<void>;
  /** Drops what the provider has buffered for playback. */
  interrupt(): Promise<void>;
  /** The agent leg leaves. */
  close(): Promise<void>;
  /** Ends the call for everyone. */
  disconnect(): Promise<void>;
  /** There may be new audio in the playback source. Cheap; may be called often. */
  audioReady(): void;
  /** Closes the sockets of this call without any command. */
  abandon(): void;
  /** Asks the provider whether it still knows the session: true, false, or undefined when it cannot be asked. */
  isAlive(): Promise<boolean | undefined>;
}

/** What a leg tells the core. Never throws. */
export interface CallLegHandler {
  /** Audio of the channel (0 is the mix), whole samples, s16le. Never written to again: it may be kept. */
  onAudio(channel: number, pcm: Uint8Array): void;
  /** The provider said that the call is over. */
  onTerminated(): void;
  /** The media connection is gone and will not come back by itself. `detail` is a close code or error class. */
  onMediaLost(detail: string): void;
  /** The media connection is back after a loss. */
  onMediaRestored(): void;
  /** The provider closed the session. */
  onSessionClosed(reason: "SDK_REQUEST" | "FORCE_CLOSE" | "CALL_TERMINATED" | "OTHER"): void;
  /** The provider reported an error of the call; the call goes on. */
  onProviderError(code: string): void;
}

/** What a connector asks and tells the gateway. */
export interface ConnectorHandler {
  /** Whether to claim, and with which delay. Called for each notified session that is not ours yet. */
  claim(notice: CallNotice): { readonly claim: boolean; readonly delayMs: number };
  /** A claimed call; the handler attaches to the leg before it returns. */
  onCall(call: IncomingCall, leg: CallLeg): void;
  /** The session was notified but another process has it, or it closed before it was ours. */
  onCallLost(notice: CallNotice, reason: string): void;
  /** Sign-in state of the control connection changed. */
  onReady(ready: boolean): void;
}

/** A connection to a telephony provider. */
export interface Connector {
  readonly name: string;
  /** True while signed in. */
  readonly ready: boolean;
  /** Starts connecting, and reconnects for ever. Resolves at the first sign-in; rejects when the credential is refused. */
  start(handler: ConnectorHandler): Promise<void>;
  /**
   * Asks the provider for open calls that this process does not know; each goes through claim(). For calls whose process
   * died without the provider telling. Nothing while not signed in.
   */
  lookForCalls?(): void;
  /** Whether the provider still has the session open; undefined when it cannot be asked. */
  isOpen?(sessionId: string): Promise<boolean | undefined>;
  /** From now on nothing new is claimed. */
  stopClaiming(): void;
  /** Closes the control connection, and the media of calls that are left. */
  stop(): Promise<void>;
}
