package dev.callweave;

import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * The audio of a call that nobody has read yet. Bounded: full, the oldest audio is dropped and told
 * as one gap before what follows it. One reader at a time; leaving a loop loses nothing, a later
 * one goes on there.
 */
public final class AudioStream implements Iterable<AudioChunk> {
  /** Gaps have no length in the queue; this bounds their number. */
  static final int MAX_CHUNKS = 10_000;

  private record Entry(AudioChunk chunk, double ms) {}

  private final ArrayDeque<Entry> entries = new ArrayDeque<>();
  private final double maxQueuedMs;
  private double queuedMs;
  private boolean ended;
  private Thread reader;

  AudioStream(double maxQueuedMs) {
    this.maxQueuedMs = maxQueuedMs;
  }

  /**
   * Waits for the next chunk.
   *
   * @return null when the audio is over: the call ended, or the agent does not have it any more
   * @throws CallweaveException {@code CALL_STATE} when another thread is reading; {@code TRANSPORT}
   *     with {@code CANCELLED} when the thread was interrupted, which stays interrupted
   */
  public AudioChunk read() {
    return read(Long.MAX_VALUE);
  }

  /**
   * Waits for the next chunk, but not for ever.
   *
   * @param limit how long at most
   * @return null when the audio is over, see {@link #isOver()}, or when none came in time
   * @throws CallweaveException as {@link #read()}
   */
  public AudioChunk read(Duration limit) {
    return read(Math.max(0, limit.toNanos()));
  }

  /**
   * Whether no more audio comes and all was read.
   *
   * @return true at the end
   */
  public synchronized boolean isOver() {
    return ended && entries.isEmpty();
  }

  /**
   * Reads until the audio is over.
   *
   * @return goes on where another one stopped
   */
  @Override
  public Iterator<AudioChunk> iterator() {
    return new Iterator<>() {
      private AudioChunk next;

      @Override
      public boolean hasNext() {
        if (next == null) {
          next = read();
        }
        return next != null;
      }

      @Override
      public AudioChunk next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        AudioChunk chunk = next;
        next = null;
        return chunk;
      }
    };
  }

  /** Queued and not yet read, in milliseconds. */
  synchronized double queuedMs() {
    return queuedMs;
  }

  synchronized void push(AudioChunk chunk, double ms) {
    if (ended) {
      return;
    }
    entries.add(new Entry(chunk, ms));
    queuedMs += ms;
    if (queuedMs > maxQueuedMs || entries.size() > MAX_CHUNKS) {
      dropOldest();
    }
    notifyAll();
  }

  /** No more audio comes; what is queued can still be read. */
  synchronized void end() {
    ended = true;
    notifyAll();
  }

  private synchronized AudioChunk read(long nanos) {
    if (reader != null) {
      throw new CallweaveException(
          Reason.CALL_STATE, Status.Code.FAILED_PRECONDITION, "audio() is already being read");
    }
    reader = Thread.currentThread();
    try {
      long end = nanos == Long.MAX_VALUE ? Long.MAX_VALUE : System.nanoTime() + nanos;
      while (entries.isEmpty() && !ended) {
        if (end == Long.MAX_VALUE) {
          wait();
          continue;
        }
        long left = end - System.nanoTime();
        if (left <= 0) {
          return null;
        }
        wait(left / 1_000_000, (int) (left % 1_000_000));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Errors.transport(Status.Code.CANCELLED, "interrupted while waiting for audio");
    } finally {
      reader = null;
    }
    Entry entry = entries.poll();
    if (entry == null) {
      return null;
    }
    queuedMs = Math.max(0, queuedMs - entry.ms);
    return entry.chunk;
  }

  private void dropOldest() {
    double gapMs = 0;
    AudioChunk first = null;
    // One more place is needed for the gap.
    while (queuedMs > maxQueuedMs || entries.size() >= MAX_CHUNKS) {
      Entry entry = entries.poll();
      if (entry == null) {
        break;
      }
      queuedMs = Math.max(0, queuedMs - entry.ms);
      gapMs +=
          entry.chunk instanceof AudioChunk.Gap gap ? gap.duration().toNanos() / 1e6 : entry.ms;
      first = first == null ? entry.chunk : first;
    }
    // An older gap at the head was taken into this one.
    if (first != null) {
      AudioChunk.Gap gap =
          new AudioChunk.Gap(
              Convert.time(gapMs),
              AudioChunk.GapReason.LOCAL_QUEUE_FULL,
              first.positionSamples(),
              first.at());
      entries.addFirst(new Entry(gap, 0));
    }
  }
}
