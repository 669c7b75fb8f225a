package dev.callweave;

/** What became of the audio before a mark. */
public enum MarkEnd {
  /** It was heard, by the clock of the gateway. */
  PLAYED,
  /** It was dropped: by {@link Call#clear()}, or by the end of the call. */
  CLEARED
}
