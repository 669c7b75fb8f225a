/** gRPC status code names, so that every wire maps an error the same way. */
export type StatusName =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

/** Every reason with its one status. The names are those of `ErrorReason` in the contract without the prefix. */
export const REASON_STATUS = {
  INVALID_FIELD: "INVALID_ARGUMENT",
  CALL_NOT_FOUND: "NOT_FOUND",
  CALL_STATE: "FAILED_PRECONDITION",
  REQUEST_ID_REUSED: "ALREADY_EXISTS",
  PENDING_COMMAND: "ABORTED",
  CALLEE_UNANSWERED: "FAILED_PRECONDITION",
  OUTCOME_UNKNOWN: "UNKNOWN",
  PROVIDER_REFUSED: "FAILED_PRECONDITION",
  PROVIDER_UNAVAILABLE: "UNAVAILABLE",
  AFTER_DEADLINE: "DEADLINE_EXCEEDED",
  COMMAND_CANCELLED: "CANCELLED",
  COMMAND_NOT_FOUND: "NOT_FOUND",
  STALE_HANDLE: "FAILED_PRECONDITION",
  SEAT_TAKEN: "ABORTED",
  SEAT_NOT_HELD: "FAILED_PRECONDITION",
  OFFER_GONE: "ABORTED",
  TRANSFER_UNANSWERED: "FAILED_PRECONDITION",
  PLAYBACK_FULL: "RESOURCE_EXHAUSTED",
  NOT_REGISTERED: "FAILED_PRECONDITION",
  SESSION_NOT_FOUND: "NOT_FOUND",
  SUPERSEDED: "ABORTED",
  HEARTBEAT_LOST: "ABORTED",
  STREAM_QUEUE_FULL: "RESOURCE_EXHAUSTED",
  POOL_NOT_FOUND: "NOT_FOUND",
  AGENT_NOT_FOUND: "NOT_FOUND",
  CURSOR_EXPIRED: "OUT_OF_RANGE",
  CONTEXT_NOT_FOUND: "NOT_FOUND",
  REVISION_CONFLICT: "ABORTED",
  CONTEXT_NOT_SAVED: "UNAVAILABLE",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  LIMIT_REACHED: "RESOURCE_EXHAUSTED",
  GOING_AWAY: "UNAVAILABLE",
  INTERNAL: "INTERNAL",
  CALL_OWNER_AWAY: "UNAVAILABLE",
  CONTEXT_STORE_AWAY: "UNAVAILABLE",
  PERMISSION_DENIED: "PERMISSION_DENIED",
} as const satisfies Record<string, StatusName>;

/** Why something was refused; stable, programs look at this. */
export type Reason = keyof typeof REASON_STATUS;

/** The one error class of the core. Each wire translates it in one file. */
export class CallError extends Error {
  override readonly name = "CallError";

  constructor(
    readonly reason: Reason,
    message: string,
    /** All variable parts of the message, as the contract lists them at the reason. Never a secret. */
    readonly metadata: Readonly<Record<string, string>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The gRPC status that goes with the reason. */
  get status(): StatusName {
    return REASON_STATUS[this.reason];
  }

  /** Any thrown thing as a CallError; what is not one becomes INTERNAL, with the original as `cause`. */
  static from(error: unknown): CallError {
    if (error instanceof CallError) return error;
    return new CallError("INTERNAL", "internal error", {}, { cause: error });
  }
}

/** A field breaks its rule. */
export function invalidField(field: string, rule: string, value?: unknown): CallError {
  const metadata: Record<string, string> = { field, rule };
  if (value !== undefined) metadata.value = String(value).slice(0, 100);
  return new CallError("INVALID_FIELD", `${field} must be ${rule}`, metadata);
}
