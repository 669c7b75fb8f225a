import type { Call } from "../call/call.js";
import type { EscalationReason } from "../call/call-commands.js";
import type { Timer } from "../util/clock.js";
import type { AgentSession } from "./agent-session.js";
import type { Pool } from "./pool.js";

/** The search for somebody to take the seat of a call. */
export interface Search {
  readonly call: Call;
  readonly pool: Pool;
  /** Only this instance, when a transfer names one. */
  readonly instanceId?: string;
  /** TAKEN_OVER: the instance had the seat under another owner of the call and is given it without an offer. */
  readonly cause: "ACCEPTED" | "TRANSFERRED" | "ESCALATED" | "TAKEN_OVER";
  readonly escalationReason?: EscalationReason;
  /** Never asked: the holder that is to be relieved. */
  readonly excluded: AgentSession | undefined;
  /** Asked in this round. */
  readonly tried: Set<AgentSession>;
  offer: Offer | undefined;
  pause: Timer | undefined;
  limit: Timer | undefined;
  /** A round is over and nobody took it. */
  readonly roundOver: () => void;
  /** It is over: taken or not. Called once. */
  readonly done: (taken: boolean) => void;
}

/** A call offered to a session. */
export interface Offer {
  readonly offerId: string;
  readonly search: Search;
  readonly session: AgentSession;
  /** The epoch that must still be current when it is accepted. */
  readonly epoch: number;
  readonly attempt: number;
  readonly timer: Timer;
}
