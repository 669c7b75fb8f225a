package dev.callweave;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * How to reach a gateway; the options that {@link AgentBuilder} and {@link CallweaveClient.Builder}
 * have in common.
 *
 * @param <S> the builder itself
 */
public abstract class ConnectionOptions<S extends ConnectionOptions<S>> {
  private List<String> endpoints = List.of(or("CALLWEAVE_ENDPOINT", "127.0.0.1:7070"));
  private Supplier<String> token;
  private String fixedToken = or("CALLWEAVE_TOKEN", "");
  private ChannelCredentials credentials = InsecureChannelCredentials.create();
  private Duration requestTimeout = Duration.ofSeconds(10);
  private Duration keepalive = Duration.ofSeconds(20);
  private final List<ClientInterceptor> interceptors = new ArrayList<>();
  private UnaryOperator<ManagedChannelBuilder<?>> channel = UnaryOperator.identity();

  ConnectionOptions() {}

  /**
   * Where the gateway is.
   *
   * @param endpoint {@code HOST:PORT}. Default: the environment variable CALLWEAVE_ENDPOINT, else
   *     {@code 127.0.0.1:7070}
   * @return this
   */
  public S endpoint(String endpoint) {
    return endpoints(List.of(endpoint));
  }

  /**
   * Several gateways; the next one is tried when one cannot be reached or goes away.
   *
   * @param several at least one {@code HOST:PORT}
   * @return this
   */
  public S endpoints(List<String> several) {
    endpoints = List.copyOf(several);
    return self();
  }

  /**
   * The bearer token.
   *
   * @param text the token; empty: none. Default: the environment variable CALLWEAVE_TOKEN
   * @return this
   */
  public S token(String text) {
    fixedToken = text;
    token = null;
    return self();
  }

  /**
   * Where to get a fresh bearer token for each stream and request. One that does not answer within
   * the {@code connectTimeout} of a stream or the {@link #requestTimeout} of a request fails that
   * attempt with {@code TRANSPORT}, {@code DEADLINE_EXCEEDED}.
   *
   * @param source asked on a thread that may block
   * @return this
   */
  public S token(Supplier<String> source) {
    token = source;
    return self();
  }

  /**
   * TLS with the authorities of this Java. Default: plain text. Use TLS off the machine: tokens
   * travel in it.
   *
   * @return this
   */
  public S tls() {
    return credentials(TlsChannelCredentials.create());
  }

  /**
   * TLS with an authority of your own.
   *
   * @param authorities a PEM file
   * @return this
   * @throws CallweaveException {@code INVALID_FIELD} when it cannot be read
   */
  public S tls(File authorities) {
    try {
      return credentials(TlsChannelCredentials.newBuilder().trustManager(authorities).build());
    } catch (IOException e) {
      throw Errors.invalidField("tls", "a PEM file that can be read", authorities);
    }
  }

  /**
   * Any credentials of gRPC, such as mutual TLS.
   *
   * @param any see {@code TlsChannelCredentials}
   * @return this
   */
  public S credentials(ChannelCredentials any) {
    credentials = any;
    return self();
  }

  /**
   * How long a unary request may take with its token, its {@code waitFor} not counted.
   *
   * @param time 1 to 600,000 ms. Default: 10 s
   * @return this
   */
  public S requestTimeout(Duration time) {
    requestTimeout = time;
    return self();
  }

  /**
   * How often a silent connection is probed.
   *
   * @param time 10,000 to 86,400,000 ms. Default: 20 s
   * @return this
   */
  public S keepalive(Duration time) {
    keepalive = time;
    return self();
  }

  /**
   * Interceptors of gRPC for all streams and requests: tracing, metrics, headers.
   *
   * @param some the first one is the outermost
   * @return this
   */
  public S interceptors(ClientInterceptor... some) {
    interceptors.addAll(List.of(some));
    return self();
  }

  /**
   * Changes each channel before it is built; has the last word.
   *
   * @param change gets the builder with the options of this library
   * @return this
   */
  public S channel(UnaryOperator<ManagedChannelBuilder<?>> change) {
    channel = change;
    return self();
  }

  @SuppressWarnings("unchecked")
  final S self() {
    return (S) this;
  }

  /** The options, checked. INVALID_FIELD. */
  final Connection.Config connection() {
    if (endpoints.isEmpty() || endpoints.contains("")) {
      throw Errors.invalidField("endpoints", "at least one HOST:PORT", endpoints);
    }
    return new Connection.Config(
        endpoints,
        token,
        fixedToken == null ? "" : fixedToken,
        credentials,
        Bounds.millis("requestTimeout", requestTimeout, 1, 600_000),
        Bounds.millis("keepalive", keepalive, 10_000, 86_400_000),
        List.copyOf(interceptors),
        channel);
  }

  private static String or(String variable, String otherwise) {
    String value = System.getenv(variable);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
