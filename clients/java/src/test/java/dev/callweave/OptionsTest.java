package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class OptionsTest {
  private static Arguments time(
      String name, long min, long max, BiConsumer<AgentBuilder, Duration> set) {
    BiConsumer<AgentBuilder, Long> setter = (b, ms) -> set.accept(b, Duration.ofMillis(ms));
    return Arguments.of(name, min, max, setter);
  }

  private static Arguments number(
      String name, long min, long max, BiConsumer<AgentBuilder, Integer> set) {
    BiConsumer<AgentBuilder, Long> setter = (b, value) -> set.accept(b, value.intValue());
    return Arguments.of(name, min, max, setter);
  }

  static Stream<Arguments> bounded() {
    return Stream.of(
        number("capacity", 1, 1_000, AgentBuilder::capacity),
        number("maxMarks", 1, 1_000, AgentBuilder::maxMarks),
        number("maxEventsQueued", 1, 100_000, AgentBuilder::maxEventsQueued),
        number("maxControlItems", 100, 1_000_000, AgentBuilder::maxControlItems),
        number("maxStreams", 1, 16, AgentBuilder::maxStreams),
        number("callsPerStream", 1, 1_000, AgentBuilder::callsPerStream),
        time("sendAhead", 100, 20_000, AgentBuilder::sendAhead),
        time("maxPlaybackQueued", 100, 3_600_000, AgentBuilder::maxPlaybackQueued),
        time("maxAudioQueued", 20, 600_000, AgentBuilder::maxAudioQueued),
        time("connectTimeout", 100, 600_000, AgentBuilder::connectTimeout),
        time("reattachTimeout", 0, 3_600_000, AgentBuilder::reattachTimeout),
        time("drainTimeout", 0, 86_400_000, AgentBuilder::drainTimeout),
        time("requestTimeout", 1, 600_000, AgentBuilder::requestTimeout),
        time("keepalive", 10_000, 86_400_000, AgentBuilder::keepalive));
  }

  @ParameterizedTest(name = "{0} from {1} to {2}")
  @MethodSource("bounded")
  void isAcceptedWithinItsRangeAlone(
      String name, long min, long max, BiConsumer<AgentBuilder, Long> set) {
    for (long good : new long[] {min, max}) {
      AgentBuilder builder = Agent.builder().agentId("test");
      set.accept(builder, good);
      builder.build(call -> {});
    }
    for (long bad : new long[] {min - 1, max + 1}) {
      AgentBuilder builder = Agent.builder().agentId("test");
      set.accept(builder, bad);
      CallweaveException error =
          assertThrows(CallweaveException.class, () -> builder.build(call -> {}));
      assertEquals(Reason.INVALID_FIELD, error.reason());
      assertEquals(name, error.metadata().get("field"));
      assertTrue(error.metadata().get("rule").contains(String.valueOf(max)));
    }
  }

  @Test
  void namesTheFieldOfABadAgentId() {
    for (String bad : List.of("", "with space", "x".repeat(65))) {
      CallweaveException error =
          assertThrows(
              CallweaveException.class, () -> Agent.builder().agentId(bad).build(call -> {}));
      assertEquals("agentId", error.metadata().get("field"));
    }
    Agent.builder().agentId("x".repeat(64)).build(call -> {});
  }

  @Test
  void needsAnEndpoint() {
    for (List<String> bad : List.of(List.<String>of(), List.of(""))) {
      CallweaveException error =
          assertThrows(
              CallweaveException.class, () -> CallweaveClient.builder().endpoints(bad).build());
      assertEquals("endpoints", error.metadata().get("field"));
    }
  }

  @Test
  void ringsForWholeSeconds() {
    ConnectOptions.create().ringTime(Duration.ofSeconds(1)).ringTime(Duration.ofSeconds(120));
    for (Duration bad : List.of(Duration.ZERO, Duration.ofMillis(1_500), Duration.ofSeconds(121))) {
      CallweaveException error =
          assertThrows(CallweaveException.class, () -> ConnectOptions.create().ringTime(bad));
      assertEquals("ringTime", error.metadata().get("field"));
    }
  }

  @Test
  void waitsForAMarkWithAName() {
    assertThrows(CallweaveException.class, () -> CloseOptions.create().afterMark(""));
    assertThrows(CallweaveException.class, () -> CloseOptions.create().afterMark("x".repeat(101)));
    assertTrue(CloseOptions.create().afterMark("x".repeat(100)).waitsForPlayback());
  }

  @Test
  void takesJsonAsDataAlone() {
    EscalateOptions options = EscalateOptions.because(EscalationReason.FRUSTRATED);
    options.data(Map.of("n", 1, "list", List.of("a", true), "map", Map.of("k", 2.5)));
    CallweaveException error =
        assertThrows(CallweaveException.class, () -> options.data(Map.of("thing", new Object())));
    assertEquals("data.thing", error.metadata().get("field"));
  }

  @Test
  void knowsLoopback() {
    for (String here :
        List.of("localhost:1", "127.0.0.1:7070", "[::1]:1", "127.9.9.9", "unix:/x")) {
      assertTrue(Connection.isLoopback(here), here);
    }
    for (String away : List.of("gateway:7070", "10.0.0.1:1", "localhost.example:1")) {
      assertTrue(!Connection.isLoopback(away), away);
    }
  }

  @Test
  void waitsLongerAndLonger() {
    Backoff backoff = new Backoff(() -> 1);
    assertEquals(50, backoff.next(), 0.01);
    assertEquals(100, backoff.next(), 0.01);
    for (int i = 0; i < 30; i++) {
      backoff.next();
    }
    assertEquals(2_000, backoff.next(), 0.01);
    backoff.reset();
    assertEquals(50, backoff.next(), 0.01);
  }
}
