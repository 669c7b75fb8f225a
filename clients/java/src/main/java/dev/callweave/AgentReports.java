package dev.callweave;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/** Tells a program what becomes of its agent; without functions of its own on standard error. */
final class AgentReports {
  /** So many reports may wait for a slow function; what is more is dropped. */
  private static final int MAX_WAITING = 1_000;

  private final Consumer<AgentStatus> onStatus;
  private final BiConsumer<Throwable, String> onError;
  private final Told told =
      new Told(MAX_WAITING, thrown -> System.err.println("callweave: " + describe(thrown)));
  private boolean outage;

  AgentReports(Consumer<AgentStatus> onStatus, BiConsumer<Throwable, String> onError) {
    this.onStatus = onStatus == null ? this::log : onStatus;
    this.onError = onError == null ? AgentReports::log : onError;
  }

  void status(AgentStatus status) {
    told.tell(
        () -> {
          try {
            onStatus.accept(status);
          } catch (RuntimeException e) {
            onError.accept(e, null);
          }
        });
  }

  /** {@code callId}: null when it is about no call. */
  void error(Throwable thrown, String callId) {
    told.tell(() -> onError.accept(thrown, callId));
  }

  /** Once per outage, so that an agent without a gateway does not look as if it worked. */
  private void log(AgentStatus status) {
    boolean connected = status.type() == AgentStatus.Type.CONNECTED;
    boolean disconnected = status.type() == AgentStatus.Type.DISCONNECTED;
    if (connected && outage) {
      System.err.println("callweave: connected");
    } else if (disconnected && !outage) {
      System.err.println("callweave: no connection, trying again: " + describe(status.error()));
    }
    if (connected || disconnected) {
      outage = disconnected;
    }
  }

  private static void log(Throwable thrown, String callId) {
    String call = callId == null ? "" : "call " + callId + ": ";
    System.err.println("callweave: " + call + describe(thrown));
  }

  private static String describe(Throwable thrown) {
    if (thrown instanceof CallweaveException known) {
      return known.reason() + ": " + known.getMessage();
    }
    StringWriter text = new StringWriter();
    thrown.printStackTrace(new PrintWriter(text));
    return text.toString();
  }
}
