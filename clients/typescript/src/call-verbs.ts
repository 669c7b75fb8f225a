import type { Contexts, UpdateContextOptions } from "./contexts.js";
import type * as t from "./types.js";
import * as verbs from "./verbs.js";

/** The verbs of a call and its context, as commands on the stream and unary requests. */
export abstract class CallVerbs {
  abstract readonly id: string;

  constructor(private readonly contexts: Contexts) {}

  /** Gives a command; settles when it is finished. */
  protected abstract run(
    options: verbs.VerbOptions,
    makeVerb: (requestId: string) => verbs.CommandVerb,
  ): Promise<t.EscalationResult | undefined>;

  answer(options: verbs.VerbOptions = {}): Promise<void> {
    return this.command(options, (id) => ({ $case: "answer", value: verbs.answerRequest(this.id, id) }));
  }

  connect(options: verbs.ConnectOptions = {}): Promise<void> {
    return this.command(options, (id) => ({
      $case: "connect",
      value: verbs.connectRequest(this.id, id, options),
    }));
  }

  setMode(mode: t.AgentMode, options: verbs.VerbOptions = {}): Promise<void> {
    return this.command(options, (id) => ({
      $case: "setAgentMode",
      value: verbs.setModeRequest(this.id, id, mode),
    }));
  }

  escalate(options: verbs.EscalateOptions): Promise<t.EscalationResult> {
    const result = this.run(options, (id) => ({
      $case: "escalate",
      value: verbs.escalateRequest(this.id, id, options),
    }));
    return quiet(result.then((escalation) => escalation ?? { outcome: "UNKNOWN" }));
  }

  confirmEscalation(accepted: boolean, options: verbs.VerbOptions = {}): Promise<void> {
    return this.command(options, (id) => ({
      $case: "confirmEscalation",
      value: verbs.confirmRequest(this.id, id, accepted),
    }));
  }

  transfer(options: verbs.TransferOptions): Promise<void> {
    return this.command(options, (id) => ({
      $case: "transfer",
      value: verbs.transferRequest(this.id, id, options),
    }));
  }

  release(options: verbs.VerbOptions = {}): Promise<void> {
    return this.command(options, (id) => ({ $case: "release", value: verbs.releaseRequest(this.id, id) }));
  }

  close(options: verbs.CloseOptions = {}): Promise<void> {
    return this.command(options, (id) => ({
      $case: "close",
      value: verbs.closeRequest(this.id, id, options),
    }));
  }

  disconnect(options: verbs.DisconnectOptions = {}): Promise<void> {
    return this.command(options, (id) => ({
      $case: "disconnect",
      value: verbs.disconnectRequest(this.id, id, options),
    }));
  }

  cancel(requestId = ""): Promise<void> {
    return this.command({}, () => ({ $case: "cancel", value: verbs.cancelRequest(this.id, requestId) }));
  }

  appendTurns(turns: readonly t.Turn[]): Promise<{ turnCount: number; durability?: t.ContextDurability }> {
    return quiet(this.contexts.appendTurns(this.id, turns));
  }

  saveContext(fields: t.ContextFields & { readonly turns?: readonly t.Turn[] }): Promise<t.WrittenContext> {
    return quiet(this.contexts.save(this.id, fields));
  }

  updateContext(fields: t.ContextFields, options?: UpdateContextOptions): Promise<t.WrittenContext> {
    return quiet(this.contexts.update(this.id, fields, options));
  }

  getContext(): Promise<t.CallContext> {
    return quiet(this.contexts.get(this.id));
  }

  private command(options: verbs.VerbOptions, verb: (requestId: string) => verbs.CommandVerb): Promise<void> {
    return quiet(this.run(options, verb).then(() => undefined));
  }
}

/** A rejection that nobody awaits does no harm. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
