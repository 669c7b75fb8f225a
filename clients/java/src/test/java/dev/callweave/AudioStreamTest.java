package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class AudioStreamTest {
  private static AudioChunk.Pcm chunk(int n) {
    return new AudioChunk.Pcm(new byte[640], n * 320L, Duration.ofMillis(n * 20L));
  }

  private static AudioChunk.Gap gap(int ms) {
    return new AudioChunk.Gap(
        Duration.ofMillis(ms), AudioChunk.GapReason.PROVIDER, 0, Duration.ZERO);
  }

  @Test
  void dropsTheOldestAndTellsThemAsOneGap() {
    AudioStream audio = new AudioStream(100);
    for (int n = 0; n < 8; n++) {
      audio.push(chunk(n), 20);
    }
    AudioChunk.Gap first = assertInstanceOf(AudioChunk.Gap.class, audio.read());
    assertEquals(Duration.ofMillis(60), first.duration());
    assertEquals(AudioChunk.GapReason.LOCAL_QUEUE_FULL, first.reason());
    assertEquals(0, first.positionSamples());
    assertEquals(960, audio.read().positionSamples());
    assertEquals(80, audio.queuedMs(), 0.01);
  }

  @Test
  void holdsExactlyWhatItMay() {
    AudioStream audio = new AudioStream(100);
    for (int n = 0; n < 5; n++) {
      audio.push(chunk(n), 20);
    }
    assertInstanceOf(AudioChunk.Pcm.class, audio.read());
  }

  @Test
  void boundsGapsInNumber() {
    AudioStream audio = new AudioStream(100);
    for (int n = 0; n < 3 * AudioStream.MAX_CHUNKS; n++) {
      audio.push(gap(1), 0);
    }
    audio.end();
    int count = 0;
    long ms = 0;
    for (AudioChunk chunk : audio) {
      count++;
      ms += assertInstanceOf(AudioChunk.Gap.class, chunk).duration().toMillis();
    }
    assertTrue(count <= AudioStream.MAX_CHUNKS);
    assertEquals(3L * AudioStream.MAX_CHUNKS, ms);
  }

  @Test
  void givesWhatIsQueuedAfterTheEnd() {
    AudioStream audio = new AudioStream(100);
    audio.push(chunk(0), 20);
    audio.end();
    audio.push(chunk(1), 20);
    List<AudioChunk> read = new ArrayList<>();
    audio.forEach(read::add);
    assertEquals(1, read.size());
    assertTrue(audio.isOver());
  }

  @Test
  void waitsNoLongerThanItIsTold() {
    AudioStream audio = new AudioStream(100);
    assertNull(audio.read(Duration.ofMillis(5)));
    assertTrue(!audio.isOver());
  }

  @Test
  void hasOneReader() {
    AudioStream audio = new AudioStream(100);
    CompletableFuture<AudioChunk> read = CompletableFuture.supplyAsync(audio::read);
    FakeGateway.until(
        "the other to read",
        () -> {
          try {
            audio.read(Duration.ofNanos(1));
            return false;
          } catch (CallweaveException e) {
            return e.reason() == Reason.CALL_STATE;
          }
        });
    audio.push(chunk(0), 20);
    assertEquals(0, read.join().positionSamples());
  }

  @Test
  void endsTheWaitOfAnInterruptedReader() {
    AudioStream audio = new AudioStream(100);
    Thread.currentThread().interrupt();
    assertThrows(CallweaveException.class, audio::read);
    assertTrue(Thread.interrupted());
  }
}
