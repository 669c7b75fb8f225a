package dev.callweave;

import dev.callweave.v1.AgentItem;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ScheduledFuture;

/**
 * Merges what is ready together into one message: control first, then the audio of the calls in
 * turn. At most one write in flight; what comes meanwhile waits and merges. One timer for all
 * calls, only while audio waits.
 */
final class Outbox {
  /** Gives the playback of one call, piece by piece. */
  interface Source {
    /** The next item that may be sent now; null when there is none. */
    AgentItem nextItem();

    /** Whether something waits, for later too. */
    boolean hasPlayback();
  }

  /** What an outbox needs. */
  interface Port {
    /**
     * Whether the stream takes a message now. If not, it calls {@link Outbox#kick()} when it does.
     */
    boolean ready();

    void write(List<AgentItem> items);

    /** The calls of the stream. */
    Collection<? extends Source> sources();

    /** The control queue is full: nothing more can be sent on this stream. */
    void overflow();
  }

  /** How much a message may have, and how many control items may wait. */
  record Limits(int maxItems, int maxBytes, int maxControlItems) {}

  /** Tag and length of an item in its message. */
  private static final int PER_ITEM_BYTES = 6;

  private final Loop loop;
  private final Port port;
  private final double tickMs;
  private final ArrayDeque<AgentItem> control = new ArrayDeque<>();
  private Limits limits;
  private boolean scheduled;
  private boolean closed;
  private ScheduledFuture<?> timer;
  private int turn;
  private Runnable onIdle;

  Outbox(Loop loop, Port port, Limits limits, double tickMs) {
    this.loop = loop;
    this.port = port;
    this.limits = limits;
    this.tickMs = tickMs;
  }

  Limits limits() {
    return limits;
  }

  void limits(Limits newLimits) {
    limits = newLimits;
  }

  /** Queues a control item. */
  void send(AgentItem item) {
    if (closed) {
      return;
    }
    if (control.size() >= limits.maxControlItems) {
      close();
      port.overflow();
      return;
    }
    control.add(item);
    kick();
  }

  /** There may be something to send. */
  void kick() {
    if (closed || scheduled) {
      return;
    }
    scheduled = true;
    loop.execute(
        () -> {
          scheduled = false;
          flush();
        });
  }

  /** Runs once when all control items are with the stream. */
  void whenIdle(Runnable action) {
    onIdle = action;
    if (closed) {
      action.run();
    } else {
      kick();
    }
  }

  /** Nothing more is sent. */
  void close() {
    closed = true;
    control.clear();
    Loop.cancel(timer);
    timer = null;
    idle();
  }

  private void idle() {
    Runnable action = onIdle;
    onIdle = null;
    if (action != null) {
      action.run();
    }
  }

  private void flush() {
    if (closed || !port.ready()) {
      return;
    }
    List<AgentItem> items = gather();
    if (items.isEmpty()) {
      armTimer();
      if (control.isEmpty()) {
        idle();
      }
      return;
    }
    port.write(items);
    // More may be there. When the stream is not ready it calls again.
    kick();
  }

  private List<AgentItem> gather() {
    List<AgentItem> items = new ArrayList<>();
    int bytes = 0;
    while (!control.isEmpty() && items.size() < limits.maxItems) {
      int size = control.peek().getSerializedSize() + PER_ITEM_BYTES;
      if (!items.isEmpty() && bytes + size > limits.maxBytes) {
        return items;
      }
      items.add(control.poll());
      bytes += size;
    }
    if (!control.isEmpty()) {
      return items;
    }
    List<Source> sources = new ArrayList<>();
    for (Source source : port.sources()) {
      if (source.hasPlayback()) {
        sources.add(source);
      }
    }
    if (sources.size() > 1) {
      Collections.rotate(sources, -(turn++ % sources.size()));
    }
    while (!sources.isEmpty()) {
      List<Source> again = new ArrayList<>();
      for (Source source : sources) {
        // Room is left for the largest item, so that nothing taken from a queue has to go back.
        if (items.size() >= limits.maxItems || bytes > limits.maxBytes / 2) {
          return items;
        }
        AgentItem item = source.nextItem();
        if (item == null) {
          continue;
        }
        int size = item.getSerializedSize() + PER_ITEM_BYTES;
        if (!items.isEmpty() && bytes + size > limits.maxBytes) {
          control.add(item);
          return items;
        }
        items.add(item);
        bytes += size;
        again.add(source);
      }
      sources = again;
    }
    return items;
  }

  /** Audio that waits for its time: looked at again in a moment. */
  private void armTimer() {
    if (timer != null || port.sources().stream().noneMatch(Source::hasPlayback)) {
      return;
    }
    timer =
        loop.after(
            tickMs,
            () -> {
              timer = null;
              flush();
            });
  }
}
