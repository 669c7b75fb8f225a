package dev.callweave;

/** What {@link Call#clear()} does to a command that waits. */
public enum OnInterrupt {
  /** It is cancelled. */
  CANCEL,
  /** It goes ahead at once. */
  PROCEED
}
