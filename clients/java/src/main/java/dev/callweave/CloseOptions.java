package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import dev.callweave.v1.CloseCallRequest;
import dev.callweave.v1.Command;

/** Options of leaving a call. */
public final class CloseOptions extends AfterOptions<CloseOptions> {
  private boolean endCall;

  private CloseOptions() {
    super(AfterCondition.AFTER_CONDITION_NOW, OnInterrupt.CANCEL);
  }

  /**
   * The defaults.
   *
   * @return to be changed
   */
  public static CloseOptions create() {
    return new CloseOptions();
  }

  /**
   * Must be true in ANSWERED, where leaving ends the call.
   *
   * @param ends default: false
   * @return this
   */
  public CloseOptions endCall(boolean ends) {
    endCall = ends;
    return this;
  }

  @Override
  void into(Command.Builder command, String callId) {
    command.setClose(request(callId, ""));
  }

  CloseCallRequest request(String callId, String requestId) {
    CloseCallRequest.Builder request =
        CloseCallRequest.newBuilder().setCallId(callId).setRequestId(requestId).setEndCall(endCall);
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
