package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import dev.callweave.v1.Command;
import dev.callweave.v1.TransferCallRequest;
import java.time.Duration;

/** Options of a transfer to another agent. */
public final class TransferOptions extends AfterOptions<TransferOptions> {
  private final String pool;
  private final String instanceId;
  private Duration offerTime;

  private TransferOptions(String pool, String instanceId) {
    super(AfterCondition.AFTER_CONDITION_NOW, OnInterrupt.CANCEL);
    this.pool = pool;
    this.instanceId = instanceId;
  }

  /**
   * To any agent of a pool.
   *
   * @param name of the pool
   * @return to be changed
   */
  public static TransferOptions toPool(String name) {
    return new TransferOptions(name, null);
  }

  /**
   * To one agent process.
   *
   * @param instanceId of that process
   * @return to be changed
   */
  public static TransferOptions toInstance(String instanceId) {
    return new TransferOptions(null, instanceId);
  }

  /**
   * How long to offer it.
   *
   * @param time 1,000 to 600,000 ms. Default: 30 s
   * @return this
   */
  public TransferOptions offerTime(Duration time) {
    offerTime = time;
    return this;
  }

  @Override
  void into(Command.Builder command, String callId) {
    command.setTransfer(request(callId, ""));
  }

  TransferCallRequest request(String callId, String requestId) {
    TransferCallRequest.Builder request =
        TransferCallRequest.newBuilder().setCallId(callId).setRequestId(requestId);
    if (pool != null) {
      request.setPool(pool);
    } else {
      request.setInstanceId(instanceId);
    }
    After after = after();
    if (after != null) {
      request.setAfter(after);
    }
    if (offerTime != null) {
      request.setOfferDuration(Convert.duration(offerTime));
    }
    if (!waiting().isZero()) {
      request.setWait(Convert.duration(waiting()));
    }
    return request.build();
  }
}
