package dev.callweave;

/**
 * What becomes of an offer.
 *
 * @param taken whether the agent takes the call
 * @param reason for people, when it does not; at most 100 characters
 */
public record Decision(boolean taken, String reason) {
  /**
   * The agent takes the call.
   *
   * @return the decision
   */
  public static Decision take() {
    return new Decision(true, "");
  }

  /**
   * Somebody else may take the call.
   *
   * @param reason for people; what is beyond 100 characters is cut
   * @return the decision
   */
  public static Decision decline(String reason) {
    return new Decision(false, reason);
  }
}
