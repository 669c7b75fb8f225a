package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.callweave.v1.Error;
import dev.callweave.v1.ErrorReason;
import io.grpc.Status;
import java.util.Map;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class ErrorsTest {
  @Test
  void hasAConstantForEachReasonOfTheContract() {
    for (ErrorReason reason : ErrorReason.values()) {
      if (reason == ErrorReason.UNRECOGNIZED || reason.getNumber() == 0) {
        continue;
      }
      Error wire = Error.newBuilder().setCode(9).setReason(reason).build();
      assertEquals(reason.name(), "ERROR_REASON_" + Errors.fromWire(wire).reason().name());
    }
  }

  @Test
  void keepsTheNameOfANewerReason() {
    CallweaveException error =
        Errors.fromWire(Error.newBuilder().setCode(9).setReasonValue(4_711).build());
    assertEquals(Reason.TRANSPORT, error.reason());
    assertEquals("4711", error.metadata().get("reason"));
    CallweaveException trailers =
        CallweaveException.from(
            FakeStream.error(Status.Code.ABORTED, "SOMETHING_NEW", Map.of("a", "b")));
    assertEquals(Reason.TRANSPORT, trailers.reason());
    assertEquals(Map.of("a", "b", "reason", "SOMETHING_NEW"), trailers.metadata());
  }

  @Test
  void readsTheDetailsOfAStatus() {
    CallweaveException error =
        CallweaveException.from(
            FakeStream.error(Status.Code.NOT_FOUND, "CALL_NOT_FOUND", Map.of("call_id", "c-1")));
    assertEquals(Reason.CALL_NOT_FOUND, error.reason());
    assertEquals(Status.Code.NOT_FOUND, error.code());
    assertEquals("c-1", error.callId().orElseThrow());
  }

  @Test
  void hasAReasonWithoutDetails() {
    assertEquals(
        Reason.UNAUTHENTICATED,
        CallweaveException.from(Status.UNAUTHENTICATED.asRuntimeException()).reason());
    CallweaveException away = CallweaveException.from(Status.UNAVAILABLE.asRuntimeException());
    assertEquals(Reason.TRANSPORT, away.reason());
    assertTrue(away.retryable());
  }

  @Test
  void takesItOutOfItsWrappers() {
    CallweaveException inner = Errors.closed("agent");
    assertSame(inner, CallweaveException.from(new CompletionException(inner)));
    IllegalStateException other = new IllegalStateException("x");
    assertSame(other, CallweaveException.from(other).getCause());
  }
}
