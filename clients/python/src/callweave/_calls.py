"""Lists, watches, hears and commands calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
from typing_extensions import Unpack

from . import _verbs as v
from ._backoff import Backoff
from ._connection import Connection, RotatingConnection
from ._convert import (
    enum_value,
    from_audio_format,
    to_audio_data,
    to_audio_format,
    to_audio_gap,
    to_call_event,
    to_call_info,
    to_duration,
    to_end_reason,
    to_escalation,
)
from ._errors import CallweaveError
from ._event_types import CallEvent
from ._options import known
from ._types import (
    AgentMode,
    AudioChunk,
    AudioFormat,
    CallInfo,
    CallState,
    EndReason,
    EscalationReason,
    EscalationResult,
)
from .v1 import audio_pb2, call_pb2
from .v1 import call_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls. What is left empty does not narrow."""

    call_ids: Iterable[str] = ()
    """At most 100."""
    pools: Iterable[str] = ()
    """At most 100."""
    states: Iterable[CallState] = ()
    """For `Calls.list` alone."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """A page of calls."""

    calls: tuple[CallInfo, ...]
    """Newest first."""
    next_page_token: str
    """Empty on the last page."""
    cursor: str
    """Watching from here misses nothing that happened after the list was made."""
    unreachable_gateways: tuple[str, ...]
    """Their calls are missing here."""


@dataclass(frozen=True, slots=True)
class VerbResult:
    """What a verb answers."""

    call: CallInfo
    """The call as it is now."""
    request_id: str
    """The id it was given with, for `Calls.cancel` and repetitions."""
    pending: bool
    """True: it waits or runs; the event `CommandDone` tells its end, or the same verb with this id and `wait`."""
    escalation: EscalationResult | None = None
    """Of a finished escalation."""


@dataclass(frozen=True, slots=True)
class WatchLive:
    """History is over, from here on live. Told once by `Calls.watch`."""

    cursor: str
    """Safe to resume from."""
    type: Literal["live"] = field(default="live", init=False)
    """Tells it from events."""


class Listening:
    """A call that is being heard: read it with `async for`. A slow reader loses the oldest audio, told as a gap."""

    format: AudioFormat | None
    """The format of all that follows; set once the first audio or gap was read."""
    end_reason: EndReason | None
    """Why the call is over; set when the loop ended by that."""

    def __init__(
        self, connection: Connection, call_id: str, source: str, audio_format: AudioFormat | None
    ) -> None:
        self.format = None
        self.end_reason = None
        self._connection = connection
        self._request = pb.ListenCallRequest(
            call_id=call_id,
            source=enum_value(audio_pb2.AudioSource, "AUDIO_SOURCE", source, "source"),
            format=from_audio_format(audio_format),
        )

    async def __aiter__(self) -> AsyncIterator[AudioChunk]:
        """Reads until the call is over."""
        # Positions are at the rate of the call, which may differ from the rate that was asked for.
        connection = self._connection
        wanted = pb.GetCallRequest(call_id=self._request.call_id)
        found = await connection.unary(connection.calls.GetCall, wanted)
        rate = found.call.sample_rate_hertz or 16_000
        async for message in connection.stream(connection.calls.ListenCall, self._request):
            kind = message.WhichOneof("item")
            if kind == "started":
                self.format = to_audio_format(message.started, rate)
            elif kind == "audio":
                yield to_audio_data(message.audio, rate)
            elif kind == "gap":
                yield to_audio_gap(message.gap, rate)
            elif kind == "ended":
                self.end_reason = to_end_reason(message.ended)
                return


_RESUMABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Calls:
    """Lists, watches, hears and commands calls. What fails raises a `CallweaveError`.

    Every verb takes `wait`: how long to wait for the result of one that takes long, 0 to 150 seconds, default 0: it answers at
    once. Cancelling gives up waiting for the answer; the effect is not taken back, `cancel` does that.
    """

    def __init__(self, connections: RotatingConnection) -> None:
        self._connections = connections

    async def get(self, call_id: str) -> CallInfo:
        """One call. Ended calls are kept for 10 minutes; CALL_NOT_FOUND."""
        request = pb.GetCallRequest(call_id=call_id)
        response = await self._connections.ask(lambda c: c.calls.GetCall, request)
        return to_call_info(response.call)

    async def list(
        self, filter: CallFilter | None = None, *, page_size: int = 0, page_token: str = ""
    ) -> CallPage:
        """Calls, newest first, and the cursor from which `watch` misses nothing after the list was made.

        `page_size`: 1 to 1,000, default 100. `page_token`: from `next_page_token`; the filter must be the same.
        """
        request = pb.ListCallsRequest(filter=_from_filter(filter), page_size=page_size, page_token=page_token)
        response = await self._connections.ask(lambda c: c.calls.ListCalls, request)
        calls = tuple(to_call_info(call) for call in response.calls)
        gone = tuple(response.unreachable_gateways)
        return CallPage(calls, response.next_page_token, response.cursor, gone)

    async def watch(
        self,
        *,
        cursor: str = "",
        filter: CallFilter | None = None,
        resume_timeout: float | None = None,
    ) -> AsyncIterator[CallEvent | WatchLive]:
        """Events of calls, history first, then live, without gap or repeat.

        `cursor`: from `CallEvent.cursor`, `list` or `WatchLive`: events after it; default from now on. Resumes by itself after a
        broken stream, from the last cursor, for `resume_timeout` seconds (default: for ever). CURSOR_EXPIRED: list again and go on
        from there. While nothing was read yet and no cursor was given, a broken stream loses what happened meanwhile.
        """
        backoff = Backoff()
        live = False
        broken_at: float | None = None
        now = asyncio.get_running_loop().time
        while True:
            connection = self._connections.get()
            request = pb.WatchCallsRequest(cursor=cursor, filter=_from_filter(filter))
            try:
                async for message in connection.stream(connection.calls.WatchCalls, request):
                    backoff.reset()
                    broken_at = None
                    kind = message.WhichOneof("item")
                    if kind == "event":
                        cursor = message.event.cursor or cursor
                        yield to_call_event(message.event)
                    elif kind == "live":
                        cursor = message.live.cursor or cursor
                        if not live:
                            yield WatchLive(cursor)
                        live = True
            except CallweaveError as error:
                broken_at = now() if broken_at is None else broken_at
                late = resume_timeout is not None and now() - broken_at > resume_timeout
                if late or not _resumable(error):
                    raise
                self._connections.rotate(connection)
            await asyncio.sleep(backoff.next())

    def listen(
        self,
        call_id: str,
        *,
        source: Literal["MIXED", "AGENT"] = "MIXED",
        format: AudioFormat | None = None,
    ) -> Listening:
        """Hears a call until it is over: what the agent leg hears, or what the agent says. Default format: s16le at its rate."""
        return Listening(self._connections.get(), call_id, source, format)

    async def answer(self, call_id: str, *, wait: float = 0, **options: Unpack[v.VerbOptions]) -> VerbResult:
        """Answers the call. In PENDING."""
        known(options, v.VerbOptions)
        return await self._verb(
            lambda c: c.calls.AnswerCall, options, wait, lambda i: v.answer_request(call_id, i)
        )

    async def connect(
        self, call_id: str, *, wait: float = 0, **options: Unpack[v.ConnectOptions]
    ) -> VerbResult:
        """Rings the original callee; on pick-up caller, callee and agent are in one conference. In PENDING and ANSWERED."""
        return await self._verb(
            lambda c: c.calls.ConnectCall, options, wait, lambda i: v.connect_request(call_id, i, options)
        )

    async def set_mode(
        self, call_id: str, mode: AgentMode, *, wait: float = 0, **options: Unpack[v.VerbOptions]
    ) -> VerbResult:
        """Says who hears the agent. In CONNECTED."""
        known(options, v.VerbOptions)
        return await self._verb(
            lambda c: c.calls.SetAgentMode, options, wait, lambda i: v.set_mode_request(call_id, i, mode)
        )

    async def escalate(
        self,
        call_id: str,
        reason: EscalationReason,
        *,
        wait: float = 0,
        **options: Unpack[v.EscalateOptions],
    ) -> VerbResult:
        """Saves the context, lets the announcement end, connects a human and leaves. In ANSWERED."""
        return await self._verb(
            lambda c: c.calls.EscalateCall,
            options,
            wait,
            lambda i: v.escalate_request(call_id, i, reason, options),
        )

    async def confirm_escalation(
        self, call_id: str, accepted: bool, *, wait: float = 0, **options: Unpack[v.VerbOptions]
    ) -> VerbResult:
        """Says whether the human accepted an escalation that asked for confirmation."""
        known(options, v.VerbOptions)
        return await self._verb(
            lambda c: c.calls.ConfirmEscalation,
            options,
            wait,
            lambda i: v.confirm_request(call_id, i, accepted),
        )

    async def transfer(
        self, call_id: str, *, wait: float = 0, **options: Unpack[v.TransferOptions]
    ) -> VerbResult:
        """Moves the seat to another agent; the holder keeps it until the other has accepted."""
        return await self._verb(
            lambda c: c.calls.TransferCall,
            options,
            wait,
            lambda i: v.transfer_request(call_id, i, options),
        )

    async def release(self, call_id: str, *, wait: float = 0, **options: Unpack[v.VerbOptions]) -> VerbResult:
        """Takes the seat from its holder; the call is offered again."""
        known(options, v.VerbOptions)
        return await self._verb(
            lambda c: c.calls.ReleaseCall, options, wait, lambda i: v.release_request(call_id, i)
        )

    async def close(self, call_id: str, *, wait: float = 0, **options: Unpack[v.CloseOptions]) -> VerbResult:
        """The agent leaves. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs `end_call`."""
        return await self._verb(
            lambda c: c.calls.CloseCall, options, wait, lambda i: v.close_request(call_id, i, options)
        )

    async def disconnect(
        self, call_id: str, *, wait: float = 0, **options: Unpack[v.DisconnectOptions]
    ) -> VerbResult:
        """Ends the call for everyone."""
        return await self._verb(
            lambda c: c.calls.DisconnectCall,
            options,
            wait,
            lambda i: v.disconnect_request(call_id, i, options),
        )

    async def cancel(self, call_id: str, request_id: str = "") -> VerbResult:
        """Cancels a command that has had no effect yet. Default: the one that waits. COMMAND_NOT_FOUND."""
        request = v.cancel_request(call_id, request_id)
        response = await self._connections.ask(lambda c: c.calls.CancelCommand, request)
        return VerbResult(to_call_info(response.call), request_id, pending=False)

    async def send_note(self, call_id: str, text: str, *, request_id: str = "") -> bool:
        """Sends 1 to 2,000 characters to the seat holder, heard by nobody. False: nobody holds the seat."""
        request = pb.SendNoteRequest(call_id=call_id, request_id=request_id or str(uuid.uuid4()), text=text)
        response = await self._connections.ask(lambda c: c.calls.SendNote, request)
        return bool(response.delivered)

    async def _verb(
        self,
        method: Callable[[Connection], Any],
        options: v.VerbOptions,
        wait: float,
        make: Callable[[str], v.Request],
    ) -> VerbResult:
        request_id = options.get("request_id") or str(uuid.uuid4())
        request = make(request_id)
        fields = request.DESCRIPTOR.fields_by_name
        if wait and "wait" in fields:
            request.wait.CopyFrom(to_duration(wait))
        response = await self._connections.ask(method, request, extra=wait)
        answered = response.DESCRIPTOR.fields_by_name
        return VerbResult(
            to_call_info(response.call),
            request_id,
            pending="pending" in answered and response.HasField("pending"),
            escalation=to_escalation(response.result) if "result" in answered else None,
        )


def _resumable(error: CallweaveError) -> bool:
    """Whether a watch goes on after this."""
    if error.reason in ("GOING_AWAY", "STREAM_QUEUE_FULL"):
        return True
    return error.reason == "TRANSPORT" and error.code in _RESUMABLE


def _from_filter(filter: CallFilter | None) -> pb.CallFilter | None:
    if filter is None:
        return None
    states = [enum_value(call_pb2.CallState, "CALL_STATE", s, "states") for s in filter.states]
    return pb.CallFilter(call_ids=filter.call_ids, pools=filter.pools, states=states)
