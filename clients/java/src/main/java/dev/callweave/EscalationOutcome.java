package dev.callweave;

/**
 * How an escalation ended. With all but {@link #CONNECTED} and {@link #CALLER_LEFT} the agent still
 * has the call.
 */
public enum EscalationOutcome {
  /** A human has the caller. */
  CONNECTED,
  /** Nobody picked up. */
  UNANSWERED,
  /** Somebody picked up and did not accept. */
  PICKED_UP_NOT_CONFIRMED,
  /** The caller hung up before. */
  CALLER_LEFT,
  /**
   * The context could not be saved, and {@link EscalateOptions.OnContextFailure#STAY} was wanted.
   */
  CONTEXT_NOT_SAVED,
  /** It was cancelled before it had an effect. */
  CANCELLED,
  /** The provider refused it. */
  REJECTED,
  /** Nobody knows; it is never tried again by itself. */
  UNKNOWN,
  /** A human has the call, and the agent could not leave it. */
  LEAVE_FAILED
}
