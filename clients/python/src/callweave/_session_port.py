"""What a session registers with, asks and tells."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from ._call import Call
from ._call_link import CallLimits
from ._context_types import CallContext
from ._contexts import Contexts
from ._convert import from_audio_format
from ._errors import CallweaveError
from ._options import ConnectionConfig
from ._types import AudioFormat, CallInfo, EscalationReason
from .v1 import agent_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Offer:
    """A call that an agent may take."""

    call: CallInfo
    """The call as it is now."""
    context: CallContext | None
    """Its newest turns; None for a new call."""
    attempt: int
    """Counts the offers of the call from 1."""
    time_left: float
    """How long it may be answered. Seconds."""
    escalation_reason: EscalationReason | None
    """Set when the call comes by an escalation."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a session registers with."""

    agent_id: str
    instance_id: str
    pool: str
    capacity: int
    audio_format: AudioFormat | None
    labels: dict[str, str]
    answer_on_accept: bool
    heartbeat: bool
    no_audio: bool

    def message(self) -> pb.Register:
        """As it goes on the wire."""
        return pb.Register(
            agent_id=self.agent_id,
            instance_id=self.instance_id,
            pool=self.pool,
            capacity=self.capacity,
            audio_format=from_audio_format(self.audio_format),
            labels=self.labels,
            answer_on_accept=self.answer_on_accept,
            heartbeat=self.heartbeat,
            no_audio=self.no_audio,
        )


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """A registration and the bounds of a session, defaults filled in. Seconds."""

    connection: ConnectionConfig
    register: Registration
    call_limits: CallLimits
    connect_timeout: float
    reattach_timeout: float | None
    max_control_items: int
    calls_per_stream: int
    max_streams: int
    tick: float


class SessionPort(Protocol):
    """What a session asks and tells."""

    contexts: Contexts

    def accept(self, offer: Offer) -> bool | str | Awaitable[bool | str]: ...
    def assigned(self, call: Call) -> None: ...
    def connected(self, session: Any, gateway_id: str) -> None: ...
    def disconnected(self, session: Any, error: CallweaveError, retry_in: float) -> None: ...
    def going_away(self, session: Any, deadline: float) -> None: ...
    def changed(self) -> None: ...
    def load(self) -> float: ...
    def error(self, error: BaseException, call_id: str | None = None) -> None: ...
