package dev.callweave;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/** Runs handlers, each on a thread of its own, and does what comes after them. */
final class HandlerRunner {
  private static final Set<Reason> EXPECTED =
      Set.of(
          Reason.CALL_OVER,
          Reason.CALL_STATE,
          Reason.PENDING_COMMAND,
          Reason.SEAT_NOT_HELD,
          Reason.COMMAND_CANCELLED,
          Reason.CALL_NOT_FOUND);

  private final Loop loop;
  private final CallHandler handler;
  private final Executor executor;
  private final boolean keep;
  private final BiConsumer<Throwable, String> onError;
  private int running;

  HandlerRunner(
      Loop loop,
      CallHandler handler,
      Executor executor,
      boolean keep,
      BiConsumer<Throwable, String> onError) {
    this.loop = loop;
    this.handler = handler;
    this.executor = executor;
    this.keep = keep;
    this.onError = onError;
  }

  /** Those of calls that are over too: they still have a thread. */
  int running() {
    return running;
  }

  void begin(CallImpl call) {
    if (call.isOver()) {
      return;
    }
    running++;
    try {
      executor.execute(
          () -> {
            try {
              handle(call);
            } finally {
              loop.run(() -> running--);
            }
          });
    } catch (RejectedExecutionException e) {
      running--;
      failed(call, e);
    }
  }

  private void handle(CallImpl call) {
    try {
      handler.handle(call);
    } catch (Exception | java.lang.Error e) {
      failed(call, e);
      return;
    }
    if (call.isOver() || keep) {
      return;
    }
    // A command of the handler that still waits or runs goes first: this one is refused then.
    if (call.state() == CallState.CONNECTED) {
      leave(call, call.close());
    } else if (call.state() == CallState.PENDING) {
      leave(call, call.release());
    } else {
      leave(
          call,
          call.disconnect(
              DisconnectOptions.create()
                  .afterDrained()
                  .afterDeadline(Duration.ofMinutes(2))
                  .onInterrupt(OnInterrupt.PROCEED)));
    }
  }

  private void failed(CallImpl call, Throwable thrown) {
    if (!call.isOver()) {
      onError.accept(thrown, call.id());
      leave(call, call.release());
    }
  }

  /** The call ended meanwhile, or is ending in another way: what was wanted. */
  private void leave(CallImpl call, CallFuture<Void> left) {
    Consumer<CallweaveException> tell = error -> onError.accept(error, call.id());
    left.whenComplete(
        (none, thrown) -> {
          if (thrown == null) {
            return;
          }
          CallweaveException error = CallweaveException.from(thrown);
          if (!EXPECTED.contains(error.reason())) {
            tell.accept(error);
          }
        });
  }
}
