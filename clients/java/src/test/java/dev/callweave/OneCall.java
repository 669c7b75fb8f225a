package dev.callweave;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** An agent with one call, handle 1, that it keeps until the call ends. */
final class OneCall implements AutoCloseable {
  final FakeGateway gateway;
  final Agent agent;
  final FakeStream stream;
  final Call call;
  final List<Throwable> errors = new CopyOnWriteArrayList<>();

  OneCall(FakeGateway gateway, Consumer<AgentBuilder> options) {
    this(gateway, options, FakeGateway.call("c-1"));
  }

  OneCall(
      FakeGateway gateway, Consumer<AgentBuilder> options, dev.callweave.v1.Call.Builder offered) {
    this.gateway = gateway;
    CompletableFuture<Call> taken = new CompletableFuture<>();
    AgentBuilder builder =
        Agent.builder()
            .endpoint(gateway.endpoint())
            .agentId("test")
            .capacity(10)
            .heartbeat(false)
            .onStatus(status -> {})
            .onError((thrown, callId) -> errors.add(thrown));
    options.accept(builder);
    agent =
        builder.build(
            call -> {
              taken.complete(call);
              call.ended().join();
            });
    agent.start().await();
    stream = gateway.stream(gateway.streams.size() - 1);
    stream.assign(1, offered);
    call = taken.join();
  }

  /** That many milliseconds of audio at 16 kHz. */
  static byte[] pcm(int ms) {
    byte[] pcm = new byte[ms * 32];
    for (int i = 0; i < pcm.length; i++) {
      pcm[i] = (byte) (i * 31 + i / 256);
    }
    return pcm;
  }

  @Override
  public void close() {
    agent.close();
    gateway.close();
  }
}
