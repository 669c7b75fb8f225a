package dev.callweave;

/** Why this agent does not have a call any more. */
public enum EndCause {
  /** The call is over; see {@link CallEnd#reason()}. */
  CALL_ENDED,
  /** The seat was given back. */
  RELEASED,
  /** Another agent has the seat. */
  TRANSFERRED,
  /** A human has the call. */
  ESCALATED,
  /** The connection did not come back in time. */
  LOST,
  /** The gateway gave the seat up after a lost stream. */
  GRACE_EXPIRED,
  /** Another gateway has the call and gave the seat to somebody else. */
  TAKEN_OVER,
  /** The seat was accepted elsewhere. */
  ACCEPTED,
  /** The seat was taken back elsewhere. */
  REATTACHED,
  /** This agent was closed. */
  CLOSED
}
