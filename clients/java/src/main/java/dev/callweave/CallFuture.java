package dev.callweave;

import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * The result of something under way. It is completed by a thread that may block. One that failed
 * and that nobody looks at does no harm.
 *
 * @param <T> the result
 */
public final class CallFuture<T> extends CompletableFuture<T> {
  private volatile Runnable onCancel;

  CallFuture() {}

  /**
   * Waits for the result.
   *
   * @return the result
   * @throws CallweaveException as it failed; {@code TRANSPORT} with {@code CANCELLED} when it was
   *     cancelled or the thread was interrupted, which stays interrupted
   */
  public T await() {
    try {
      return get();
    } catch (ExecutionException e) {
      throw rethrown(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Errors.transport(Status.Code.CANCELLED, "interrupted while waiting");
    } catch (java.util.concurrent.CancellationException e) {
      throw Errors.transport(Status.Code.CANCELLED, "cancelled");
    }
  }

  /**
   * Waits for the result, but not for ever. What is under way goes on.
   *
   * @param limit how long at most
   * @return the result
   * @throws CallweaveException as {@link #await()}; {@code TRANSPORT} with {@code
   *     DEADLINE_EXCEEDED} after the limit
   */
  public T await(Duration limit) {
    try {
      get(limit.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw Errors.transport(Status.Code.DEADLINE_EXCEEDED, "no result within " + limit);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | java.util.concurrent.CancellationException e) {
      // Thrown below.
    }
    return await();
  }

  /**
   * Gives up. A command is cancelled while it has had no effect; playing, marks and requests are no
   * longer waited for.
   *
   * @param mayInterruptIfRunning has no effect
   * @return whether this completed it
   */
  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean done = super.cancel(mayInterruptIfRunning);
    Runnable action = onCancel;
    if (done && action != null) {
      action.run();
    }
    return done;
  }

  void onCancel(Runnable action) {
    onCancel = action;
    if (isCancelled()) {
      action.run();
    }
  }

  /** Completes it away from the loop, since what depends on it may block. */
  void settle(T value) {
    Loop.POOL.execute(() -> complete(value));
  }

  /** The same with an error. */
  void fail(Throwable thrown) {
    Loop.POOL.execute(() -> completeExceptionally(thrown));
  }

  /** The same result as something else; cancelling that cancels this. */
  <U> CallFuture<U> map(Function<T, U> function) {
    CallFuture<U> mapped = new CallFuture<>();
    mapped.onCancel = () -> cancel(true);
    whenComplete(
        (value, thrown) -> {
          if (thrown != null) {
            mapped.completeExceptionally(CallweaveException.from(thrown));
            return;
          }
          try {
            mapped.complete(function.apply(value));
          } catch (RuntimeException e) {
            mapped.completeExceptionally(CallweaveException.from(e));
          }
        });
    return mapped;
  }

  static <T> CallFuture<T> failed(Throwable thrown) {
    CallFuture<T> future = new CallFuture<>();
    future.completeExceptionally(thrown);
    return future;
  }

  static <T> CallFuture<T> done(T value) {
    CallFuture<T> future = new CallFuture<>();
    future.complete(value);
    return future;
  }

  /** With the place where it was waited for, and as the exception itself. */
  private static RuntimeException rethrown(ExecutionException e) {
    CallweaveException known = CallweaveException.from(e.getCause());
    return new CallweaveException(
        known.reason(), known.code(), known.getMessage(), known.metadata(), known);
  }
}
