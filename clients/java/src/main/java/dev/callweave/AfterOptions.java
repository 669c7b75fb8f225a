package dev.callweave;

import dev.callweave.v1.After;
import dev.callweave.v1.AfterCondition;
import java.time.Duration;

/**
 * When a command takes effect, and what an interrupt does to it while it waits.
 *
 * @param <S> the options themselves
 */
public abstract class AfterOptions<S extends AfterOptions<S>> extends VerbOptions<S> {
  private final AfterCondition usual;
  private final OnInterrupt usualInterrupt;
  private AfterCondition condition = AfterCondition.AFTER_CONDITION_UNSPECIFIED;
  private String mark = "";
  private Duration deadline;
  private OnInterrupt onInterrupt;

  AfterOptions(AfterCondition usual, OnInterrupt usualInterrupt) {
    this.usual = usual;
    this.usualInterrupt = usualInterrupt;
  }

  /**
   * At once. The default, except for an escalation.
   *
   * @return this
   */
  public S now() {
    condition = AfterCondition.AFTER_CONDITION_NOW;
    return self();
  }

  /**
   * When all audio played before it on this call was heard. The default of an escalation.
   *
   * @return this
   */
  public S afterDrained() {
    condition = AfterCondition.AFTER_CONDITION_PLAYBACK_DRAINED;
    return self();
  }

  /**
   * When a mark was reached.
   *
   * @param name 1 to 100 characters
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD}
   */
  public S afterMark(String name) {
    if (name == null || name.isEmpty() || name.length() > 100) {
      throw Errors.invalidField("after.mark", "1 to 100 characters", name);
    }
    condition = AfterCondition.AFTER_CONDITION_MARK;
    mark = name;
    return self();
  }

  /**
   * How long to wait for that at most, from when the gateway has the command. Passed: fails with
   * {@code AFTER_DEADLINE}, nothing was done.
   *
   * @param time 100 to 120,000 ms. Default: 15 s, or the queued playback plus 5 s if that is longer
   * @return this
   */
  public S afterDeadline(Duration time) {
    deadline = time;
    return self();
  }

  /**
   * What {@link Call#clear()} does to the waiting command.
   *
   * @param rule default: {@code CANCEL}, for an escalation {@code PROCEED}
   * @return this
   */
  public S onInterrupt(OnInterrupt rule) {
    onInterrupt = rule;
    return self();
  }

  @Override
  final boolean waitsForPlayback() {
    AfterCondition chosen =
        condition == AfterCondition.AFTER_CONDITION_UNSPECIFIED ? usual : condition;
    return chosen != AfterCondition.AFTER_CONDITION_NOW;
  }

  @Override
  final boolean proceedsOnInterrupt() {
    return (onInterrupt == null ? usualInterrupt : onInterrupt) == OnInterrupt.PROCEED;
  }

  /** As it goes on the wire; null when nothing was said. */
  final After after() {
    boolean unsaid = condition == AfterCondition.AFTER_CONDITION_UNSPECIFIED;
    if (unsaid && deadline == null && onInterrupt == null) {
      return null;
    }
    After.Builder after =
        After.newBuilder()
            // Without a condition a deadline or rule belongs to the usual one.
            .setCondition(unsaid ? usual : condition)
            .setMark(mark)
            .setOnInterrupt(
                Convert.wire(
                    dev.callweave.v1.OnInterrupt.class,
                    "ON_INTERRUPT_",
                    onInterrupt == null && unsaid ? usualInterrupt : onInterrupt));
    if (deadline != null) {
      after.setDeadline(Convert.duration(deadline));
    }
    return after.build();
  }

  /** Whole seconds of ringing. */
  static com.google.protobuf.Duration ring(Duration time) {
    boolean whole = time.getNano() == 0 && time.getSeconds() >= 1 && time.getSeconds() <= 120;
    if (!whole) {
      throw Errors.invalidField("ringTime", "whole seconds from 1 to 120", time);
    }
    return Convert.duration(time);
  }
}
