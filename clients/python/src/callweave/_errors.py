"""The errors of this library, one class for each thing that a program may want to catch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import grpc

from .v1 import error_pb2

_DOMAIN = "callweave"
_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallweaveError(Exception):
    """The base of all that this library raises. Reasons without a class of their own are raised as this."""

    reason: str
    """Why; stable, programs look at this. A name of `ErrorReason` in the contract without its prefix, or one of this library:
    `CALL_OVER`, `CLOSED`, `QUEUE_FULL`, `TRANSPORT`. A reason newer than this library is `TRANSPORT`, its name in
    `metadata["reason"]`."""
    code: grpc.StatusCode
    """The gRPC status that goes with it."""
    message: str
    """For people: names the field or state and the rule."""
    metadata: Mapping[str, str]
    """All variable parts of the message; the contract lists the keys at each reason."""

    def __init__(
        self, reason: str, code: grpc.StatusCode, message: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.message = message
        self.metadata = dict(metadata or {})

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    @property
    def call_id(self) -> str | None:
        """The call that it is about, when it is about one."""
        return self.metadata.get("call_id")

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed a little later without any change."""
        return self.code is grpc.StatusCode.UNAVAILABLE


class TransportError(CallweaveError):
    """`TRANSPORT`: no reason came from a gateway: not reachable, deadline passed, stream broken, no gateway at all. See `code`."""


class CallOverError(CallweaveError):
    """`CALL_OVER`: the call ended or its seat went to somebody else. `metadata`: `call_id`, `cause`."""


class ClosedError(CallweaveError):
    """`CLOSED`: the agent or client was closed."""


class QueueFullError(CallweaveError):
    """`QUEUE_FULL`: a queue of this library is full. `metadata`: `queue`, `max`."""


class InvalidFieldError(CallweaveError):
    """`INVALID_FIELD`: an option or field breaks its rule. `metadata`: `field`, `rule`, `value`."""


class UnauthenticatedError(CallweaveError):
    """`UNAUTHENTICATED`: no or a wrong credential."""


class NotFoundError(CallweaveError):
    """No such call, context, pool, agent or command: all reasons that end with `_NOT_FOUND`."""


class CallStateError(CallweaveError):
    """`CALL_STATE`: the verb is not allowed in the state of the call. `metadata`: `state`, `verb`, `allowed`."""


class PendingCommandError(CallweaveError):
    """`PENDING_COMMAND`: an ending command already waits or runs. `metadata`: `pending_request_id`, `pending_verb`."""


class UnansweredError(CallweaveError):
    """`CALLEE_UNANSWERED`, `TRANSFER_UNANSWERED`: nobody took the call; the agent still has it."""


class AfterDeadlineError(CallweaveError):
    """`AFTER_DEADLINE`: the condition of `after` was not met in time; nothing was done."""


class CommandCancelledError(CallweaveError):
    """`COMMAND_CANCELLED`: cancelled before it had an effect. `metadata`: `cause`."""


class OutcomeUnknownError(CallweaveError):
    """`OUTCOME_UNKNOWN`: nobody knows whether the command took effect; it is never repeated."""


class RevisionConflictError(CallweaveError):
    """`REVISION_CONFLICT`: the context changed since it was read. `metadata`: `revision`, `current_revision`."""


class CursorExpiredError(CallweaveError):
    """`CURSOR_EXPIRED`: list again and go on from there. `metadata`: `oldest`."""


class _Classes:
    by_reason: ClassVar[dict[str, type[CallweaveError]]] = {
        "TRANSPORT": TransportError,
        "CALL_OVER": CallOverError,
        "CLOSED": ClosedError,
        "QUEUE_FULL": QueueFullError,
        "INVALID_FIELD": InvalidFieldError,
        "UNAUTHENTICATED": UnauthenticatedError,
        "CALL_STATE": CallStateError,
        "PENDING_COMMAND": PendingCommandError,
        "CALLEE_UNANSWERED": UnansweredError,
        "TRANSFER_UNANSWERED": UnansweredError,
        "AFTER_DEADLINE": AfterDeadlineError,
        "COMMAND_CANCELLED": CommandCancelledError,
        "OUTCOME_UNKNOWN": OutcomeUnknownError,
        "REVISION_CONFLICT": RevisionConflictError,
        "CURSOR_EXPIRED": CursorExpiredError,
    }


_KNOWN = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118


def make_error(
    reason: str, code: grpc.StatusCode, message: str, metadata: Mapping[str, str] | None = None
) -> CallweaveError:
    """The error of a reason, in its class."""
    found = _Classes.by_reason.get(reason)
    if found is None:
        found = NotFoundError if reason.endswith("_NOT_FOUND") else CallweaveError
    return found(reason, code, message, metadata)


def from_exception(error: BaseException) -> CallweaveError:
    """Anything raised as an error of this library, the original as `__cause__`."""
    if isinstance(error, CallweaveError):
        return error
    made = _from_rpc(error) if isinstance(error, grpc.aio.AioRpcError) else None
    if made is None:
        made = TransportError("TRANSPORT", grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)
    made.__cause__ = error
    return made


def from_wire(error: error_pb2.Error) -> CallweaveError:
    """An Error item of a stream or event."""
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    try:
        name = error_pb2.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
    except ValueError:
        name = ""
    if name in _KNOWN:
        return make_error(name, code, error.message, error.metadata)
    return TransportError("TRANSPORT", code, error.message, {**error.metadata, "reason": str(error.reason)})


def from_status(
    code: grpc.StatusCode, details: str | None, trailers: Mapping[str, str | bytes]
) -> CallweaveError:
    """A status of gRPC with its trailers."""
    text = details or code.name
    raw = trailers.get(_DETAILS_KEY)
    info = _error_info(raw) if isinstance(raw, bytes) else None
    if info is not None:
        reason, metadata = info
        if reason in _KNOWN:
            return make_error(reason, code, text, metadata)
        return TransportError("TRANSPORT", code, text, {**metadata, "reason": reason})
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return UnauthenticatedError("UNAUTHENTICATED", code, text)
    return TransportError("TRANSPORT", code, text)


def _from_rpc(error: grpc.aio.AioRpcError) -> CallweaveError:
    return from_status(error.code(), error.details(), {k: v for k, v in error.trailing_metadata() or ()})


def call_over(call_id: str, cause: str) -> CallOverError:
    """The call is over, for whatever waits for it."""
    text = f"the call is over for this agent: {cause}"
    return CallOverError("CALL_OVER", grpc.StatusCode.ABORTED, text, {"call_id": call_id, "cause": cause})


def queue_full(queue: str, limit: str, call_id: str | None = None) -> QueueFullError:
    """A queue of this library is full."""
    metadata = {"queue": queue, "max": limit} | ({"call_id": call_id} if call_id is not None else {})
    text = f"{queue} is full: at most {limit}"
    return QueueFullError("QUEUE_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED, text, metadata)


def invalid_field(field: str, rule: str, value: object) -> InvalidFieldError:
    """A field of an option breaks its rule; the same reason as the gateway would give."""
    metadata = {"field": field, "rule": rule, "value": str(value)[:100]}
    return InvalidFieldError(
        "INVALID_FIELD", grpc.StatusCode.INVALID_ARGUMENT, f"{field} must be {rule}", metadata
    )


def closed_error(what: str) -> ClosedError:
    """The agent or client was closed."""
    return ClosedError("CLOSED", grpc.StatusCode.CANCELLED, f"the {what} was closed")


# google.rpc.Status is read by hand: a second copy of its generated code would clash with that of other packages.


def _error_info(raw: bytes) -> tuple[str, dict[str, str]] | None:
    """Reason and metadata of the ErrorInfo of this domain in a google.rpc.Status."""
    try:
        for number, value in _fields(raw):
            if number != 3 or not isinstance(value, bytes):
                continue
            any_message = dict(_fields(value))
            if not str(_text(any_message.get(1))).endswith("/google.rpc.ErrorInfo"):
                continue
            reason, domain, metadata = "", "", {}
            for field, content in _fields(_bytes(any_message.get(2))):
                if field == 1:
                    reason = _text(content)
                elif field == 2:
                    domain = _text(content)
                elif field == 3:
                    entry = dict(_fields(_bytes(content)))
                    metadata[_text(entry.get(1))] = _text(entry.get(2))
            if domain == _DOMAIN:
                return reason, metadata
    except (IndexError, ValueError):
        pass  # Not a google.rpc.Status: the status code alone has to do.
    return None


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            fields.append((tag >> 3, value))
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, 0), at)
        if (kind not in (1, 2, 5)) or at + size > len(data):
            raise ValueError("not a message")
        fields.append((tag >> 3, data[at : at + size]))
        at += size
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("not a varint")


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: int | bytes | None) -> str:
    return _bytes(value).decode()
