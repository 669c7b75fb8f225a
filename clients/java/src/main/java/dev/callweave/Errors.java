package dev.callweave;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import dev.callweave.v1.Error;
import dev.callweave.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.HashMap;
import java.util.Map;

/** Makes the exceptions of this library. */
final class Errors {
  private static final String DOMAIN = "callweave";
  private static final String PREFIX = "ERROR_REASON_";

  private Errors() {}

  /** Something thrown by gRPC or by a function of the user. */
  static CallweaveException from(Throwable thrown) {
    if (thrown instanceof StatusRuntimeException e) {
      return fromStatus(e, e.getStatus());
    }
    if (thrown instanceof StatusException e) {
      return fromStatus(e, e.getStatus());
    }
    String message = thrown.getMessage() == null ? thrown.toString() : thrown.getMessage();
    return new CallweaveException(Reason.TRANSPORT, Status.Code.UNKNOWN, message, Map.of(), thrown);
  }

  /** An Error item of a stream or event. */
  static CallweaveException fromWire(Error error) {
    String name = error.getReason().name();
    Status.Code code = Status.fromCodeValue(error.getCode()).getCode();
    if (code == Status.Code.OK) {
      code = Status.Code.UNKNOWN;
    }
    Reason reason = reasonOf(name.replace(PREFIX, ""));
    if (reason != null) {
      return new CallweaveException(reason, code, error.getMessage(), error.getMetadataMap(), null);
    }
    Map<String, String> metadata = new HashMap<>(error.getMetadataMap());
    metadata.put("reason", String.valueOf(error.getReasonValue()));
    return new CallweaveException(Reason.TRANSPORT, code, error.getMessage(), metadata, null);
  }

  /** The call is over, for whatever waits for it. */
  static CallweaveException callOver(String callId, EndCause cause) {
    return new CallweaveException(
        Reason.CALL_OVER,
        Status.Code.ABORTED,
        "the call is over for this agent: " + cause,
        Map.of("call_id", callId, "cause", cause.name()),
        null);
  }

  /** A queue of this library is full. */
  static CallweaveException queueFull(String queue, String max, String callId) {
    Map<String, String> metadata = new HashMap<>(Map.of("queue", queue, "max", max));
    if (callId != null) {
      metadata.put("call_id", callId);
    }
    return new CallweaveException(
        Reason.QUEUE_FULL,
        Status.Code.RESOURCE_EXHAUSTED,
        queue + " is full: at most " + max,
        metadata,
        null);
  }

  /** A field of an option breaks its rule; the same reason as the gateway would give. */
  static CallweaveException invalidField(String field, String rule, Object value) {
    String text = String.valueOf(value);
    return new CallweaveException(
        Reason.INVALID_FIELD,
        Status.Code.INVALID_ARGUMENT,
        field + " must be " + rule,
        Map.of(
            "field", field, "rule", rule, "value", text.substring(0, Math.min(100, text.length()))),
        null);
  }

  /** The agent or client was closed. */
  static CallweaveException closed(String what) {
    return new CallweaveException(
        Reason.CLOSED, Status.Code.CANCELLED, "the " + what + " was closed");
  }

  /** Nothing came from a gateway. */
  static CallweaveException transport(Status.Code code, String message) {
    return new CallweaveException(Reason.TRANSPORT, code, message);
  }

  private static CallweaveException fromStatus(Throwable thrown, Status status) {
    Status.Code code = status.getCode() == Status.Code.OK ? Status.Code.UNKNOWN : status.getCode();
    String text = status.getDescription() == null ? code.name() : status.getDescription();
    ErrorInfo info = infoOf(thrown);
    if (info != null) {
      Reason reason = reasonOf(info.getReason());
      if (reason != null) {
        return new CallweaveException(reason, code, text, info.getMetadataMap(), thrown);
      }
      Map<String, String> metadata = new HashMap<>(info.getMetadataMap());
      metadata.put("reason", info.getReason());
      return new CallweaveException(Reason.TRANSPORT, code, text, metadata, thrown);
    }
    Reason reason = code == Status.Code.UNAUTHENTICATED ? Reason.UNAUTHENTICATED : Reason.TRANSPORT;
    if (status.getCause() != null && status.getCause().getMessage() != null) {
      text += ": " + status.getCause().getMessage();
    }
    return new CallweaveException(reason, code, text, Map.of(), thrown);
  }

  private static ErrorInfo infoOf(Throwable thrown) {
    try {
      com.google.rpc.Status details = StatusProto.fromThrowable(thrown);
      if (details == null) {
        return null;
      }
      for (Any any : details.getDetailsList()) {
        if (any.is(ErrorInfo.class)) {
          ErrorInfo info = any.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            return info;
          }
        }
      }
    } catch (InvalidProtocolBufferException | IllegalArgumentException e) {
      // Not a google.rpc.Status: the status code alone has to do.
      return null;
    }
    return null;
  }

  private static Reason reasonOf(String name) {
    if (ErrorReason.UNRECOGNIZED.name().equals(name)) {
      return null;
    }
    try {
      return switch (name) {
        case "CALL_OVER", "CLOSED", "QUEUE_FULL", "TRANSPORT" -> null;
        default -> Reason.valueOf(name);
      };
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
