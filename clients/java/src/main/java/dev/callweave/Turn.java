package dev.callweave;

import dev.callweave.v1.TurnRole;
import java.time.Instant;
import java.util.UUID;

/** Something that was said, to be appended to the context of a call. */
public final class Turn {
  private final dev.callweave.v1.Turn.Builder wire = dev.callweave.v1.Turn.newBuilder();

  private Turn(TurnRole role, String text) {
    wire.setId(UUID.randomUUID().toString());
    wire.setRole(role).setText(text).setTime(Convert.timestamp(Instant.now()));
  }

  /**
   * Said by the caller, now.
   *
   * @param text at most 10,000 characters
   * @return to be changed
   */
  public static Turn caller(String text) {
    return new Turn(TurnRole.TURN_ROLE_CALLER, text);
  }

  /**
   * Said by the agent, now.
   *
   * @param text at most 10,000 characters
   * @return to be changed
   */
  public static Turn ai(String text) {
    return new Turn(TurnRole.TURN_ROLE_AI, text);
  }

  /**
   * Said by the specialist, now.
   *
   * @param text at most 10,000 characters
   * @return to be changed
   */
  public static Turn specialist(String text) {
    return new Turn(TurnRole.TURN_ROLE_SPECIALIST, text);
  }

  /**
   * Unique within the call; appending the same id again changes nothing.
   *
   * @param id at most 100 characters. Default: a UUID
   * @return this
   */
  public Turn id(String id) {
    wire.setId(id);
    return this;
  }

  /**
   * The language.
   *
   * @param tag a BCP 47 tag. Default: the locale of the context
   * @return this
   */
  public Turn locale(String tag) {
    wire.setLocale(tag);
    return this;
  }

  /**
   * When it began.
   *
   * @param begin default: when this was made
   * @return this
   */
  public Turn time(Instant begin) {
    wire.setTime(Convert.timestamp(begin));
    return this;
  }

  /**
   * It was cut off.
   *
   * @param heard the part of an agent's turn that was heard
   * @return this
   */
  public Turn interrupted(String heard) {
    wire.setInterrupted(true).setHeard(heard);
    return this;
  }

  dev.callweave.v1.Turn wire() {
    return wire.build();
  }
}
