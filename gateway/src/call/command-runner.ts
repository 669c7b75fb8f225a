import { randomUUID } from "node:crypto";
import { AfterWait, cancelled } from "./after-wait.js";
import type {
  Actor,
  After,
  CallCommand,
  CommandOutcome,
  CommandReply,
  EscalationResult,
} from "./call-commands.js";
import { requireAllowed, wrongState } from "./call-commands.js";
import type { CallCore } from "./call-core.js";
import { outcomeUnknown, unlessAborted, within } from "./call-core.js";
import { CallError } from "./call-error.js";
import type { EscalationPlan } from "./call-events.js";
import type { Verb } from "./call-state.js";
import { CommandLedger, type LedgerEntry, replyOf } from "./command-ledger.js";
import { commandOf, Escalation } from "./escalation.js";
import * as legVerbs from "./leg-verbs.js";
import type { RestoredLife } from "./restore.js";
import type { SeatHolder } from "./seat.js";

/** The ending command that waits or runs: there is at most one. */
interface Exclusive {
  readonly entry: LedgerEntry;
  readonly abort: AbortController;
  /** Cancels it while it has had no effect; answers whether it could. */
  readonly cancel: (cause: string) => boolean;
  readonly escalation?: Escalation;
}

/** Takes verbs: idempotency, the state table, one ending command at a time, waiting, and the events that tell of it. */
export class CommandRunner {
  /** Every command that was taken. */
  readonly ledger: CommandLedger;
  private exclusive: Exclusive | undefined;
  /** Ending commands that are not finished: the one above, and those that gave way to a disconnect. */
  private readonly ending = new Set<LedgerEntry>();
  private legTurn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly core: CallCore,
    private readonly releaseSeat: (holder: SeatHolder | undefined) => void,
  ) {
    this.ledger = new CommandLedger(undefined, core.options.redact);
  }

  /** The ending command under way. */
  get pending(): { readonly requestId: string; readonly verb: Verb } | undefined {
    const entry = this.exclusive?.entry;
    return entry ? { requestId: entry.requestId, verb: entry.verb } : undefined;
  }

  /** True while an escalation runs. */
  get escalating(): boolean {
    return this.exclusive?.escalation !== undefined;
  }

  /** True while an escalation runs that goes on without its agent: no re-offer meanwhile. */
  get escalatingAlone(): boolean {
    return this.exclusive?.escalation?.contextSaved ?? false;
  }

  /** Takes a verb; see CallApi.execute. */
  async execute(
    actor: Actor,
    requestId: string,
    command: CallCommand,
    waitMs: number,
  ): Promise<CommandReply> {
    if (command.verb === "CancelCommand") return this.cancelCommand(command.targetRequestId);
    const id = requestId || randomUUID();
    const bodyHash = this.ledger.hashOf(command);
    const entry = this.ledger.find(id, bodyHash) ?? this.begin(actor, id, bodyHash, command);
    if (isLong(command) && !entry.outcome) {
      // Whoever is told that it is under way can rely on it: another owner of the call knows of it.
      await entry.begun;
      if (waitMs > 0) await within<unknown>(entry.finished, waitMs, this.core.clock, () => undefined);
      if (!entry.outcome)
        return { call: this.core.snapshot(), pending: { requestId: id, verb: command.verb } };
    }
    const outcome = entry.outcome ?? (await entry.finished);
    return replyOf(this.core.snapshot(), entry, outcome);
  }

  /**
   * Commands of an earlier owner of the call: finished ones answer a repeated id; of the others nobody knows whether they
   * had their effect, so they end with OUTCOME_UNKNOWN and are never carried out again. An escalation that had not begun
   * to connect goes on: its context step is repeated, its announcement counts as heard.
   */
  restore(life: RestoredLife): void {
    const { escalation } = life;
    for (const { verb, requestId, bodyHash, outcome } of life.commands) {
      if (outcome) {
        this.ledger.add({ verb, requestId, bodyHash, finished: Promise.resolve(outcome), outcome });
      } else if (escalation?.requestId === requestId && escalation.step === "SAVING" && escalation.plan) {
        this.resume(requestId, bodyHash, escalation.plan);
      } else {
        this.giveUp(verb, requestId, bodyHash);
      }
    }
  }

  private resume(requestId: string, bodyHash: string, plan: EscalationPlan): void {
    if (this.core.lifecycle.state !== "ANSWERED") {
      this.giveUp("EscalateCall", requestId, bodyHash);
      return;
    }
    const run = this.prepare(requestId, commandOf(plan));
    const entry: LedgerEntry = {
      verb: "EscalateCall",
      requestId,
      bodyHash,
      finished: Promise.resolve().then(() => this.finish(entry, run)),
    };
    this.ledger.add(entry);
    if (run.exclusive) this.exclusive = { entry, ...run.exclusive };
    this.ending.add(entry);
  }

  private giveUp(verb: Verb, requestId: string, bodyHash: string): void {
    const { core } = this;
    if (verb === "AnswerCall") core.answerUnknown = true;
    const outcome: CommandOutcome = {
      verb,
      requestId,
      ...(verb === "EscalateCall"
        ? { escalation: { outcome: "UNKNOWN" } }
        : { error: outcomeUnknown(core.facts.callId, verb) }),
    };
    this.ledger.add({ verb, requestId, bodyHash, finished: Promise.resolve(outcome), outcome });
    core.events.record({ type: "commandDone", ...outcome });
    if (outcome.escalation) {
      core.contexts.merge(core.snapshot(), { escalationOutcome: "UNKNOWN" }).catch(() => {
        // The event says the same.
      });
    }
  }

  /** The holder's stream is lost: what still waits is cancelled, except an escalation whose context is safe. */
  holderLost(): void {
    const task = this.exclusive;
    if (!task || task.escalation?.contextSaved) return;
    task.cancel("HOLDER_LOST");
  }

  /** The call is over: whatever runs is told, and answers with what it knows. */
  callEnded(): void {
    this.exclusive?.abort.abort("CALL_ENDED");
    this.exclusive?.cancel("CALL_ENDED");
  }

  /** Resolves when no ending command is under way. */
  async idle(): Promise<void> {
    while (this.ending.size > 0) await Promise.all([...this.ending].map((entry) => entry.finished));
  }

  private cancelCommand(targetRequestId: string): CommandReply {
    const { callId } = this.core.facts;
    requireAllowed(callId, this.core.lifecycle.state, "CancelCommand");
    const task = this.exclusive;
    if (!task || (targetRequestId && task.entry.requestId !== targetRequestId) || !task.cancel("CANCELLED")) {
      throw new CallError(
        "COMMAND_NOT_FOUND",
        "no command waits under this request_id; one with an effect stays",
        {
          call_id: callId,
          request_id: targetRequestId,
        },
      );
    }
    return { call: this.core.snapshot() };
  }

  private begin(actor: Actor, requestId: string, bodyHash: string, command: CallCommand): LedgerEntry {
    this.check(command);
    const run = this.prepare(requestId, command);
    const { verb } = command;
    const begun = Promise.resolve().then(async () => {
      await run.first?.();
      await this.core.events.record({
        type: "commandStarted",
        verb,
        requestId,
        bodyHash,
        actor: actor.name,
      });
    });
    const finished = begun.then(() => this.finish(entry, run, actor));
    const entry: LedgerEntry = { verb, requestId, bodyHash, begun, finished };
    this.ledger.add(entry);
    if (run.exclusive) {
      this.exclusive = { entry, ...run.exclusive };
      this.ending.add(entry);
    }
    return entry;
  }

  private check(command: CallCommand): void {
    const { core } = this;
    const { callId } = core.facts;
    const { state } = core.lifecycle;
    requireAllowed(callId, state, command.verb);
    if (command.verb === "CloseCall" && state === "ANSWERED" && !command.endCall) {
      throw wrongState(callId, state, "CloseCall", "without end_call, for it would end the call");
    }
    if (command.verb === "ConfirmEscalation" && !this.exclusive?.escalation?.isConfirming) {
      throw wrongState(callId, state, "ConfirmEscalation", "while no escalation asks to be confirmed");
    }
    if (command.verb === "ReleaseCall" && !core.seat.holder) {
      throw new CallError("SEAT_NOT_HELD", "nobody holds the seat", { call_id: callId });
    }
    if (command.verb === "TransferCall") this.requireEpoch(command.expectedEpoch);
    if (!isExclusive(command.verb) || !this.exclusive) return;
    const pending = this.exclusive.entry;
    if (command.verb === "DisconnectCall" && !hasCondition(command.after)) {
      // A disconnect that is being carried out at this moment is as good; everything else gives way.
      const waited = this.exclusive.cancel("DISCONNECT");
      if (waited || pending.verb !== "DisconnectCall") {
        this.exclusive.abort.abort("DISCONNECT");
        return;
      }
    }
    throw new CallError("PENDING_COMMAND", `${pending.verb} is under way; cancel it or wait for it`, {
      call_id: callId,
      pending_request_id: pending.requestId,
      pending_verb: pending.verb,
    });
  }

  /** Whoever takes a seat names the epoch it saw, so that the slower of two is refused instead of taking it away again. */
  private requireEpoch(expected: number | undefined): void {
    const { seat, facts } = this.core;
    if (expected === undefined || expected === seat.epoch) return;
    throw new CallError("SEAT_TAKEN", "somebody else took the seat meanwhile", {
      call_id: facts.callId,
      epoch: String(seat.epoch),
      agent_id: seat.holder?.agentId ?? "",
    });
  }

  /** Builds what the command does. The wait for playback begins here, at the place of the command in its stream. */
  private prepare(requestId: string, command: CallCommand): Prepared {
    const { core } = this;
    switch (command.verb) {
      case "AnswerCall":
        return { run: () => this.inTurn("AnswerCall", () => legVerbs.answer(core)) };
      case "SetAgentMode":
        return {
          run: async () => {
            await this.inTurn("SetAgentMode", () => legVerbs.setMode(core, command.mode));
            // Whoever sets a mode by command wants to be heard in it, also after a leave that failed.
            if (command.mode !== "SPY" && !this.escalating) core.flags.muted = false;
            core.updateOutlet();
          },
        };
      case "ReleaseCall": {
        // Of whoever holds it now, not of whoever holds it when this is carried out.
        const { holder } = core.seat;
        return { run: async () => this.releaseSeat(holder) };
      }
      case "ConfirmEscalation":
        return {
          run: async () => {
            this.exclusive?.escalation?.confirm(command.accepted);
          },
        };
      case "SendNote":
        return { run: async () => {}, note: command.text };
      case "EscalateCall": {
        const wait = this.waitFor(command.after, "PROCEED");
        const abort = new AbortController();
        const escalation = new Escalation(core, requestId, command, wait, abort.signal);
        let result: EscalationResult | undefined;
        return {
          first: () => escalation.saveWords(),
          run: async () => {
            result = await escalation.run();
          },
          result: () => result,
          exclusive: { abort, escalation, cancel: (cause) => escalation.cancel(cause) },
        };
      }
      case "ConnectCall":
        return this.exclusiveRun(command.verb, command.after, (signal) =>
          legVerbs.connect(core, command.ringTimeSeconds, signal),
        );
      case "CloseCall":
        return this.exclusiveRun(command.verb, command.after, () => legVerbs.close(core));
      case "DisconnectCall":
        return this.exclusiveRun(command.verb, command.after, () => legVerbs.disconnect(core));
      case "TransferCall":
        return this.transferRun(command);
      case "CancelCommand":
        throw new Error("CancelCommand is not a ledger command");
    }
  }

  private exclusiveRun(
    verb: Verb,
    after: After | undefined,
    effect: (signal: AbortSignal) => Promise<void>,
  ): Prepared {
    const { core } = this;
    const wait = this.waitFor(after, "CANCEL");
    const abort = new AbortController();
    return {
      run: async () => {
        await unlessAborted(wait.met, abort.signal, core.facts.callId);
        requireAllowed(core.facts.callId, core.lifecycle.state, verb);
        await effect(abort.signal);
      },
      exclusive: { abort, cancel: (cause) => wait.cancel(cause) },
    };
  }

  private transferRun(command: Extract<CallCommand, { verb: "TransferCall" }>): Prepared {
    const { core } = this;
    const { callId } = core.facts;
    const wait = this.waitFor(command.after, "CANCEL");
    const abort = new AbortController();
    let moved = false;
    return {
      run: async () => {
        await unlessAborted(wait.met, abort.signal, callId);
        const search = core.seating.seek(core, command.to, command.offerDurationMs, "TRANSFERRED");
        const taken = search.done.then((yes) => {
          moved = yes;
          return yes;
        });
        try {
          if (await unlessAborted(taken, abort.signal, callId)) return;
        } finally {
          search.cancel();
        }
        throw new CallError("TRANSFER_UNANSWERED", "nobody took the seat; the holder keeps it", {
          call_id: callId,
          ...("pool" in command.to ? { pool: command.to.pool } : { instance_id: command.to.instanceId }),
        });
      },
      exclusive: {
        abort,
        cancel: (cause) => {
          if (moved) return false;
          if (!wait.cancel(cause)) abort.abort(cause);
          return true;
        },
      },
    };
  }

  private waitFor(after: After | undefined, defaultOnInterrupt: "CANCEL" | "PROCEED"): AfterWait {
    const { core } = this;
    return new AfterWait(
      after,
      defaultOnInterrupt,
      core.facts.callId,
      core.playback,
      core.marks,
      core.clock,
      core.options.after,
    );
  }

  /** Short leg commands go one after the other, each judged by the state it finds. */
  private inTurn(verb: Verb, effect: () => Promise<void>): Promise<void> {
    const turn = this.legTurn.then(() => {
      requireAllowed(this.core.facts.callId, this.core.lifecycle.state, verb);
      return effect();
    });
    this.legTurn = turn.catch(() => {});
    return turn;
  }

  private async finish(entry: LedgerEntry, prepared: Prepared, actor?: Actor): Promise<CommandOutcome> {
    const { core } = this;
    const { verb, requestId } = entry;
    let error: CallError | undefined;
    let escalation: EscalationResult | undefined;
    try {
      if (prepared.note !== undefined) {
        const holder = core.seat.activeHolder;
        holder?.note(prepared.note, actor?.name ?? "");
        entry.delivered = holder !== undefined;
        core.events.record({ type: "noteSent", actor: actor?.name ?? "", delivered: entry.delivered });
      }
      await prepared.run();
      escalation = prepared.result?.();
    } catch (thrown) {
      error =
        core.lifecycle.ended && thrown instanceof CallError && thrown.reason === "CALL_STATE"
          ? cancelled(core.facts.callId, "CALL_ENDED")
          : CallError.from(thrown);
    }
    const outcome: CommandOutcome = {
      verb,
      requestId,
      ...(error ? { error } : {}),
      ...(escalation ? { escalation } : {}),
    };
    // It has had its effect: whoever got the seat by it may command before the event is stored.
    if (this.exclusive?.entry === entry) this.exclusive = undefined;
    await core.events.record({ type: "commandDone", ...outcome });
    entry.outcome = outcome;
    this.ending.delete(entry);
    return outcome;
  }
}

interface Prepared {
  /** Before the log says that it began. Has no effect that a repetition could not have again. Never rejects. */
  readonly first?: () => Promise<void>;
  readonly run: () => Promise<void>;
  /** Of EscalateCall, after `run`. */
  readonly result?: () => EscalationResult | undefined;
  readonly exclusive?: Omit<Exclusive, "entry">;
  readonly note?: string;
}

function hasCondition(after: After | undefined): boolean {
  return after !== undefined && after.condition !== "NOW";
}

function isExclusive(verb: Verb): boolean {
  return (
    verb === "ConnectCall" ||
    verb === "EscalateCall" ||
    verb === "TransferCall" ||
    verb === "CloseCall" ||
    verb === "DisconnectCall"
  );
}

function isLong(command: CallCommand): boolean {
  switch (command.verb) {
    case "ConnectCall":
    case "EscalateCall":
    case "TransferCall":
      return true;
    case "CloseCall":
    case "DisconnectCall":
      return hasCondition(command.after);
    default:
      return false;
  }
}
