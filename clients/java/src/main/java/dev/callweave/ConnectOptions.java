package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import dev.callweave.v1.Command;
import dev.callweave.v1.ConnectCallRequest;
import java.time.Duration;

/** Options of connecting the original callee. */
public final class ConnectOptions extends AfterOptions<ConnectOptions> {
  private Duration ringTime;

  private ConnectOptions() {
    super(AfterCondition.AFTER_CONDITION_NOW, OnInterrupt.CANCEL);
  }

  /**
   * The defaults.
   *
   * @return to be changed
   */
  public static ConnectOptions create() {
    return new ConnectOptions();
  }

  /**
   * How long to ring.
   *
   * @param time whole seconds, 1 to 120. Default: 60
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD}
   */
  public ConnectOptions ringTime(Duration time) {
    ring(time);
    ringTime = time;
    return this;
  }

  @Override
  void into(Command.Builder command, String callId) {
    command.setConnect(request(callId, ""));
  }

  ConnectCallRequest request(String callId, String requestId) {
    ConnectCallRequest.Builder request =
        ConnectCallRequest.newBuilder().setCallId(callId).setRequestId(requestId);
    After after = after();
    if (after != null) {
      request.setAfter(after);
    }
    if (ringTime != null) {
      request.setRingDuration(ring(ringTime));
    }
    if (!waiting().isZero()) {
      request.setWait(Convert.duration(waiting()));
    }
    return request.build();
  }
}
