package dev.callweave;

/** What became of audio that was handed over. */
public enum PlayEnd {
  /** All of it is with the gateway. */
  SENT,
  /** It was dropped before, by {@link Call#clear()}. */
  CLEARED
}
