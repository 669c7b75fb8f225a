package dev.callweave;

import dev.callweave.v1.AgentItem;
import dev.callweave.v1.Command;
import java.util.List;
import java.util.function.Consumer;

/** Gives the commands of a call, each in its place. */
final class CommandRunner {
  /** How long the end of a command is waited for after a takeover. */
  private static final double OUTCOME_WAIT_MS = 5_000;

  private final CallImpl call;
  private final Loop loop;
  private final Commands commands;
  private final Player player;

  CommandRunner(CallImpl call, Loop loop, Commands commands, Player player) {
    this.call = call;
    this.loop = loop;
    this.commands = commands;
    this.player = player;
  }

  /** Completes when it is finished. Not on the loop. */
  CallFuture<EscalationResult> start(VerbOptions<?> options, Consumer<Command.Builder> verb) {
    CallFuture<EscalationResult> future = new CallFuture<>();
    String requestId = options.requestId();
    Command.Builder command = Command.newBuilder().setRequestId(requestId);
    try {
      verb.accept(command);
    } catch (CallweaveException e) {
      return CallFuture.failed(e);
    }
    loop.run(() -> run(command.build(), options, future));
    future.onCancel(() -> loop.run(() -> abort(requestId)));
    return future;
  }

  private void run(Command command, VerbOptions<?> options, CallFuture<EscalationResult> future) {
    if (call.end() != null) {
      future.fail(Errors.callOver(call.id(), call.end().cause()));
      return;
    }
    boolean waits = options.waitsForPlayback();
    if (!commands.add(command, waits, options.proceedsOnInterrupt(), future)) {
      return;
    }
    if (waits) {
      player.command(command.getRequestId());
    } else {
      send(command.getRequestId());
    }
  }

  /** Without a stream it is sent after the reattachment, with all that had no answer. */
  void send(String requestId) {
    Command command = commands.toSend(requestId, call.handle);
    if (command != null) {
      call.send(AgentItem.newBuilder().setCommand(command).build());
    }
  }

  /** Commands that the dead gateway had answered as pending: its successor tells their end. */
  void expectOutcomes() {
    List<String> pending = commands.pending();
    if (!pending.isEmpty()) {
      loop.after(OUTCOME_WAIT_MS, () -> pending.forEach(commands::unknown));
    }
  }

  private void abort(String requestId) {
    if (commands.isQueued(requestId)) {
      player.removeCommand(requestId);
      commands.cancelLocally(requestId, "ABORTED");
    } else if (commands.has(requestId)) {
      // The command itself tells how it ended; that there is nothing to cancel is no error.
      call.cancel(requestId);
    }
  }
}
