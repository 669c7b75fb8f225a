"""The options of verbs and their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict

from ._context_types import SummarySource
from ._convert import enum_value, to_duration, to_struct
from ._errors import invalid_field
from ._options import known, whole
from ._types import AgentMode, EscalationReason
from .v1 import call_pb2, call_service_pb2, context_pb2, escalation_pb2

Request = Any
"""The request of a verb."""


@dataclass(frozen=True, slots=True)
class AfterMark:
    """A command waits until this mark was heard."""

    name: str
    """1 to 100 characters; set before or after the command."""


After = Literal["now", "drained"] | AfterMark
"""When a command takes effect: at once, when all audio played before it on this call was heard, or at a mark."""


class VerbOptions(TypedDict, total=False):
    """What every verb takes."""

    request_id: str
    """Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID."""


class AfterOptions(VerbOptions, total=False):
    """When a command takes effect, and what an interrupt does to it while it waits."""

    after: After
    """Default: "now", for an escalation "drained"."""
    after_deadline: float
    """How long to wait for that at most, from when the gateway has the command. Seconds, 0.1 to 120. Default: 15, or the queued
    playback plus 5 if that is longer. Passed: AFTER_DEADLINE, nothing was done."""
    on_interrupt: Literal["CANCEL", "PROCEED"]
    """What `Call.clear` does to the waiting command. Default: CANCEL, for an escalation PROCEED."""


class ConnectOptions(AfterOptions, total=False):
    """Options of connecting the original callee."""

    ring_time: int
    """How long to ring. Whole seconds, 1 to 120. Default: 60."""


@dataclass(frozen=True, slots=True)
class CalleeTarget:
    """Ring the number that was called."""

    ring_time: int = 60
    """Whole seconds, 1 to 120."""


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """Offer the call to a pool of human agents."""

    pool: str
    """The name of the pool."""
    wait: float = 30.0
    """How long to offer it there. Seconds, 1 to 600."""
    then_callee: CalleeTarget | None = None
    """If nobody accepts, ring the original callee then."""


class EscalateOptions(AfterOptions, total=False):
    """Options of an escalation."""

    summary: str
    """What the human reads: three sentences, at most 2,000 characters. Default: keeps the context's."""
    summary_source: SummarySource
    """Default: MODEL."""
    routing_hint: str
    """A symbolic hint for the human side, at most 100 characters: "billing"."""
    data: Mapping[str, Any]
    """Merged into the context's data, key by key."""
    target: CalleeTarget | PoolTarget
    """Who is to have the caller. Default: the original callee, 60 s."""
    confirm: Literal["NONE", "DESK_ACCEPT", "SPOKEN_YES"]
    """Who accepts on the human side before the agent leaves. Default NONE: pick-up is enough, a voicemail then counts as a
    person."""
    confirm_timeout: float
    """How long to wait for that. Seconds, 1 to 120. Default: 20."""
    then: Literal["LEAVE", "STAY_SILENT"]
    """What the agent leg does then: leave, or stay as a silent spy with an empty seat. Default: LEAVE."""
    while_ringing: Literal["HOLD_AUDIO", "AGENT"]
    """What the caller hears meanwhile. Default: HOLD_AUDIO."""
    on_context_failure: Literal["CONNECT_ANYWAY", "STAY"]
    """What happens when the context cannot be saved in time. Default: CONNECT_ANYWAY."""
    save_timeout: float
    """How long the save may hold up the ringing. Seconds, 0.1 to 10. Default: 1.5."""


class TransferOptions(AfterOptions, total=False):
    """Options of a transfer to another agent: `pool` or `instance_id`."""

    pool: str
    """To any agent of this pool."""
    instance_id: str
    """To the agent process with this id."""
    offer_time: float
    """How long to offer it. Seconds, 1 to 600. Default: 30."""


class CloseOptions(AfterOptions, total=False):
    """Options of leaving."""

    end_call: bool
    """Must be True in ANSWERED, where leaving ends the call. Default: False."""


class DisconnectOptions(AfterOptions, total=False):
    """Options of ending the call for everyone."""


_CONDITIONS = {"now": "NOW", "drained": "PLAYBACK_DRAINED"}


def waits_for_playback(verb: str, request: Request) -> bool:
    """Whether the command has to keep its place behind the audio of its call."""
    if "after" not in request.DESCRIPTOR.fields_by_name:
        return False
    condition = request.after.condition
    if condition == call_service_pb2.AFTER_CONDITION_UNSPECIFIED:
        return verb == "escalate"
    return bool(condition != call_service_pb2.AFTER_CONDITION_NOW)


def proceeds_on_interrupt(verb: str, request: Request) -> bool:
    """Whether an interrupt lets the command go ahead."""
    if "after" not in request.DESCRIPTOR.fields_by_name:
        return True
    rule = request.after.on_interrupt
    if rule == call_service_pb2.ON_INTERRUPT_UNSPECIFIED:
        return verb == "escalate"
    return bool(rule == call_service_pb2.ON_INTERRUPT_PROCEED)


def _after(options: AfterOptions, default: str = "") -> call_service_pb2.After | None:
    after, deadline = options.get("after"), options.get("after_deadline")
    on_interrupt = options.get("on_interrupt")
    if after is None and deadline is None and on_interrupt is None:
        return None
    mark = ""
    if isinstance(after, AfterMark):
        mark, condition = after.name, "MARK"
        if not 1 <= len(mark) <= 100:
            raise invalid_field("after.mark", "1 to 100 characters", mark)
    elif after is None:
        condition = default
    elif after in _CONDITIONS:
        condition = _CONDITIONS[after]
    else:
        raise invalid_field("after", '"now", "drained" or AfterMark(name)', after)
    # Without a condition a deadline or interrupt rule still belongs to the default condition of an escalation.
    if default and after is None and on_interrupt is None:
        on_interrupt = "PROCEED"
    return call_service_pb2.After(
        condition=enum_value(call_service_pb2.AfterCondition, "AFTER_CONDITION", condition or None),
        mark=mark,
        deadline=to_duration(deadline),
        on_interrupt=enum_value(call_service_pb2.OnInterrupt, "ON_INTERRUPT", on_interrupt),
    )


def answer_request(call_id: str, request_id: str) -> Request:
    """The request of `answer`."""
    return call_service_pb2.AnswerCallRequest(call_id=call_id, request_id=request_id)


def connect_request(
    call_id: str, request_id: str, options: ConnectOptions, wait: float | None = None
) -> Request:
    """The request of `connect`; `wait` for unary requests alone. Raises INVALID_FIELD."""
    known(options, ConnectOptions)
    ring = options.get("ring_time")
    return call_service_pb2.ConnectCallRequest(
        call_id=call_id,
        request_id=request_id,
        ring_duration=None if ring is None else to_duration(whole("ring_time", ring, 1, 120)),
        after=_after(options),
        wait=to_duration(wait),
    )


def set_mode_request(call_id: str, request_id: str, mode: AgentMode) -> Request:
    """The request of `set_mode`. Raises INVALID_FIELD."""
    value = enum_value(call_pb2.AgentMode, "AGENT_MODE", mode, "mode")
    return call_service_pb2.SetAgentModeRequest(call_id=call_id, request_id=request_id, mode=value)


def escalate_request(
    call_id: str,
    request_id: str,
    reason: EscalationReason,
    options: EscalateOptions,
    wait: float | None = None,
) -> Request:
    """The request of `escalate`; `wait` for unary requests alone. Raises INVALID_FIELD."""
    known(options, EscalateOptions)
    e = escalation_pb2
    get: Callable[[str], Any] = options.get
    request = call_service_pb2.EscalateCallRequest(
        call_id=call_id,
        request_id=request_id,
        reason=enum_value(e.EscalationReason, "ESCALATION_REASON", reason, "reason"),
        summary=get("summary") or "",
        summary_source=enum_value(context_pb2.SummarySource, "SUMMARY_SOURCE", get("summary_source")),
        routing_hint=get("routing_hint") or "",
        data=to_struct(get("data")),
        after=_after(options, "PLAYBACK_DRAINED"),
        confirm=enum_value(e.EscalationConfirm, "ESCALATION_CONFIRM", get("confirm"), "confirm"),
        confirm_timeout=to_duration(get("confirm_timeout")),
        then=enum_value(e.EscalationThen, "ESCALATION_THEN", get("then"), "then"),
        while_ringing=enum_value(e.WhileRinging, "WHILE_RINGING", get("while_ringing"), "while_ringing"),
        on_context_failure=enum_value(
            e.OnContextFailure, "ON_CONTEXT_FAILURE", get("on_context_failure"), "on_context_failure"
        ),
        save_timeout=to_duration(get("save_timeout")),
        wait=to_duration(wait),
    )
    target = get("target")
    if isinstance(target, CalleeTarget):
        request.original_callee.CopyFrom(_callee(target))
    elif isinstance(target, PoolTarget):
        then = _callee(target.then_callee) if target.then_callee else None
        pool = call_service_pb2.PoolTarget(
            pool=target.pool, wait=to_duration(target.wait), then_original_callee=then
        )
        request.pool.CopyFrom(pool)
    elif target is not None:
        raise invalid_field("target", "a CalleeTarget or PoolTarget", target)
    return request


def _callee(target: CalleeTarget) -> call_service_pb2.OriginalCalleeTarget:
    ring = to_duration(whole("ring_time", target.ring_time, 1, 120))
    return call_service_pb2.OriginalCalleeTarget(ring_duration=ring)


def confirm_request(call_id: str, request_id: str, accepted: bool) -> Request:
    """The request of `confirm_escalation`."""
    return call_service_pb2.ConfirmEscalationRequest(
        call_id=call_id, request_id=request_id, accepted=accepted
    )


def transfer_request(
    call_id: str, request_id: str, options: TransferOptions, wait: float | None = None
) -> Request:
    """The request of `transfer`; `wait` for unary requests alone. Raises INVALID_FIELD."""
    known(options, TransferOptions)
    pool, instance_id = options.get("pool"), options.get("instance_id")
    if (pool is None) == (instance_id is None):
        raise invalid_field("pool", "given, or instance_id, but not both", pool)
    request = call_service_pb2.TransferCallRequest(
        call_id=call_id,
        request_id=request_id,
        after=_after(options),
        offer_duration=to_duration(options.get("offer_time")),
        wait=to_duration(wait),
    )
    if pool is not None:
        request.pool = pool
    if instance_id is not None:
        request.instance_id = instance_id
    return request


def release_request(call_id: str, request_id: str) -> Request:
    """The request of `release`."""
    return call_service_pb2.ReleaseCallRequest(call_id=call_id, request_id=request_id)


def close_request(call_id: str, request_id: str, options: CloseOptions, wait: float | None = None) -> Request:
    """The request of `close`; `wait` for unary requests alone. Raises INVALID_FIELD."""
    known(options, CloseOptions)
    return call_service_pb2.CloseCallRequest(
        call_id=call_id,
        request_id=request_id,
        end_call=options.get("end_call", False),
        after=_after(options),
        wait=to_duration(wait),
    )


def disconnect_request(
    call_id: str, request_id: str, options: DisconnectOptions, wait: float | None = None
) -> Request:
    """The request of `disconnect`; `wait` for unary requests alone. Raises INVALID_FIELD."""
    known(options, DisconnectOptions)
    return call_service_pb2.DisconnectCallRequest(
        call_id=call_id, request_id=request_id, after=_after(options), wait=to_duration(wait)
    )


def cancel_request(call_id: str, request_id: str) -> Request:
    """The request of `cancel`; an empty request id means the command that waits."""
    return call_service_pb2.CancelCommandRequest(call_id=call_id, request_id=request_id)
