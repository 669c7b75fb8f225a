package dev.callweave;

/** Who hears the agent leg while {@link CallState#CONNECTED}. */
public enum AgentMode {
  /** Both parties. */
  BARGE,
  /** The callee alone. */
  WHISPER,
  /** Nobody. */
  SPY
}
