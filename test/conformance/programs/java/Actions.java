import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.callweave.AfterOptions;
import dev.callweave.Agent;
import dev.callweave.AgentMode;
import dev.callweave.Call;
import dev.callweave.CallFuture;
import dev.callweave.CallweaveClient;
import dev.callweave.CloseOptions;
import dev.callweave.CommandOptions;
import dev.callweave.ConnectOptions;
import dev.callweave.DisconnectOptions;
import dev.callweave.EscalateOptions;
import dev.callweave.EscalationReason;
import dev.callweave.Listening;
import dev.callweave.OnInterrupt;
import dev.callweave.PlayEnd;
import dev.callweave.PlaybackStatus;
import dev.callweave.TransferOptions;
import dev.callweave.Turn;
import dev.callweave.VerbOptions;
import dev.callweave.Watch;
import dev.callweave.WatchStep;
import dev.callweave.v1.CallContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;

/** What the program can be told. */
final class Actions {
  private Actions() {}

  /** Begins what is told; the result waits until it is done. What is told of a call has begun when this returns. */
  static Callable<JsonObject> begin(Args args, State state) throws Exception {
    return switch (args.text("do")) {
      case "start", "drain", "stop", "watch", "listen", "readContext", "findContexts", "simpleForm" ->
          () -> withoutCall(args, state);
      default -> call(args, state);
    };
  }

  private static JsonObject withoutCall(Args args, State state) throws Exception {
    return switch (args.text("do")) {
      case "start" -> AgentActions.start(args, state);
      case "drain" -> {
        Agent agent = state.agent();
        state.toldToEnd();
        if (agent != null) {
          agent.drain().await();
        }
        yield Io.object();
      }
      case "stop" -> {
        state.stop();
        yield Io.object();
      }
      case "watch" -> watch(args, state);
      case "listen" -> {
        Listening heard = state.keep(state.client(args).calls().listen(args.text("call")));
        Io.inBackground(
            args.text("call"),
            () -> AudioActions.record(heard, args.text("call"), args.text("file")));
        yield Io.object();
      }
      case "readContext" ->
          outlined(state.client(args).contexts().get(args.text("call")).await());
      case "findContexts" -> {
        List<CallContext> found =
            state
                .client(args)
                .contexts()
                .findByCaller(args.text("caller"), Duration.ofDays(1), 0)
                .await();
        yield Io.object("calls", found.stream().map(CallContext::getCallId).toList());
      }
      default -> SimpleForm.run(args);
    };
  }

  private static Callable<JsonObject> call(Args args, State state) throws IOException {
    String name = args.text("do");
    if (!KNOWN.contains(name)) {
      throw new Io.ProgramError("unknown command " + name);
    }
    Call call = state.call(args);
    return switch (name) {
      case "play" -> then(play(args, call), end -> Io.object("end", end.name()));
      case "mark" -> then(call.mark(args.text("name")), end -> Io.object("end", end.name()));
      case "drained" -> then(call.drained(), end -> Io.object("end", end.name()));
      case "clear" ->
          then(
              call.clear(),
              cleared ->
                  Io.object(
                      "droppedMs", ms(cleared.dropped()),
                      "estimatedUnheardMs", ms(cleared.estimatedUnheard()),
                      "playedMs", ms(cleared.played())));
      case "playback" -> {
        PlaybackStatus status = call.playback();
        yield () ->
            Io.object(
                "queuedMs", ms(status.queued()),
                "aheadMs", ms(status.ahead()),
                "playedMs", ms(status.played()));
      }
      case "echo" -> {
        Io.inBackground(
            call.id(), () -> AudioActions.echo(call, args.number("keepBackMs", 300)));
        yield Io::object;
      }
      case "record" -> {
        Io.inBackground(
            call.id(), () -> AudioActions.record(call.audio(), call.id(), args.text("file")));
        yield Io::object;
      }
      case "appendTurns" ->
          then(
              call.appendTurns(turns(args)),
              appended -> Io.object("turnCount", appended.turnCount()));
      case "getContext" -> then(call.getContext(), Actions::outlined);
      default -> verb(args, call);
    };
  }

  private static final List<String> KNOWN =
      List.of(
          "play", "mark", "drained", "clear", "playback", "echo", "record", "answer", "connect",
          "setMode", "escalate", "transfer", "release", "close", "disconnect", "appendTurns",
          "getContext");

  private static Callable<JsonObject> verb(Args args, Call call) {
    return switch (args.text("do")) {
      case "answer" -> nothing(call.answer(with(args, CommandOptions.create())));
      case "connect" -> {
        ConnectOptions options = after(args, ConnectOptions.create());
        if (args.has("ringTimeSeconds")) {
          options.ringTime(Duration.ofSeconds(args.number("ringTimeSeconds", 0)));
        }
        yield nothing(call.connect(options));
      }
      case "setMode" -> {
        AgentMode mode = AgentMode.valueOf(args.text("mode"));
        yield nothing(call.setMode(mode, with(args, CommandOptions.create())));
      }
      case "escalate" ->
          then(
              call.escalate(escalation(args)),
              result ->
                  Io.object(
                      "outcome", result.outcome().name(),
                      "durability", result.durability() == null ? null : result.durability().name()));
      case "transfer" -> {
        Args to = args.at("to");
        TransferOptions options =
            to.has("pool")
                ? TransferOptions.toPool(to.text("pool"))
                : TransferOptions.toInstance(to.text("instanceId"));
        args.millis("offerMs", options::offerTime);
        yield nothing(call.transfer(after(args, options)));
      }
      case "release" -> nothing(call.release(with(args, CommandOptions.create())));
      case "close" -> {
        CloseOptions options = CloseOptions.create().endCall(args.flag("endCall", false));
        yield nothing(call.close(after(args, options)));
      }
      default -> nothing(call.disconnect(after(args, DisconnectOptions.create())));
    };
  }

  private static Callable<JsonObject> nothing(CallFuture<Void> future) {
    return then(future, done -> Io.object());
  }

  private static <T> Callable<JsonObject> then(
      CallFuture<T> future, Function<T, JsonObject> shown) {
    return () -> shown.apply(future.await());
  }

  private static CallFuture<PlayEnd> play(Args args, Call call) throws IOException {
    byte[] audio = Files.readAllBytes(Path.of(args.text("file")));
    int size = (int) args.number("pieceBytes", 0);
    return size > 0 ? call.play(AudioActions.pieces(audio, size)) : call.play(audio);
  }

  private static <S extends VerbOptions<S>> S with(Args args, S options) {
    args.text("requestId", options::requestId);
    return options;
  }

  private static <S extends AfterOptions<S>> S after(Args args, S options) {
    with(args, options);
    if (args.has("after")) {
      JsonElement after = args.json().get("after");
      if (after.isJsonObject()) {
        options.afterMark(after.getAsJsonObject().get("mark").getAsString());
      } else if (after.getAsString().equals("drained")) {
        options.afterDrained();
      } else {
        options.now();
      }
    }
    args.millis("afterDeadlineMs", options::afterDeadline);
    args.constant("onInterrupt", OnInterrupt.class, options::onInterrupt);
    return options;
  }

  private static EscalateOptions escalation(Args args) {
    EscalateOptions options =
        EscalateOptions.because(EscalationReason.valueOf(args.text("reason")));
    after(args, options);
    args.text("summary", options::summary);
    args.text("routingHint", options::routingHint);
    if (args.has("data")) {
      @SuppressWarnings("unchecked")
      Map<String, Object> data = (Map<String, Object>) Args.plain(args.json().get("data"));
      options.data(data);
    }
    if (args.has("target")) {
      Args target = args.at("target");
      if (target.has("pool")) {
        options.pool(target.text("pool"), Duration.ofMillis(target.number("waitMs", 30_000)));
      } else {
        long seconds = target.at("callee").number("ringTimeSeconds", 60);
        options.callee(Duration.ofSeconds(seconds));
      }
    }
    args.constant("confirm", EscalateOptions.Confirm.class, options::confirm);
    args.millis("confirmTimeoutMs", options::confirmTimeout);
    args.constant("then", EscalateOptions.Then.class, options::then);
    args.constant("whileRinging", EscalateOptions.WhileRinging.class, options::whileRinging);
    args.constant(
        "onContextFailure", EscalateOptions.OnContextFailure.class, options::onContextFailure);
    args.millis("saveTimeoutMs", options::saveTimeout);
    return options;
  }

  private static List<Turn> turns(Args args) {
    List<Turn> turns = new ArrayList<>();
    for (JsonElement element : args.json().getAsJsonArray("turns")) {
      Args turn = new Args(element.getAsJsonObject());
      Turn made =
          switch (turn.text("role")) {
            case "CALLER" -> Turn.caller(turn.text("text"));
            case "AI" -> Turn.ai(turn.text("text"));
            default -> Turn.specialist(turn.text("text"));
          };
      turn.text("id", made::id);
      turns.add(made);
    }
    return turns;
  }

  private static JsonObject watch(Args args, State state) throws InterruptedException {
    CallweaveClient client = state.client(args);
    String cursor = client.calls().list().await().cursor();
    Watch<WatchStep> watch = state.keep(client.calls().watch(cursor));
    CountDownLatch live = new CountDownLatch(1);
    Io.inBackground(
        null,
        () -> {
          for (WatchStep step : watch) {
            if (step instanceof WatchStep.Live) {
              live.countDown();
            } else if (step instanceof WatchStep.Event event) {
              Io.print(
                  "event", "watched",
                  "call", event.event().getCallId(),
                  "type", typeOf(event.event()),
                  "sequence", event.event().getSequence());
            }
          }
        });
    live.await();
    return Io.object();
  }

  private static String typeOf(dev.callweave.v1.CallEvent event) {
    if (event.getEventCase() == dev.callweave.v1.CallEvent.EventCase.EVENT_NOT_SET) {
      return "unknown";
    }
    String[] words = event.getEventCase().name().toLowerCase().split("_");
    StringBuilder name = new StringBuilder(words[0]);
    for (int i = 1; i < words.length; i++) {
      name.append(Character.toUpperCase(words[i].charAt(0))).append(words[i].substring(1));
    }
    return name.toString();
  }

  private static JsonObject outlined(CallContext context) {
    int count = context.getTurnsCount();
    return Io.object(
        "callId", context.getCallId(),
        "status", context.getStatus().name().replace("CONTEXT_STATUS_", ""),
        "summary", context.getSummary(),
        "turns", count,
        "lastTurn", count == 0 ? null : context.getTurns(count - 1).getText());
  }

  private static double ms(Duration time) {
    return time.toNanos() / 1e6;
  }
}
