import { type ConnectOutcome, TelephonyError } from "../telephony.js";
import { redactRemote } from "./redact.js";

/** The callee did not pick up within the ring time; the call stays as it was. */
export const CALL_UNANSWERED = "CALL_UNANSWERED";
/** The provider gave up on a command; whether it had an effect is unknown. */
export const TIMEOUT = "TIMEOUT";
/** Another connection holds the session. */
export const SESSION_BUSY = "SESSION_BUSY";
/** Codes that say that a session is over. */
export const SESSION_GONE: ReadonlySet<string> = new Set(["SESSION_CLOSED", "SESSION_NOT_FOUND"]);

/**
 * A `command_response` with success false as an error: TIMEOUT is "unknown", all else "refused" with the provider's
 * code. `secrets` never show up in the message.
 */
export function commandRefused(
  command: string,
  code: string,
  message: string,
  secrets: readonly string[] = [],
): TelephonyError {
  const text = redactRemote(message, secrets);
  const shownCode = redactRemote(code, secrets);
  const what = `${command}: ${shownCode || "refused"}${text ? ` (${text})` : ""}`;
  return new TelephonyError(code === TIMEOUT ? "unknown" : "refused", what, shownCode);
}

/** A command that was sent and has no answer. */
export function commandUnknown(command: string, why: string): TelephonyError {
  return new TelephonyError("unknown", `${command}: ${why}`);
}

/** A command that was not sent. */
export function commandUnavailable(command: string, why: string): TelephonyError {
  return new TelephonyError("unavailable", `${command}: ${why}`);
}

/** How a connect ended that failed with this error; undefined when the error is to be passed on. */
export function connectOutcomeOf(error: unknown): ConnectOutcome | undefined {
  if (!(error instanceof TelephonyError)) return undefined;
  if (error.providerCode === CALL_UNANSWERED) return "unanswered";
  return error.kind === "unknown" ? "unknown" : undefined;
}

/** Reasons of `session.closed` as the core knows them. */
export function closeReasonOf(reason: string): "SDK_REQUEST" | "FORCE_CLOSE" | "CALL_TERMINATED" | "OTHER" {
  switch (reason) {
    case "SDK_REQUEST":
    case "FORCE_CLOSE":
    case "CALL_TERMINATED":
      return reason;
    default:
      return "OTHER";
  }
}

/** HTTP statuses of a refused upgrade that no repetition makes good: wrong credential, forbidden, version too old. */
export function isCredentialRefused(httpStatus: number): boolean {
  return httpStatus === 401 || httpStatus === 403 || httpStatus === 426;
}
