package dev.callweave;

import dev.callweave.v1.CallFilter;
import dev.callweave.v1.CallServiceGrpc;
import dev.callweave.v1.WatchCallsRequest;
import dev.callweave.v1.WatchCallsResponse;
import io.grpc.Status;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Events of calls; comes back by itself. */
final class CallWatch extends Watch<WatchStep> {
  private static final Set<Status.Code> RESUMABLE =
      EnumSet.of(
          Status.Code.UNAVAILABLE,
          Status.Code.CANCELLED,
          Status.Code.UNKNOWN,
          Status.Code.INTERNAL,
          Status.Code.ABORTED,
          Status.Code.DEADLINE_EXCEEDED);

  private final RotatingConnection connections;
  private final CallFilter filter;
  private final Backoff backoff = new Backoff();
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile ServerStream<WatchCallsResponse> stream;
  private Connection connection;
  private String cursor;
  private boolean live;

  CallWatch(RotatingConnection connections, String cursor, CallFilter filter) {
    this.connections = connections;
    this.cursor = cursor;
    this.filter = filter;
  }

  @Override
  public WatchStep read() {
    while (closed.getCount() > 0) {
      WatchCallsResponse message = null;
      try {
        message = next();
      } catch (CallweaveException e) {
        if (Thread.currentThread().isInterrupted() || !resumable(e)) {
          throw e;
        }
        if (connection != null) {
          connections.rotate(connection);
        }
      }
      if (message == null) {
        stream = null;
        pause();
        continue;
      }
      backoff.reset();
      WatchStep step = step(message);
      if (step != null) {
        return step;
      }
    }
    return null;
  }

  @Override
  public void close() {
    closed.countDown();
    ServerStream<WatchCallsResponse> open = stream;
    if (open != null) {
      open.close();
    }
  }

  private WatchCallsResponse next() {
    if (stream == null) {
      connection = connections.get();
      WatchCallsRequest request =
          WatchCallsRequest.newBuilder().setCursor(cursor).setFilter(filter).build();
      stream = new ServerStream<>(connection, CallServiceGrpc.getWatchCallsMethod(), request);
      if (closed.getCount() == 0) {
        stream.close();
      }
    }
    return stream.read();
  }

  private WatchStep step(WatchCallsResponse message) {
    if (message.hasEvent()) {
      if (!message.getEvent().getCursor().isEmpty()) {
        cursor = message.getEvent().getCursor();
      }
      return new WatchStep.Event(message.getEvent());
    }
    if (!message.hasLive()) {
      return null;
    }
    if (!message.getLive().getCursor().isEmpty()) {
      cursor = message.getLive().getCursor();
    }
    boolean first = !live;
    live = true;
    return first ? new WatchStep.Live(cursor) : null;
  }

  private void pause() {
    try {
      closed.await(Math.round(backoff.next() * 1e3), TimeUnit.MICROSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Errors.transport(Status.Code.CANCELLED, "interrupted while waiting");
    }
  }

  private static boolean resumable(CallweaveException error) {
    return switch (error.reason()) {
      case GOING_AWAY, STREAM_QUEUE_FULL -> true;
      case TRANSPORT -> RESUMABLE.contains(error.code());
      default -> false;
    };
  }
}
