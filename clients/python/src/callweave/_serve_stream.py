"""One Serve stream on its own connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import grpc

from ._connection import Connection, not_a_message
from ._errors import CallweaveError, ClosedError, QueueFullError, TransportError, from_exception, from_status
from ._options import ConnectionConfig
from ._outbox import Outbox, OutboxLimits, PlaybackSource
from .v1 import agent_service_pb2 as pb

STATUS_WAIT = 0.5
"""How long the status of a stream may come after a write that failed. Seconds."""
STATUS_TRIES = 50
_OVERWRITTEN = "Internal error from Core"


def _now(answer: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine answers that has nothing to wait for; None if it does."""
    try:
        answer.send(None)
    except StopIteration as stop:
        return stop.value
    answer.close()
    return None


class ServeStream:
    """Runs from its first item to its end."""

    def __init__(
        self,
        limits: OutboxLimits,
        on_item: Callable[[pb.GatewayItem], None],
        sources: Callable[[], Iterable[PlaybackSource]],
    ) -> None:
        self.outbox = Outbox(limits, self._write, sources, self._overflow)
        self._on_item = on_item
        self._over: asyncio.Future[CallweaveError] = asyncio.get_running_loop().create_future()
        self._call: Any = None
        self._status: Any = None

    async def run(
        self, config: ConnectionConfig, endpoint: str, first: pb.AgentItem, connect_timeout: float
    ) -> CallweaveError:
        """Opens the stream with its first item and answers why it is over.

        Without a token and an answer within `connect_timeout` it ends.
        """
        connection: Connection | None = None
        work: asyncio.Task[None] | None = None
        try:
            connection = Connection(config, endpoint)
            work = asyncio.ensure_future(self._work(connection, first, connect_timeout))
            work.add_done_callback(self._worked)
            return await asyncio.shield(self._over)
        except CallweaveError as error:
            return error
        finally:
            self.outbox.close()
            self.fail(ClosedError("CLOSED", grpc.StatusCode.CANCELLED, "closed"))
            if work:
                work.cancel()
                await asyncio.wait([work])
            if connection:
                await connection.close()

    async def end(self, last: pb.AgentItem | None, timeout: float) -> None:
        """Ends the stream from here; what is queued is still written. Waits twice the timeout at most."""
        call = self._call
        if call is not None and not self._over.done():
            if last is not None:
                self.outbox.send(last)
            await self.outbox.flushed(timeout)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(call.done_writing(), timeout)
            await asyncio.wait([self._over], timeout=timeout)
        text = "the stream was ended by the client"
        self.fail(ClosedError("CLOSED", grpc.StatusCode.CANCELLED, text))

    def fail(self, error: CallweaveError) -> None:
        """Breaks the stream off."""
        if not self._over.done():
            self._over.set_result(error)

    async def _work(self, connection: Connection, first: pb.AgentItem, connect_timeout: float) -> None:
        loop = asyncio.get_running_loop()
        what = "the token function does not answer"
        writer: asyncio.Task[None] | None = None

        def too_late() -> None:
            self.fail(TransportError("TRANSPORT", grpc.StatusCode.DEADLINE_EXCEEDED, what))

        timer = loop.call_later(connect_timeout, too_late)
        try:
            # The timer above is the first to end.
            metadata = await connection.metadata(connect_timeout + 1)
            what = "the gateway does not answer"
            call = self._call = connection.agents.Serve(metadata=metadata)
            call.add_done_callback(self._told)
            self.outbox.send(first)
            writer = asyncio.ensure_future(self._write_all())
            while (response := await call.read()) is not grpc.aio.EOF:
                timer.cancel()
                if not isinstance(response, pb.ServeResponse):
                    raise not_a_message()
                for item in response.items:
                    if not self._over.done():
                        self._on_item(item)
            text = "the gateway ended the stream"
            raise TransportError("TRANSPORT", grpc.StatusCode.UNAVAILABLE, text)
        except grpc.aio.AioRpcError as error:
            raise await self._error_of(error) from error
        finally:
            timer.cancel()
            if writer:
                writer.cancel()
            if self._call is not None:
                self._call.cancel()

    def _told(self, call: Any) -> None:
        """Keeps the status as it comes. A write that fails beside it writes its own over it (grpc/grpc issue 36066)."""
        status = tuple(map(_now, (call.code(), call.details(), call.trailing_metadata())))
        if status[1] != _OVERWRITTEN and self._status is None:
            self._status = status

    async def _error_of(self, error: BaseException) -> CallweaveError:
        """What the gateway told, if a failed write hides it."""
        made = from_exception(error)
        if not isinstance(error, grpc.aio.AioRpcError) or error.details() != _OVERWRITTEN:
            return made
        for _ in range(STATUS_TRIES):
            if self._status is not None:
                break
            await asyncio.sleep(STATUS_WAIT / STATUS_TRIES)
        if self._status is None:
            return TransportError("TRANSPORT", grpc.StatusCode.UNAVAILABLE, "the stream broke while writing")
        code, details, trailers = self._status
        return from_status(code, details, {k: v for k, v in trailers or ()})

    def _worked(self, work: asyncio.Task[None]) -> None:
        if work.cancelled():
            text = "the stream was broken off"
            self.fail(TransportError("TRANSPORT", grpc.StatusCode.CANCELLED, text))
        elif error := work.exception():
            self.fail(from_exception(error))

    async def _write(self, items: list[pb.AgentItem]) -> None:
        await self._call.write(pb.ServeRequest(items=items))

    async def _write_all(self) -> None:
        try:
            await self.outbox.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # The status of a stream that is over comes to the reader; only if it does not, this is why.
            failure = await self._error_of(error)
            asyncio.get_running_loop().call_later(1.0, self.fail, failure)

    def _overflow(self) -> None:
        text = "the control queue is full"
        self.fail(QueueFullError("QUEUE_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED, text))
