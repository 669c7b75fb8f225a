"""What happens to calls: `CallEvent` with a body of one of the classes here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ._errors import CallweaveError
from ._types import AgentMode, CallInfo, ContextDurability, EndReason, EscalationResult, Seat, SeatCause


@dataclass(frozen=True, slots=True)
class Arrived:
    """The gateway has the call."""

    call: CallInfo
    """The call as it came."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Nobody of the pool was free and the route decided."""

    action: Literal["CONNECT", "QUEUE", "ANSWER_AND_HOLD", "ANNOUNCE", "LEAVE"]
    """What was done."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Offered to an agent."""

    offer_id: str
    """The offer."""
    agent_id: str
    """To which agent."""
    instance_id: str
    """To which process of it."""
    attempt: int
    """Counts the offers of the call from 1."""


@dataclass(frozen=True, slots=True)
class OfferEnded:
    """An offer ended without a seat."""

    offer_id: str
    """The offer."""
    agent_id: str
    """To which agent it had gone."""
    instance_id: str
    """To which process of it."""
    end: Literal["DECLINED", "EXPIRED", "REVOKED"]
    """How it ended."""


@dataclass(frozen=True, slots=True)
class SeatChanged:
    """The seat changed."""

    seat: Seat
    """As it is now."""
    cause: SeatCause
    """Why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Answered by us."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """The callee rings."""

    ring_time: int
    """For how long at most. Seconds."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The callee picked up. It may be a person or a voicemail: the provider does not tell."""


@dataclass(frozen=True, slots=True)
class ModeSet:
    """Who hears the agent changed."""

    mode: AgentMode
    """From now on."""


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """A command was taken. It has had no effect yet."""

    verb: str
    """As the RPC is named."""
    request_id: str
    """Its id."""
    body_hash: str
    """SHA-256 of its body in hexadecimal."""
    actor: str
    """Who gave it: "agent:<agent_id>" or "client:<name>"."""


@dataclass(frozen=True, slots=True)
class CommandDone:
    """A command is finished."""

    verb: str
    """As the RPC is named."""
    request_id: str
    """Its id."""
    error: CallweaveError | None
    """None when it succeeded."""
    escalation: EscalationResult | None
    """Of an escalation: how it ended."""


@dataclass(frozen=True, slots=True)
class EscalationProgress:
    """An escalation made a step."""

    request_id: str
    """Of the escalation."""
    step: Literal["SAVING", "CONNECTING", "CONFIRMING", "LEAVING"]
    """The step."""


@dataclass(frozen=True, slots=True)
class ContextWritten:
    """The context of the call was written."""

    revision: int
    """After the write."""
    turn_count: int
    """How many turns it has."""
    durability: ContextDurability | None
    """Where it is safe."""


@dataclass(frozen=True, slots=True)
class NoteSent:
    """A note was sent to the seat holder."""

    actor: str
    """Who sent it."""
    delivered: bool
    """False when nobody held the seat."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Over for us."""

    reason: EndReason
    """Why."""


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The media connection was lost or is back, or the provider reported an error."""

    change: Literal["LOST", "RESTORED", "PROVIDER_ERROR"]
    """What happened."""
    detail: str
    """The provider's error code, or the close code of the socket."""


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """Hold audio began or ended."""

    holding: bool
    """True while the caller hears hold audio."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Another gateway has the call now, or the same one after a restart. What was queued for playback there is gone."""

    from_gateway_id: str
    """Which gateway had it."""
    from_epoch: int
    """Its owner epoch."""
    gateway_id: str
    """Which gateway has it now."""


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events that were told under this owner epoch with `durable` false will never be in the store."""

    from_epoch: int
    """The owner epoch."""


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A kind newer than this library."""


CallEventBody = (
    Arrived
    | Unserved
    | Offered
    | OfferEnded
    | SeatChanged
    | Answered
    | Ringing
    | Connected
    | ModeSet
    | CommandStarted
    | CommandDone
    | EscalationProgress
    | ContextWritten
    | NoteSent
    | Ended
    | MediaChanged
    | HoldChanged
    | TakenOver
    | EventsLost
    | UnknownEvent
)
"""What happened: for `match`."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened to a call."""

    call_id: str
    """The call."""
    type: str
    """The name in the contract: "arrived", "seat_changed", "command_done"; "unknown" for a kind newer than this library."""
    body: CallEventBody
    """What happened."""
    sequence: int
    """Counts the events of the call, from 1."""
    time: datetime
    """When it happened, by the gateway's wall clock."""
    cursor: str
    """Opaque, for `Calls.watch`; empty when not durable."""
    durable: bool
    """False when the store was away: the event may be missing from the history."""
    position: int
    """Audio position, samples at the rate of the call."""
    pool: str
    """The pool of the call."""
    owner_epoch: int
    """Counts the gateways that had the call, from 1. An event that is not durable is void when one with the same sequence and a
    higher owner epoch comes."""
