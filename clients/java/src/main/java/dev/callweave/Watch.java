package dev.callweave;

import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * Something that is followed by one reader, who waits for each step. Closing it, from any thread,
 * ends the reading. A slow reader slows the gateway down, within its bounds.
 *
 * @param <T> a step
 */
public abstract class Watch<T> implements Iterable<T>, AutoCloseable {
  Watch() {}

  /**
   * Waits for the next step.
   *
   * @return null at the end
   * @throws CallweaveException when it cannot go on; {@code TRANSPORT} with {@code CANCELLED} when
   *     the thread was interrupted, which stays interrupted
   */
  public abstract T read();

  @Override
  public abstract void close();

  /**
   * Reads to the end.
   *
   * @return goes on where another one stopped
   */
  @Override
  public final Iterator<T> iterator() {
    return new Iterator<>() {
      private T next;

      @Override
      public boolean hasNext() {
        if (next == null) {
          next = read();
        }
        return next != null;
      }

      @Override
      public T next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        T step = next;
        next = null;
        return step;
      }
    };
  }
}
