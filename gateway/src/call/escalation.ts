import type { AfterWait } from "./after-wait.js";
import { cancelled } from "./after-wait.js";
import type {
  ContextDurability,
  EscalateCommand,
  EscalationOutcome,
  EscalationResult,
  OriginalCalleeTarget,
  PoolTarget,
} from "./call-commands.js";
import type { CallCore } from "./call-core.js";
import { unlessAborted, within } from "./call-core.js";
import { CallError } from "./call-error.js";
import type { EscalationPlan } from "./call-events.js";
import type { ContextPatch, ContextStatus, ContextWrite } from "./context-port.js";
import * as legVerbs from "./leg-verbs.js";

/** What the context says after each end. */
const STATUS_AFTER: { readonly [o in EscalationOutcome]: ContextStatus } = {
  CONNECTED: "HANDED_OVER",
  LEAVE_FAILED: "HANDED_OVER",
  CALLER_LEFT: "ABANDONED",
  UNANSWERED: "ACTIVE",
  PICKED_UP_NOT_CONFIRMED: "ACTIVE",
  CONTEXT_NOT_SAVED: "ACTIVE",
  CANCELLED: "ACTIVE",
  REJECTED: "ACTIVE",
  UNKNOWN: "ESCALATING",
};

function planOf(command: EscalateCommand): EscalationPlan {
  const { verb: _v, summary: _s, summarySource: _o, routingHint: _r, data: _d, after: _a, ...plan } = command;
  return plan;
}

/** The command of a plan: its words are in the context already. */
export function commandOf(plan: EscalationPlan): EscalateCommand {
  return {
    ...plan,
    verb: "EscalateCall",
    summary: "",
    summarySource: "RULES",
    routingHint: "",
    data: {},
    after: { condition: "NOW" },
  };
}

/**
 * Save, say, connect, leave: one command. Its words are safe before anything says that it began, since no log has them;
 * each step after that is stored before its effect. Not connected, the agent still has the call and the context says so.
 */
export class Escalation {
  private durability: ContextDurability | undefined;
  /** Whether the first save succeeded in time. */
  private words: Promise<boolean> | undefined;
  /** What was written before the log says that it began; told after that. */
  private untold: ContextWrite[] | undefined = [];
  private confirming: ((accepted: boolean | "TIMEOUT") => void) | undefined;
  private seeking: { cancel(): void } | undefined;
  private begun = false;
  private cancelCause: string | undefined;

  constructor(
    private readonly core: CallCore,
    private readonly requestId: string,
    private readonly command: EscalateCommand,
    private readonly wait: AfterWait,
    private readonly signal: AbortSignal,
  ) {}

  /** True while a human is asked to accept. */
  get isConfirming(): boolean {
    return this.confirming !== undefined;
  }

  /** True once the context is safe: from then on it goes on without its agent. */
  get contextSaved(): boolean {
    return this.durability !== undefined;
  }

  /** The human's answer. */
  confirm(accepted: boolean): void {
    this.confirming?.(accepted);
  }

  /** Cancels it before anything rings, or while a pool is being asked; answers whether it could. */
  cancel(cause: string): boolean {
    if (this.seeking) {
      this.cancelCause = cause;
      this.seeking.cancel();
      return true;
    }
    return !this.begun && this.wait.cancel(cause);
  }

  /**
   * Saves the words, before the command is in the log. Resolves when they are safe, when that failed or took longer than
   * the command allows, or when nothing is to be waited for any more. Never rejects.
   */
  async saveWords(): Promise<void> {
    const saved = this.save(this.contextPatch());
    this.words = saved;
    const orCancelled = Promise.race([saved, this.wait.met.then(() => saved)]);
    await unlessAborted(orCancelled, this.signal, this.core.facts.callId).catch(() => {});
  }

  /** Runs to its end. Rejects only when the call was disconnected by command, or by an error of the gateway. */
  async run(): Promise<EscalationResult> {
    const outcome = await this.steps().catch(async (error: unknown) => {
      await this.save({ status: this.core.lifecycle.ended ? "ENDED" : "ACTIVE" });
      throw error;
    });
    const status = this.finalStatus(outcome);
    await this.save({
      ...(this.durability ? {} : this.contextPatch()),
      status,
      escalationOutcome: outcome,
    });
    return { outcome, ...(this.durability ? { durability: this.durability } : {}) };
  }

  private finalStatus(outcome: EscalationOutcome): ContextStatus {
    if (STATUS_AFTER[outcome] === "ACTIVE" && this.core.lifecycle.ended) return "ENDED";
    return STATUS_AFTER[outcome];
  }

  private async steps(): Promise<EscalationOutcome> {
    try {
      const stored = this.step("SAVING");
      this.tellWritten();
      await stored;
      // Of an escalation that is taken over, the step is repeated.
      const saved = this.words ?? this.save(this.contextPatch());
      await unlessAborted(this.wait.met, this.signal, this.core.facts.callId);
      if (!(await saved) && this.command.onContextFailure === "STAY") return "CONTEXT_NOT_SAVED";
      if (this.core.lifecycle.ended) throw cancelled(this.core.facts.callId, "CALL_ENDED");
      this.begun = true;
      await this.step("CONNECTING");
      return await this.reachHuman();
    } catch (error) {
      return this.outcomeOf(error);
    }
  }

  private outcomeOf(error: unknown): EscalationOutcome {
    const { lifecycle, expectedEnd } = this.core;
    const known = CallError.from(error);
    if (lifecycle.ended && expectedEnd === undefined) return "CALLER_LEFT";
    switch (known.reason) {
      case "COMMAND_CANCELLED":
        return "CANCELLED";
      case "PROVIDER_REFUSED":
      case "PROVIDER_UNAVAILABLE":
        return "REJECTED";
      case "OUTCOME_UNKNOWN":
        return "UNKNOWN";
      default:
        throw known;
    }
  }

  private async reachHuman(): Promise<EscalationOutcome> {
    const { target } = this.command;
    if ("callee" in target) return this.ring(target.callee);
    const outcome = await this.askPool(target.pool);
    if (outcome === "UNANSWERED" && target.pool.thenOriginalCallee)
      return this.ring(target.pool.thenOriginalCallee);
    return outcome;
  }

  private async askPool(target: PoolTarget): Promise<EscalationOutcome> {
    const { core } = this;
    core.flags.ringing = this.command.whileRinging;
    core.updateOutlet();
    const search = core.seating.seek(
      core,
      { pool: target.pool },
      target.waitMs,
      "ESCALATED",
      this.command.reason,
    );
    this.seeking = search;
    try {
      const taken = await unlessAborted(search.done, this.signal, core.facts.callId);
      if (taken) return "CONNECTED";
      if (this.cancelCause) throw cancelled(core.facts.callId, this.cancelCause);
      return "UNANSWERED";
    } finally {
      search.cancel();
      this.seeking = undefined;
      core.flags.ringing = undefined;
      core.updateOutlet();
    }
  }

  private async ring(target: OriginalCalleeTarget): Promise<EscalationOutcome> {
    const { core, command } = this;
    const outcome = await legVerbs.ringCallee(
      core,
      target.ringTimeSeconds,
      command.whileRinging,
      this.signal,
      () => this.silenceAgent(),
    );
    if (outcome === "unanswered") return "UNANSWERED";
    if (outcome === "unknown") return "UNKNOWN";
    if (command.confirm === "NONE" || (await this.askToConfirm())) return this.leave();
    core.flags.muted = false;
    await legVerbs.setMode(core, "BARGE").catch(() => {});
    core.updateOutlet();
    return "PICKED_UP_NOT_CONFIRMED";
  }

  /** From pick-up on the human hears nothing of what the agent had queued or had given to the provider. */
  private silenceAgent(): void {
    const { core } = this;
    core.flags.muted = true;
    core.playback.clear();
    core.updateOutlet();
    core.leg.interrupt().catch(() => {});
  }

  private async askToConfirm(): Promise<boolean> {
    const { core } = this;
    try {
      await legVerbs.setMode(core, "WHISPER");
    } catch (error) {
      if (core.lifecycle.ended) throw error;
      // Without a whisper nobody can be asked: back to the caller.
      return false;
    }
    core.playback.clear();
    core.flags.muted = false;
    core.updateOutlet();
    const answer = new Promise<boolean | "TIMEOUT">((resolve) => {
      this.confirming = resolve;
    });
    try {
      await this.step("CONFIRMING");
      const accepted = await unlessAborted(
        within(answer, this.command.confirmTimeoutMs, core.clock, () => "TIMEOUT" as const),
        this.signal,
        core.facts.callId,
      );
      return accepted === true;
    } finally {
      this.confirming?.("TIMEOUT");
      this.confirming = undefined;
    }
  }

  private async leave(): Promise<EscalationOutcome> {
    const { core } = this;
    core.flags.muted = true;
    core.playback.clear();
    core.updateOutlet();
    try {
      if (this.command.then === "STAY_SILENT") {
        await legVerbs.setMode(core, "SPY");
        core.flags.seatLeftEmpty = true;
        const holder = core.seat.vacate();
        core.events.record({ type: "seatChanged", seat: core.seat.snapshot(), cause: "ESCALATED" });
        holder?.unassigned("ESCALATED");
        return "CONNECTED";
      }
      await this.step("LEAVING");
      await legVerbs.close(core);
      return "CONNECTED";
    } catch (error) {
      if (core.lifecycle.ended && core.expectedEnd === undefined) throw error;
      await legVerbs.setMode(core, "SPY").catch(() => {});
      return "LEAVE_FAILED";
    }
  }

  private async step(step: "SAVING" | "CONNECTING" | "CONFIRMING" | "LEAVING"): Promise<void> {
    const { core } = this;
    // Without its words nobody else may go on with it.
    const isSafe = this.contextSaved || this.words === undefined;
    const plan = step === "SAVING" && isSafe ? { plan: planOf(this.command) } : {};
    const stored = core.events.record({ type: "escalation", requestId: this.requestId, step, ...plan });
    await unlessAborted(stored, this.signal, core.facts.callId);
  }

  private contextPatch(): ContextPatch {
    const { command } = this;
    return {
      status: "ESCALATING",
      escalationReason: command.reason,
      ...(command.summary ? { summary: command.summary, summarySource: command.summarySource } : {}),
      ...(command.routingHint ? { routingHint: command.routingHint } : {}),
      ...(Object.keys(command.data).length > 0 ? { data: command.data } : {}),
    };
  }

  /** Writes the context; false when that failed or took longer than the command allows. */
  private async save(patch: ContextPatch): Promise<boolean> {
    const { core, command } = this;
    const written = core.contexts.merge(core.snapshot(), patch).then(
      (result) => {
        this.durability = result.durability;
        if (this.untold) this.untold.push(result);
        else core.events.record({ type: "contextWritten", ...result });
        return true;
      },
      () => false,
    );
    return within(written, command.saveTimeoutMs, core.clock, () => false);
  }

  private tellWritten(): void {
    for (const result of this.untold ?? []) this.core.events.record({ type: "contextWritten", ...result });
    this.untold = undefined;
  }
}
