package dev.callweave;

import dev.callweave.v1.CallEvent;

/** One step of a watch over calls. */
public sealed interface WatchStep {
  /**
   * Something happened to a call.
   *
   * @param event as the contract has it
   */
  record Event(CallEvent event) implements WatchStep {}

  /**
   * History is over, from here on live. Told once.
   *
   * @param cursor to resume from
   */
  record Live(String cursor) implements WatchStep {}
}
