package dev.callweave;

/**
 * Why something was refused; stable, programs look at this. The names of {@code ErrorReason} in the
 * contract, and four of this library.
 */
public enum Reason {
  /** A field breaks its rule. */
  INVALID_FIELD,
  /** No such call, or one of another tenant. */
  CALL_NOT_FOUND,
  /** The verb is not allowed in the state of the call. */
  CALL_STATE,
  /** The same request_id came before with another body. */
  REQUEST_ID_REUSED,
  /** An ending command is already waiting or under way. */
  PENDING_COMMAND,
  /** The callee did not pick up while it rang; the call is as it was before. */
  CALLEE_UNANSWERED,
  /**
   * The provider did not answer in time; whether the command took effect is unknown and it is never
   * repeated by the gateway.
   */
  OUTCOME_UNKNOWN,
  /** The provider refused the command. */
  PROVIDER_REFUSED,
  /** The telephony connection of the call is away. */
  PROVIDER_UNAVAILABLE,
  /** The condition of `after` was not met before its deadline; nothing was done. */
  AFTER_DEADLINE,
  /**
   * The command was cancelled before it had an effect: by CancelCommand, by an interrupt with
   * on_interrupt CANCEL, because the call ended or because its seat holder was lost.
   */
  COMMAND_CANCELLED,
  /** CancelCommand named no waiting command. */
  COMMAND_NOT_FOUND,
  /** The handle is not, or no longer, a seat of this stream. */
  STALE_HANDLE,
  /**
   * Reattached too late or with an old epoch, or TransferCall expected another one: somebody else
   * has the seat.
   */
  SEAT_TAKEN,
  /** Nobody holds the seat that the verb needs. */
  SEAT_NOT_HELD,
  /** The offer is unknown, expired, revoked or answered. */
  OFFER_GONE,
  /** Nobody took the seat in a transfer; the holder keeps it. */
  TRANSFER_UNANSWERED,
  /** The playback ring has no room for the whole item; none of it was taken. */
  PLAYBACK_FULL,
  /** The first item of a stream is neither Register nor Join nor Reattach, or none came in time. */
  NOT_REGISTERED,
  /** The session token is unknown or its session has ended. */
  SESSION_NOT_FOUND,
  /** The same instance_id registered again; the older session ends. */
  SUPERSEDED,
  /** No heartbeat came in time. */
  HEARTBEAT_LOST,
  /** The control queue of the stream is full: the reader is too slow. */
  STREAM_QUEUE_FULL,
  /** The pool is not configured, or not for this tenant. */
  POOL_NOT_FOUND,
  /** No agent session or instance of that id takes calls. */
  AGENT_NOT_FOUND,
  /** The cursor is older than the oldest event kept, or of another store. */
  CURSOR_EXPIRED,
  /** No context of that call or session. */
  CONTEXT_NOT_FOUND,
  /** The context changed since the revision given. */
  REVISION_CONFLICT,
  /**
   * The context could not be written: `why` is spool_full (the store is away and too much waits for
   * it), refused (the store does not take it, and would not later) or failed.
   */
  CONTEXT_NOT_SAVED,
  /** No or a wrong credential. */
  UNAUTHENTICATED,
  /** A bound of the gateway is reached. */
  LIMIT_REACHED,
  /** The gateway is going away and takes nothing new. */
  GOING_AWAY,
  /** An error of the gateway itself, logged there with the same id. */
  INTERNAL,
  /**
   * The gateway that has the call does not answer, or died and none has taken the call over yet.
   */
  CALL_OWNER_AWAY,
  /** The context store is away, and this gateway does not know whether there is such a context. */
  CONTEXT_STORE_AWAY,
  /** The credential is good, but its role or scopes do not allow this here. */
  PERMISSION_DENIED,
  /** This library: the call ended or its seat went to somebody else. Keys: call_id, cause. */
  CALL_OVER,
  /** This library: the agent or client was closed. */
  CLOSED,
  /** This library: one of its queues is full. Keys: queue, max. */
  QUEUE_FULL,
  /**
   * This library: no reason came from a gateway: it cannot be reached, a deadline passed, a stream
   * broke. See {@link CallweaveException#code()}. A reason newer than this library is this one too,
   * with its name in the key {@code reason}.
   */
  TRANSPORT
}
