package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import dev.callweave.v1.Command;
import dev.callweave.v1.DisconnectCallRequest;

/** Options of ending a call for everyone. */
public final class DisconnectOptions extends AfterOptions<DisconnectOptions> {
  private DisconnectOptions() {
    super(AfterCondition.AFTER_CONDITION_NOW, OnInterrupt.CANCEL);
  }

  /**
   * The defaults.
   *
   * @return to be changed
   */
  public static DisconnectOptions create() {
    return new DisconnectOptions();
  }

  @Override
  void into(Command.Builder command, String callId) {
    command.setDisconnect(request(callId, ""));
  }

  DisconnectCallRequest request(String callId, String requestId) {
    DisconnectCallRequest.Builder request =
        DisconnectCallRequest.newBuilder().setCallId(callId).setRequestId(requestId);
    After after = after();
    if (after != null) {
      request.setAfter(after);
    }
    if (!waiting().isZero()) {
      request.setWait(Convert.duration(waiting()));
    }
    return request.build();
  }
}
