import { type Actor, type CallCommand, type CommandReply, requireAllowed } from "./call-commands.js";
import type { CallSnapshot, CallState } from "./call-state.js";
import { type CommandLedger, replyOf } from "./command-ledger.js";

const OVER: { readonly state: CallState; readonly ended: true } = { state: "DISCONNECTED", ended: true };

/**
 * What is kept of a call that is over and has nothing more to tell: what it was, and what its commands came to. The call
 * itself, with its playback, its leg and its timers, is ten times as large.
 */
export class EndedCall {
  readonly lifecycle = OVER;

  constructor(
    private readonly last: CallSnapshot,
    /** Commands that were taken, all finished; undefined: none. */
    private readonly ledger: CommandLedger | undefined,
  ) {}

  get facts(): CallSnapshot {
    return this.last;
  }

  snapshot(): CallSnapshot {
    return this.last;
  }

  /** A repeated command gets its first result; a new one CALL_STATE, for nothing is allowed any more. */
  async execute(_actor: Actor, requestId: string, command: CallCommand): Promise<CommandReply> {
    const { callId } = this.last;
    if (command.verb === "CancelCommand") requireAllowed(callId, OVER.state, command.verb);
    const entry = requestId ? this.ledger?.find(requestId, this.ledger.hashOf(command)) : undefined;
    if (entry?.outcome) return replyOf(this.last, entry, entry.outcome);
    requireAllowed(callId, OVER.state, command.verb);
    throw new TypeError(`${command.verb} is allowed in ${OVER.state}`);
  }
}
