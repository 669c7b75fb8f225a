/** What is written down about who did what. The names are those of `AuditKind` in the contract. */
export type AuditKind =
  | "LISTEN"
  | "SPY"
  | "WHISPER"
  | "BARGE"
  | "SEAT_CHANGED"
  | "CONTEXT_READ"
  | "CONTEXT_ERASED"
  | "AUTHENTICATION_REFUSED"
  | "PERMISSION_DENIED"
  | "AUDIT_READ"
  | "CREDENTIALS_RELOADED"
  | "ENTRIES_LOST";

/** Something to write down. */
export interface AuditEvent {
  /** Whose; empty when nobody was recognised: then no tenant reads it, only the command line. */
  readonly tenant: string;
  readonly kind: AuditKind;
  /** "client:<name>", "agent:<agent_id>", or the address of somebody who was not recognised. */
  readonly actor: string;
  /** As the rules name it; empty when none is behind it. */
  readonly operation: string;
  readonly callId?: string;
  /** A phone number; only a hash of it is kept, with a key of the caller's own. */
  readonly number?: string;
  /** Never words of callers, numbers or secrets. */
  readonly details?: Readonly<Record<string, string>>;
}

/** Where such events go. */
export interface AuditSink {
  /** Takes an event; never throws and never waits. */
  record(event: AuditEvent): void;
}

/** Stands for a number that had no hash because the keys of callers could not be asked. */
export const NUMBER_UNKNOWN = "unknown";

/** One entry as it was written. */
export interface AuditEntry extends Omit<AuditEvent, "number"> {
  /** Counts the entries of the gateway, from 1. */
  readonly sequence: number;
  readonly time: Date;
  readonly gatewayId: string;
  /** Hash of the number with the caller's key; empty without one, NUMBER_UNKNOWN while the keys could not be asked. */
  readonly numberHash: string;
  /** The link of the chain. */
  readonly hash: string;
}

/** Which entries. Empty lists and texts do not narrow. */
export interface AuditFilter {
  readonly kinds: readonly AuditKind[];
  readonly callId: string;
  readonly actor: string;
  /** In any common writing. Entries whose number is unknown are shown with every number. */
  readonly number: string;
}

/** Entries for reading, newest first. */
export interface AuditReader {
  /**
   * `before`: only entries with a smaller sequence; 0: all. `next` is 0 on the last page, else the next `before`. With a
   * number it rejects with CONTEXT_STORE_AWAY while the keys of callers cannot be asked.
   */
  list(
    tenant: string,
    filter: AuditFilter,
    before: number,
    limit: number,
  ): Promise<{ readonly entries: readonly AuditEntry[]; readonly next: number }>;
}

/** Writes nothing down. */
export const NO_AUDIT: AuditSink = { record() {} };
