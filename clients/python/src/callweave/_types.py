"""What programs see of calls. Durations are in seconds, times are in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

CallState = Literal["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"]
"""Where a call stands. Only forward; connect is allowed from PENDING."""
AgentMode = Literal["BARGE", "WHISPER", "SPY"]
"""Who hears the agent leg while CONNECTED: both parties, only the callee, nobody."""
EndReason = Literal["TERMINATED", "DISCONNECTED", "LEFT_TO_PARTIES", "MEDIA_LOST", "SESSION_CLOSED"]
"""Why a call is over."""
SeatState = Literal["VACANT", "OFFERED", "HELD", "SUSPENDED"]
"""Where the seat of a call stands."""
SeatCause = Literal[
    "ACCEPTED",
    "REATTACHED",
    "LOST",
    "GRACE_EXPIRED",
    "RELEASED",
    "TRANSFERRED",
    "ESCALATED",
    "CALL_ENDED",
    "TAKEN_OVER",
]
"""Why a seat changed."""
EscalationReason = Literal[
    "ASKED_FOR_HUMAN", "FRUSTRATED", "OUT_OF_SCOPE", "NOT_UNDERSTOOD", "EMERGENCY", "PROVIDER_FAILED"
]
"""Why an agent hands the call to a human."""
EscalationOutcome = Literal[
    "CONNECTED",
    "UNANSWERED",
    "PICKED_UP_NOT_CONFIRMED",
    "CALLER_LEFT",
    "CONTEXT_NOT_SAVED",
    "CANCELLED",
    "REJECTED",
    "UNKNOWN",
    "LEAVE_FAILED",
]
"""How an escalation ended; `UNANSWERED`, `CANCELLED` and the like: the agent still has the call."""
ContextDurability = Literal["STORE", "REPLICATED_LOG", "LOCAL_DISK"]
"""Where a written context is safe."""
AudioEncoding = Literal["S16LE", "MULAW", "ALAW"]
"""How samples are written; mono. `MULAW` and `ALAW` at 8,000 Hz alone."""
GapReason = Literal["SLOW_RECEIVER", "DETACHED", "PROVIDER", "LOCAL_QUEUE_FULL", "UNSPECIFIED"]
"""Why audio is missing: the receiver was too slow, its stream was away, the provider sent nothing; `LOCAL_QUEUE_FULL`: nobody
read `Call.audio` fast enough in this process."""


@dataclass(frozen=True, slots=True)
class EscalationResult:
    """How an escalation ended."""

    outcome: EscalationOutcome
    """How it ended."""
    durability: ContextDurability | None = None
    """Where the context is safe; None when it was not written, or when nothing was said about it."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A format of mono audio."""

    sample_rate: int = 0
    """8,000, 16,000 or 24,000 Hz. 0: the rate of the call."""
    encoding: AudioEncoding = "S16LE"
    """How samples are written."""


@dataclass(frozen=True, slots=True)
class PlaybackPosition:
    """How much of the agent's audio was played, by the gateway's clock. Estimates. Seconds."""

    queued: float = 0.0
    """Waits in the gateway."""
    unheard_at_provider: float = 0.0
    """At the provider and, by the clock, not yet heard."""
    played: float = 0.0
    """Heard since the media began."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The one agent leg of a call and who has it."""

    state: SeatState
    """Where it stands."""
    agent_id: str = ""
    """Empty when nobody holds it."""
    instance_id: str = ""
    """The process that holds it; empty when nobody does."""
    epoch: int = 0
    """Grows with each new holder, from 1; 0 before the first."""
    attempt: int = 0
    """How many times the call was offered so far."""
    suspend_expire_time: datetime | None = None
    """While SUSPENDED: when the reservation ends."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The ending command under way."""

    request_id: str
    """The id it was given with."""
    verb: str
    """As the RPC is named: "EscalateCall"."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call as a gateway shows it."""

    call_id: str
    """Unique within the tenant; the provider's id of the call."""
    session_id: str
    """The provider's id of the session that the call belongs to."""
    connector: str
    """The connector's name in the configuration of the gateway."""
    caller: str
    """E.164, empty when withheld."""
    callee: str
    """E.164."""
    raw_caller: str
    """As the provider wrote it."""
    raw_callee: str
    """The number that was called, as the provider wrote it."""
    pool: str
    """The pool that the route chose."""
    locale: str
    """A BCP 47 tag."""
    state: CallState
    """Where it stands."""
    agent_mode: AgentMode | None
    """Set while CONNECTED."""
    end_reason: EndReason | None
    """Set in DISCONNECTED."""
    seat: Seat
    """Its seat."""
    sample_rate: int
    """8,000, 16,000 or 24,000 Hz; positions count in it."""
    pending: Pending | None
    """The ending command under way, if any."""
    playback: PlaybackPosition
    """The agent's audio so far."""
    create_time: datetime | None
    """When the gateway was given the call."""
    answer_time: datetime | None
    """When it was answered by us."""
    connect_time: datetime | None
    """When the callee picked up."""
    end_time: datetime | None
    """When it was over for us."""
    gateway_id: str
    """The gateway that has the sockets of the call."""
    last_event_sequence: int
    """Of the newest event of the call."""


@dataclass(frozen=True, slots=True)
class AudioData:
    """Audio that came."""

    pcm: bytes
    """Whole samples in the agreed format."""
    position: int
    """Of the first sample, in samples at the rate of the call, since the media began."""
    at: float
    """The same in seconds."""


@dataclass(frozen=True, slots=True)
class AudioGap:
    """Audio that will not come."""

    duration: float
    """How much is missing. Seconds."""
    reason: GapReason
    """Why."""
    position: int
    """Of the first missing sample."""
    at: float
    """The same in seconds."""

    @property
    def pcm(self) -> None:
        """None, so that `if chunk.pcm:` tells audio from gaps."""
        return None


AudioChunk = AudioData | AudioGap
"""One step of `Call.audio`."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What an interrupt dropped. Estimates by the clock. Seconds."""

    dropped: float
    """Was still in this library or in the gateway."""
    estimated_unheard: float
    """Was at the provider and not yet heard."""
    played: float
    """Heard since the media of the call began; 0 when the gateway could not be asked."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """Why this agent does not have the call any more."""

    cause: SeatCause | Literal["CLOSED"]
    """`CALL_ENDED`: the call is over. `CLOSED`: the agent was closed. `LOST`: the connection did not come back in time."""
    end_reason: EndReason | None = None
    """With `CALL_ENDED`: why."""


@dataclass(frozen=True, slots=True)
class PlaybackStatus:
    """Where the agent's audio is. Estimates. Seconds."""

    queued: float
    """Waits in this library."""
    ahead: float
    """Sent to the gateway and not yet heard."""
    played: float
    """Heard since the media began, as the gateway last told."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text from a supervisor, heard by nobody."""

    text: str
    """The text."""
    author: str
    """Who: "client:<name>"."""
