package dev.callweave;

import dev.callweave.v1.AgentMode;
import dev.callweave.v1.Call;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.CallState;
import dev.callweave.v1.PendingCommand;
import java.util.Set;

/** What an event changes in a call. */
final class CallEvents {
  /** At most one of these waits or runs at a time. */
  private static final Set<String> ENDING =
      Set.of("ConnectCall", "EscalateCall", "TransferCall", "CloseCall", "DisconnectCall");

  private CallEvents() {}

  static Call applied(Call call, CallEvent event) {
    return switch (event.getEventCase()) {
      case ANSWERED -> call.toBuilder().setState(CallState.CALL_STATE_ANSWERED).build();
      case CONNECTED -> {
        Call.Builder next = call.toBuilder().setState(CallState.CALL_STATE_CONNECTED);
        if (call.getAgentMode() == AgentMode.AGENT_MODE_UNSPECIFIED) {
          next.setAgentMode(AgentMode.AGENT_MODE_BARGE);
        }
        yield next.build();
      }
      case MODE_SET -> call.toBuilder().setAgentMode(event.getModeSet().getMode()).build();
      case SEAT_CHANGED -> call.toBuilder().setSeat(event.getSeatChanged().getSeat()).build();
      case COMMAND_STARTED -> {
        String verb = event.getCommandStarted().getVerb();
        PendingCommand pending =
            PendingCommand.newBuilder()
                .setVerb(verb)
                .setRequestId(event.getCommandStarted().getRequestId())
                .build();
        yield ENDING.contains(verb) ? call.toBuilder().setPending(pending).build() : call;
      }
      case COMMAND_DONE -> {
        String done = event.getCommandDone().getRequestId();
        boolean same = call.getPending().getRequestId().equals(done);
        yield same ? call.toBuilder().clearPending().build() : call;
      }
      case ENDED ->
          call.toBuilder()
              .setState(CallState.CALL_STATE_DISCONNECTED)
              .setEndReason(event.getEnded().getReason())
              .build();
      default -> call;
    };
  }

  static Call ended(Call call, EndReason reason) {
    return call.toBuilder()
        .setState(CallState.CALL_STATE_DISCONNECTED)
        .setEndReason(Convert.wire(dev.callweave.v1.EndReason.class, "END_REASON_", reason))
        .build();
  }
}
