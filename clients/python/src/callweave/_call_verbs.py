"""The verbs of a call and its context, as commands on the stream and unary requests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from . import _verbs as v
from ._context_types import AppendedTurns, CallContext, ContextFields, Turn, WrittenContext
from ._player import failed, new_future, settle
from ._types import AgentMode, EscalationReason, EscalationResult

if TYPE_CHECKING:
    from ._contexts import Contexts


class CallVerbs:
    """The verbs of a call. Each is taken at once; its future is done when the command is finished."""

    id: str
    """The call, unique within the tenant."""
    _contexts: Contexts

    def _give(self, request_id: str, verb: str, request: v.Request, future: asyncio.Future[Any]) -> None:
        raise NotImplementedError

    def _run(
        self, verb: str, options: v.VerbOptions, make: Callable[[str], v.Request]
    ) -> asyncio.Future[Any]:
        request_id = options.get("request_id") or str(uuid.uuid4())
        future = new_future()
        try:
            self._give(request_id, verb, make(request_id), future)
        except Exception as error:
            return failed(error)
        return future

    def _command(
        self, verb: str, options: v.VerbOptions, make: Callable[[str], v.Request]
    ) -> asyncio.Future[None]:
        return self._run(verb, options, make)

    def answer(self, **options: Unpack[v.VerbOptions]) -> asyncio.Future[None]:
        """Answers the call. Not needed with `answer_on_accept`."""
        return self._command("answer", options, lambda i: v.answer_request(self.id, i))

    def connect(self, **options: Unpack[v.ConnectOptions]) -> asyncio.Future[None]:
        """Rings the original callee; done when they picked up. CALLEE_UNANSWERED: the call is as it was."""
        return self._command("connect", options, lambda i: v.connect_request(self.id, i, options))

    def set_mode(self, mode: AgentMode, **options: Unpack[v.VerbOptions]) -> asyncio.Future[None]:
        """Says who hears the agent. In CONNECTED."""
        return self._command("set_agent_mode", options, lambda i: v.set_mode_request(self.id, i, mode))

    def escalate(
        self, reason: EscalationReason, **options: Unpack[v.EscalateOptions]
    ) -> asyncio.Future[EscalationResult]:
        """Saves the context, lets the announcement end, connects a human and leaves. Its result is how it ended."""
        inner = self._run("escalate", options, lambda i: v.escalate_request(self.id, i, reason, options))
        outer: asyncio.Future[EscalationResult] = new_future()

        def done(finished: asyncio.Future[EscalationResult | None]) -> None:
            if outer.done():
                return
            if finished.cancelled():
                outer.cancel()
            elif error := finished.exception():
                outer.set_exception(error)
            else:
                settle(outer, finished.result() or EscalationResult("UNKNOWN"))

        inner.add_done_callback(done)
        outer.add_done_callback(lambda f: inner.cancel() if f.cancelled() else None)
        return outer

    def confirm_escalation(self, accepted: bool, **options: Unpack[v.VerbOptions]) -> asyncio.Future[None]:
        """Says whether the human accepted, for an escalation that asked for confirmation."""
        return self._command("confirm_escalation", options, lambda i: v.confirm_request(self.id, i, accepted))

    def transfer(self, **options: Unpack[v.TransferOptions]) -> asyncio.Future[None]:
        """Moves the seat to another agent; done when that one has it. TRANSFER_UNANSWERED: you keep it."""
        return self._command("transfer", options, lambda i: v.transfer_request(self.id, i, options))

    def release(self, **options: Unpack[v.VerbOptions]) -> asyncio.Future[None]:
        """Gives the seat back; the call is offered again."""
        return self._command("release", options, lambda i: v.release_request(self.id, i))

    def close(self, **options: Unpack[v.CloseOptions]) -> asyncio.Future[None]:
        """Leaves. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs `end_call`."""
        return self._command("close", options, lambda i: v.close_request(self.id, i, options))

    def disconnect(self, **options: Unpack[v.DisconnectOptions]) -> asyncio.Future[None]:
        """Ends the call for everyone."""
        return self._command("disconnect", options, lambda i: v.disconnect_request(self.id, i, options))

    def cancel(self, request_id: str = "") -> asyncio.Future[None]:
        """Cancels a command that has had no effect yet. Default: the one that waits."""
        return self._command("cancel", {}, lambda _: v.cancel_request(self.id, request_id))

    async def append_turns(self, turns: Iterable[Turn]) -> AppendedTurns:
        """Appends 1 to 100 turns to the context."""
        return await self._contexts.append_turns(self.id, turns)

    async def save_context(
        self, *, turns: Iterable[Turn] = (), **fields: Unpack[ContextFields]
    ) -> WrittenContext:
        """Writes the context: fields that are given replace what is there, turns are appended by id, data is merged."""
        return await self._contexts.save(self.id, turns=turns, **fields)

    async def update_context(
        self, *, revision: int = 0, add_note: str = "", **fields: Unpack[ContextFields]
    ) -> WrittenContext:
        """Writes exactly the fields that are given, also to empty ones; if wanted only at the revision that was read."""
        return await self._contexts.update(self.id, revision=revision, add_note=add_note, **fields)

    async def get_context(self) -> CallContext:
        """Reads the context with all turns."""
        return await self._contexts.get(self.id)
