package dev.callweave;

import com.google.protobuf.ByteString;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.DoubleSupplier;

/**
 * The audio, marks and waiting commands of one call, in order, and how much of it may be sent when:
 * {@code sendAhead} beyond what was heard, judged by the own clock, corrected by the progress that
 * the gateway tells. Knows no socket and no timer. All times are milliseconds.
 *
 * <p>Audio that was sent is kept until it is confirmed as heard, so that what a gateway refused
 * (PLAYBACK_FULL) or cut (a lost stream) can be sent again.
 */
final class PlaybackQueue {
  /**
   * After the last PLAYBACK_FULL the refused audio is sent again, if no progress is told before.
   */
  static final double RETRY_AFTER_FULL_MS = 500;

  /** With progress: after this, since what is still on its way is refused as well. */
  static final double RETRY_AFTER_PROGRESS_MS = 200;

  /** So long after the last write a report may still be older than that write. */
  static final double SETTLE_MS = 1_000;

  /** Where the playback is, as a gateway tells it. */
  record Position(double queuedMs, double unheardMs, double playedMs) {
    double atGatewayMs() {
      return queuedMs + unheardMs;
    }
  }

  /** Bounds and paces. */
  record Limits(
      double maxQueuedMs, double sendAheadMs, double maxUnconfirmedMs, double maxItemMs) {}

  /** Audio, or with a marker: a mark or a command behind the audio before it. */
  record Item(ByteString pcm, double ms, Runnable done, String marker) {
    boolean isMarker() {
      return marker != null;
    }
  }

  /** What an interrupt dropped and which markers waited, in order. */
  record Dropped(double ms, List<String> markers) {}

  /** Markers that are confirmed as passed, and those that are to be sent again. */
  record Resent(List<String> passed, List<String> again) {}

  private final Limits limits;
  private final double bytesPerMs;
  private final DoubleSupplier now;
  private ArrayDeque<Item> items = new ArrayDeque<>();
  private double waitingMs;

  /** Sent and not confirmed, oldest first. */
  private final ArrayDeque<Item> sent = new ArrayDeque<>();

  private double sentMs;

  /** On the gateway's clock of heard audio: where the newest sent audio ends. */
  private double endPositionMs;

  /** On the own clock: when all that was sent is heard. */
  private double heardAtMs;

  private double lastSendMs = Double.NEGATIVE_INFINITY;
  private int refused;
  private double refusedAtMs;
  private boolean progressSinceRefused;
  private int clearing;

  PlaybackQueue(Limits limits, double bytesPerMs, DoubleSupplier now) {
    this.limits = limits;
    this.bytesPerMs = bytesPerMs;
    this.now = now;
  }

  double queuedMs() {
    return waitingMs;
  }

  /** Sent and, by the own clock, not yet heard. */
  double aheadMs() {
    return Math.max(0, heardAtMs - now.getAsDouble());
  }

  boolean isEmpty() {
    return items.isEmpty() && refused == 0;
  }

  double roomMs() {
    return Math.max(0, limits.maxQueuedMs - waitingMs);
  }

  double msOf(int bytes) {
    return bytes / bytesPerMs;
  }

  /** Appends audio; {@code done} runs when its last piece was given to the stream. QUEUE_FULL. */
  void pushAudio(ByteString pcm, Runnable done) {
    double ms = msOf(pcm.size());
    if (waitingMs + ms > limits.maxQueuedMs) {
      throw full(null);
    }
    int piece = Math.max(2, (int) (limits.maxItemMs * bytesPerMs) & ~1);
    for (int at = 0; at < pcm.size(); at += piece) {
      int end = Math.min(pcm.size(), at + piece);
      items.add(
          new Item(pcm.substring(at, end), msOf(end - at), end == pcm.size() ? done : null, null));
    }
    waitingMs += ms;
  }

  CallweaveException full(String callId) {
    String max = Math.round(limits.maxQueuedMs) + " ms";
    return Errors.queueFull("the playback queue of the call", max, callId);
  }

  void pushMarker(String id) {
    items.add(new Item(ByteString.EMPTY, 0, null, id));
  }

  /** Takes a marker out again; false when it is not here any more. */
  boolean removeMarker(String id) {
    return items.removeIf(item -> id.equals(item.marker));
  }

  /** The next thing to send now; null when nothing may be sent yet. */
  Item next() {
    double time = now.getAsDouble();
    if (refused > 0) {
      double wait = progressSinceRefused ? RETRY_AFTER_PROGRESS_MS : RETRY_AFTER_FULL_MS;
      if (time - refusedAtMs < wait) {
        return null;
      }
      takeBackRefused();
    }
    Item item = items.peek();
    if (item == null) {
      return null;
    }
    if (!item.isMarker()) {
      if (aheadMs() >= limits.sendAheadMs) {
        return null;
      }
      if (sentMs + item.ms > limits.maxUnconfirmedMs && sentMs > 0) {
        return null;
      }
    }
    items.poll();
    sent.add(item);
    if (item.isMarker()) {
      return item;
    }
    waitingMs = Math.max(0, waitingMs - item.ms);
    sentMs += item.ms;
    endPositionMs += item.ms;
    heardAtMs = Math.max(heardAtMs, time) + item.ms;
    lastSendMs = time;
    if (item.done != null) {
      item.done.run();
    }
    return item;
  }

  /** The gateway told how far it is. */
  void onProgress(Position position) {
    if (clearing > 0) {
      return;
    }
    double time = now.getAsDouble();
    if (refused > 0) {
      progressSinceRefused = true;
      return;
    }
    if (position.atGatewayMs() == 0 && time - lastSendMs > SETTLE_MS) {
      // Nothing is on its way and nothing is there: whatever the clocks say, all of it is over.
      confirmAll();
      endPositionMs = position.playedMs;
      heardAtMs = time;
      return;
    }
    double remainingMs = Math.min(sentMs, Math.max(0, endPositionMs - position.playedMs));
    heardAtMs = time + remainingMs;
    confirmDownTo(remainingMs);
  }

  /** A mark was heard: so was all audio before it. */
  void onMarkPlayed(String id) {
    if (sent.stream().noneMatch(item -> id.equals(item.marker))) {
      return;
    }
    for (Item item = sent.poll(); item != null; item = sent.poll()) {
      sentMs = Math.max(0, sentMs - item.ms);
      if (id.equals(item.marker)) {
        break;
      }
    }
    heardAtMs = Math.min(heardAtMs, now.getAsDouble() + sentMs);
  }

  /** An audio item was refused because the ring of the gateway is full. */
  void onFull() {
    refused++;
    refusedAtMs = now.getAsDouble();
    progressSinceRefused = false;
  }

  Dropped clear() {
    Dropped dropped =
        new Dropped(waitingMs, items.stream().filter(Item::isMarker).map(Item::marker).toList());
    ArrayDeque<Item> before = items;
    double time = now.getAsDouble();
    endPositionMs -= Math.max(0, heardAtMs - time);
    heardAtMs = time;
    items = new ArrayDeque<>();
    waitingMs = 0;
    confirmAll();
    refused = 0;
    clearing++;
    for (Item item : before) {
      if (item.done != null) {
        item.done.run();
      }
    }
    return dropped;
  }

  /** The gateway answered the clear: how much was heard until then. */
  void onCleared(double playedMs) {
    clearing = Math.max(0, clearing - 1);
    if (clearing == 0) {
      endPositionMs = playedMs + sentMs;
    }
  }

  /** Whether a marker was sent and is neither passed nor dropped, as far as is known here. */
  boolean hasSent(String id) {
    return sent.stream().anyMatch(item -> id.equals(item.marker()));
  }

  /**
   * The call is on another stream: what the gateway does not have any more goes back to the front.
   */
  Resent onReattached(Position position) {
    clearing = 0;
    refused = 0;
    double atGatewayMs = Math.min(sentMs, position.atGatewayMs());
    double remainingMs = Math.min(sentMs, Math.max(0, endPositionMs - position.playedMs));
    List<String> passed = confirmDownTo(remainingMs);
    double lostMs = remainingMs - atGatewayMs;
    ArrayDeque<String> again = new ArrayDeque<>();
    ArrayDeque<Item> back = new ArrayDeque<>();
    while (!sent.isEmpty()) {
      Item item = sent.peekLast();
      if (!item.isMarker() && lostMs <= 0) {
        break;
      }
      sent.pollLast();
      if (item.isMarker()) {
        again.addFirst(item.marker);
        back.addFirst(item);
        continue;
      }
      double keepMs = Math.max(0, item.ms - lostMs);
      lostMs -= item.ms;
      back.addFirst(keepMs > 0 ? tail(item.pcm, keepMs) : new Item(item.pcm, item.ms, null, null));
      sentMs = Math.max(0, sentMs - item.ms);
    }
    putBack(back);
    endPositionMs = position.playedMs + atGatewayMs;
    heardAtMs = now.getAsDouble() + atGatewayMs;
    return new Resent(passed, new ArrayList<>(again));
  }

  /**
   * Another gateway has the call now, and nothing of what was sent. What was not heard yet by the
   * own clock, {@code aheadMs} when the stream was lost, is sent again.
   */
  Resent onTakenOver(Position position, double aheadMs) {
    endPositionMs = position.playedMs + Math.min(sentMs, aheadMs);
    return onReattached(new Position(0, 0, position.playedMs));
  }

  /** A new stream or epoch begins here: the gateway's clock stands there. */
  void startAt(Position position) {
    endPositionMs = position.playedMs + position.atGatewayMs();
    heardAtMs = now.getAsDouble() + position.atGatewayMs();
  }

  /** The last {@code refused} audio items that were sent were not taken: back to the front. */
  private void takeBackRefused() {
    ArrayDeque<Item> back = new ArrayDeque<>();
    while (refused > 0 && !sent.isEmpty()) {
      Item item = sent.pollLast();
      // Markers among them were taken by the gateway: they stay sent, though they come early now.
      if (item.isMarker()) {
        continue;
      }
      back.addFirst(new Item(item.pcm, item.ms, null, null));
      refused--;
      sentMs = Math.max(0, sentMs - item.ms);
      endPositionMs -= item.ms;
      heardAtMs -= item.ms;
    }
    refused = 0;
    putBack(back);
  }

  private void putBack(ArrayDeque<Item> back) {
    for (Iterator<Item> at = back.descendingIterator(); at.hasNext(); ) {
      Item item = at.next();
      waitingMs += item.ms;
      items.addFirst(item);
    }
  }

  private Item tail(ByteString pcm, double skipMs) {
    int skip = Math.min(pcm.size(), (int) Math.round(skipMs * bytesPerMs) & ~1);
    ByteString rest = pcm.substring(skip);
    return new Item(rest, msOf(rest.size()), null, null);
  }

  /** Forgets the oldest sent audio until at most this much is left; answers the markers passed. */
  private List<String> confirmDownTo(double remainingMs) {
    List<String> passed = new ArrayList<>();
    while (!sent.isEmpty()) {
      Item item = sent.peek();
      if (item.isMarker()) {
        passed.add(item.marker);
      } else if (sentMs - item.ms >= remainingMs - 0.5) {
        sentMs = Math.max(0, sentMs - item.ms);
      } else {
        break;
      }
      sent.poll();
    }
    return passed;
  }

  private void confirmAll() {
    sent.clear();
    sentMs = 0;
  }
}
