package dev.callweave;

import dev.callweave.v1.CallEvent;

/**
 * Told what happens to a call, in order. At most {@link AgentBuilder#maxEventsQueued} wait for a
 * slow listener; what is more is dropped, and {@link AgentBuilder#onError} is told once.
 */
public interface CallListener {
  /**
   * Something happened to the call.
   *
   * @param call the call
   * @param event as the contract has it
   */
  default void onEvent(Call call, CallEvent event) {}

  /**
   * A text from a supervisor came, heard by nobody.
   *
   * @param call the call
   * @param note the text
   */
  default void onNote(Call call, Note note) {}

  /**
   * The call is in another state.
   *
   * @param call the call
   * @param state the new one
   */
  default void onState(Call call, CallState state) {}

  /**
   * Who hears the agent changed.
   *
   * @param call the call
   * @param mode the new one
   */
  default void onMode(Call call, AgentMode mode) {}

  /**
   * The gateway told how far the playback is: at most twice a second.
   *
   * @param call the call
   * @param status where it is
   */
  default void onPlayback(Call call, PlaybackStatus status) {}

  /**
   * The connection broke, and the seat is reserved for a moment; or it is back.
   *
   * @param call the call
   * @param attached true: it is back
   */
  default void onAttached(Call call, boolean attached) {}

  /**
   * The agent does not have the call any more.
   *
   * @param call the call
   * @param end why
   */
  default void onEnded(Call call, CallEnd end) {}
}
