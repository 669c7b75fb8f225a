package dev.callweave;

import dev.callweave.v1.Command;
import dev.callweave.v1.CommandDone;
import dev.callweave.v1.CommandResult;
import io.grpc.Status;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The commands of one call that are not finished. Knows no socket. */
final class Commands {
  private enum Place {
    /** In the playback queue. */
    QUEUED,
    /** With the gateway. */
    SENT,
    /** With the gateway, and answered as pending. */
    PENDING
  }

  private static final class Entry {
    final Command command;
    final boolean proceeds;
    final CallFuture<EscalationResult> future;
    Place place;

    Entry(Command command, boolean proceeds, CallFuture<EscalationResult> future, Place place) {
      this.command = command;
      this.proceeds = proceeds;
      this.future = future;
      this.place = place;
    }
  }

  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final String callId;

  Commands(String callId) {
    this.callId = callId;
  }

  /** Takes a command; false when one with its id is under way, then its future has failed. */
  boolean add(
      Command command, boolean queued, boolean proceeds, CallFuture<EscalationResult> future) {
    String requestId = command.getRequestId();
    if (entries.containsKey(requestId)) {
      future.fail(
          new CallweaveException(
              Reason.REQUEST_ID_REUSED,
              Status.Code.ALREADY_EXISTS,
              "request_id " + requestId + " is already under way",
              Map.of("call_id", callId, "request_id", requestId),
              null));
      return false;
    }
    Place place = queued ? Place.QUEUED : Place.SENT;
    entries.put(requestId, new Entry(command, proceeds, future, place));
    return true;
  }

  /**
   * The command as it goes on the wire; from now on it counts as sent. Null: not there any more.
   */
  Command toSend(String requestId, int handle) {
    Entry entry = entries.get(requestId);
    if (entry == null) {
      return null;
    }
    entry.place = Place.SENT;
    return entry.command.toBuilder().setHandle(handle).build();
  }

  boolean isQueued(String requestId) {
    Entry entry = entries.get(requestId);
    return entry != null && entry.place == Place.QUEUED;
  }

  boolean has(String requestId) {
    return entries.containsKey(requestId);
  }

  /** Sent, and nothing came back: to be sent again. The same id makes that safe. */
  List<String> unanswered() {
    return at(Place.SENT);
  }

  /** Answered as pending, and not finished. */
  List<String> pending() {
    return at(Place.PENDING);
  }

  private List<String> at(Place place) {
    return entries.values().stream()
        .filter(entry -> entry.place == place)
        .map(entry -> entry.command.getRequestId())
        .toList();
  }

  /** Nobody knows how it ended. */
  void unknown(String requestId) {
    Entry entry = entries.get(requestId);
    if (entry != null && entry.place == Place.PENDING) {
      String text = "the gateway that carried it out died; its outcome is unknown";
      Map<String, String> metadata = Map.of("call_id", callId, "request_id", requestId);
      finish(
          entry,
          new CallweaveException(Reason.OUTCOME_UNKNOWN, Status.Code.UNKNOWN, text, metadata, null),
          null);
    }
  }

  /** It goes back to the playback queue, since the audio before it does. */
  void requeue(String requestId) {
    Entry entry = entries.get(requestId);
    if (entry != null) {
      entry.place = Place.QUEUED;
    }
  }

  void onResult(CommandResult result) {
    Entry entry = entries.get(result.getRequestId());
    if (entry == null) {
      return;
    }
    if (result.getPending() && !result.hasError()) {
      entry.place = Place.PENDING;
    } else {
      finish(
          entry,
          result.hasError() ? Errors.fromWire(result.getError()) : null,
          Convert.escalation(result.getEscalation()));
    }
  }

  void onDone(CommandDone done) {
    Entry entry = entries.get(done.getRequestId());
    if (entry != null) {
      finish(
          entry,
          done.hasError() ? Errors.fromWire(done.getError()) : null,
          Convert.escalation(done.getEscalation()));
    }
  }

  /** One that has had no effect is over. */
  void cancelLocally(String requestId, String cause) {
    Entry entry = entries.remove(requestId);
    if (entry != null) {
      entry.future.fail(
          new CallweaveException(
              Reason.COMMAND_CANCELLED,
              Status.Code.CANCELLED,
              "the command was cancelled before it had an effect",
              Map.of("call_id", callId, "request_id", requestId, "cause", cause),
              null));
    }
  }

  /**
   * {@code clear()} met it in the playback queue: true when it goes ahead, else it is cancelled.
   */
  boolean onInterrupt(String requestId) {
    Entry entry = entries.get(requestId);
    if (entry == null) {
      return false;
    }
    if (!entry.proceeds) {
      cancelLocally(requestId, "INTERRUPTED");
    }
    return entry.proceeds;
  }

  /** The seat is gone. Commands whose success is just that have succeeded. */
  void onOver(CallEnd end) {
    for (Entry entry : entries.values()) {
      boolean queued = entry.place == Place.QUEUED;
      if (!queued && entry.command.hasEscalate() && escalated(end) != null) {
        entry.future.settle(new EscalationResult(escalated(end), null));
      } else if (!queued && fulfilled(entry.command, end)) {
        entry.future.settle(null);
      } else {
        entry.future.fail(Errors.callOver(callId, end.cause()));
      }
    }
    entries.clear();
  }

  private void finish(Entry entry, CallweaveException error, EscalationResult escalation) {
    entries.remove(entry.command.getRequestId());
    // The outcome of an escalation says more than its error: nobody picked up, the caller left.
    if (entry.command.hasEscalate() && escalation != null) {
      entry.future.settle(escalation);
    } else if (error != null) {
      entry.future.fail(error);
    } else {
      entry.future.settle(escalation);
    }
  }

  private static EscalationOutcome escalated(CallEnd end) {
    if (end.cause() == EndCause.ESCALATED) {
      return EscalationOutcome.CONNECTED;
    }
    if (end.cause() != EndCause.CALL_ENDED) {
      return null;
    }
    return end.reason() == EndReason.LEFT_TO_PARTIES
        ? EscalationOutcome.CONNECTED
        : EscalationOutcome.CALLER_LEFT;
  }

  private static boolean fulfilled(Command command, CallEnd end) {
    boolean ended = end.cause() == EndCause.CALL_ENDED;
    return switch (command.getVerbCase()) {
      case TRANSFER -> end.cause() == EndCause.TRANSFERRED;
      case RELEASE -> end.cause() == EndCause.RELEASED;
      case CLOSE ->
          ended
              && (end.reason() == EndReason.LEFT_TO_PARTIES
                  || end.reason() == EndReason.DISCONNECTED);
      case DISCONNECT -> ended;
      default -> false;
    };
  }
}
