package dev.callweave;

/** Why an agent hands a call to a human. */
public enum EscalationReason {
  /** The caller asked for one. */
  ASKED_FOR_HUMAN,
  /** The caller is angry. */
  FRUSTRATED,
  /** The agent may not or cannot do what is wanted. */
  OUT_OF_SCOPE,
  /** The agent does not understand the caller. */
  NOT_UNDERSTOOD,
  /** Somebody is in danger. */
  EMERGENCY,
  /** A model or speech provider of the agent failed. */
  PROVIDER_FAILED
}
