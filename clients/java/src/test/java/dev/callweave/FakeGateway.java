package dev.callweave;

import dev.callweave.v1.AgentItem;
import dev.callweave.v1.AgentServiceGrpc;
import dev.callweave.v1.Assigned;
import dev.callweave.v1.AssignedResume;
import dev.callweave.v1.AudioFormat;
import dev.callweave.v1.CallState;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.Registered;
import dev.callweave.v1.ServeLimits;
import dev.callweave.v1.ServeRequest;
import dev.callweave.v1.ServeResponse;
import io.grpc.BindableService;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiPredicate;
import java.util.function.BooleanSupplier;

/** A gateway in this process: it answers Register and Join, the rest is up to the test. */
final class FakeGateway extends AgentServiceGrpc.AgentServiceImplBase
    implements AutoCloseable, ServerInterceptor {
  final List<FakeStream> streams = new CopyOnWriteArrayList<>();
  final AtomicReference<Metadata> headers = new AtomicReference<>();

  /** Answers the first item of a stream; false: as usual. */
  volatile BiPredicate<FakeStream, AgentItem> onFirst = (stream, item) -> false;

  volatile Registered registered =
      Registered.newBuilder()
          .setSessionToken("token-1")
          .setHeartbeatInterval(Convert.duration(Duration.ofMillis(500)))
          .setReattachGrace(Convert.duration(Duration.ofSeconds(2)))
          .setLimits(
              ServeLimits.newBuilder()
                  .setMaxItems(256)
                  .setMaxMessageBytes(262_144)
                  .setMaxPlayback(Convert.duration(Duration.ofSeconds(30))))
          .setGatewayId("gw-1")
          .build();

  private final BindableService[] others;
  private Server server;
  private int port;

  FakeGateway(BindableService... others) {
    this.others = others;
    start();
  }

  /** Starts again, on the same port. */
  void start() {
    ServerBuilder<?> builder =
        Grpc.newServerBuilderForPort(port, InsecureServerCredentials.create())
            .intercept(this)
            .addService(this);
    for (BindableService service : others) {
      builder.addService(service);
    }
    try {
      server = builder.build().start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    port = server.getPort();
  }

  /** Breaks all connections. */
  void stop() {
    try {
      server.shutdownNow().awaitTermination();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    stop();
  }

  String endpoint() {
    return "127.0.0.1:" + port;
  }

  @Override
  public StreamObserver<ServeRequest> serve(StreamObserver<ServeResponse> answers) {
    FakeStream stream = new FakeStream(answers);
    streams.add(stream);
    return new StreamObserver<>() {
      private boolean first = true;

      @Override
      public void onNext(ServeRequest request) {
        stream.add(request);
        if (first) {
          first = false;
          begin(stream, request.getItems(0));
        }
      }

      @Override
      public void onError(Throwable thrown) {
        stream.close();
      }

      @Override
      public void onCompleted() {
        stream.close();
        answers.onCompleted();
      }
    };
  }

  private void begin(FakeStream stream, AgentItem item) {
    if (onFirst.test(stream, item)) {
      return;
    }
    if (item.hasRegister() || item.hasJoin()) {
      stream.send(GatewayItem.newBuilder().setRegistered(registered));
    }
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata metadata, ServerCallHandler<Q, A> next) {
    headers.set(metadata);
    return Contexts.interceptCall(Context.current(), call, metadata, next);
  }

  /** The n-th stream, from 0, when its first item has come. */
  FakeStream stream(int n) {
    until("stream " + n, () -> streams.size() > n && !streams.get(n).items.isEmpty());
    return streams.get(n);
  }

  static void until(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + 10_000_000_000L;
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within 10 s: " + what);
      }
      try {
        Thread.sleep(2);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** A call as a gateway would show it. */
  static dev.callweave.v1.Call.Builder call(String callId) {
    return dev.callweave.v1.Call.newBuilder()
        .setCallId(callId)
        .setCaller("+15550100")
        .setCallee("+15550199")
        .setPool("default")
        .setLocale("en")
        .setState(CallState.CALL_STATE_ANSWERED)
        .setSampleRateHertz(16_000)
        .setGatewayId("gw-1");
  }

  static GatewayItem.Builder assigned(
      dev.callweave.v1.Call.Builder call, int handle, AssignedResume resume, String offerId) {
    return GatewayItem.newBuilder()
        .setAssigned(
            Assigned.newBuilder()
                .setCall(call)
                .setEpoch(1)
                .setHandle(handle)
                .setResume(resume)
                .setAudioFormat(AudioFormat.newBuilder().setSampleRateHertz(16_000))
                .setOfferId(offerId)
                .setAttempt(1));
  }
}
