"""What somebody does who has no seat."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Unpack

from ._calls import Calls
from ._connection import RotatingConnection
from ._contexts import Contexts
from ._fleet import Fleet
from ._options import ConnectionOptions, connection_config, known


class Client:
    """Lists, watches, hears and commands calls, reads contexts, sees who is there.

    `async with connect() as client:`, or `await client.close()` at the end.
    """

    calls: Calls
    """Lists, watches, hears and commands calls."""
    contexts: Contexts
    """Reads and writes the contexts of calls."""
    fleet: Fleet
    """Pools, agents and gateways."""

    def __init__(self, **options: Unpack[ConnectionOptions]) -> None:
        """Nothing is sent before the first request. Raises INVALID_FIELD for an option out of its bounds."""
        known(options, ConnectionOptions)
        self._connections = RotatingConnection(connection_config(options), "client")
        self.calls = Calls(self._connections)
        self.contexts = Contexts(self._connections)
        self.fleet = Fleet(self._connections)

    async def close(self) -> None:
        """Closes the connection; what is under way raises."""
        await self._connections.close()

    async def __aenter__(self) -> Client:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        await self.close()


def connect(**options: Unpack[ConnectionOptions]) -> Client:
    """Connects an observer or supervisor. Nothing is sent before the first request. Raises INVALID_FIELD."""
    return Client(**options)
