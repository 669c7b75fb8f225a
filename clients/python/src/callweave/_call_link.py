"""What a call is bound by and to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._contexts import Contexts
from .v1 import agent_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bounds of a call, in seconds."""

    max_audio_queued: float
    max_playback_queued: float
    send_ahead: float
    max_item: float
    max_marks: int
    max_events_queued: int
    max_unconfirmed: float = 0.0


@dataclass(frozen=True, slots=True)
class CallLink:
    """What a call needs of its session."""

    send: Callable[[Any, pb.AgentItem], None]
    kick: Callable[[Any], None]
    on_error: Callable[[BaseException, str | None], None]
    contexts: Contexts
