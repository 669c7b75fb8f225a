package dev.callweave;

import io.grpc.Status;
import java.util.EnumSet;
import java.util.Set;

/** After which errors of a stream a new attempt is no use. */
final class FinalErrors {
  /** With these a new attempt is no use. */
  private static final Set<Reason> FATAL =
      EnumSet.of(
          Reason.SUPERSEDED,
          Reason.INVALID_FIELD,
          Reason.POOL_NOT_FOUND,
          Reason.UNAUTHENTICATED,
          Reason.PERMISSION_DENIED);

  /** Final only before the first registration: a configuration is reloaded, a token renewed. */
  private static final Set<Reason> FATAL_AT_FIRST =
      EnumSet.of(Reason.POOL_NOT_FOUND, Reason.UNAUTHENTICATED, Reason.PERMISSION_DENIED);

  /** What is no gateway, or never lets this client in. Final only before the first registration. */
  private static final Set<Status.Code> FATAL_CODES =
      EnumSet.of(
          Status.Code.UNIMPLEMENTED, Status.Code.PERMISSION_DENIED, Status.Code.UNAUTHENTICATED);

  private FinalErrors() {}

  static boolean isFinal(CallweaveException error, boolean wasRegistered) {
    if (wasRegistered) {
      return FATAL.contains(error.reason()) && !FATAL_AT_FIRST.contains(error.reason());
    }
    return FATAL.contains(error.reason()) || FATAL_CODES.contains(error.code());
  }
}
