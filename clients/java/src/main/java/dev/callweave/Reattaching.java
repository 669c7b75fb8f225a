package dev.callweave;

import dev.callweave.v1.Reattach;
import dev.callweave.v1.ReattachCall;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** Makes a Reattach that fits a message. */
final class Reattaching {
  /** It, and which calls had no room in it. */
  record Fitted(Reattach reattach, List<CallImpl> left) {}

  /** Tags and lengths around the calls: of the message, its item and the token. */
  private static final int AROUND_BYTES = 64;

  /** Tag and length of one call. */
  private static final int PER_CALL_BYTES = 3;

  private Reattaching() {}

  static Fitted fit(String token, Collection<CallImpl> calls, int maxBytes) {
    Reattach.Builder reattach = Reattach.newBuilder().setSessionToken(token);
    List<CallImpl> left = new ArrayList<>();
    int bytes = AROUND_BYTES + reattach.build().getSerializedSize();
    for (CallImpl call : calls) {
      ReattachCall wire =
          ReattachCall.newBuilder()
              .setCallId(call.id())
              .setEpoch(call.epoch())
              .setLastEventSequence(call.lastEventSequence())
              .build();
      int size = wire.getSerializedSize() + PER_CALL_BYTES;
      if (left.isEmpty() && bytes + size <= maxBytes) {
        bytes += size;
        reattach.addCalls(wire);
      } else {
        left.add(call);
      }
    }
    return new Fitted(reattach.build(), left);
  }

  /** A call without room, which is only so with ids far beyond the usual length. */
  static CallweaveException noRoom(String callId, int maxBytes) {
    return new CallweaveException(
        Reason.TRANSPORT,
        Status.Code.RESOURCE_EXHAUSTED,
        "the calls to come back to do not fit a message of " + maxBytes + " bytes",
        Map.of("call_id", callId),
        null);
  }
}
