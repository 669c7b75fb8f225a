package dev.callweave;

import java.util.function.DoubleSupplier;

/** Waits between attempts that grow, with jitter: half to full of 50 ms, 100 ms … up to 2 s. */
final class Backoff {
  private static final double MIN_MS = 50;
  private static final double MAX_MS = 2_000;
  private final DoubleSupplier random;
  private int attempt;

  Backoff() {
    this(Math::random);
  }

  Backoff(DoubleSupplier random) {
    this.random = random;
  }

  /** The next wait in milliseconds. */
  double next() {
    double full = Math.min(MAX_MS, MIN_MS * Math.pow(2, Math.min(attempt++, 20)));
    return full * (0.5 + random.getAsDouble() / 2);
  }

  /** It worked: the next wait is the shortest again. */
  void reset() {
    attempt = 0;
  }
}
