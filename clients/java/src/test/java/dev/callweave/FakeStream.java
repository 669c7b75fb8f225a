package dev.callweave;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.ErrorInfo;
import dev.callweave.v1.AgentItem;
import dev.callweave.v1.AgentItem.ItemCase;
import dev.callweave.v1.AssignedResume;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.Error;
import dev.callweave.v1.ErrorReason;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.ItemRefused;
import dev.callweave.v1.Offer;
import dev.callweave.v1.PlaybackPosition;
import dev.callweave.v1.SeatCause;
import dev.callweave.v1.ServeRequest;
import dev.callweave.v1.ServeResponse;
import dev.callweave.v1.Unassigned;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;

/** One Serve stream as the gateway sees it. */
final class FakeStream {
  /** Each message, in order. */
  final List<ServeRequest> messages = new CopyOnWriteArrayList<>();

  /** All items, in order. */
  final List<AgentItem> items = new CopyOnWriteArrayList<>();

  /** The client has ended or broken the stream. */
  volatile boolean closed;

  private final StreamObserver<ServeResponse> answers;
  private final Set<Integer> taken = new HashSet<>();

  FakeStream(StreamObserver<ServeResponse> answers) {
    this.answers = answers;
  }

  void add(ServeRequest request) {
    messages.add(request);
    items.addAll(request.getItemsList());
  }

  void close() {
    closed = true;
  }

  synchronized void send(GatewayItem.Builder... some) {
    ServeResponse.Builder response = ServeResponse.newBuilder();
    for (GatewayItem.Builder item : some) {
      response.addItems(item);
    }
    answers.onNext(response.build());
  }

  /** Ends the stream with a status and reason. */
  synchronized void fail(Status.Code code, String reason) {
    answers.onError(error(code, reason, Map.of()));
  }

  static StatusRuntimeException error(
      Status.Code code, String reason, Map<String, String> metadata) {
    ErrorInfo info =
        ErrorInfo.newBuilder()
            .setReason(reason)
            .setDomain("callweave")
            .putAllMetadata(metadata)
            .build();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("refused: " + reason)
            .addDetails(Any.pack(info))
            .build());
  }

  /** The next item of this kind that was not taken yet. */
  AgentItem next(ItemCase kind) {
    int[] found = {-1};
    FakeGateway.until(
        "an item " + kind + " among " + items.stream().map(AgentItem::getItemCase).toList(),
        () -> {
          for (int i = 0; i < items.size(); i++) {
            if (items.get(i).getItemCase() == kind && !taken.contains(i)) {
              found[0] = i;
              return true;
            }
          }
          return false;
        });
    taken.add(found[0]);
    return items.get(found[0]);
  }

  long count(ItemCase kind) {
    return items.stream().filter(item -> item.getItemCase() == kind).count();
  }

  /** The audio of a call so far. */
  ByteString audio(int handle) {
    ByteString all = ByteString.EMPTY;
    for (AgentItem item : items) {
      if (item.hasAudio() && item.getAudio().getHandle() == handle) {
        all = all.concat(item.getAudio().getPcm());
      }
    }
    return all;
  }

  void offer(String offerId, dev.callweave.v1.Call.Builder call) {
    send(
        GatewayItem.newBuilder()
            .setOffer(
                Offer.newBuilder()
                    .setOfferId(offerId)
                    .setCall(call)
                    .setAttempt(1)
                    .setTimeLeft(Convert.duration(Duration.ofSeconds(2)))));
  }

  /** Offers a call, waits for the acceptance and assigns it. */
  void assign(int handle, dev.callweave.v1.Call.Builder call) {
    String offerId = "offer-" + call.getCallId() + "-" + handle;
    offer(offerId, call);
    FakeGateway.until(
        "accept of " + offerId,
        () -> items.stream().anyMatch(item -> item.getAccept().getOfferId().equals(offerId)));
    send(FakeGateway.assigned(call, handle, AssignedResume.ASSIGNED_RESUME_NEW, offerId));
  }

  void unassign(int handle, SeatCause cause, dev.callweave.v1.EndReason reason) {
    send(
        GatewayItem.newBuilder()
            .setUnassigned(
                Unassigned.newBuilder().setHandle(handle).setCause(cause).setEndReason(reason)));
  }

  void result(CommandResult.Builder result) {
    send(GatewayItem.newBuilder().setCommandResult(result));
  }

  void event(CallEvent.Builder event) {
    send(GatewayItem.newBuilder().setCallEvent(event));
  }

  void refuse(int handle, String item, ErrorReason reason, Map<String, String> metadata) {
    send(
        GatewayItem.newBuilder()
            .setItemRefused(
                ItemRefused.newBuilder()
                    .setHandle(handle)
                    .setItem(item)
                    .setError(
                        Error.newBuilder()
                            .setCode(9)
                            .setReason(reason)
                            .setMessage("refused")
                            .putAllMetadata(metadata))));
  }

  static PlaybackPosition position(long queuedMs, long unheardMs, long playedMs) {
    return PlaybackPosition.newBuilder()
        .setQueued(Convert.duration(Duration.ofMillis(queuedMs)))
        .setUnheardAtProvider(Convert.duration(Duration.ofMillis(unheardMs)))
        .setPlayed(Convert.duration(Duration.ofMillis(playedMs)))
        .build();
  }
}
