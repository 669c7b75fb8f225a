package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import dev.callweave.v1.Command;
import dev.callweave.v1.EscalateCallRequest;
import dev.callweave.v1.EscalationConfirm;
import dev.callweave.v1.EscalationThen;
import dev.callweave.v1.OriginalCalleeTarget;
import dev.callweave.v1.PoolTarget;
import java.time.Duration;
import java.util.Map;

/** Options of an escalation to a human. */
public final class EscalateOptions extends AfterOptions<EscalateOptions> {
  /** Who accepts on the human side before the agent leaves. */
  public enum Confirm {
    /** Pick-up is enough; a voicemail then counts as a person. */
    NONE,
    /** Somebody accepts at the desk. */
    DESK_ACCEPT,
    /** The agent judges what was said; see {@link Call#confirmEscalation}. */
    SPOKEN_YES
  }

  /** What the agent leg does once a human has the call. */
  public enum Then {
    /** It leaves. */
    LEAVE,
    /** It stays as a silent spy with an empty seat. */
    STAY_SILENT
  }

  /** What the caller hears meanwhile. */
  public enum WhileRinging {
    /** The hold audio of the gateway. */
    HOLD_AUDIO,
    /** The agent. */
    AGENT
  }

  /** What happens when the context cannot be saved in time. */
  public enum OnContextFailure {
    /** The human is connected all the same. */
    CONNECT_ANYWAY,
    /** The agent keeps the call. */
    STAY
  }

  private final EscalateCallRequest.Builder wire = EscalateCallRequest.newBuilder();

  private EscalateOptions() {
    super(AfterCondition.AFTER_CONDITION_PLAYBACK_DRAINED, OnInterrupt.PROCEED);
  }

  /**
   * An escalation to the original callee, who rings for 60 s.
   *
   * @param reason why
   * @return to be changed
   */
  public static EscalateOptions because(EscalationReason reason) {
    EscalateOptions options = new EscalateOptions();
    options.wire.setReason(
        Convert.wire(dev.callweave.v1.EscalationReason.class, "ESCALATION_REASON_", reason));
    return options;
  }

  /**
   * What the human reads.
   *
   * @param text three sentences, at most 2,000 characters. Default: keeps the context's
   * @return this
   */
  public EscalateOptions summary(String text) {
    wire.setSummary(text);
    return this;
  }

  /**
   * A symbolic hint for the human side.
   *
   * @param hint at most 100 characters: "billing"
   * @return this
   */
  public EscalateOptions routingHint(String hint) {
    wire.setRoutingHint(hint);
    return this;
  }

  /**
   * Merged into the data of the context, key by key.
   *
   * @param facts maps, lists, texts, numbers, booleans and null
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD} with anything else
   */
  public EscalateOptions data(Map<String, ?> facts) {
    wire.setData(Convert.struct(facts));
    return this;
  }

  /**
   * Ring the number that was called.
   *
   * @param ringTime whole seconds, 1 to 120
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD}
   */
  public EscalateOptions callee(Duration ringTime) {
    wire.setOriginalCallee(OriginalCalleeTarget.newBuilder().setRingDuration(ring(ringTime)));
    return this;
  }

  /**
   * Offer the call to a pool of human agents.
   *
   * @param name of the pool
   * @param wait how long to offer it there, 1,000 to 600,000 ms
   * @return this
   */
  public EscalateOptions pool(String name, Duration wait) {
    wire.setPool(PoolTarget.newBuilder().setPool(name).setWait(Convert.duration(wait)));
    return this;
  }

  /**
   * The same, and if nobody accepts, ring the original callee then.
   *
   * @param name of the pool
   * @param wait how long to offer it there, 1,000 to 600,000 ms
   * @param ringTime whole seconds, 1 to 120
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD}
   */
  public EscalateOptions poolThenCallee(String name, Duration wait, Duration ringTime) {
    wire.setPool(
        PoolTarget.newBuilder()
            .setPool(name)
            .setWait(Convert.duration(wait))
            .setThenOriginalCallee(
                OriginalCalleeTarget.newBuilder().setRingDuration(ring(ringTime))));
    return this;
  }

  /**
   * Who accepts on the human side before the agent leaves.
   *
   * @param who default: {@link Confirm#NONE}
   * @return this
   */
  public EscalateOptions confirm(Confirm who) {
    wire.setConfirm(Convert.wire(EscalationConfirm.class, "ESCALATION_CONFIRM_", who));
    return this;
  }

  /**
   * How long to wait for that.
   *
   * @param time 1,000 to 120,000 ms. Default: 20 s
   * @return this
   */
  public EscalateOptions confirmTimeout(Duration time) {
    wire.setConfirmTimeout(Convert.duration(time));
    return this;
  }

  /**
   * What the agent leg does once a human has the call.
   *
   * @param what default: {@link Then#LEAVE}
   * @return this
   */
  public EscalateOptions then(Then what) {
    wire.setThen(Convert.wire(EscalationThen.class, "ESCALATION_THEN_", what));
    return this;
  }

  /**
   * What the caller hears meanwhile.
   *
   * @param what default: {@link WhileRinging#HOLD_AUDIO}
   * @return this
   */
  public EscalateOptions whileRinging(WhileRinging what) {
    wire.setWhileRinging(Convert.wire(dev.callweave.v1.WhileRinging.class, "WHILE_RINGING_", what));
    return this;
  }

  /**
   * What happens when the context cannot be saved in time.
   *
   * @param what default: {@link OnContextFailure#CONNECT_ANYWAY}
   * @return this
   */
  public EscalateOptions onContextFailure(OnContextFailure what) {
    wire.setOnContextFailure(
        Convert.wire(dev.callweave.v1.OnContextFailure.class, "ON_CONTEXT_FAILURE_", what));
    return this;
  }

  /**
   * How long the save may hold up the ringing.
   *
   * @param time 100 to 10,000 ms. Default: 1,500 ms
   * @return this
   */
  public EscalateOptions saveTimeout(Duration time) {
    wire.setSaveTimeout(Convert.duration(time));
    return this;
  }

  @Override
  void into(Command.Builder command, String callId) {
    command.setEscalate(request(callId, ""));
  }

  EscalateCallRequest request(String callId, String requestId) {
    EscalateCallRequest.Builder request = wire.clone().setCallId(callId).setRequestId(requestId);
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
