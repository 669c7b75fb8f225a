package dev.callweave;

import dev.callweave.v1.Command;
import java.time.Duration;
import java.util.UUID;

/**
 * What every verb takes.
 *
 * @param <S> the options themselves
 */
public abstract class VerbOptions<S extends VerbOptions<S>> {
  private String requestId;
  private Duration wait = Duration.ZERO;

  VerbOptions() {}

  /**
   * Makes a repetition safe: the same id with the same body answers with the first result.
   *
   * @param id 1 to 100 characters. Default: a UUID
   * @return this
   */
  public S requestId(String id) {
    requestId = id;
    return self();
  }

  /**
   * How long a request of an observer waits for the result of a verb that takes long. Not used by
   * {@link Call}, whose verbs always complete with their result.
   *
   * @param time 0 to 150,000 ms. Default: zero, answers at once
   * @return this
   */
  public S waitFor(Duration time) {
    Bounds.millis("waitFor", time, 0, 150_000);
    wait = time;
    return self();
  }

  final String requestId() {
    return requestId == null ? UUID.randomUUID().toString() : requestId;
  }

  final Duration waiting() {
    return wait;
  }

  @SuppressWarnings("unchecked")
  final S self() {
    return (S) this;
  }

  /** Whether the command has to keep its place behind the audio of its call. */
  boolean waitsForPlayback() {
    return false;
  }

  /** Whether an interrupt lets it go ahead. */
  boolean proceedsOnInterrupt() {
    return true;
  }

  /** Puts the verb into a command. */
  abstract void into(Command.Builder command, String callId);
}
