package dev.callweave;

import static dev.callweave.FakeGateway.until;
import static dev.callweave.OneCall.pcm;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.callweave.v1.AgentItem.ItemCase;
import dev.callweave.v1.AssignedResume;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.Command;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.ErrorReason;
import dev.callweave.v1.Reattach;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ReattachTest {
  private OneCall one = new OneCall(new FakeGateway(), options -> {});

  @AfterEach
  void close() {
    one.close();
  }

  private FakeStream broken() {
    int before = one.gateway.streams.size();
    one.stream.fail(Status.Code.UNAVAILABLE, "");
    return one.gateway.stream(before);
  }

  private void back(FakeStream stream, long playedMs, AssignedResume resume) {
    dev.callweave.v1.Call.Builder call =
        FakeGateway.call("c-1").setPlayback(FakeStream.position(0, 0, playedMs));
    stream.send(FakeGateway.assigned(call, 7, resume, ""));
  }

  @Test
  void comesBackWithEpochAndEventsAndSendsAgainWhatWasLost() {
    List<Boolean> attached = new CopyOnWriteArrayList<>();
    one.call.addListener(
        new CallListener() {
          @Override
          public void onAttached(Call call, boolean is) {
            attached.add(is);
          }
        });
    byte[] audio = pcm(500);
    one.call.play(audio).await();
    CallFuture<MarkEnd> mark = one.call.mark("said");
    one.stream.next(ItemCase.MARK);
    CallFuture<Void> unanswered =
        one.call.setMode(AgentMode.SPY, CommandOptions.create().requestId("r-1"));
    one.stream.next(ItemCase.COMMAND);
    one.stream.event(CallEvent.newBuilder().setCallId("c-1").setSequence(5));
    until("the event seen", () -> ((CallImpl) one.call).lastEventSequence() == 5);

    FakeStream stream = broken();
    Reattach reattach = stream.next(ItemCase.REATTACH).getReattach();
    assertEquals("token-1", reattach.getSessionToken());
    assertEquals("c-1", reattach.getCalls(0).getCallId());
    assertEquals(1, reattach.getCalls(0).getEpoch());
    assertEquals(5, reattach.getCalls(0).getLastEventSequence());

    back(stream, 200, AssignedResume.ASSIGNED_RESUME_REATTACHED);
    assertEquals("r-1", stream.next(ItemCase.COMMAND).getCommand().getRequestId());
    stream.next(ItemCase.MARK);
    ByteString lost = ByteString.copyFrom(audio).substring(200 * 32);
    until("what was lost", () -> stream.audio(7).equals(lost));
    stream.result(CommandResult.newBuilder().setRequestId("r-1").setHandle(7));
    unanswered.await();
    assertTrue(!mark.isDone());
    until("both told", () -> attached.equals(List.of(false, true)));
    assertEquals(List.of(), one.errors);
  }

  @Test
  void endsMarksThatWereClearedJustBeforeTheStreamWasLost() {
    one.call.play(pcm(500)).await();
    CallFuture<MarkEnd> mark = one.call.mark("cut");
    one.stream.next(ItemCase.MARK);
    one.call.clear();
    one.stream.next(ItemCase.CLEAR_PLAYBACK);
    FakeStream stream = broken();
    stream.next(ItemCase.REATTACH);
    back(stream, 0, AssignedResume.ASSIGNED_RESUME_REATTACHED);
    assertEquals(MarkEnd.CLEARED, mark.await(Duration.ofSeconds(10)));
  }

  @Test
  void keepsTheCommandBehindItsAudio() {
    one.call.play(pcm(500)).await();
    one.call.close(CloseOptions.create().endCall(true).afterDrained().requestId("r-1"));
    one.stream.next(ItemCase.COMMAND);
    FakeStream stream = broken();
    stream.next(ItemCase.REATTACH);
    back(stream, 100, AssignedResume.ASSIGNED_RESUME_REATTACHED);
    Command again = stream.next(ItemCase.COMMAND).getCommand();
    assertEquals("r-1", again.getRequestId());
    // All of the audio came before it.
    List<ItemCase> kinds = stream.items.stream().map(item -> item.getItemCase()).toList();
    assertTrue(kinds.lastIndexOf(ItemCase.AUDIO) < kinds.indexOf(ItemCase.COMMAND));
    assertEquals(400 * 32, stream.audio(7).size());
  }

  @Test
  void waitsForTheGatewayThatTakesTheCallOver() {
    one.call.play(pcm(900)).await();
    one.gateway.onFirst =
        (stream, item) -> {
          if (item.hasReattach()) {
            stream.fail(Status.Code.NOT_FOUND, "SESSION_NOT_FOUND");
          }
          return item.hasReattach();
        };
    broken();
    FakeStream registered = one.gateway.stream(2);
    assertTrue(registered.items.get(0).hasRegister());
    back(registered, 0, AssignedResume.ASSIGNED_RESUME_TAKEN_OVER);
    until("the rest sent again", () -> registered.audio(7).size() > 0);
    assertEquals(1, one.agent.calls().size());
  }

  @Test
  void losesACallWhoseSeatIsTaken() {
    FakeStream stream = broken();
    stream.next(ItemCase.REATTACH);
    stream.refuse(0, "reattach", ErrorReason.ERROR_REASON_SEAT_TAKEN, Map.of("call_id", "c-1"));
    assertEquals(EndCause.LOST, one.call.ended().await(Duration.ofSeconds(10)).cause());
    assertEquals(List.of(), one.errors);
  }

  @Test
  void givesUpInTheEnd() {
    one.close();
    one =
        new OneCall(new FakeGateway(), options -> options.reattachTimeout(Duration.ofMillis(100)));
    one.gateway.stop();
    assertEquals(EndCause.LOST, one.call.ended().await(Duration.ofSeconds(10)).cause());
  }

  @Test
  void fitsItsCallsIntoOneMessage() {
    List<CallImpl> calls = new CopyOnWriteArrayList<>();
    CallImpl call = (CallImpl) one.call;
    for (int i = 0; i < 100; i++) {
      calls.add(call);
    }
    Reattaching.Fitted all = Reattaching.fit("token", calls, 262_144);
    assertEquals(100, all.reattach().getCallsCount());
    Reattaching.Fitted some = Reattaching.fit("token", calls, 400);
    assertTrue(some.reattach().getSerializedSize() <= 400);
    assertEquals(100, some.reattach().getCallsCount() + some.left().size());
    assertTrue(some.reattach().getCallsCount() > 10);
  }
}
