package dev.callweave;

/** Where a call stands. Only forward; connect is allowed from {@link #PENDING}. */
public enum CallState {
  /** It rings and is not answered by us. */
  PENDING,
  /** The caller and the agent talk. */
  ANSWERED,
  /** Caller and callee are in one conference. */
  CONNECTED,
  /** It is over for us. */
  DISCONNECTED
}
