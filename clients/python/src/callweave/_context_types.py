"""The record of a conversation, as programs see it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from typing_extensions import TypedDict

from ._types import ContextDurability, EscalationOutcome, EscalationReason

ContextStatus = Literal["ACTIVE", "ESCALATING", "HANDED_OVER", "CALLBACK_WANTED", "ABANDONED", "ENDED"]
"""Where the conversation stands."""
SummarySource = Literal["MODEL", "RULES"]
"""Who wrote a summary."""
TurnRole = Literal["CALLER", "AI", "SPECIALIST"]
"""Who spoke."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said."""

    role: TurnRole
    """Who said it."""
    text: str
    """At most 10,000 characters."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Unique within the call, at most 100 characters; appending the same id again changes nothing."""
    locale: str = ""
    """A BCP 47 tag. Empty: the locale of the context."""
    time: datetime | None = field(default_factory=lambda: datetime.now(timezone.utc))
    """When it began."""
    heard: str = ""
    """Of an AI turn that was cut off: the part heard."""
    interrupted: bool = False
    """The turn was cut off."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the caller was told and agreed to."""

    transcript: bool
    """False: no turns are stored or published."""
    disclosed_time: datetime | None = None
    """When the agent said that it is automated and writes down the talk."""


class ContextFields(TypedDict, total=False):
    """The fields of a context that a program may write. Those that are left out stay as they are."""

    locale: str
    """A BCP 47 tag."""
    status: ContextStatus | None
    """Where the conversation stands."""
    escalation_reason: EscalationReason | None
    """Why it was escalated."""
    routing_hint: str
    """At most 100 characters."""
    summary: str
    """At most three sentences, 2,000 characters."""
    summary_source: SummarySource | None
    """Who wrote the summary."""
    data: Mapping[str, Any]
    """Facts for programs, at most 64 KiB as JSON; merged key by key."""
    consent: Consent | None
    """What the caller was told and agreed to."""
    outcome: str
    """At most 500 characters."""


@dataclass(frozen=True, slots=True)
class ContextNote:
    """A human's note on a call."""

    text: str
    """At most 2,000 characters."""
    author: str
    """Who: "client:<name>"."""
    time: datetime | None
    """When."""


@dataclass(frozen=True, slots=True)
class ContextConflict:
    """What was written elsewhere while the store was away and is not in the fields of the context."""

    field: str
    """As in the contract: "summary", "data.order_id"."""
    value: str
    """What was not taken, as text (JSON for data)."""
    time: datetime | None
    """When it was found."""
    write_time: datetime | None
    """When that was written."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """The record of a conversation that a human reads before taking over."""

    call_id: str
    """The call; unique within the tenant."""
    session_id: str
    """The provider's id of the session."""
    caller: str
    """E.164, empty when withheld."""
    callee: str
    """E.164."""
    locale: str
    """A BCP 47 tag."""
    status: ContextStatus | None
    """Where the conversation stands."""
    escalation_reason: EscalationReason | None
    """Why it was escalated."""
    routing_hint: str
    """A symbolic hint for the human side."""
    summary: str
    """At most three sentences."""
    summary_source: SummarySource | None
    """Who wrote the summary."""
    turns: tuple[Turn, ...]
    """What was said, in the order of appending."""
    turn_count: int
    """How many turns there are in all."""
    truncated: bool
    """True when turns are left out here."""
    data: Mapping[str, Any]
    """Facts for programs."""
    consent: Consent | None
    """What the caller was told and agreed to."""
    notes: tuple[ContextNote, ...]
    """Notes of humans."""
    conflicts: tuple[ContextConflict, ...]
    """What was written elsewhere while the store was away; oldest first."""
    outcome: str
    """How it ended, in words of the human side."""
    escalation_outcome: EscalationOutcome | None
    """How the escalation ended."""
    revision: int
    """Grows with every write except appending turns."""
    create_time: datetime | None
    """When it was first written."""
    update_time: datetime | None
    """When it was last written."""
    expire_time: datetime | None
    """When it will be deleted."""


@dataclass(frozen=True, slots=True)
class WrittenContext:
    """A written context, without turns, and where it is safe."""

    context: CallContext
    """As it is now."""
    durability: ContextDurability | None
    """Where it is safe."""


@dataclass(frozen=True, slots=True)
class AppendedTurns:
    """What appending turns answers."""

    turn_count: int
    """How many turns there are now."""
    durability: ContextDurability | None
    """Where they are safe."""
