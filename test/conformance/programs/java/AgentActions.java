import com.google.gson.JsonObject;
import dev.callweave.Agent;
import dev.callweave.AgentBuilder;
import dev.callweave.AgentStatus;
import dev.callweave.AudioFormat;
import dev.callweave.Call;
import dev.callweave.CallListener;
import dev.callweave.CallweaveException;
import dev.callweave.Decision;
import dev.callweave.Note;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Makes an agent that does what it is told, and registers it. */
final class AgentActions {
  private AgentActions() {}

  static JsonObject start(Args args, State state) throws IOException {
    AgentBuilder builder =
        Agent.builder()
            .endpoints(args.texts("endpoints"))
            .agentId(args.has("agentId") ? args.text("agentId") : "agent")
            .keepAfterHandler(true)
            .answerOnAccept(args.flag("answerOnAccept", true))
            .heartbeat(args.flag("heartbeat", true))
            .noAudio(args.flag("noAudio", false))
            .onStatus(AgentActions::report)
            .onError(Io::error);
    args.text("token", builder::token);
    args.text("pool", builder::pool);
    args.text("instanceId", builder::instanceId);
    args.millis("sendAheadMs", builder::sendAhead);
    args.millis("maxAudioQueuedMs", builder::maxAudioQueued);
    args.millis("maxPlaybackQueuedMs", builder::maxPlaybackQueued);
    args.millis("reattachTimeoutMs", builder::reattachTimeout);
    credentials(args, builder);
    if (args.has("capacity")) {
      builder.capacity((int) args.number("capacity", 1));
    }
    if (args.has("maxStreams")) {
      builder.maxStreams((int) args.number("maxStreams", 1));
    }
    if (args.has("callsPerStream")) {
      builder.callsPerStream((int) args.number("callsPerStream", 1));
    }
    if (args.has("sampleRateHertz")) {
      builder.audioFormat(AudioFormat.s16le((int) args.number("sampleRateHertz", 0)));
    }
    if (args.has("decline")) {
      builder.accept(offer -> Decision.decline(args.text("decline")));
    }
    String handler = args.text("handler");
    Agent agent = builder.build(call -> handle(call, handler, state)).drainOnSignals();
    state.agent(agent);
    Io.inBackground(
        null,
        () -> {
          try {
            agent.run();
            state.drained();
          } catch (CallweaveException e) {
            Io.print("event", "over", "reason", e.reason().name());
          }
        });
    agent.start().await();
    return Io.object("instanceId", agent.instanceId());
  }

  private static void credentials(Args args, AgentBuilder builder) throws IOException {
    if (args.flag("tls", false)) {
      builder.tls();
    }
    if (args.has("certFile")) {
      builder.credentials(
          TlsChannelCredentials.newBuilder()
              .trustManager(new File(args.text("caFile")))
              .keyManager(new File(args.text("certFile")), new File(args.text("keyFile")))
              .build());
    } else if (args.has("caFile")) {
      builder.tls(new File(args.text("caFile")));
    }
    if (args.has("tokenFile")) {
      builder.token(() -> read(Path.of(args.text("tokenFile"))));
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void handle(Call call, String handler, State state) {
    state.calls.put(call.id(), call);
    follow(call);
    if (handler.equals("throw") && call.attempt() == 1) {
      throw new IllegalStateException("told to throw");
    }
    if (handler.equals("echo")) {
      Io.inBackground(call.id(), () -> AudioActions.echo(call, 300));
    }
  }

  private static void report(AgentStatus status) {
    switch (status.type()) {
      case CONNECTED -> Io.print("event", "status", "status", "connected");
      case GOING_AWAY -> Io.print("event", "status", "status", "goingAway");
      case DISCONNECTED ->
          Io.print(
              "event", "status",
              "status", "disconnected",
              "reason", status.error().reason().name());
      default -> {}
    }
  }

  private static void follow(Call call) {
    call.addListener(
        new CallListener() {
          @Override
          public void onAttached(Call of, boolean attached) {
            Io.print("event", "attached", "call", of.id(), "attached", attached);
          }

          @Override
          public void onNote(Call of, Note note) {
            Io.print(
                "event", "note", "call", of.id(), "text", note.text(), "author", note.author());
          }
        });
    Io.print(
        "event", "call",
        "call", call.id(),
        "epoch", call.epoch(),
        "attempt", call.attempt(),
        "state", call.state().name(),
        "caller", call.caller(),
        "callee", call.callee(),
        "sampleRateHertz", call.audioFormat().sampleRateHertz(),
        "escalationReason", call.escalationReason().map(Enum::name).orElse(null),
        "summary", call.context().map(context -> context.getSummary()).orElse(null),
        "turns", call.context().map(context -> context.getTurnsCount()).orElse(null));
    call.ended()
        .thenAccept(
            end ->
                Io.print(
                    "event", "ended",
                    "call", call.id(),
                    "cause", end.cause().name(),
                    "endReason", end.reason() == null ? null : end.reason().name()));
  }
}
