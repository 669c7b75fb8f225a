package dev.callweave;

import io.grpc.Status;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** The one exception that this library throws. Programs look at {@link #reason()}. */
public final class CallweaveException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why. */
  private final Reason reason;

  /** The status that goes with it. */
  private final Status.Code code;

  /** The variable parts of the message. */
  private final transient Map<String, String> metadata;

  CallweaveException(
      Reason reason,
      Status.Code code,
      String message,
      Map<String, String> metadata,
      Throwable cause) {
    super(message, cause);
    this.reason = reason;
    this.code = code;
    this.metadata = Map.copyOf(metadata);
  }

  CallweaveException(Reason reason, Status.Code code, String message) {
    this(reason, code, message, Map.of(), null);
  }

  /**
   * Why; stable.
   *
   * @return the reason
   */
  public Reason reason() {
    return reason;
  }

  /**
   * The gRPC status that goes with the reason.
   *
   * @return never {@code OK}
   */
  public Status.Code code() {
    return code;
  }

  /**
   * All variable parts of the message; the contract lists the keys at each reason.
   *
   * @return unmodifiable
   */
  public Map<String, String> metadata() {
    return metadata == null ? Map.of() : metadata;
  }

  /**
   * The call that it is about.
   *
   * @return empty when it is about none
   */
  public Optional<String> callId() {
    return Optional.ofNullable(metadata().get("call_id"));
  }

  /**
   * Whether the same request may succeed a little later without any change.
   *
   * @return true with {@code UNAVAILABLE}
   */
  public boolean retryable() {
    return code == Status.Code.UNAVAILABLE;
  }

  /**
   * Anything thrown as this exception, out of the wrappers of {@code CompletableFuture}.
   *
   * @param thrown anything
   * @return itself, or a new one with it as the cause
   */
  public static CallweaveException from(Throwable thrown) {
    Throwable at = thrown;
    while ((at instanceof CompletionException || at instanceof ExecutionException)
        && at.getCause() != null) {
      at = at.getCause();
    }
    return at instanceof CallweaveException known ? known : Errors.from(at);
  }
}
