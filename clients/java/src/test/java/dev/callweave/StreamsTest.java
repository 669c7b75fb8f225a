package dev.callweave;

import static dev.callweave.FakeGateway.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.callweave.v1.AgentItem.ItemCase;
import dev.callweave.v1.AssignedResume;
import io.grpc.Status;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class StreamsTest {
  private final OneCall one =
      new OneCall(new FakeGateway(), options -> options.callsPerStream(1).maxStreams(2));

  @AfterEach
  void close() {
    one.close();
  }

  private FakeStream second() {
    FakeStream second = one.gateway.stream(1);
    assertEquals("token-1", second.items.get(0).getJoin().getSessionToken());
    until("both up", () -> one.agent.streamCount() == 2);
    return second;
  }

  @Test
  void joinsByNeedAndNotBeyondItsBound() {
    FakeStream second = second();
    second.assign(2, FakeGateway.call("c-2"));
    until("the call", () -> one.agent.calls().size() == 2);
    Call call = one.agent.calls().get(1);
    call.play(OneCall.pcm(20)).await();
    until("the audio on the second", () -> second.audio(2).size() == 640);
    assertEquals(0, one.stream.audio(2).size());
    assertEquals(2, one.gateway.streams.size());
  }

  @Test
  void goesOnWithTheCallOnASibling() {
    FakeStream second = second();
    one.stream.fail(Status.Code.UNAVAILABLE, "");
    second.send(
        FakeGateway.assigned(FakeGateway.call("c-1"), 5, AssignedResume.ASSIGNED_RESUME_MOVED, ""));
    one.call.play(OneCall.pcm(20)).await();
    until("the audio on the sibling", () -> second.audio(5).size() == 640);
    assertTrue(!one.call.isOver());
  }

  @Test
  void asksBackWhatDidNotMove() {
    second();
    one.stream.fail(Status.Code.UNAVAILABLE, "");
    FakeStream third = one.gateway.stream(2);
    assertEquals("c-1", third.next(ItemCase.REATTACH).getReattach().getCalls(0).getCallId());
    third.send(
        FakeGateway.assigned(
            FakeGateway.call("c-1"), 9, AssignedResume.ASSIGNED_RESUME_REATTACHED, ""));
    one.call.play(OneCall.pcm(20)).await();
    until("the audio there", () -> third.audio(9).size() == 640);
  }

  @Test
  void comesBackWithAllWhenAllAreLost() {
    FakeStream second = second();
    second.assign(2, FakeGateway.call("c-2"));
    until("the call", () -> one.agent.calls().size() == 2);
    one.gateway.stop();
    one.gateway.start();
    FakeStream third = one.gateway.stream(2);
    assertEquals(2, third.next(ItemCase.REATTACH).getReattach().getCallsCount());
  }
}
