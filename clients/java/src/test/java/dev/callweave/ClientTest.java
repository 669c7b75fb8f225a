package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.callweave.v1.AppendTurnsRequest;
import dev.callweave.v1.AppendTurnsResponse;
import dev.callweave.v1.CallAudio;
import dev.callweave.v1.CallContext;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.CallServiceGrpc;
import dev.callweave.v1.ContextDurability;
import dev.callweave.v1.ContextServiceGrpc;
import dev.callweave.v1.DisconnectCallRequest;
import dev.callweave.v1.DisconnectCallResponse;
import dev.callweave.v1.GetCallRequest;
import dev.callweave.v1.GetCallResponse;
import dev.callweave.v1.ListenCallRequest;
import dev.callweave.v1.ListenCallResponse;
import dev.callweave.v1.PendingCommand;
import dev.callweave.v1.UpdateContextRequest;
import dev.callweave.v1.UpdateContextResponse;
import dev.callweave.v1.WatchCallsRequest;
import dev.callweave.v1.WatchCallsResponse;
import dev.callweave.v1.WatchLive;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ClientTest {
  private final List<String> cursors = new CopyOnWriteArrayList<>();
  private volatile AppendTurnsRequest appended;
  private volatile DisconnectCallRequest disconnected;

  private final FakeGateway gateway =
      new FakeGateway(
          new CallServiceGrpc.CallServiceImplBase() {
            @Override
            public void getCall(GetCallRequest request, StreamObserver<GetCallResponse> answer) {
              if (request.getCallId().equals("none")) {
                answer.onError(
                    FakeStream.error(
                        Status.Code.NOT_FOUND, "CALL_NOT_FOUND", Map.of("call_id", "none")));
              } else if (!request.getCallId().equals("slow")) {
                answer.onNext(
                    GetCallResponse.newBuilder()
                        .setCall(FakeGateway.call(request.getCallId()))
                        .build());
                answer.onCompleted();
              }
            }

            @Override
            public void disconnectCall(
                DisconnectCallRequest request, StreamObserver<DisconnectCallResponse> answer) {
              disconnected = request;
              answer.onNext(
                  DisconnectCallResponse.newBuilder()
                      .setCall(FakeGateway.call("c-1"))
                      .setPending(PendingCommand.getDefaultInstance())
                      .build());
              answer.onCompleted();
            }

            @Override
            public void watchCalls(
                WatchCallsRequest request, StreamObserver<WatchCallsResponse> answer) {
              cursors.add(request.getCursor());
              int from = request.getCursor().isEmpty() ? 0 : Integer.parseInt(request.getCursor());
              CallEvent event =
                  CallEvent.newBuilder()
                      .setCallId("c-1")
                      .setSequence(from + 1)
                      .setCursor(String.valueOf(from + 1))
                      .build();
              answer.onNext(WatchCallsResponse.newBuilder().setEvent(event).build());
              answer.onNext(
                  WatchCallsResponse.newBuilder().setLive(WatchLive.getDefaultInstance()).build());
              if (from + 1 < 3) {
                answer.onError(Status.UNAVAILABLE.asRuntimeException());
              } else if (from + 1 > 3) {
                answer.onError(
                    FakeStream.error(Status.Code.OUT_OF_RANGE, "CURSOR_EXPIRED", Map.of()));
              }
            }

            @Override
            public void listenCall(
                ListenCallRequest request, StreamObserver<ListenCallResponse> answer) {
              answer.onNext(
                  ListenCallResponse.newBuilder()
                      .setStarted(
                          dev.callweave.v1.AudioFormat.newBuilder().setSampleRateHertz(8_000))
                      .build());
              answer.onNext(
                  ListenCallResponse.newBuilder()
                      .setAudio(
                          CallAudio.newBuilder()
                              .setPosition(16_000)
                              .setPcm(ByteString.copyFrom(new byte[] {1, 2})))
                      .build());
              answer.onNext(
                  ListenCallResponse.newBuilder()
                      .setEnded(dev.callweave.v1.EndReason.END_REASON_TERMINATED)
                      .build());
              answer.onCompleted();
            }
          },
          new ContextServiceGrpc.ContextServiceImplBase() {
            @Override
            public void appendTurns(
                AppendTurnsRequest request, StreamObserver<AppendTurnsResponse> answer) {
              appended = request;
              answer.onNext(
                  AppendTurnsResponse.newBuilder()
                      .setTurnCount(2)
                      .setDurability(ContextDurability.CONTEXT_DURABILITY_STORE)
                      .build());
              answer.onCompleted();
            }

            @Override
            public void updateContext(
                UpdateContextRequest request, StreamObserver<UpdateContextResponse> answer) {
              answer.onNext(
                  UpdateContextResponse.newBuilder()
                      .setContext(
                          request.getContext().toBuilder()
                              .setRoutingHint(
                                  request.getUpdateMask().getPathsList()
                                      + " at "
                                      + request.getRevision()))
                      .build());
              answer.onCompleted();
            }
          });

  private final CallweaveClient client =
      CallweaveClient.builder()
          .endpoint(gateway.endpoint())
          .requestTimeout(Duration.ofMillis(2_000))
          .build();

  @AfterEach
  void close() {
    client.close();
    gateway.close();
  }

  @Test
  void failsWithTheReasonOfTheGateway() {
    assertEquals("c-1", client.calls().get("c-1").await().getCallId());
    CallweaveException error =
        assertThrows(CallweaveException.class, () -> client.calls().get("none").await());
    assertEquals(Reason.CALL_NOT_FOUND, error.reason());
    assertEquals("none", error.callId().orElseThrow());
  }

  @Test
  void doesNotWaitForEver() {
    try (CallweaveClient hasty =
        CallweaveClient.builder()
            .endpoint(gateway.endpoint())
            .requestTimeout(Duration.ofMillis(100))
            .build()) {
      CallweaveException error =
          assertThrows(CallweaveException.class, () -> hasty.calls().get("slow").await());
      assertEquals(Reason.TRANSPORT, error.reason());
      assertEquals(Status.Code.DEADLINE_EXCEEDED, error.code());
    }
    assertTrue(client.calls().get("slow").cancel(true));
  }

  @Test
  void commandsWithAnIdAndAWait() {
    VerbResult result =
        client
            .calls()
            .disconnect(
                "c-1",
                DisconnectOptions.create()
                    .requestId("r-1")
                    .afterMark("said")
                    .onInterrupt(OnInterrupt.PROCEED)
                    .waitFor(Duration.ofSeconds(3)))
            .await();
    assertTrue(result.pending());
    assertEquals("r-1", result.requestId());
    assertEquals("said", disconnected.getAfter().getMark());
    assertEquals(3, disconnected.getWait().getSeconds());
  }

  @Test
  void resumesAWatchFromItsCursorWithoutGapOrRepeat() {
    try (Watch<WatchStep> watch = client.calls().watch("")) {
      for (int sequence = 1; sequence <= 3; sequence++) {
        WatchStep.Event event = assertInstanceOf(WatchStep.Event.class, watch.read());
        assertEquals(sequence, event.event().getSequence());
        if (sequence == 1) {
          assertInstanceOf(WatchStep.Live.class, watch.read());
        }
      }
      assertEquals(List.of("", "1", "2"), cursors);
      CompletableFuture<WatchStep> waiting = CompletableFuture.supplyAsync(watch::read);
      watch.close();
      assertNull(waiting.join());
    }
  }

  @Test
  void endsAWatchThatCannotGoOn() {
    try (Watch<WatchStep> watch = client.calls().watch("3")) {
      watch.read();
      watch.read();
      CallweaveException error = assertThrows(CallweaveException.class, watch::read);
      assertEquals(Reason.CURSOR_EXPIRED, error.reason());
    }
  }

  @Test
  void hearsACallWithPositionsAtItsRate() {
    try (Listening heard =
        client.calls().listen("c-1", Listening.Source.MIXED, AudioFormat.s16le(8_000))) {
      AudioChunk.Pcm chunk = assertInstanceOf(AudioChunk.Pcm.class, heard.read());
      assertArrayEquals(new byte[] {1, 2}, chunk.pcm());
      assertEquals(Duration.ofSeconds(1), chunk.at());
      assertEquals(8_000, heard.format().orElseThrow().sampleRateHertz());
      assertNull(heard.read());
      assertEquals(EndReason.TERMINATED, heard.endReason().orElseThrow());
    }
  }

  @Test
  void appendsTurns() {
    Appended result =
        client
            .contexts()
            .appendTurns(
                "c-1",
                List.of(Turn.caller("Hello").id("t-1"), Turn.ai("Good d").interrupted("Good")))
            .await();
    assertEquals(new Appended(2, Durability.STORE), result);
    assertEquals("t-1", appended.getTurns(0).getId());
    assertEquals("Good", appended.getTurns(1).getHeard());
    assertTrue(appended.getTurns(1).getInterrupted());
  }

  @Test
  void aCallWritesExactlyTheFieldsThatAreNamed() {
    try (Agent agent =
        Agent.builder()
            .endpoint(gateway.endpoint())
            .agentId("test")
            .heartbeat(false)
            .keepAfterHandler(true)
            .build(call -> {})) {
      agent.start().await();
      gateway.stream(0).assign(1, FakeGateway.call("c-1"));
      FakeGateway.until("the call", () -> agent.calls().size() == 1);
      CallContext fields = CallContext.newBuilder().setSummary("A bill.").build();
      Written written = agent.calls().get(0).updateContext(fields, List.of("summary"), 7).await();
      assertEquals("c-1", written.context().getCallId());
      assertEquals("A bill.", written.context().getSummary());
      assertEquals("[summary] at 7", written.context().getRoutingHint());
    }
  }

  @Test
  void isOverWhenClosed() {
    client.close();
    CallweaveException error =
        assertThrows(CallweaveException.class, () -> client.calls().get("c-1").await());
    assertEquals(Reason.CLOSED, error.reason());
  }
}
