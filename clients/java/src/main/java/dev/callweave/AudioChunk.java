package dev.callweave;

import java.time.Duration;

/** One step of a call's audio: samples, or a gap where some are missing. */
public sealed interface AudioChunk {
  /**
   * Position of the first sample, in samples at the rate of the call, since the media began.
   *
   * @return from 0
   */
  long positionSamples();

  /**
   * The same as a time.
   *
   * @return from zero
   */
  Duration at();

  /**
   * Audio that came.
   *
   * @param pcm whole samples in the agreed format; belongs to the reader
   * @param positionSamples where it begins, in samples at the rate of the call
   * @param at the same as a time
   */
  record Pcm(byte[] pcm, long positionSamples, Duration at) implements AudioChunk {}

  /**
   * Audio that will not come.
   *
   * @param duration how much is missing
   * @param reason why
   * @param positionSamples where it begins, in samples at the rate of the call
   * @param at the same as a time
   */
  record Gap(Duration duration, GapReason reason, long positionSamples, Duration at)
      implements AudioChunk {}

  /** Why audio is missing. */
  enum GapReason {
    /** This process, or its connection, was too slow. */
    SLOW_RECEIVER,
    /** The stream was away. */
    DETACHED,
    /** The provider sent nothing. */
    PROVIDER,
    /** Nobody read fast enough in this process. */
    LOCAL_QUEUE_FULL,
    /** Not told, or newer than this library. */
    UNSPECIFIED
  }
}
