package dev.callweave;

import java.time.Duration;

/**
 * What an agent does with its connection.
 *
 * @param type what happened
 * @param gatewayId with {@link Type#CONNECTED}: the gateway; otherwise empty
 * @param error with {@link Type#DISCONNECTED}: why; otherwise null
 * @param delay with {@link Type#DISCONNECTED}: until the next attempt; with {@link
 *     Type#GOING_AWAY}: until the gateway is gone; otherwise zero
 */
public record AgentStatus(Type type, String gatewayId, CallweaveException error, Duration delay) {
  /** What happened. */
  public enum Type {
    /** Registered, or reattached. */
    CONNECTED,
    /** The stream broke, or could not be opened. */
    DISCONNECTED,
    /** The gateway goes away: its calls go on for a while, new ones are taken elsewhere. */
    GOING_AWAY,
    /** No more calls are taken. */
    DRAINING,
    /** The agent is over. */
    CLOSED
  }

  static AgentStatus of(Type type) {
    return new AgentStatus(type, "", null, Duration.ZERO);
  }
}
