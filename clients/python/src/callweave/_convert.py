"""Between the messages of the contract and what programs see."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Protocol

from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2

from . import _event_types as ev
from ._context_types import CallContext, Consent, ContextConflict, ContextFields, ContextNote, Turn
from ._errors import from_wire, invalid_field
from ._types import (
    AudioData,
    AudioFormat,
    AudioGap,
    CallInfo,
    EscalationResult,
    Pending,
    PlaybackPosition,
    Seat,
)
from .v1 import audio_pb2, call_event_pb2, call_pb2, context_pb2, escalation_pb2

_EPOCH = datetime.fromtimestamp(0, timezone.utc)


class EnumType(Protocol):
    """A generated enum."""

    def Name(self, number: Any) -> str: ...
    def Value(self, name: str) -> Any: ...


def enum_name(values: EnumType, prefix: str, value: int, default: str | None = None) -> Any:
    """The name of an enum value without its prefix; the default for "not given" and for values newer than this library."""
    try:
        name = values.Name(value).removeprefix(f"{prefix}_")
    except ValueError:
        return default
    return default if name == "UNSPECIFIED" else name


def enum_value(values: EnumType, prefix: str, name: str | None, field: str = "") -> Any:
    """The value of an enum name; 0 for None. Raises INVALID_FIELD for a name that there is not."""
    try:
        return values.Value(f"{prefix}_{name or 'UNSPECIFIED'}")
    except ValueError:
        raise invalid_field(field or prefix.lower(), "a name of the contract", name) from None


def seconds_of(duration: duration_pb2.Duration) -> float:
    """A protobuf duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def to_duration(seconds: float | None) -> duration_pb2.Duration | None:
    """Seconds as a protobuf duration; None stays unset."""
    if seconds is None:
        return None
    nanos = round(seconds * 1e9)
    whole = int(nanos / 1e9)
    return duration_pb2.Duration(seconds=whole, nanos=nanos - whole * 1_000_000_000)


def to_time(message: Any, field: str) -> datetime | None:
    """A timestamp field, None when it is not set."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    return datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9, timezone.utc)


def from_time(time: datetime | None) -> timestamp_pb2.Timestamp | None:
    """A time as a protobuf timestamp. One without a zone is local time, as everywhere in Python."""
    if time is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(time.astimezone(timezone.utc))
    return stamp


def to_playback(position: call_pb2.PlaybackPosition) -> PlaybackPosition:
    """A playback position; all 0 when unset."""
    return PlaybackPosition(
        queued=seconds_of(position.queued),
        unheard_at_provider=seconds_of(position.unheard_at_provider),
        played=seconds_of(position.played),
    )


def to_seat(seat: call_pb2.Seat) -> Seat:
    """A seat; a state newer than this library as VACANT."""
    return Seat(
        state=enum_name(call_pb2.SeatState, "SEAT_STATE", seat.state, "VACANT"),
        agent_id=seat.agent_id,
        instance_id=seat.instance_id,
        epoch=seat.epoch,
        attempt=seat.attempt,
        suspend_expire_time=to_time(seat, "suspend_expire_time"),
    )


def to_call_info(call: call_pb2.Call) -> CallInfo:
    """A call; a state newer than this library as PENDING."""
    pending = Pending(call.pending.request_id, call.pending.verb) if call.HasField("pending") else None
    return CallInfo(
        call_id=call.call_id,
        session_id=call.session_id,
        connector=call.connector,
        caller=call.caller,
        callee=call.callee,
        raw_caller=call.raw_caller,
        raw_callee=call.raw_callee,
        pool=call.pool,
        locale=call.locale,
        state=enum_name(call_pb2.CallState, "CALL_STATE", call.state, "PENDING"),
        agent_mode=enum_name(call_pb2.AgentMode, "AGENT_MODE", call.agent_mode),
        end_reason=to_end_reason(call.end_reason),
        seat=to_seat(call.seat),
        sample_rate=call.sample_rate_hertz,
        pending=pending,
        playback=to_playback(call.playback),
        create_time=to_time(call, "create_time"),
        answer_time=to_time(call, "answer_time"),
        connect_time=to_time(call, "connect_time"),
        end_time=to_time(call, "end_time"),
        gateway_id=call.gateway_id,
        last_event_sequence=call.last_event_sequence,
    )


def to_end_reason(reason: int) -> Any:
    """Why a call is over; None when not given or newer than this library."""
    return enum_name(call_pb2.EndReason, "END_REASON", reason)


def to_seat_cause(cause: int) -> Any:
    """Why a seat changed; LOST when not given or newer than this library."""
    return enum_name(call_event_pb2.SeatCause, "SEAT_CAUSE", cause, "LOST")


def to_durability(value: int) -> Any:
    """Where a context is safe; None when not written."""
    return enum_name(escalation_pb2.ContextDurability, "CONTEXT_DURABILITY", value)


def to_escalation_reason(value: int) -> Any:
    """Why a call was escalated; None when not given."""
    return enum_name(escalation_pb2.EscalationReason, "ESCALATION_REASON", value)


def to_escalation(result: escalation_pb2.EscalationResult) -> EscalationResult | None:
    """How an escalation ended; None when not given or when its outcome is newer than this library."""
    outcome = enum_name(escalation_pb2.EscalationOutcome, "ESCALATION_OUTCOME", result.outcome)
    return None if outcome is None else EscalationResult(outcome, to_durability(result.durability))


def to_audio_format(audio_format: audio_pb2.AudioFormat, call_rate: int) -> AudioFormat:
    """A format with its defaults: S16LE at the rate of the call, else 16,000 Hz; the others at 8,000 Hz."""
    encoding = enum_name(audio_pb2.AudioEncoding, "AUDIO_ENCODING", audio_format.encoding, "S16LE")
    fallback = call_rate if encoding == "S16LE" else 8_000
    return AudioFormat(audio_format.sample_rate_hertz or fallback or 16_000, encoding)


def from_audio_format(audio_format: AudioFormat | None) -> audio_pb2.AudioFormat | None:
    """A format for the wire; what is not set stays unset, the gateway has the defaults."""
    if audio_format is None:
        return None
    encoding = enum_value(audio_pb2.AudioEncoding, "AUDIO_ENCODING", audio_format.encoding, "encoding")
    return audio_pb2.AudioFormat(encoding=encoding, sample_rate_hertz=audio_format.sample_rate)


def to_audio_data(audio: audio_pb2.CallAudio, call_rate: int) -> AudioData:
    """Audio that came."""
    return AudioData(audio.pcm, audio.position, audio.position / (call_rate or 16_000))


def to_audio_gap(gap: audio_pb2.AudioGap, call_rate: int) -> AudioGap:
    """Audio that will not come."""
    reason = enum_name(audio_pb2.AudioGapReason, "AUDIO_GAP_REASON", gap.reason, "UNSPECIFIED")
    position = getattr(gap, "from")
    return AudioGap(seconds_of(gap.duration), reason, position, position / (call_rate or 16_000))


def to_call_event(event: call_event_pb2.CallEvent) -> ev.CallEvent:
    """An event; a kind newer than this library has the type "unknown"."""
    kind = event.WhichOneof("event")
    make = _BODIES.get(kind or "")
    return ev.CallEvent(
        call_id=event.call_id,
        type=kind if kind and make else "unknown",
        body=make(getattr(event, kind)) if kind and make else ev.UnknownEvent(),
        sequence=event.sequence,
        time=to_time(event, "time") or _EPOCH,
        cursor=event.cursor,
        durable=event.durable,
        position=event.position,
        pool=event.pool,
        # A gateway of before has none.
        owner_epoch=event.owner_epoch or 1,
    )


def _unserved(e: call_event_pb2.CallUnserved) -> ev.Unserved:
    return ev.Unserved(enum_name(call_event_pb2.UnservedAction, "UNSERVED_ACTION", e.action, "CONNECT"))


def _offer_ended(e: call_event_pb2.OfferEnded) -> ev.OfferEnded:
    end = enum_name(call_event_pb2.OfferEnd, "OFFER_END", e.end, "REVOKED")
    return ev.OfferEnded(e.offer_id, e.agent_id, e.instance_id, end)


def _command_done(e: call_event_pb2.CommandDone) -> ev.CommandDone:
    error = from_wire(e.error) if e.HasField("error") else None
    return ev.CommandDone(e.verb, e.request_id, error, to_escalation(e.escalation))


def _escalation(e: call_event_pb2.EscalationProgress) -> ev.EscalationProgress:
    step = enum_name(call_event_pb2.EscalationStep, "ESCALATION_STEP", e.step, "SAVING")
    return ev.EscalationProgress(e.request_id, step)


def _media_changed(e: call_event_pb2.MediaChanged) -> ev.MediaChanged:
    change = enum_name(call_event_pb2.MediaChange, "MEDIA_CHANGE", e.change, "PROVIDER_ERROR")
    return ev.MediaChanged(change, e.detail)


_BODIES: dict[str, Any] = {
    "arrived": lambda e: ev.Arrived(to_call_info(e.call)),
    "unserved": _unserved,
    "offered": lambda e: ev.Offered(e.offer_id, e.agent_id, e.instance_id, e.attempt),
    "offer_ended": _offer_ended,
    "seat_changed": lambda e: ev.SeatChanged(to_seat(e.seat), to_seat_cause(e.cause)),
    "answered": lambda _: ev.Answered(),
    "ringing": lambda e: ev.Ringing(e.ring_time_seconds),
    "connected": lambda _: ev.Connected(),
    "mode_set": lambda e: ev.ModeSet(enum_name(call_pb2.AgentMode, "AGENT_MODE", e.mode, "BARGE")),
    "command_started": lambda e: ev.CommandStarted(e.verb, e.request_id, e.body_hash, e.actor),
    "command_done": _command_done,
    "escalation": _escalation,
    "context_written": lambda e: ev.ContextWritten(e.revision, e.turn_count, to_durability(e.durability)),
    "note_sent": lambda e: ev.NoteSent(e.actor, e.delivered),
    "ended": lambda e: ev.Ended(to_end_reason(e.reason) or "TERMINATED"),
    "media_changed": _media_changed,
    "hold_changed": lambda e: ev.HoldChanged(e.holding),
    "taken_over": lambda e: ev.TakenOver(e.from_gateway_id, e.from_epoch, e.gateway_id),
    "events_lost": lambda e: ev.EventsLost(e.from_epoch),
}


def to_struct(data: Any) -> struct_pb2.Struct | None:
    """Facts as a protobuf struct. Raises INVALID_FIELD for what is no JSON."""
    if data is None:
        return None
    struct = struct_pb2.Struct()
    try:
        struct.update(data)
    except (ValueError, TypeError, AttributeError):
        raise invalid_field("data", "an object of JSON values", type(data).__name__) from None
    return struct


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A protobuf struct as a dict; whole numbers as int."""
    return {key: _plain(value) for key, value in json_format.MessageToDict(struct).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def from_fields(call_id: str, fields: ContextFields) -> context_pb2.CallContext:
    """The fields of a context for the wire."""
    consent = fields.get("consent")
    reason = fields.get("escalation_reason")
    return context_pb2.CallContext(
        call_id=call_id,
        locale=fields.get("locale", ""),
        status=enum_value(context_pb2.ContextStatus, "CONTEXT_STATUS", fields.get("status"), "status"),
        escalation_reason=enum_value(
            escalation_pb2.EscalationReason, "ESCALATION_REASON", reason, "escalation_reason"
        ),
        routing_hint=fields.get("routing_hint", ""),
        summary=fields.get("summary", ""),
        summary_source=enum_value(
            context_pb2.SummarySource, "SUMMARY_SOURCE", fields.get("summary_source"), "summary_source"
        ),
        data=to_struct(fields.get("data")),
        consent=None
        if consent is None
        else context_pb2.Consent(
            disclosed_time=from_time(consent.disclosed_time), transcript=consent.transcript
        ),
        outcome=fields.get("outcome", ""),
    )


def from_turn(turn: Turn) -> context_pb2.Turn:
    """A turn for the wire."""
    return context_pb2.Turn(
        id=turn.id,
        role=enum_value(context_pb2.TurnRole, "TURN_ROLE", turn.role, "role"),
        text=turn.text,
        locale=turn.locale,
        time=from_time(turn.time),
        heard=turn.heard,
        interrupted=turn.interrupted,
    )


def to_turn(turn: context_pb2.Turn) -> Turn:
    """A turn as it is stored."""
    role = enum_name(context_pb2.TurnRole, "TURN_ROLE", turn.role, "CALLER")
    return Turn(role, turn.text, turn.id, turn.locale, to_time(turn, "time"), turn.heard, turn.interrupted)


def to_context(context: context_pb2.CallContext) -> CallContext:
    """A context as programs see it."""
    consent = context.consent
    return CallContext(
        call_id=context.call_id,
        session_id=context.session_id,
        caller=context.caller,
        callee=context.callee,
        locale=context.locale,
        status=enum_name(context_pb2.ContextStatus, "CONTEXT_STATUS", context.status),
        escalation_reason=to_escalation_reason(context.escalation_reason),
        routing_hint=context.routing_hint,
        summary=context.summary,
        summary_source=enum_name(context_pb2.SummarySource, "SUMMARY_SOURCE", context.summary_source),
        turns=tuple(to_turn(turn) for turn in context.turns),
        turn_count=context.turn_count,
        truncated=context.truncated,
        data=from_struct(context.data),
        consent=Consent(consent.transcript, to_time(consent, "disclosed_time"))
        if context.HasField("consent")
        else None,
        notes=tuple(ContextNote(note.text, note.author, to_time(note, "time")) for note in context.notes),
        conflicts=tuple(
            ContextConflict(c.field, c.value, to_time(c, "time"), to_time(c, "write_time"))
            for c in context.conflicts
        ),
        outcome=context.outcome,
        escalation_outcome=enum_name(
            escalation_pb2.EscalationOutcome, "ESCALATION_OUTCOME", context.escalation_outcome
        ),
        revision=context.revision,
        create_time=to_time(context, "create_time"),
        update_time=to_time(context, "update_time"),
        expire_time=to_time(context, "expire_time"),
    )
