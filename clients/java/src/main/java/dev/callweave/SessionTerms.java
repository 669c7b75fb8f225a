package dev.callweave;

import dev.callweave.v1.Registered;
import dev.callweave.v1.ServeLimits;

/** What a gateway told when it registered a session; before that, what holds without it. */
final class SessionTerms {
  static final int MAX_MESSAGE_ITEMS = 256;
  static final int MAX_MESSAGE_BYTES = 256 * 1024;

  /** For Join and Reattach; empty: none, or given up. */
  String token = "";

  double graceMs = 2_000;
  double heartbeatMs = 500;
  double maxPlaybackMs = 30_000;
  Outbox.Limits limits;
  private final int maxControlItems;

  SessionTerms(int maxControlItems) {
    this.maxControlItems = maxControlItems;
    limits = new Outbox.Limits(MAX_MESSAGE_ITEMS, MAX_MESSAGE_BYTES, maxControlItems);
  }

  void onRegistered(Registered registered) {
    if (!registered.getSessionToken().isEmpty()) {
      token = registered.getSessionToken();
    }
    if (registered.hasReattachGrace()) {
      graceMs = Convert.ms(registered.getReattachGrace());
    }
    if (registered.hasHeartbeatInterval()) {
      heartbeatMs = Convert.ms(registered.getHeartbeatInterval());
    }
    if (!registered.hasLimits()) {
      return;
    }
    ServeLimits told = registered.getLimits();
    limits =
        new Outbox.Limits(
            least(MAX_MESSAGE_ITEMS, told.getMaxItems()),
            least(MAX_MESSAGE_BYTES, told.getMaxMessageBytes()),
            maxControlItems);
    if (told.hasMaxPlayback()) {
      maxPlaybackMs = Convert.ms(told.getMaxPlayback());
    }
  }

  private static int least(int own, int told) {
    return told > 0 ? Math.min(own, told) : own;
  }
}
