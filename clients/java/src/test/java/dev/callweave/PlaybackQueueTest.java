package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class PlaybackQueueTest {
  private double clock;
  private PlaybackQueue queue = queue(60_000, 3_000);

  private PlaybackQueue queue(double maxQueuedMs, double maxUnconfirmedMs) {
    return new PlaybackQueue(
        new PlaybackQueue.Limits(maxQueuedMs, 1_000, maxUnconfirmedMs, 100), 32, () -> clock);
  }

  private static ByteString pcm(int ms) {
    return ByteString.copyFrom(OneCall.pcm(ms));
  }

  private List<String> take() {
    List<String> steps = new ArrayList<>();
    for (PlaybackQueue.Item item = queue.next(); item != null; item = queue.next()) {
      steps.add(item.isMarker() ? item.marker() : String.valueOf(item.pcm().size() / 32));
    }
    return steps;
  }

  private int takeMs() {
    return take().stream().mapToInt(Integer::parseInt).sum();
  }

  @Test
  void sendsASecondAheadThenAsItIsHeard() {
    queue.pushAudio(pcm(5_000), null);
    assertEquals(1_000, takeMs());
    clock = 500;
    assertEquals(500, takeMs());
    assertEquals(3_500, queue.queuedMs(), 0.01);
    assertEquals(1_000, queue.aheadMs(), 0.01);
  }

  @Test
  void cutsAudioIntoItemsAndKeepsMarkersInTheirPlace() {
    queue.pushMarker("first");
    queue.pushAudio(pcm(250), null);
    queue.pushMarker("last");
    assertEquals(List.of("first", "100", "100", "50", "last"), take());
  }

  @Test
  void goesSlowerThanItsClockWhenLessWasHeard() {
    queue.pushAudio(pcm(10_000), null);
    takeMs();
    clock = 1_000;
    queue.onProgress(new PlaybackQueue.Position(300, 500, 200));
    assertEquals(800, queue.aheadMs(), 0.01);
    assertEquals(200, takeMs());
  }

  @Test
  void stopsWithoutAnyConfirmation() {
    queue.pushAudio(pcm(30_000), null);
    int sent = 0;
    for (; clock < 20_000; clock += 50) {
      sent += takeMs();
    }
    assertEquals(3_000, sent);
    queue.onProgress(new PlaybackQueue.Position(0, 0, 3_000));
    assertEquals(1_000, takeMs());
  }

  @Test
  void refusesAsAWholeWhatDoesNotFit() {
    queue = queue(1_000, 3_000);
    queue.pushAudio(pcm(600), null);
    CallweaveException full =
        assertThrows(CallweaveException.class, () -> queue.pushAudio(pcm(401), null));
    assertEquals(Reason.QUEUE_FULL, full.reason());
    queue.pushAudio(pcm(400), null);
    assertEquals(1_000, queue.queuedMs(), 0.01);
  }

  @Test
  void tellsWhenTheLastPieceWasSent() {
    AtomicBoolean done = new AtomicBoolean();
    queue.pushAudio(pcm(1_500), () -> done.set(true));
    take();
    assertTrue(!done.get());
    clock = 500;
    take();
    assertTrue(done.get());
  }

  @Test
  void sendsAgainWhatTheGatewayHadNoRoomFor() {
    queue.pushAudio(pcm(500), null);
    assertEquals(500, takeMs());
    queue.onFull();
    queue.onFull();
    assertEquals(0, takeMs());
    clock = PlaybackQueue.RETRY_AFTER_FULL_MS;
    assertEquals(200, takeMs());
  }

  @Test
  void retriesSoonerOnceProgressWasTold() {
    queue.pushAudio(pcm(100), null);
    takeMs();
    queue.onFull();
    queue.onProgress(new PlaybackQueue.Position(50, 0, 50));
    clock = PlaybackQueue.RETRY_AFTER_PROGRESS_MS - 1;
    assertEquals(0, takeMs());
    clock = PlaybackQueue.RETRY_AFTER_PROGRESS_MS;
    assertEquals(100, takeMs());
  }

  @Test
  void putsBackWhatANewStreamDoesNotHave() {
    queue.pushAudio(pcm(600), null);
    queue.pushMarker("m");
    queue.pushAudio(pcm(300), null);
    assertEquals(
        List.of("100", "100", "100", "100", "100", "100", "m", "100", "100", "100"), take());
    clock = 200;
    PlaybackQueue.Resent resent = queue.onReattached(new PlaybackQueue.Position(100, 100, 200));
    assertEquals(List.of("m"), resent.again());
    assertEquals(List.of(), resent.passed());
    assertEquals(500, queue.queuedMs(), 0.01);
    assertEquals(List.of("100", "100", "m", "100", "100", "100"), take());
  }

  @Test
  void countsAMarkAsPassedWhenAllBeforeItWasHeard() {
    queue.pushAudio(pcm(200), null);
    queue.pushMarker("m");
    queue.pushAudio(pcm(200), null);
    take();
    PlaybackQueue.Resent resent = queue.onReattached(new PlaybackQueue.Position(0, 0, 300));
    assertEquals(List.of("m"), resent.passed());
    assertEquals(100, queue.queuedMs(), 0.01);
  }

  @Test
  void sendsToAnotherGatewayWhatWasNotHeardByTheOwnClock() {
    queue.pushAudio(pcm(900), null);
    takeMs();
    clock = 300;
    double ahead = queue.aheadMs();
    assertEquals(600, ahead, 0.01);
    queue.onTakenOver(new PlaybackQueue.Position(0, 0, 5_000), ahead);
    assertEquals(600, queue.queuedMs(), 0.01);
  }

  @Test
  void dropsAllOnClear() {
    queue.pushAudio(pcm(2_000), null);
    queue.pushMarker("m");
    takeMs();
    PlaybackQueue.Dropped dropped = queue.clear();
    assertEquals(1_000, dropped.ms(), 0.01);
    assertEquals(List.of("m"), dropped.markers());
    assertNull(queue.next());
    assertEquals(0, queue.aheadMs(), 0.01);
  }

  @Test
  void takesAMarkerOutAgain() {
    queue.pushMarker("c1");
    assertTrue(queue.removeMarker("c1"));
    assertTrue(!queue.removeMarker("c1"));
    assertTrue(queue.isEmpty());
  }
}
