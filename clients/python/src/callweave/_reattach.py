"""Coming back to calls with one message."""

from __future__ import annotations

from collections.abc import Sequence

from .v1 import agent_service_pb2 as pb

# Tags and lengths around the calls: of the message, its item and the token.
_AROUND_BYTES = 64
# Tag and length of one call.
_PER_CALL_BYTES = 3


def fit_reattach(
    token: str, calls: Sequence[pb.ReattachCall], max_bytes: int
) -> tuple[pb.Reattach, Sequence[pb.ReattachCall]]:
    """Takes as many calls, in order, as a message of `max_bytes` holds with the token; and which had no room in it."""
    size = _AROUND_BYTES + len(token.encode())
    count = 0
    for call in calls:
        size += call.ByteSize() + _PER_CALL_BYTES
        if size > max_bytes:
            break
        count += 1
    return pb.Reattach(session_token=token, calls=calls[:count]), calls[count:]
