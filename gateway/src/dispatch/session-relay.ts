import type { CallCommand } from "../call/call-commands.js";
import type { AgentStream, ReattachCall } from "./agent-port.js";
import type { AgentSession } from "./agent-session.js";

/**
 * A seat that a session of this gateway has in a call of another gateway. What the agent says there goes to that gateway;
 * nothing of it is judged here. None of these throws.
 */
export interface RemoteSeat {
  readonly remote: true;
  readonly callId: string;
  /** Its number on the agent's stream. */
  handle: number;
  /** Where the agent is told; undefined while it has no stream. */
  stream: AgentStream | undefined;
  /** True while its gateway is dead or cannot be reached: waits for the one that takes the call over. */
  readonly detached: boolean;
  audio(pcm: Uint8Array): void;
  mark(name: string): void;
  clearPlayback(): void;
  command(requestId: string, command: CallCommand): void;
  /** The agent's stream is gone and this sibling has the call now. */
  move(stream: AgentStream): void;
  /** The agent's stream is gone, and there is no other. */
  streamLost(): void;
  /** The seat is this session's in another way: forgotten without a word. */
  replaced(): void;
}

/** An offer of another gateway. */
export interface RemoteOffer {
  readonly offerId: string;
  accept(): void;
  decline(reason: string): void;
}

/** Shows the sessions of this gateway to other gateways, so that their calls are offered to them. */
export interface SessionRelay {
  added(session: AgentSession): void;
  /** Places, load or draining changed. */
  changed(session: AgentSession): void;
  /** It has no stream any more. */
  streamsLost(session: AgentSession): void;
  /** It has a stream again; `calls` of other gateways are wanted back on it. */
  attached(session: AgentSession, calls: readonly ReattachCall[], stream: AgentStream): void;
  ended(session: AgentSession): void;
}

/** Where there are no other gateways. */
export const NO_RELAY: SessionRelay = {
  added() {},
  changed() {},
  streamsLost() {},
  attached() {},
  ended() {},
};
