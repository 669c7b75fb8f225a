package dev.callweave;

import static dev.callweave.FakeGateway.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.callweave.v1.AgentItem.ItemCase;
import dev.callweave.v1.CallState;
import dev.callweave.v1.Command;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.CredentialExpiring;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.GoAway;
import dev.callweave.v1.Register;
import dev.callweave.v1.SeatCause;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AgentTest {
  private static final Duration LIMIT = Duration.ofSeconds(10);
  private final FakeGateway gateway = new FakeGateway();
  private final List<AutoCloseable> open = new ArrayList<>(List.of(gateway));
  private final List<AgentStatus> statuses = new CopyOnWriteArrayList<>();
  private final List<Throwable> errors = new CopyOnWriteArrayList<>();

  @AfterEach
  void close() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
  }

  private Agent agent(Consumer<AgentBuilder> options, CallHandler handler) {
    AgentBuilder builder =
        Agent.builder()
            .endpoint(gateway.endpoint())
            .agentId("test")
            .heartbeat(false)
            .onStatus(statuses::add)
            .onError((thrown, callId) -> errors.add(thrown));
    options.accept(builder);
    Agent agent = builder.build(handler);
    open.add(agent);
    return agent;
  }

  private FakeStream started(Consumer<AgentBuilder> options, CallHandler handler) {
    agent(options, handler).start().await(LIMIT);
    return gateway.stream(gateway.streams.size() - 1);
  }

  private boolean saw(AgentStatus.Type type) {
    return statuses.stream().anyMatch(status -> status.type() == type);
  }

  private static Reason reasonOf(CallFuture<?> future) {
    return assertThrows(CallweaveException.class, () -> future.await(LIMIT)).reason();
  }

  @Test
  void registersWithWhatItWasTold() {
    FakeStream stream =
        started(
            options ->
                options
                    .pool("sales")
                    .capacity(7)
                    .audioFormat(AudioFormat.s16le(8_000))
                    .labels(Map.of("language", "java"))
                    .token("secret")
                    .noAudio(true),
            call -> {});
    Register register = stream.items.get(0).getRegister();
    assertEquals("test", register.getAgentId());
    assertEquals("sales", register.getPool());
    assertEquals(7, register.getCapacity());
    assertEquals(8_000, register.getAudioFormat().getSampleRateHertz());
    assertEquals(Map.of("language", "java"), register.getLabelsMap());
    assertTrue(register.getAnswerOnAccept() && register.getNoAudio());
    Metadata.Key<String> key = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    assertEquals("Bearer secret", gateway.headers.get().get(key));
  }

  @Test
  void declinesBeyondItsCapacityAndWhatItDoesNotWant() {
    FakeStream stream =
        started(
            options ->
                options
                    .capacity(1)
                    .accept(
                        offer -> {
                          String id = offer.call().getCallId();
                          if (id.equals("broken")) {
                            throw new IllegalStateException("cannot decide");
                          }
                          return id.equals("unwanted")
                              ? Decision.decline("no " + "x".repeat(200))
                              : Decision.take();
                        }),
            call -> call.ended().join());
    stream.offer("o-1", FakeGateway.call("unwanted"));
    assertEquals(100, stream.next(ItemCase.DECLINE).getDecline().getReason().length());
    stream.offer("o-2", FakeGateway.call("broken"));
    assertEquals(
        "the agent failed to decide", stream.next(ItemCase.DECLINE).getDecline().getReason());
    until("the error told", () -> errors.size() == 1);
    stream.assign(1, FakeGateway.call("c-1"));
    until("the call", () -> stream.count(ItemCase.ACCEPT) == 1);
    stream.offer("o-3", FakeGateway.call("c-2"));
    assertEquals("at capacity", stream.next(ItemCase.DECLINE).getDecline().getReason());
  }

  @Test
  void keepsThePlaceOfAHandlerThatStillRuns() {
    CompletableFuture<Void> go = new CompletableFuture<>();
    FakeStream stream = started(options -> options.capacity(1), call -> go.join());
    stream.assign(1, FakeGateway.call("c-1"));
    stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_TERMINATED);
    stream.offer("o-2", FakeGateway.call("c-2"));
    assertEquals("at capacity", stream.next(ItemCase.DECLINE).getDecline().getReason());
    go.complete(null);
    until(
        "a place again",
        () -> {
          stream.offer("o-" + System.nanoTime(), FakeGateway.call("c-3"));
          return stream.count(ItemCase.ACCEPT) > 1;
        });
  }

  @Test
  void givesTheSeatBackWhenTheHandlerThrows() {
    FakeStream stream =
        started(
            options -> options.capacity(2),
            call -> {
              if (call.id().equals("bad")) {
                throw new IOException("a fault of the handler");
              }
              call.ended().join();
            });
    stream.assign(1, FakeGateway.call("good"));
    stream.assign(2, FakeGateway.call("bad"));
    Command command = stream.next(ItemCase.COMMAND).getCommand();
    assertTrue(command.hasRelease());
    assertEquals(2, command.getHandle());
    until("the error told", () -> errors.size() == 1);
    assertEquals("a fault of the handler", errors.get(0).getMessage());
    stream.unassign(
        2, SeatCause.SEAT_CAUSE_RELEASED, dev.callweave.v1.EndReason.END_REASON_UNSPECIFIED);
    until(
        "the other call alone",
        () ->
            ((Agent) open.get(1)).calls().stream().map(Call::id).toList().equals(List.of("good")));
  }

  @Test
  void leavesAsTheStateOfTheCallWants() {
    FakeStream stream = started(options -> options.capacity(3).answerOnAccept(false), call -> {});
    stream.assign(1, FakeGateway.call("p").setState(CallState.CALL_STATE_PENDING));
    assertTrue(stream.next(ItemCase.COMMAND).getCommand().hasRelease());
    stream.assign(2, FakeGateway.call("a"));
    assertTrue(stream.next(ItemCase.COMMAND).getCommand().hasDisconnect());
    stream.assign(3, FakeGateway.call("c").setState(CallState.CALL_STATE_CONNECTED));
    assertTrue(stream.next(ItemCase.COMMAND).getCommand().hasClose());
  }

  @Test
  void runsTheHandlerWhenTheCallIsAnswered() {
    CompletableFuture<dev.callweave.CallState> state = new CompletableFuture<>();
    FakeStream stream = started(options -> {}, call -> state.complete(call.state()));
    stream.assign(1, FakeGateway.call("c-1").setState(CallState.CALL_STATE_PENDING));
    stream.event(
        dev.callweave.v1.CallEvent.newBuilder()
            .setCallId("c-1")
            .setSequence(1)
            .setAnswered(dev.callweave.v1.CallAnswered.getDefaultInstance()));
    assertEquals(dev.callweave.CallState.ANSWERED, state.join());
  }

  @Test
  void releasesWhenItsExecutorRefuses() {
    FakeStream stream =
        started(
            options ->
                options.executor(
                    task -> {
                      throw new RejectedExecutionException("full");
                    }),
            call -> {});
    stream.assign(1, FakeGateway.call("c-1"));
    assertTrue(stream.next(ItemCase.COMMAND).getCommand().hasRelease());
  }

  @Test
  void beats() {
    FakeStream stream = started(options -> options.heartbeat(true).load(() -> 0.25), call -> {});
    until(
        "the load told",
        () -> stream.items.stream().anyMatch(item -> item.getHeartbeat().getLoad() == 0.25));
  }

  @Test
  void drainsAndCloses() {
    Agent agent = agent(options -> options.capacity(2), call -> call.ended().join());
    CompletableFuture<Void> run = CompletableFuture.runAsync(agent::run);
    FakeStream stream = gateway.stream(0);
    stream.assign(1, FakeGateway.call("c-1"));
    until("the call", () -> agent.calls().size() == 1);
    CallFuture<Void> drained = agent.drain();
    stream.next(ItemCase.DRAIN);
    stream.offer("o-2", FakeGateway.call("c-2"));
    assertEquals("draining", stream.next(ItemCase.DECLINE).getDecline().getReason());
    assertTrue(!drained.isDone());
    stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_TERMINATED);
    drained.await(LIMIT);
    run.join();
    stream.next(ItemCase.BYE);
    until("closed told", () -> saw(AgentStatus.Type.CLOSED));
    assertEquals(Reason.CLOSED, reasonOf(agent.start()));
  }

  @Test
  void givesBackWhatIsLeftWhenTheDrainTakesTooLong() {
    Agent agent = agent(options -> {}, call -> call.ended().join());
    agent.start().await(LIMIT);
    gateway.stream(0).assign(1, FakeGateway.call("c-1"));
    until("the call", () -> agent.calls().size() == 1);
    assertEquals(Reason.INVALID_FIELD, reasonOf(agent.drain(Duration.ofMillis(-1))));
    Call call = agent.calls().get(0);
    agent.drain(Duration.ofMillis(20)).await(LIMIT);
    assertEquals(EndCause.CLOSED, call.ended().await().cause());
    gateway.stream(0).next(ItemCase.BYE);
  }

  @Test
  void goesElsewhereWhenAGatewayGoesAway() {
    FakeGateway other = new FakeGateway();
    open.add(other);
    Agent agent =
        agent(
            options -> options.endpoints(List.of(gateway.endpoint(), other.endpoint())),
            call -> call.ended().join());
    agent.start().await(LIMIT);
    FakeStream stream = gateway.stream(0);
    stream.assign(1, FakeGateway.call("c-1"));
    until("the call", () -> agent.calls().size() == 1);
    stream.send(
        GatewayItem.newBuilder()
            .setGoAway(GoAway.newBuilder().setDeadline(Convert.duration(LIMIT))));
    FakeStream second = other.stream(0);
    assertTrue(!second.items.get(0).getRegister().getInstanceId().equals(agent.instanceId()));
    assertEquals(1, agent.calls().size());
    stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_TERMINATED);
    stream.next(ItemCase.BYE);
    assertTrue(saw(AgentStatus.Type.GOING_AWAY));
  }

  @Test
  void endsWhenItCanNeverWork() {
    gateway.onFirst =
        (stream, item) -> {
          stream.fail(Status.Code.UNAUTHENTICATED, "UNAUTHENTICATED");
          return true;
        };
    Agent agent = agent(options -> {}, call -> {});
    CompletableFuture<Void> run = CompletableFuture.runAsync(agent::run);
    assertEquals(Reason.UNAUTHENTICATED, reasonOf(agent.start()));
    assertEquals(
        Reason.UNAUTHENTICATED,
        CallweaveException.from(assertThrows(RuntimeException.class, run::join)).reason());
  }

  @Test
  void endsWhenTheEndpointIsNoGatewayOfThisContract() {
    gateway.onFirst =
        (stream, item) -> {
          stream.fail(Status.Code.UNIMPLEMENTED, "");
          return true;
        };
    CallweaveException error =
        assertThrows(
            CallweaveException.class, () -> agent(o -> {}, call -> {}).start().await(LIMIT));
    assertEquals(Reason.TRANSPORT, error.reason());
    assertEquals(Status.Code.UNIMPLEMENTED, error.code());
  }

  @Test
  void triesAgainWhatMayWorkLater() throws Exception {
    // Garbage, TLS against plain text, nobody there: told, and tried again.
    try (ServerSocket garbage = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      Thread server =
          new Thread(
              () -> {
                try {
                  while (true) {
                    Socket socket = garbage.accept();
                    OutputStream out = socket.getOutputStream();
                    out.write("SSH-2.0-something\r\n".getBytes(StandardCharsets.US_ASCII));
                    out.flush();
                    socket.close();
                  }
                } catch (IOException e) {
                  return;
                }
              });
      server.start();
      String endpoint = "127.0.0.1:" + garbage.getLocalPort();
      Agent agent =
          agent(options -> options.endpoints(List.of(endpoint, gateway.endpoint())), call -> {});
      agent.start().await(LIMIT);
    }
    until("it told", () -> saw(AgentStatus.Type.DISCONNECTED));
    assertEquals(Reason.TRANSPORT, statuses.get(0).error().reason());
    Agent tls = agent(AgentBuilder::tls, call -> {});
    tls.start();
    until("the mismatch told", () -> statuses.stream().filter(s -> s.error() != null).count() >= 2);
    assertTrue(
        statuses.stream()
            .filter(s -> s.error() != null)
            .allMatch(s -> s.error().reason() == Reason.TRANSPORT));
  }

  @Test
  void asksForAFreshTokenAndNotForEver() {
    CompletableFuture<Void> never = new CompletableFuture<>();
    Agent agent =
        agent(
            options ->
                options
                    .connectTimeout(Duration.ofMillis(100))
                    .token(
                        () -> {
                          never.join();
                          return "";
                        }),
            call -> {});
    agent.start();
    until("the timeout told", () -> saw(AgentStatus.Type.DISCONNECTED));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, statuses.get(0).error().code());
    never.complete(null);
    agent.start().await(LIMIT);
  }

  @Test
  void answersAnExpiringCredentialWithAFreshToken() {
    Queue<String> tokens = new ConcurrentLinkedQueue<>(List.of("first", "second"));
    FakeStream stream = started(options -> options.token(tokens::remove), call -> {});
    GatewayItem.Builder expiring =
        GatewayItem.newBuilder().setCredentialExpiring(CredentialExpiring.getDefaultInstance());
    stream.send(expiring);
    assertEquals("second", stream.next(ItemCase.REAUTHENTICATE).getReauthenticate().getToken());
    stream.send(expiring);
    until("that there is no third told", () -> errors.size() == 1);
    FakeStream fixed = started(options -> options.token("for ever"), call -> {});
    fixed.send(expiring);
    fixed.assign(1, FakeGateway.call("c-1"));
    assertEquals(0, fixed.count(ItemCase.REAUTHENTICATE));
  }

  @Test
  void isOverWhenItIsRegisteredElsewhere() {
    Agent agent = agent(options -> {}, call -> call.ended().join());
    CompletableFuture<Void> run = CompletableFuture.runAsync(agent::run);
    gateway.stream(0).assign(1, FakeGateway.call("c-1"));
    until("the call", () -> agent.calls().size() == 1);
    Call call = agent.calls().get(0);
    gateway.stream(0).fail(Status.Code.ABORTED, "SUPERSEDED");
    assertEquals(
        Reason.SUPERSEDED,
        CallweaveException.from(assertThrows(RuntimeException.class, run::join)).reason());
    assertEquals(EndCause.LOST, call.ended().await().cause());
  }

  @Test
  void isNotDisturbedByWhatItDoesNotKnow() {
    FakeStream stream = started(options -> {}, call -> call.ended().join());
    stream.send(
        GatewayItem.newBuilder(),
        GatewayItem.newBuilder()
            .setCommandResult(CommandResult.newBuilder().setRequestId("nobody").setHandle(99)),
        GatewayItem.newBuilder().setAudio(dev.callweave.v1.CallAudio.newBuilder().setHandle(99)));
    stream.assign(1, FakeGateway.call("c-1").setStateValue(77));
    until("the call", () -> ((Agent) open.get(1)).calls().size() == 1);
    assertEquals(List.of(), errors);
  }
}
