"""A stream of a session, and which errors of it are final."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc

from ._call import Call
from ._errors import CallweaveError
from ._serve_stream import ServeStream

# With these a new attempt is no use.
_FATAL = {"SUPERSEDED", "INVALID_FIELD", "POOL_NOT_FOUND", "UNAUTHENTICATED"}
# These are final only before the first registration: a configuration may be reloaded, a token renewed.
_FATAL_AT_FIRST = {"POOL_NOT_FOUND", "UNAUTHENTICATED"}
# What is no gateway, or never lets this client in. Final only before the first registration too.
_FATAL_CODES = {
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}


@dataclass(eq=False, slots=True)
class Line:
    """A stream and the calls on it, by handle."""

    stream: ServeStream
    reattaches: bool
    handles: dict[int, Call] = field(default_factory=dict)
    up: bool = False
    up_at: float = 0.0


def is_fatal(error: CallweaveError, ever_up: bool) -> bool:
    """Whether a new attempt is no use."""
    if ever_up:
        return error.reason in _FATAL and error.reason not in _FATAL_AT_FIRST
    return error.reason in _FATAL or error.code in _FATAL_CODES
