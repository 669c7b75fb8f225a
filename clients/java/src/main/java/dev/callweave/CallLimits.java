package dev.callweave;

/** Bounds of a call. Times in milliseconds. */
record CallLimits(
    double maxAudioQueuedMs,
    double maxPlaybackQueuedMs,
    double sendAheadMs,
    int maxMarks,
    int maxEventsQueued) {
  private static final double MAX_ITEM_MS = 100;

  /** So much more than {@code sendAhead} may be unconfirmed. */
  private static final double MAX_UNCONFIRMED_BEYOND_MS = 2_000;

  /** Room that is left in the ring of the gateway. */
  private static final double MARGIN_MS = 500;

  /** The queue of a call in that format, at a gateway that holds so much of its audio. */
  PlaybackQueue queue(AudioFormat format, double maxPlaybackMs) {
    double most = Math.min(maxPlaybackMs - MARGIN_MS, sendAheadMs + MAX_UNCONFIRMED_BEYOND_MS);
    return new PlaybackQueue(
        new PlaybackQueue.Limits(
            maxPlaybackQueuedMs, sendAheadMs, Math.max(MAX_ITEM_MS, most), MAX_ITEM_MS),
        format.bytesPerMs(),
        Loop::now);
  }
}
