package dev.callweave;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.ArrayDeque;
import java.util.concurrent.ExecutionException;

/** Reads a server stream, a few messages ahead; the gateway waits for a slow reader. */
final class ServerStream<A> implements AutoCloseable {
  private static final int AHEAD = 16;

  private final ArrayDeque<A> messages = new ArrayDeque<>();
  private ClientCall<?, A> call;
  private CallweaveException error;
  private boolean ended;

  /** Opens it. Waits for the token. */
  <Q> ServerStream(Connection connection, MethodDescriptor<Q, A> method, Q request) {
    Metadata headers;
    try {
      headers = connection.headers().get();
    } catch (ExecutionException e) {
      throw CallweaveException.from(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Errors.transport(Status.Code.CANCELLED, "interrupted while waiting");
    }
    ClientCall<Q, A> opened = connection.channel().newCall(method, CallOptions.DEFAULT);
    call = opened;
    opened.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(A message) {
            add(message);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            end(status.isOk() ? null : Errors.from(status.asRuntimeException(trailers)));
          }
        },
        headers);
    opened.request(AHEAD);
    opened.sendMessage(request);
    opened.halfClose();
  }

  /** Waits for the next message; null at the end. Throws as it broke. */
  synchronized A read() {
    try {
      while (messages.isEmpty() && !ended) {
        wait();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Errors.transport(Status.Code.CANCELLED, "interrupted while waiting");
    }
    A message = messages.poll();
    if (message == null && error != null) {
      throw error;
    }
    if (message != null && !ended) {
      call.request(1);
    }
    return message;
  }

  /** Breaks it off; a reader that waits gets null. */
  @Override
  public void close() {
    end(null);
    call.cancel("closed", null);
  }

  private synchronized void add(A message) {
    if (!ended) {
      messages.add(message);
      notifyAll();
    }
  }

  private synchronized void end(CallweaveException why) {
    if (!ended) {
      ended = true;
      error = why;
      notifyAll();
    }
  }
}
