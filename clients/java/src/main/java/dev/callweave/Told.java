package dev.callweave;

import java.util.ArrayDeque;
import java.util.function.Consumer;

/** Runs functions of the user one after the other, on a thread that may block. Bounded. */
final class Told {
  private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
  private final int max;
  private final Consumer<Throwable> onError;
  private boolean running;
  private boolean overflowed;

  Told(int max, Consumer<Throwable> onError) {
    this.max = max;
    this.onError = onError;
  }

  void tell(Runnable task) {
    boolean full;
    synchronized (this) {
      full = waiting.size() >= max;
      if (!full) {
        waiting.add(task);
        overflowed = false;
      } else if (overflowed) {
        return;
      }
      overflowed = full;
      if (!running && !full) {
        running = true;
        Loop.POOL.execute(this::work);
      }
    }
    if (full) {
      onError.accept(Errors.queueFull("the queue of a listener", max + " things to tell", null));
    }
  }

  private void work() {
    while (true) {
      Runnable task;
      synchronized (this) {
        task = waiting.poll();
        if (task == null) {
          running = false;
          return;
        }
      }
      try {
        task.run();
      } catch (RuntimeException | java.lang.Error e) {
        onError.accept(e);
      }
    }
  }
}
