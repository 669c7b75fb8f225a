package dev.callweave;

import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The one thread on which the state of an agent changes. Nothing on it may block. */
final class Loop implements Executor {
  /**
   * Where functions of the user run and futures are completed: as many threads as are needed at a
   * time, ended when idle for 5 s.
   */
  static final Executor POOL = pool();

  private final ScheduledThreadPoolExecutor executor;
  private volatile Thread thread;

  Loop(String name) {
    executor =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread made = new Thread(task, name);
              made.setDaemon(true);
              thread = made;
              return made;
            });
    executor.setRemoveOnCancelPolicy(true);
    executor.setKeepAliveTime(5, TimeUnit.SECONDS);
    executor.allowCoreThreadTimeOut(true);
  }

  @Override
  public void execute(Runnable task) {
    executor.execute(task);
  }

  /** At once when this is the thread, else as soon as it can. */
  void run(Runnable task) {
    if (Thread.currentThread() == thread) {
      task.run();
    } else {
      executor.execute(task);
    }
  }

  /** After that many milliseconds. */
  ScheduledFuture<?> after(double ms, Runnable task) {
    return executor.schedule(task, Math.max(0, Math.round(ms * 1e6)), TimeUnit.NANOSECONDS);
  }

  /** Again and again, from now on. Milliseconds. */
  ScheduledFuture<?> every(double ms, Runnable task) {
    long nanos = Math.round(ms * 1e6);
    return executor.scheduleAtFixedRate(task, 0, nanos, TimeUnit.NANOSECONDS);
  }

  /** A clock that only goes forward, in milliseconds. */
  static double now() {
    return System.nanoTime() / 1e6;
  }

  /** Ends a timer, if there is one. */
  static void cancel(ScheduledFuture<?> timer) {
    if (timer != null) {
      timer.cancel(false);
    }
  }

  private static Executor pool() {
    AtomicInteger count = new AtomicInteger();
    ThreadPoolExecutor made =
        (ThreadPoolExecutor)
            Executors.newCachedThreadPool(
                task -> {
                  Thread thread = new Thread(task, "callweave-" + count.incrementAndGet());
                  thread.setDaemon(true);
                  return thread;
                });
    made.setKeepAliveTime(5, TimeUnit.SECONDS);
    return made;
  }
}
