package dev.callweave;

import static dev.callweave.FakeGateway.until;
import static dev.callweave.OneCall.pcm;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.callweave.v1.AgentItem.ItemCase;
import dev.callweave.v1.CallAudio;
import dev.callweave.v1.CallEnded;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.Command;
import dev.callweave.v1.CommandDone;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.ErrorReason;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.MarkReached;
import dev.callweave.v1.PlaybackCleared;
import dev.callweave.v1.PlaybackProgress;
import dev.callweave.v1.SeatCause;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CallTest {
  private OneCall one = new OneCall(new FakeGateway(), options -> {});

  @AfterEach
  void close() {
    one.close();
  }

  private void with(Consumer<AgentBuilder> options) {
    one.close();
    one = new OneCall(new FakeGateway(), options);
  }

  private static Reason reasonOf(CallFuture<?> future) {
    return assertThrows(CallweaveException.class, () -> future.await(Duration.ofSeconds(10)))
        .reason();
  }

  private void reached(String name, dev.callweave.v1.MarkEnd end) {
    one.stream.send(
        GatewayItem.newBuilder()
            .setMarkReached(MarkReached.newBuilder().setHandle(1).setName(name).setEnd(end)));
  }

  private void progress(long queuedMs, long unheardMs, long playedMs) {
    one.stream.send(
        GatewayItem.newBuilder()
            .setPlayback(
                PlaybackProgress.newBuilder()
                    .setHandle(1)
                    .setPosition(FakeStream.position(queuedMs, unheardMs, playedMs))));
  }

  @Test
  void playsAudioBitExact() {
    byte[] audio = pcm(350);
    assertEquals(PlayEnd.SENT, one.call.play(audio).await());
    until("all of it there", () -> one.stream.audio(1).size() >= audio.length);
    assertEquals(ByteString.copyFrom(audio), one.stream.audio(1));
  }

  @Test
  void playsWhatAnIteratorMakesInOrderWithWhatCameAfter() {
    byte[] audio = pcm(300);
    List<byte[]> pieces = new ArrayList<>();
    for (int at = 0; at < audio.length; at += 333) {
      pieces.add(Arrays.copyOfRange(audio, at, Math.min(audio.length, at + 333)));
    }
    CallFuture<PlayEnd> made = one.call.play(pieces);
    CallFuture<PlayEnd> whole = one.call.play(pcm(40));
    CallFuture<MarkEnd> mark = one.call.mark("said");
    assertEquals(PlayEnd.SENT, made.await());
    assertEquals(PlayEnd.SENT, whole.await());
    one.stream.next(ItemCase.MARK);
    assertEquals(
        ByteString.copyFrom(audio).concat(ByteString.copyFrom(pcm(40))), one.stream.audio(1));
    reached("said", dev.callweave.v1.MarkEnd.MARK_END_PLAYED);
    assertEquals(MarkEnd.PLAYED, mark.await());
  }

  @Test
  void failsWithWhatAnIteratorThrowsAndGoesOn() {
    Iterable<byte[]> broken =
        () ->
            new Iterator<>() {
              @Override
              public boolean hasNext() {
                throw new IllegalStateException("broken");
              }

              @Override
              public byte[] next() {
                return new byte[2];
              }
            };
    CallweaveException error =
        assertThrows(CallweaveException.class, () -> one.call.play(broken).await());
    assertTrue(error.getMessage().contains("broken"));
    assertEquals(PlayEnd.SENT, one.call.play(pcm(20)).await());
  }

  @Test
  void readsASourceOnlyAsFastAsItIsPlayed() {
    AtomicInteger asked = new AtomicInteger();
    Iterable<byte[]> endless =
        () ->
            new Iterator<>() {
              @Override
              public boolean hasNext() {
                return true;
              }

              @Override
              public byte[] next() {
                asked.incrementAndGet();
                return pcm(100);
              }
            };
    CallFuture<PlayEnd> played = one.call.play(endless);
    until("a second sent", () -> one.stream.audio(1).size() >= 32_000);
    // A second is with the gateway, a second is kept ready, and a little beyond it.
    int at = asked.get();
    assertTrue(at <= 40, "asked " + at);
    one.call.clear();
    assertEquals(PlayEnd.CLEARED, played.await());
  }

  @Test
  void refusesWhatDoesNotFitTakingNothing() {
    with(options -> options.maxPlaybackQueued(Duration.ofMillis(2_000)));
    one.call.play(pcm(2_000));
    one.stream.next(ItemCase.AUDIO);
    until("the second ahead sent", () -> one.stream.audio(1).size() >= 32_000);
    assertEquals(Reason.QUEUE_FULL, reasonOf(one.call.play(pcm(2_000))));
    assertEquals(Reason.QUEUE_FULL, reasonOf(one.call.play(List.of(pcm(2_100)))));
  }

  @Test
  void sendsAheadOneSecondAndGoesOnWithTheProgress() {
    one.call.play(pcm(3_000));
    until("a second sent", () -> one.stream.audio(1).size() >= 32_000);
    PlaybackStatus status = one.call.playback();
    assertTrue(status.queued().toMillis() <= 2_000 && status.queued().toMillis() > 1_000);
    progress(500, 400, 100);
    until("all sent in the end", () -> one.stream.audio(1).size() == 96_000);
  }

  @Test
  void holdsSoManyMarks() {
    with(options -> options.maxMarks(1));
    one.call.mark("a");
    assertEquals(Reason.QUEUE_FULL, reasonOf(one.call.mark("b")));
    assertEquals(Reason.INVALID_FIELD, reasonOf(one.call.mark("")));
    assertEquals(Reason.INVALID_FIELD, reasonOf(one.call.mark("x".repeat(101))));
  }

  @Test
  void tellsWhatAnInterruptDropped() {
    CallFuture<PlayEnd> played = one.call.play(pcm(3_000));
    CallFuture<MarkEnd> mark = one.call.drained();
    until("a second sent", () -> one.stream.audio(1).size() >= 32_000);
    CallFuture<Cleared> cleared = one.call.clear();
    assertEquals(PlayEnd.CLEARED, played.await());
    assertEquals(MarkEnd.CLEARED, mark.await());
    one.stream.next(ItemCase.CLEAR_PLAYBACK);
    one.stream.send(
        GatewayItem.newBuilder()
            .setPlaybackCleared(
                PlaybackCleared.newBuilder()
                    .setHandle(1)
                    .setDroppedLocal(Convert.duration(Duration.ofMillis(300)))
                    .setEstimatedUnheardAtProvider(Convert.duration(Duration.ofMillis(200)))
                    .setPlayed(Convert.duration(Duration.ofMillis(500)))));
    Cleared told = cleared.await();
    assertTrue(told.dropped().toMillis() >= 300 + 1_000, told.toString());
    assertEquals(Duration.ofMillis(200), told.estimatedUnheard());
    assertEquals(Duration.ofMillis(500), told.played());
  }

  @Test
  void readsTheCallersAudioWithItsGaps() {
    one.stream.send(
        GatewayItem.newBuilder()
            .setAudio(
                CallAudio.newBuilder()
                    .setHandle(1)
                    .setPosition(320)
                    .setPcm(ByteString.copyFrom(pcm(20)))),
        GatewayItem.newBuilder()
            .setAudioGap(
                dev.callweave.v1.AudioGap.newBuilder()
                    .setHandle(1)
                    .setFrom(640)
                    .setDuration(Convert.duration(Duration.ofMillis(60)))
                    .setReason(dev.callweave.v1.AudioGapReason.AUDIO_GAP_REASON_SLOW_RECEIVER)));
    AudioChunk.Pcm audio = assertInstanceOf(AudioChunk.Pcm.class, one.call.audio().read());
    assertArrayEquals(pcm(20), audio.pcm());
    assertEquals(Duration.ofMillis(20), audio.at());
    AudioChunk.Gap gap = assertInstanceOf(AudioChunk.Gap.class, one.call.audio().read());
    assertEquals(Duration.ofMillis(60), gap.duration());
    assertEquals(AudioChunk.GapReason.SLOW_RECEIVER, gap.reason());
    one.stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_TERMINATED);
    assertNull(one.call.audio().read());
  }

  @Test
  void completesACommandWithItsResultOrItsEvent() {
    CallFuture<Void> mode = one.call.setMode(AgentMode.WHISPER);
    Command command = one.stream.next(ItemCase.COMMAND).getCommand();
    assertEquals(
        dev.callweave.v1.AgentMode.AGENT_MODE_WHISPER, command.getSetAgentMode().getMode());
    one.stream.result(CommandResult.newBuilder().setRequestId(command.getRequestId()).setHandle(1));
    mode.await();

    CallFuture<Void> connect =
        one.call.connect(ConnectOptions.create().ringTime(Duration.ofSeconds(20)));
    Command ring = one.stream.next(ItemCase.COMMAND).getCommand();
    assertEquals(20, ring.getConnect().getRingDuration().getSeconds());
    one.stream.result(
        CommandResult.newBuilder().setRequestId(ring.getRequestId()).setHandle(1).setPending(true));
    one.stream.event(
        CallEvent.newBuilder()
            .setCallId("c-1")
            .setSequence(1)
            .setCommandDone(
                CommandDone.newBuilder()
                    .setVerb("ConnectCall")
                    .setRequestId(ring.getRequestId())
                    .setError(
                        dev.callweave.v1.Error.newBuilder()
                            .setCode(4)
                            .setReason(ErrorReason.ERROR_REASON_CALLEE_UNANSWERED))));
    assertEquals(Reason.CALLEE_UNANSWERED, reasonOf(connect));
  }

  @Test
  void escalatesBehindTheAnnouncement() {
    one.call.play(pcm(300));
    CallFuture<EscalationResult> escalated =
        one.call.escalate(
            EscalateOptions.because(EscalationReason.ASKED_FOR_HUMAN)
                .summary("An invoice.")
                .data(Map.of("n", 2))
                .callee(Duration.ofSeconds(30)));
    Command command = one.stream.next(ItemCase.COMMAND).getCommand();
    assertEquals(9_600, one.stream.audio(1).size());
    assertEquals("An invoice.", command.getEscalate().getSummary());
    assertEquals(30, command.getEscalate().getOriginalCallee().getRingDuration().getSeconds());
    one.stream.result(
        CommandResult.newBuilder()
            .setRequestId(command.getRequestId())
            .setHandle(1)
            .setEscalation(
                dev.callweave.v1.EscalationResult.newBuilder()
                    .setOutcome(dev.callweave.v1.EscalationOutcome.ESCALATION_OUTCOME_UNANSWERED)));
    assertEquals(EscalationOutcome.UNANSWERED, escalated.await().outcome());
  }

  @Test
  void anInterruptCancelsAWaitingCommandUnlessItProceeds() {
    one.call.play(pcm(5_000));
    CallFuture<Void> close = one.call.close(CloseOptions.create().endCall(true).afterDrained());
    one.call.escalate(EscalateOptions.because(EscalationReason.FRUSTRATED));
    one.call.clear();
    assertEquals(Reason.COMMAND_CANCELLED, reasonOf(close));
    // The one that proceeds goes right behind the interrupt.
    Command command = one.stream.next(ItemCase.COMMAND).getCommand();
    assertTrue(command.hasEscalate());
    List<ItemCase> order = new ArrayList<>();
    one.stream.items.forEach(item -> order.add(item.getItemCase()));
    assertTrue(order.indexOf(ItemCase.CLEAR_PLAYBACK) < order.indexOf(ItemCase.COMMAND));
  }

  @Test
  void cancelsAQueuedCommandHereAndASentOneAtTheGateway() {
    one.call.play(pcm(5_000));
    CallFuture<Void> queued = one.call.disconnect(DisconnectOptions.create().afterDrained());
    until("something sent", () -> one.stream.count(ItemCase.AUDIO) > 0);
    queued.cancel(true);
    CallFuture<Void> sent = one.call.connect(ConnectOptions.create().requestId("r-1"));
    one.stream.next(ItemCase.COMMAND);
    sent.cancel(true);
    Command cancel = one.stream.next(ItemCase.COMMAND).getCommand();
    assertEquals("r-1", cancel.getCancel().getRequestId());
    assertEquals(2, one.stream.count(ItemCase.COMMAND));
  }

  @Test
  void refusesAnIdThatIsUnderWay() {
    one.call.answer(CommandOptions.create().requestId("r-1"));
    assertEquals(
        Reason.REQUEST_ID_REUSED,
        reasonOf(one.call.answer(CommandOptions.create().requestId("r-1"))));
  }

  @Test
  void endsAllThatIsUnderWayWithTheCall() {
    CallFuture<Void> close = one.call.close(CloseOptions.create().endCall(true));
    CallFuture<Void> connect = one.call.connect();
    CallFuture<PlayEnd> play = one.call.play(pcm(5_000));
    CallFuture<MarkEnd> mark = one.call.drained();
    one.stream.next(ItemCase.COMMAND);
    one.stream.next(ItemCase.COMMAND);
    one.stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_DISCONNECTED);
    assertEquals(
        new CallEnd(EndCause.CALL_ENDED, EndReason.DISCONNECTED), one.call.ended().await());
    close.await();
    assertEquals(Reason.CALL_OVER, reasonOf(connect));
    assertEquals(Reason.CALL_OVER, reasonOf(play));
    assertEquals(MarkEnd.CLEARED, mark.await());
    assertEquals(Reason.CALL_OVER, reasonOf(one.call.play(pcm(20))));
    assertEquals(Reason.CALL_OVER, reasonOf(one.call.clear()));
    assertEquals(Reason.CALL_OVER, reasonOf(one.call.disconnect()));
    assertEquals(CallState.DISCONNECTED, one.call.state());
    assertEquals(List.of(), one.errors);
  }

  @Test
  void tellsListenersInOrderAndReportsOnesThatThrow() {
    List<String> told = new CopyOnWriteArrayList<>();
    CompletableFuture<Void> over = new CompletableFuture<>();
    one.call.addListener(
        new CallListener() {
          @Override
          public void onEvent(Call call, CallEvent event) {
            told.add("event " + event.getSequence());
            if (event.getSequence() == 1) {
              throw new IllegalStateException("thrown by a listener");
            }
          }

          @Override
          public void onState(Call call, CallState state) {
            told.add("state " + state);
          }

          @Override
          public void onNote(Call call, Note note) {
            told.add("note " + note.text());
          }

          @Override
          public void onEnded(Call call, CallEnd end) {
            told.add("ended " + end.cause());
            over.complete(null);
          }
        });
    CallEvent.Builder event = CallEvent.newBuilder().setCallId("c-1").setOwnerEpoch(1);
    one.stream.event(event.setSequence(1));
    one.stream.event(event.setSequence(1));
    one.stream.send(
        GatewayItem.newBuilder()
            .setNote(dev.callweave.v1.Note.newBuilder().setHandle(1).setText("louder")));
    one.stream.event(
        event
            .setSequence(2)
            .setEnded(
                CallEnded.newBuilder()
                    .setReason(dev.callweave.v1.EndReason.END_REASON_TERMINATED)));
    one.stream.unassign(
        1, SeatCause.SEAT_CAUSE_CALL_ENDED, dev.callweave.v1.EndReason.END_REASON_TERMINATED);
    over.join();
    assertEquals(
        List.of("event 1", "note louder", "state DISCONNECTED", "event 2", "ended CALL_ENDED"),
        told);
    assertEquals("thrown by a listener", one.errors.get(0).getMessage());
  }

  @Test
  void boundsWhatWaitsForASlowListener() {
    with(options -> options.maxEventsQueued(10));
    CompletableFuture<Void> busy = new CompletableFuture<>();
    CompletableFuture<Void> go = new CompletableFuture<>();
    AtomicInteger told = new AtomicInteger();
    one.call.addListener(
        new CallListener() {
          @Override
          public void onEvent(Call call, CallEvent event) {
            busy.complete(null);
            go.join();
            told.incrementAndGet();
          }
        });
    one.stream.event(CallEvent.newBuilder().setCallId("c-1").setSequence(1));
    // From then on it takes nothing: else there may be room again, and a second overflow.
    until("the listener to be busy", busy::isDone);
    for (int i = 2; i <= 50; i++) {
      one.stream.event(CallEvent.newBuilder().setCallId("c-1").setSequence(i));
    }
    until("all came", () -> ((CallImpl) one.call).lastEventSequence() == 50);
    until("the overflow told", () -> !one.errors.isEmpty());
    go.complete(null);
    assertEquals(Reason.QUEUE_FULL, CallweaveException.from(one.errors.get(0)).reason());
    // The one that kept it busy, and ten that waited.
    until("the rest told", () -> told.get() >= 11);
    assertEquals(1, one.errors.size());
    assertEquals(11, told.get());
  }

  @Test
  void mayBeBlockedInAContinuation() {
    // The continuation waits for a mark: only possible when it does not run on the loop.
    CompletableFuture<MarkEnd> both =
        one.call.mark("a").thenApply(end -> one.call.mark("m").await());
    one.stream.next(ItemCase.MARK);
    reached("a", dev.callweave.v1.MarkEnd.MARK_END_PLAYED);
    one.stream.next(ItemCase.MARK);
    reached("m", dev.callweave.v1.MarkEnd.MARK_END_PLAYED);
    assertEquals(MarkEnd.PLAYED, both.join());
  }

  @Test
  void sendsAgainWhatTheGatewayHadNoRoomFor() {
    one.call.play(pcm(100));
    one.stream.next(ItemCase.AUDIO);
    one.stream.refuse(1, "audio", ErrorReason.ERROR_REASON_PLAYBACK_FULL, Map.of());
    one.stream.next(ItemCase.AUDIO);
    assertEquals(List.of(), one.errors);
  }
}
