"""The commands of one call that are not finished. Knows no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import grpc

from ._convert import to_escalation
from ._errors import CallweaveError, CommandCancelledError, call_over, from_wire, make_error
from ._event_types import CommandDone
from ._types import CallEnd, EscalationResult
from ._verbs import Request, proceeds_on_interrupt
from .v1 import agent_service_pb2

Result = EscalationResult | None


@dataclass(eq=False, slots=True)
class _Entry:
    request_id: str
    verb: str
    request: Request
    # In the playback queue; with the gateway; with the gateway and answered as pending.
    state: Literal["queued", "sent", "pending"]
    future: asyncio.Future[Any]


class Commands:
    """Each command has a future that is done when the command is finished."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._entries: dict[str, _Entry] = {}

    def add(
        self,
        request_id: str,
        verb: str,
        request: Request,
        queued: bool,
        future: asyncio.Future[Any],
        on_cancel: Callable[[str], None],
    ) -> None:
        """Takes a command. When its future is cancelled `on_cancel` is told. Raises REQUEST_ID_REUSED."""
        if request_id in self._entries:
            text = f"request_id {request_id} is already under way"
            metadata = {"request_id": request_id}
            raise make_error("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS, text, metadata)
        self._entries[request_id] = _Entry(request_id, verb, request, "queued" if queued else "sent", future)
        future.add_done_callback(lambda f: on_cancel(request_id) if f.cancelled() else None)

    def to_send(self, request_id: str, handle: int) -> agent_service_pb2.Command | None:
        """The command as it goes on the wire; it counts as sent from now on. None when it is not there any more."""
        entry = self._entries.get(request_id)
        if entry is None:
            return None
        entry.state = "sent"
        command = agent_service_pb2.Command(handle=handle, request_id=request_id)
        getattr(command, entry.verb).CopyFrom(entry.request)
        return command

    def is_queued(self, request_id: str) -> bool:
        """Whether it is still in the playback queue."""
        entry = self._entries.get(request_id)
        return entry is not None and entry.state == "queued"

    def has(self, request_id: str) -> bool:
        """Whether it is not finished."""
        return request_id in self._entries

    def unanswered(self) -> list[str]:
        """Sent, and nothing came back: to be sent again on a new stream. The same id makes that safe."""
        return [e.request_id for e in self._entries.values() if e.state == "sent"]

    def pending(self) -> list[str]:
        """Answered as pending, and not finished."""
        return [e.request_id for e in self._entries.values() if e.state == "pending"]

    def unknown(self, request_id: str) -> None:
        """Nobody knows how it ended."""
        entry = self._entries.get(request_id)
        if entry is None or entry.state != "pending":
            return
        text = "the gateway that carried it out died; its outcome is unknown"
        metadata = {"call_id": self._call_id, "request_id": request_id}
        self._finish(entry, make_error("OUTCOME_UNKNOWN", grpc.StatusCode.UNKNOWN, text, metadata), None)

    def requeue(self, request_id: str) -> None:
        """It goes back to the playback queue, since the audio before it does."""
        entry = self._entries.get(request_id)
        if entry is not None:
            entry.state = "queued"

    def on_result(self, result: agent_service_pb2.CommandResult) -> None:
        """The gateway answered."""
        entry = self._entries.get(result.request_id)
        if entry is None:
            return
        error = from_wire(result.error) if result.HasField("error") else None
        if result.pending and error is None:
            entry.state = "pending"
        else:
            self._finish(entry, error, to_escalation(result.escalation))

    def on_done(self, done: CommandDone) -> None:
        """A command of the call is finished."""
        entry = self._entries.get(done.request_id)
        if entry is not None:
            self._finish(entry, done.error, done.escalation)

    def drop(self, request_id: str) -> None:
        """Forgets one whose user does not wait for it any more."""
        self._entries.pop(request_id, None)

    def cancel_locally(self, request_id: str, cause: str) -> None:
        """It never left this process."""
        entry = self._entries.pop(request_id, None)
        if entry is None or entry.future.done():
            return
        text = "the command was cancelled before it had an effect"
        metadata = {"call_id": self._call_id, "request_id": request_id, "cause": cause}
        error = CommandCancelledError("COMMAND_CANCELLED", grpc.StatusCode.CANCELLED, text, metadata)
        entry.future.set_exception(error)

    def on_interrupt(self, request_id: str) -> bool:
        """An interrupt met it in the playback queue: True when it goes ahead, else it is cancelled."""
        entry = self._entries.get(request_id)
        if entry is None:
            return False
        if proceeds_on_interrupt(entry.verb, entry.request):
            return True
        self.cancel_locally(request_id, "INTERRUPTED")
        return False

    def on_over(self, end: CallEnd) -> None:
        """The seat is gone. Commands whose success is just that have succeeded."""
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            if entry.future.done():
                continue
            done = entry.state != "queued" and _fulfilled_by(entry.verb, end)
            if done:
                entry.future.set_result(None if done is True else done)
            else:
                entry.future.set_exception(call_over(self._call_id, end.cause))

    def _finish(self, entry: _Entry, error: CallweaveError | None, escalation: Result) -> None:
        self._entries.pop(entry.request_id, None)
        if entry.future.done():
            return
        # The outcome of an escalation says more than its error: nobody picked up, the caller left.
        if error and not (entry.verb == "escalate" and escalation):
            entry.future.set_exception(error)
        else:
            entry.future.set_result(escalation)


def _fulfilled_by(verb: str, end: CallEnd) -> EscalationResult | bool:
    ended = end.cause == "CALL_ENDED"
    if verb == "escalate":
        if end.cause == "ESCALATED" or (ended and end.end_reason == "LEFT_TO_PARTIES"):
            return EscalationResult("CONNECTED")
        return EscalationResult("CALLER_LEFT") if ended else False
    if verb == "transfer":
        return end.cause == "TRANSFERRED"
    if verb == "release":
        return end.cause == "RELEASED"
    if verb == "close":
        return ended and end.end_reason in ("LEFT_TO_PARTIES", "DISCONNECTED")
    return verb == "disconnect" and ended
