package dev.callweave;

import com.google.protobuf.ByteString;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** Audio that is played as it is made: read on a thread that may block, a little ahead. */
final class PlayedSource {
  /** Where the chunks go, on the loop. */
  interface Port {
    void onLoop(Runnable task);

    /** An interrupt, or the end of the call: nothing of it is wanted any more. */
    boolean isDropped();

    /** Takes a chunk; false when there is no room: then that is run when there may be some. */
    boolean take(ByteString pcm, Runnable whenRoom);

    /** Everything was taken. */
    void ended();

    void failed(Throwable thrown);
  }

  /** So many bytes are read before the ones before them are taken; a larger chunk goes alone. */
  private static final int AHEAD_BYTES = 4_096;

  private final Iterator<byte[]> source;
  private final Port port;
  private final AtomicInteger ahead = new AtomicInteger();
  private final AtomicBoolean reading = new AtomicBoolean();
  private final ArrayDeque<ByteString> chunks = new ArrayDeque<>();
  private volatile boolean over;
  private boolean atEnd;
  private boolean waitsForRoom;
  private boolean released;

  PlayedSource(Iterator<byte[]> source, Port port) {
    this.source = source;
    this.port = port;
  }

  /** Reads on, if that is not done already. */
  void pull() {
    if (!over && ahead.get() < AHEAD_BYTES && reading.compareAndSet(false, true)) {
      Loop.POOL.execute(this::read);
    }
  }

  private void read() {
    try {
      while (!over && ahead.get() < AHEAD_BYTES) {
        if (!source.hasNext()) {
          over = true;
          port.onLoop(this::ended);
          return;
        }
        ByteString pcm = ByteString.copyFrom(source.next());
        ahead.addAndGet(Math.max(1, pcm.size()));
        port.onLoop(() -> arrived(pcm));
      }
    } catch (RuntimeException | java.lang.Error e) {
      over = true;
      port.onLoop(() -> failed(e));
      return;
    }
    reading.set(false);
    // What was taken meanwhile did not find it idle.
    pull();
  }

  private void arrived(ByteString pcm) {
    chunks.add(pcm);
    take();
  }

  private void take() {
    if (port.isDropped()) {
      chunks.clear();
      release();
      return;
    }
    try {
      while (!waitsForRoom && !chunks.isEmpty()) {
        ByteString pcm = chunks.peek();
        if (!pcm.isEmpty() && !port.take(pcm, this::room)) {
          waitsForRoom = true;
          return;
        }
        chunks.poll();
        ahead.addAndGet(-Math.max(1, pcm.size()));
      }
    } catch (CallweaveException e) {
      failed(e);
      return;
    }
    if (chunks.isEmpty() && atEnd) {
      atEnd = false;
      release();
      port.ended();
      return;
    }
    pull();
  }

  private void room() {
    waitsForRoom = false;
    take();
  }

  private void ended() {
    atEnd = true;
    take();
  }

  private void failed(Throwable thrown) {
    chunks.clear();
    release();
    port.failed(thrown);
  }

  /** Not read any more; one that can be closed is closed. */
  private void release() {
    boolean again = released;
    released = true;
    over = true;
    if (source instanceof AutoCloseable closeable && !again) {
      Loop.POOL.execute(
          () -> {
            try {
              closeable.close();
            } catch (Exception e) {
              // Nobody waits for it.
              return;
            }
          });
    }
  }
}
