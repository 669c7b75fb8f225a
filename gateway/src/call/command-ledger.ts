import { createHash } from "node:crypto";
import type { CallCommand, CommandOutcome, CommandReply } from "./call-commands.js";
import { CallError } from "./call-error.js";
import type { CallSnapshot, Verb } from "./call-state.js";

/** A command that was taken. */
export interface LedgerEntry {
  readonly verb: Verb;
  readonly requestId: string;
  readonly bodyHash: string;
  /** Resolves when the log says that it began; never rejects. Unset: the log said so before. */
  readonly begun?: Promise<unknown>;
  /** Resolves with the outcome; never rejects. */
  readonly finished: Promise<CommandOutcome>;
  /** The outcome, once there is one. */
  outcome?: CommandOutcome;
  /** Of SendNote. */
  delivered?: boolean;
}

/** Commands by request id, for the life of the call: a repetition gets the first result and has no second effect. */
export class CommandLedger {
  private readonly entries = new Map<string, LedgerEntry>();

  /**
   * @param maxEntries Default 10,000; beyond it the oldest finished commands are forgotten.
   * @param redact What must not be kept is taken out of words before they are hashed; default nothing.
   */
  constructor(
    private readonly maxEntries = 10_000,
    private readonly redact: (value: unknown) => unknown = (value) => value,
  ) {}

  /** The hash of a command's body. It is stored and shown: a number alone in a note could be found by trying all. */
  hashOf(command: CallCommand): string {
    const hasWords = command.verb === "SendNote" || command.verb === "EscalateCall";
    return hashBody(hasWords ? this.redact(command) : command);
  }

  get size(): number {
    return this.entries.size;
  }

  /** Whether every command has its outcome. */
  get finished(): boolean {
    for (const { outcome } of this.entries.values()) if (!outcome) return false;
    return true;
  }

  /** The command that came with this id, if any. Throws REQUEST_ID_REUSED when its body was another. */
  find(requestId: string, bodyHash: string): LedgerEntry | undefined {
    const entry = this.entries.get(requestId);
    if (entry && entry.bodyHash !== bodyHash) {
      throw new CallError("REQUEST_ID_REUSED", "this request_id came before with another body", {
        request_id: requestId,
      });
    }
    return entry;
  }

  /** Remembers a command. */
  add(entry: LedgerEntry): void {
    this.entries.set(entry.requestId, entry);
    if (this.entries.size <= this.maxEntries) return;
    for (const [id, old] of this.entries) {
      if (old.outcome) {
        this.entries.delete(id);
        return;
      }
    }
  }
}

/** What a finished command answers; throws the error that it ended with. */
export function replyOf(
  call: CallSnapshot,
  { delivered }: LedgerEntry,
  { error, escalation }: CommandOutcome,
): CommandReply {
  if (error) throw error;
  return {
    call,
    ...(escalation ? { escalation } : {}),
    ...(delivered !== undefined ? { delivered } : {}),
  };
}

/** SHA-256 of a command's body in hexadecimal; the order of keys does not matter. */
export function hashBody(command: unknown): string {
  return createHash("sha256").update(canonical(command)).digest("hex");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}
