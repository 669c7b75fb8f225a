package dev.callweave;

import java.time.Duration;

/** Checks options: whole numbers from a least to a greatest, both included. */
final class Bounds {
  private Bounds() {}

  static int number(String name, long value, long min, long max) {
    if (value < min || value > max) {
      throw Errors.invalidField(name, "a whole number from " + min + " to " + max, value);
    }
    return (int) value;
  }

  /** A duration in whole milliseconds. */
  static long millis(String name, Duration value, long min, long max) {
    String rule = "from " + min + " to " + max + " ms";
    if (value == null || value.compareTo(Duration.ofMillis(min)) < 0) {
      throw Errors.invalidField(name, rule, value);
    }
    if (value.compareTo(Duration.ofMillis(max)) > 0) {
      throw Errors.invalidField(name, rule, value);
    }
    return value.toMillis();
  }
}
