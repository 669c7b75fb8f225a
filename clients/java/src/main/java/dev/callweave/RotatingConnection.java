package dev.callweave;

import io.grpc.MethodDescriptor;
import io.grpc.Status;

/** A connection that is made when it is needed and changes its endpoint when one is not reached. */
final class RotatingConnection implements AutoCloseable {
  private final Connection.Config config;
  private Connection current;
  private int index;
  private boolean closed;

  RotatingConnection(Connection.Config config) {
    this.config = config;
  }

  /** The connection in use. CLOSED. */
  synchronized Connection get() {
    if (closed) {
      throw Errors.closed("client");
    }
    if (current == null) {
      current = new Connection(config, config.endpoint(index));
    }
    return current;
  }

  /** Goes on to the next endpoint, if this connection is still the one in use. */
  synchronized void rotate(Connection from) {
    if (current == from && config.endpoints().size() > 1) {
      index++;
      current = null;
      from.close();
    }
  }

  /** A unary request; an endpoint that is not reached is left for the next request. */
  <Q, A> CallFuture<A> unary(MethodDescriptor<Q, A> method, Q request, Connection.Request how) {
    Connection connection;
    try {
      connection = get();
    } catch (CallweaveException e) {
      return CallFuture.failed(e);
    }
    CallFuture<A> future = connection.unary(method, request, how);
    future.whenComplete(
        (answer, thrown) -> {
          if (thrown != null && CallweaveException.from(thrown).code() == Status.Code.UNAVAILABLE) {
            rotate(connection);
          }
        });
    return future;
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (current != null) {
      current.close();
      current = null;
    }
  }
}
