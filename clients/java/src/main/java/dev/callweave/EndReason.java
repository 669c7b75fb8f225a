package dev.callweave;

/** Why a call is over. */
public enum EndReason {
  /** A party hung up. */
  TERMINATED,
  /** It was ended by a command. */
  DISCONNECTED,
  /** We left; the parties talk on. */
  LEFT_TO_PARTIES,
  /** The media did not come back. */
  MEDIA_LOST,
  /** The provider closed the session. */
  SESSION_CLOSED
}
