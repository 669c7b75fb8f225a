package dev.callweave;

import dev.callweave.v1.Command;

/** Options of the verbs that have none of their own. */
public final class CommandOptions extends VerbOptions<CommandOptions> {
  private CommandOptions() {}

  /**
   * The defaults.
   *
   * @return to be changed
   */
  public static CommandOptions create() {
    return new CommandOptions();
  }

  @Override
  void into(Command.Builder command, String callId) {}
}
