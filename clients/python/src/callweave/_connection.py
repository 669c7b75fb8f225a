"""One HTTP/2 connection to one gateway."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc

from ._errors import TransportError, closed_error, from_exception, invalid_field
from ._options import ConnectionConfig, channel_credentials, is_loopback
from .v1.agent_service_pb2_grpc import AgentServiceStub
from .v1.call_service_pb2_grpc import CallServiceStub
from .v1.context_service_pb2_grpc import ContextServiceStub
from .v1.fleet_service_pb2_grpc import FleetServiceStub

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]


def not_a_message() -> TransportError:
    """The server answered with bytes that are no message of the contract."""
    text = "the server sent what is no message of the contract"
    return TransportError("TRANSPORT", grpc.StatusCode.INTERNAL, text)


async def ask_token(config: ConnectionConfig, timeout: float) -> str:
    """A fresh token; empty when there is none. Raises TRANSPORT when none comes in time, and what the function raises."""
    token = config.token()
    if not inspect.isawaitable(token):
        return token
    try:
        return await asyncio.wait_for(_await(token), timeout)
    except asyncio.TimeoutError as error:
        text = f"the token function did not answer within {timeout:g} s"
        raise TransportError("TRANSPORT", grpc.StatusCode.DEADLINE_EXCEEDED, text) from error


class Connection:
    """A channel, with a stub of each service on it. Made within the running event loop."""

    def __init__(self, config: ConnectionConfig, endpoint: str) -> None:
        self.config = config
        self.endpoint = endpoint
        options: dict[str, Any] = {
            # A stream is never retried as a whole: the session comes back by Reattach.
            "grpc.enable_retries": 0,
            "grpc.keepalive_time_ms": round(config.keepalive * 1000),
            "grpc.keepalive_timeout_ms": 5_000,
            "grpc.keepalive_permit_without_calls": 1,
            "grpc.http2.max_pings_without_data": 0,
            "grpc.initial_reconnect_backoff_ms": 100,
            "grpc.min_reconnect_backoff_ms": 5_000,  # how long one attempt may take, its handshakes too
            "grpc.max_reconnect_backoff_ms": 2_000,
            # Each connection is one of its own, though others go to the same address.
            "grpc.use_local_subchannel_pool": 1,
        }
        if is_loopback(endpoint):
            options["grpc.enable_http_proxy"] = 0
        options |= dict(config.channel_options)
        pairs = list(options.items())
        credentials = channel_credentials(config.tls)
        try:
            if credentials is None:
                channel = grpc.aio.insecure_channel(endpoint, pairs, interceptors=config.interceptors)
            else:
                channel = grpc.aio.secure_channel(
                    endpoint, credentials, pairs, interceptors=config.interceptors
                )
        except (TypeError, ValueError, RuntimeError) as error:
            raise invalid_field("endpoint", "an address of gRPC with known options", endpoint) from error
        self._channel = channel
        self.agents = AgentServiceStub(channel)
        self.calls = CallServiceStub(channel)
        self.contexts = ContextServiceStub(channel)
        self.fleet = FleetServiceStub(channel)

    async def metadata(self, timeout: float | None = None) -> Metadata:
        """The metadata of a request: the bearer token, if there is one. Raises TRANSPORT when none comes in time."""
        token = await ask_token(self.config, self.config.request_timeout if timeout is None else timeout)
        return (("authorization", f"Bearer {token}"),) if token else ()

    async def unary(
        self, method: Callable[..., Any], request: Any, *, extra: float = 0.0, patient: bool = False
    ) -> Any:
        """Does a unary request. `extra` is added to its timeout; `patient` waits within it for a gateway that cannot be reached."""
        timeout = self.config.request_timeout + extra
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            metadata = await self.metadata(timeout)
            left = max(0.001, deadline - loop.time())
            response = await method(request, metadata=metadata, timeout=left, wait_for_ready=patient)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise from_exception(error) from error
        if response is None:
            raise not_a_message()
        return response

    async def stream(self, method: Callable[..., Any], request: Any) -> AsyncIterator[Any]:
        """Reads a server stream. Ends when the server ends it, raises when it breaks."""
        call: Any = None
        try:
            call = method(request, metadata=await self.metadata())
            while (message := await call.read()) is not grpc.aio.EOF:
                if message is None:
                    raise not_a_message()
                yield message
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            raise from_exception(error) from error
        finally:
            if call is not None:
                call.cancel()

    async def close(self) -> None:
        """Closes the connection. Streams on it break."""
        await self._channel.close(None)


async def _await(value: Any) -> str:
    result: str = await value
    return result


class RotatingConnection:
    """A connection that is made when it is needed and changes its endpoint when one cannot be reached."""

    def __init__(self, config: ConnectionConfig, what: str) -> None:
        self.config = config
        self._what = what
        self._current: Connection | None = None
        self._index = 0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    def get(self) -> Connection:
        """The connection in use. Raises CLOSED."""
        if self._closed:
            raise closed_error(self._what)
        if self._current is None:
            endpoints = self.config.endpoints
            self._current = Connection(self.config, endpoints[self._index % len(endpoints)])
        return self._current

    def rotate(self, used: Connection) -> None:
        """Goes on to the next endpoint, if this connection is still the one in use."""
        if self._current is not used or len(self.config.endpoints) < 2:
            return
        self._index += 1
        self._current = None
        task = asyncio.ensure_future(used.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def ask(
        self,
        method: Callable[[Connection], Callable[..., Any]],
        request: Any,
        *,
        extra: float = 0.0,
        patient: bool = False,
    ) -> Any:
        """Does a unary request on the connection in use."""
        connection = self.get()
        try:
            return await connection.unary(method(connection), request, extra=extra, patient=patient)
        except TransportError as error:
            if error.code is grpc.StatusCode.UNAVAILABLE:
                self.rotate(connection)
            raise

    async def close(self) -> None:
        """Closes the connection for good; `get` then raises CLOSED."""
        self._closed = True
        current, self._current = self._current, None
        if current is not None:
            await current.close()
        if self._closing:
            await asyncio.wait(self._closing)
