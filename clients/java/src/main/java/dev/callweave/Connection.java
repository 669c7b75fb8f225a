package dev.callweave;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** One HTTP/2 connection to one gateway. */
final class Connection {
  /** How to reach a gateway, checked. */
  record Config(
      List<String> endpoints,
      Supplier<String> token,
      String fixedToken,
      ChannelCredentials credentials,
      long requestTimeoutMs,
      long keepaliveMs,
      List<ClientInterceptor> interceptors,
      UnaryOperator<ManagedChannelBuilder<?>> channel) {
    String endpoint(int index) {
      return endpoints.get(Math.floorMod(index, endpoints.size()));
    }
  }

  /** How a unary request is made. */
  record Request(double extraMs, boolean patient) {
    static final Request PLAIN = new Request(0, false);

    /** May be repeated: a gateway that restarts is waited for. */
    static final Request PATIENT = new Request(0, true);
  }

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static final Pattern LOOPBACK =
      Pattern.compile("(localhost|127(\\.\\d+){3}|\\[?::1]?)(:\\d+)?", Pattern.CASE_INSENSITIVE);

  private static final int MAX_INBOUND_BYTES = 64 << 20;

  private final Config config;
  private final ManagedChannel channel;
  private final Channel intercepted;

  Connection(Config config, String endpoint) {
    this.config = config;
    try {
      ManagedChannelBuilder<?> builder =
          Grpc.newChannelBuilder(endpoint, config.credentials)
              .disableRetry()
              .directExecutor()
              .maxInboundMessageSize(MAX_INBOUND_BYTES)
              .keepAliveTime(config.keepaliveMs, TimeUnit.MILLISECONDS)
              .keepAliveTimeout(5, TimeUnit.SECONDS)
              .keepAliveWithoutCalls(true);
      if (isLoopback(endpoint)) {
        builder.proxyDetector(address -> null);
      }
      channel = config.channel.apply(builder).build();
    } catch (IllegalArgumentException e) {
      throw Errors.invalidField("endpoint", "HOST:PORT", endpoint);
    }
    intercepted = ClientInterceptors.intercept(channel, config.interceptors);
  }

  /** Whether an endpoint is this machine: then no proxy is used. */
  static boolean isLoopback(String endpoint) {
    return endpoint.startsWith("unix:")
        || LOOPBACK.matcher(endpoint.replaceFirst("^dns:(//[^/]*/)?", "")).matches();
  }

  Channel channel() {
    return intercepted;
  }

  /** The headers of a request: the bearer token, if there is one. */
  CompletableFuture<Metadata> headers() {
    if (config.token == null) {
      return CompletableFuture.completedFuture(withToken(config.fixedToken));
    }
    return freshToken().thenApply(Connection::withToken);
  }

  /** Whether asking again may give another token. */
  boolean hasTokenSource() {
    return config.token != null;
  }

  /** Asks for a token; there has to be a source. */
  CompletableFuture<String> freshToken() {
    return CompletableFuture.supplyAsync(config.token, Loop.POOL);
  }

  private static Metadata withToken(String token) {
    Metadata headers = new Metadata();
    if (token != null && !token.isEmpty()) {
      headers.put(AUTHORIZATION, "Bearer " + token);
    }
    return headers;
  }

  /** Does a unary request. Fails with CallweaveException, without an answer in time too. */
  <Q, A> CallFuture<A> unary(MethodDescriptor<Q, A> method, Q request, Request how) {
    CallFuture<A> future = new CallFuture<>();
    long timeoutMs = config.requestTimeoutMs + Math.round(how.extraMs);
    double end = Loop.now() + timeoutMs;
    CompletableFuture<Metadata> headers = headers();
    headers
        .orTimeout(timeoutMs, TimeUnit.MILLISECONDS)
        .whenComplete(
            (metadata, thrown) -> {
              if (thrown instanceof java.util.concurrent.TimeoutException) {
                String text = "the token function did not answer within " + timeoutMs + " ms";
                future.fail(Errors.transport(Status.Code.DEADLINE_EXCEEDED, text));
              } else if (thrown != null) {
                future.fail(CallweaveException.from(thrown));
              } else if (!future.isDone()) {
                CallOptions options =
                    CallOptions.DEFAULT.withDeadlineAfter(
                        Math.max(1, Math.round(end - Loop.now())), TimeUnit.MILLISECONDS);
                if (how.patient) {
                  options = options.withWaitForReady();
                }
                start(intercepted.newCall(method, options), metadata, request, future);
              }
            });
    return future;
  }

  private static <Q, A> void start(
      ClientCall<Q, A> call, Metadata headers, Q request, CallFuture<A> future) {
    call.start(
        new ClientCall.Listener<>() {
          private A answer;

          @Override
          public void onMessage(A message) {
            answer = message;
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            if (status.isOk() && answer != null) {
              future.settle(answer);
            } else {
              Status failed = status.isOk() ? Status.INTERNAL.withDescription("no answer") : status;
              future.fail(CallweaveException.from(failed.asRuntimeException(trailers)));
            }
          }
        },
        headers);
    future.onCancel(() -> call.cancel("cancelled", null));
    call.request(2);
    call.sendMessage(request);
    call.halfClose();
  }

  /** Closes the connection. Streams on it break. */
  void close() {
    channel.shutdownNow();
  }
}
