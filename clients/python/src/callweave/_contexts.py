"""Reads and writes the contexts of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from typing_extensions import Unpack

from ._connection import RotatingConnection
from ._context_types import (
    AppendedTurns,
    CallContext,
    ContextFields,
    ContextStatus,
    Turn,
    WrittenContext,
)
from ._convert import enum_value, from_fields, from_turn, to_context, to_durability, to_duration
from ._errors import invalid_field
from ._options import known
from .v1 import context_pb2
from .v1 import context_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class ContextPage:
    """A page of contexts."""

    contexts: tuple[CallContext, ...]
    """Newest first, without turns."""
    next_page_token: str
    """Empty on the last page."""
    partial: bool
    """The store is away, and only what was written since then is here."""


class Contexts:
    """Reads and writes the contexts of calls. What fails raises a `CallweaveError`."""

    def __init__(self, connections: RotatingConnection) -> None:
        self._connections = connections

    async def save(
        self, call_id: str, *, turns: Iterable[Turn] = (), **fields: Unpack[ContextFields]
    ) -> WrittenContext:
        """Writes a context: fields that are given replace what is there, turns are appended by id, data is merged."""
        known(fields, ContextFields)
        context = from_fields(call_id, fields)
        context.turns.extend(map(from_turn, turns))
        request = pb.SaveContextRequest(context=context)
        # This may be repeated: a gateway that restarts is waited for.
        return _written(await self._connections.ask(lambda c: c.contexts.SaveContext, request, patient=True))

    async def update(
        self, call_id: str, *, revision: int = 0, add_note: str = "", **fields: Unpack[ContextFields]
    ) -> WrittenContext:
        """Writes exactly the fields that are given, also to None or empty: cleared.

        With a `revision` that is not 0 it is refused with REVISION_CONFLICT when the context changed since. `add_note` is added
        to the notes: 1 to 2,000 characters.
        """
        known(fields, ContextFields)
        request = pb.UpdateContextRequest(
            context=from_fields(call_id, fields), revision=revision, add_note=add_note
        )
        request.update_mask.paths.extend(fields)
        return _written(await self._connections.ask(lambda c: c.contexts.UpdateContext, request))

    async def append_turns(self, call_id: str, turns: Iterable[Turn]) -> AppendedTurns:
        """Appends 1 to 100 turns. A turn whose id is there already is left, except that `heard` and `interrupted` are added."""
        request = pb.AppendTurnsRequest(call_id=call_id, turns=map(from_turn, turns))
        response = await self._connections.ask(lambda c: c.contexts.AppendTurns, request, patient=True)
        return AppendedTurns(response.turn_count, to_durability(response.durability))

    async def get(self, call_id: str | None = None, *, session_id: str | None = None) -> CallContext:
        """One context with all turns, by call or session. CONTEXT_NOT_FOUND."""
        request = _one_of(pb.GetContextRequest(), call_id=call_id, session_id=session_id)
        response = await self._connections.ask(lambda c: c.contexts.GetContext, request, patient=True)
        return to_context(response.context)

    async def find(
        self,
        *,
        caller: str | None = None,
        callee: str | None = None,
        within: float | None = None,
        page_size: int = 0,
    ) -> tuple[CallContext, ...]:
        """The contexts of a number, newest first: the ringing phone shows a number, not a call id.

        `within`: not older than this, seconds, default 24 hours. `page_size`: 1 to 100, default 10.
        """
        request = pb.FindContextsRequest(within=to_duration(within), page_size=page_size)
        _one_of(request, caller=caller, callee=callee)
        response = await self._connections.ask(lambda c: c.contexts.FindContexts, request)
        return tuple(to_context(context) for context in response.contexts)

    async def list(
        self,
        *,
        statuses: Iterable[ContextStatus] = (),
        caller: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> ContextPage:
        """All contexts, newest first, without turns. `page_size`: 1 to 1,000, default 100."""
        request = pb.ListContextsRequest(caller=caller, page_size=page_size, page_token=page_token)
        for status in statuses:
            request.statuses.append(
                enum_value(context_pb2.ContextStatus, "CONTEXT_STATUS", status, "statuses")
            )
        response = await self._connections.ask(lambda c: c.contexts.ListContexts, request)
        contexts = tuple(to_context(context) for context in response.contexts)
        return ContextPage(contexts, response.next_page_token, response.partial)

    async def watch(self, call_id: str = "") -> AsyncIterator[CallContext]:
        """Contexts as they are written from now on, without turns; of one call, default all. Raises when the stream breaks."""
        connection = self._connections.get()
        request = pb.WatchContextsRequest(call_id=call_id)
        async for message in connection.stream(connection.contexts.WatchContexts, request):
            yield to_context(message.context)

    async def delete(self, *, call_id: str | None = None, caller: str | None = None) -> int:
        """Deletes one call's context or everything of a caller; answers how many."""
        request = _one_of(pb.DeleteContextsRequest(), call_id=call_id, caller=caller)
        response = await self._connections.ask(lambda c: c.contexts.DeleteContexts, request)
        return int(response.deleted_count)


def _one_of(request: Any, **names: str | None) -> Any:
    given = {name: value for name, value in names.items() if value is not None}
    if len(given) != 1:
        raise invalid_field(" or ".join(names), "given, exactly one of them", ", ".join(given))
    for name, value in given.items():
        setattr(request, name, value)
    return request


def _written(response: pb.SaveContextResponse | pb.UpdateContextResponse) -> WrittenContext:
    return WrittenContext(to_context(response.context), to_durability(response.durability))
