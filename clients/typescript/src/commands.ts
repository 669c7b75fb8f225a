import type { Command, CommandResult } from "@callweave/proto";
import { toEscalation } from "./convert.js";
import { CallweaveError, callOver, fromWire } from "./errors.js";
import type { CallEvent, EscalationResult } from "./types.js";
import { type CommandVerb, proceedsOnInterrupt } from "./verbs.js";

interface Entry {
  readonly requestId: string;
  readonly verb: CommandVerb;
  /** In the playback queue; with the gateway; with the gateway and answered as pending. */
  state: "queued" | "sent" | "pending";
  resolve(result: EscalationResult | undefined): void;
  reject(error: CallweaveError): void;
}

/** The commands of one call that are not finished. Knows no socket. */
export class Commands {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly callId: string) {}

  /** Takes a command; the promise settles when it is finished. */
  add(requestId: string, verb: CommandVerb, queued: boolean): Promise<EscalationResult | undefined> {
    if (this.entries.has(requestId)) {
      const message = `request_id ${requestId} is already under way`;
      return Promise.reject(
        new CallweaveError("REQUEST_ID_REUSED", "ALREADY_EXISTS", message, { request_id: requestId }),
      );
    }
    return new Promise((resolve, reject) => {
      this.entries.set(requestId, { requestId, verb, state: queued ? "queued" : "sent", resolve, reject });
    });
  }

  /** The command as it goes on the wire; it counts as sent from now on. Undefined when it is not there any more. */
  toSend(requestId: string, handle: number): Command | undefined {
    const entry = this.entries.get(requestId);
    if (!entry) return undefined;
    entry.state = "sent";
    return { handle, requestId, verb: entry.verb };
  }

  /** Whether it is still in the playback queue. */
  isQueued(requestId: string): boolean {
    return this.entries.get(requestId)?.state === "queued";
  }

  /** Whether it is not finished. */
  has(requestId: string): boolean {
    return this.entries.has(requestId);
  }

  /** Sent, and nothing came back: to be sent again on a new stream. The same id makes that safe. */
  unanswered(): string[] {
    return [...this.entries.values()].filter((e) => e.state === "sent").map((e) => e.requestId);
  }

  /** Answered as pending, and not finished. */
  pending(): string[] {
    return [...this.entries.values()].filter((e) => e.state === "pending").map((e) => e.requestId);
  }

  /** Nobody knows how it ended. */
  unknown(requestId: string): void {
    const entry = this.entries.get(requestId);
    if (entry?.state !== "pending") return;
    const message = "the gateway that carried it out died; its outcome is unknown";
    const metadata = { call_id: this.callId, request_id: requestId };
    this.finish(entry, new CallweaveError("OUTCOME_UNKNOWN", "UNKNOWN", message, metadata), undefined);
  }

  /** It goes back to the playback queue, since the audio before it does. */
  requeue(requestId: string): void {
    const entry = this.entries.get(requestId);
    if (entry) entry.state = "queued";
  }

  /** The gateway answered. */
  onResult(result: CommandResult): void {
    const entry = this.entries.get(result.requestId);
    if (!entry) return;
    const escalation = toEscalation(result.escalation);
    if (result.pending && !result.error) entry.state = "pending";
    else this.finish(entry, result.error && fromWire(result.error), escalation);
  }

  /** A command of the call is finished. */
  onDone(event: CallEvent & { type: "commandDone" }): void {
    const entry = this.entries.get(event.requestId);
    if (entry) this.finish(entry, event.error, event.escalation);
  }

  /** The user gave up one that is still queued. */
  cancelLocally(requestId: string, cause: "ABORTED" | "INTERRUPTED"): void {
    const entry = this.entries.get(requestId);
    if (!entry) return;
    this.entries.delete(requestId);
    entry.reject(this.cancelled(requestId, cause));
  }

  /** `clear()` met it in the playback queue: true when it goes ahead, else it is cancelled. */
  onInterrupt(requestId: string): boolean {
    const entry = this.entries.get(requestId);
    if (!entry) return false;
    if (proceedsOnInterrupt(entry.verb)) return true;
    this.cancelLocally(requestId, "INTERRUPTED");
    return false;
  }

  /** The seat is gone. Commands whose success is just that have succeeded. */
  onOver(cause: string, endReason: string | undefined): void {
    for (const entry of this.entries.values()) {
      const done = entry.state !== "queued" && fulfilledBy(entry.verb, cause, endReason);
      if (done) entry.resolve(done === true ? undefined : done);
      else entry.reject(callOver(this.callId, cause));
    }
    this.entries.clear();
  }

  private finish(
    entry: Entry,
    error: CallweaveError | undefined,
    escalation: EscalationResult | undefined,
  ): void {
    this.entries.delete(entry.requestId);
    // The outcome of an escalation says more than its error: nobody picked up, the caller left.
    if (entry.verb.$case === "escalate" && escalation) entry.resolve(escalation);
    else if (error) entry.reject(error);
    else entry.resolve(escalation);
  }

  private cancelled(requestId: string, cause: string): CallweaveError {
    const metadata = { call_id: this.callId, request_id: requestId, cause };
    return new CallweaveError(
      "COMMAND_CANCELLED",
      "CANCELLED",
      "the command was cancelled before it had an effect",
      metadata,
    );
  }
}

function fulfilledBy(
  verb: CommandVerb,
  cause: string,
  endReason: string | undefined,
): EscalationResult | true | undefined {
  switch (verb.$case) {
    case "escalate":
      if (cause === "ESCALATED" || (cause === "CALL_ENDED" && endReason === "LEFT_TO_PARTIES")) {
        return { outcome: "CONNECTED" };
      }
      return cause === "CALL_ENDED" ? { outcome: "CALLER_LEFT" } : undefined;
    case "transfer":
      return cause === "TRANSFERRED" || undefined;
    case "release":
      return cause === "RELEASED" || undefined;
    case "close":
      return (
        (cause === "CALL_ENDED" && (endReason === "LEFT_TO_PARTIES" || endReason === "DISCONNECTED")) ||
        undefined
      );
    case "disconnect":
      return cause === "CALL_ENDED" || undefined;
    default:
      return undefined;
  }
}
