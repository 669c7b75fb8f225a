package dev.callweave;

import java.util.List;
import java.util.concurrent.ScheduledFuture;

/**
 * Calls of one lost stream of several. The gateway moves them to another one as soon as it sees the
 * loss; should it not, they are asked back on a new one.
 */
final class Strays {
  /** So long a gateway has to move them. */
  private static final double MOVE_MS = 500;

  private final Loop loop;
  private final Session session;
  private final double connectTimeoutMs;
  private ScheduledFuture<?> timer;

  /** Since when there are some; negative: there are none. */
  private double sinceMs = -1;

  Strays(Loop loop, Session session, double connectTimeoutMs) {
    this.loop = loop;
    this.session = session;
    this.connectTimeoutMs = connectTimeoutMs;
  }

  void expect() {
    Loop.cancel(timer);
    if (sinceMs < 0) {
      sinceMs = Loop.now();
    }
    timer = loop.after(MOVE_MS, this::look);
  }

  void stop() {
    Loop.cancel(timer);
    sinceMs = -1;
  }

  private void look() {
    List<CallImpl> strays =
        session.calls.values().stream().filter(call -> !call.isAttached()).toList();
    if (strays.isEmpty()) {
      sinceMs = -1;
      return;
    }
    if (Loop.now() - sinceMs > session.takeoverMs()) {
      sinceMs = -1;
      session.dropUnanswered();
      return;
    }
    ServeStream stream = session.open();
    if (stream != null) {
      stream.open(session.reattachItem(strays), connectTimeoutMs);
      timer = loop.after(2 * connectTimeoutMs, session::dropUnanswered);
    }
  }
}
