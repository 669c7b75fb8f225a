import type { CallCommand } from "../../call/call-commands.js";
import { CallError } from "../../call/call-error.js";
import type { StoredEvent } from "../../call/call-events.js";
import type { AgentNotice, AgentStream } from "../../dispatch/agent-port.js";
import type { AgentSession } from "../../dispatch/agent-session.js";
import type { RemoteSeat } from "../../dispatch/session-relay.js";
import type { Timer } from "../../util/clock.js";
import type { UpMessage } from "./messages.js";

/** Events that are told again when a call moves to a sibling stream. */
const REPLAY_EVENTS = 20;

type Assigned = Extract<AgentNotice, { type: "assigned" }>;
type SeatNotice = Extract<AgentNotice, { readonly handle: number }>;

/** How a seat reaches the gateway of its call. */
export interface SeatPath {
  readonly gatewayId: string;
  up(message: UpMessage): void;
  upAudio(handle: number, pcm: Uint8Array): void;
}

/** The seat of an agent of this gateway in a call of another one. */
export class RelayedSeat implements RemoteSeat {
  readonly remote = true;
  readonly callId: string;
  handle = 0;
  stream: AgentStream | undefined;
  /** How its gateway is reached; undefined while it is not. */
  path: SeatPath | undefined;
  /** Ends a detached seat that nobody took over. */
  giveUp: Timer | undefined;
  /** The newest event that the agent was given. */
  lastEventSequence: number;
  private readonly recent: StoredEvent[] = [];

  constructor(
    private readonly session: AgentSession,
    private assigned: Assigned,
    path: SeatPath,
  ) {
    this.callId = assigned.call.callId;
    this.path = path;
    this.lastEventSequence = assigned.resume === "NEW" ? assigned.call.lastEventSequence : 0;
  }

  get detached(): boolean {
    return this.path === undefined;
  }

  get epoch(): number {
    return this.assigned.epoch;
  }

  /** Its number at the gateway of the call. */
  get remoteHandle(): number {
    return this.assigned.handle;
  }

  /** Binds it to a stream of the agent and says so. */
  bind(stream: AgentStream, resume: Assigned["resume"] = this.assigned.resume): void {
    this.session.bindRemote(this, stream);
    stream.send({ ...this.assigned, handle: this.handle, resume });
  }

  /** Tells the newest events after a sequence once more. */
  replay(afterSequence: number): void {
    for (const event of this.recent)
      if (event.sequence > afterSequence) this.stream?.send({ type: "callEvent", event });
  }

  /** The gateway of the call gave it again: after a break, or another gateway after a takeover. */
  renew(assigned: Assigned, path: SeatPath): void {
    this.assigned = assigned;
    this.path = path;
    this.giveUp?.cancel();
    this.giveUp = undefined;
  }

  // What the agent says.

  audio(pcm: Uint8Array): void {
    this.path?.upAudio(this.remoteHandle, pcm);
  }

  mark(name: string): void {
    if (this.path) this.path.up({ t: "mark", handle: this.remoteHandle, name });
    else this.refuse("mark");
  }

  clearPlayback(): void {
    if (this.path) this.path.up({ t: "clear", handle: this.remoteHandle });
    else this.refuse("clear_playback");
  }

  command(requestId: string, command: CallCommand): void {
    if (this.path) {
      this.path.up({ t: "command", handle: this.remoteHandle, requestId, command });
      return;
    }
    const { handle } = this;
    this.stream?.send({ type: "commandResult", handle, requestId, error: this.away() });
  }

  // What becomes of the agent's streams.

  move(stream: AgentStream): void {
    this.bind(stream, "MOVED");
    this.replay(0);
  }

  streamLost(): void {
    this.stream?.endHandle(this.handle);
    this.stream = undefined;
  }

  replaced(): void {
    this.giveUp?.cancel();
    this.path = undefined;
    this.stream = undefined;
  }

  // What the gateway of the call says.

  /** A notice of this seat, under the number that the agent knows. */
  tell(notice: SeatNotice): void {
    this.stream?.send({ ...notice, handle: this.handle });
  }

  event(event: StoredEvent): void {
    if (event.sequence <= this.lastEventSequence) return;
    this.lastEventSequence = event.sequence;
    this.recent.push(event);
    if (this.recent.length > REPLAY_EVENTS) this.recent.shift();
    this.stream?.send({ type: "callEvent", event });
  }

  /** The seat is gone. */
  end(cause: Extract<AgentNotice, { type: "unassigned" }>["cause"]): void {
    const { stream, handle, callId } = this;
    this.giveUp?.cancel();
    this.session.dropRemote(this);
    this.path = undefined;
    stream?.send({ type: "unassigned", handle, callId, cause });
  }

  private refuse(item: string): void {
    this.stream?.send({ type: "itemRefused", handle: this.handle, item, error: this.away() });
  }

  private away(): CallError {
    const { callId } = this;
    return new CallError("CALL_OWNER_AWAY", "the gateway of this call cannot be reached now", {
      call_id: callId,
    });
  }
}
