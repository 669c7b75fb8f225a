"""Takes calls."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Literal

from typing_extensions import Unpack

from ._agent_options import MAX_DRAIN, AgentOptions, AgentStatus, session_config
from ._call import Call
from ._connection import RotatingConnection
from ._contexts import Contexts
from ._errors import CallweaveError, closed_error, from_exception
from ._event_types import CallEvent, CommandDone
from ._options import known, seconds
from ._session import Session
from ._session_port import Offer, SessionConfig

CallHandler = Callable[[Call], Awaitable[object]]
"""What an agent does with a call. Runs once per call; what it raises after the end of the call is not an error."""

# The call ended meanwhile, or is ending in another way: what was wanted.
_EXPECTED_AT_END = {
    "CALL_OVER",
    "CALL_STATE",
    "PENDING_COMMAND",
    "SEAT_NOT_HELD",
    "COMMAND_CANCELLED",
    "CALL_NOT_FOUND",
}


class Agent:
    """An agent process: registers, takes calls, runs the handler for each, comes back after lost connections.

    `await Agent(handler, agent_id="hello").run()`, or `async with` it: then it is registered inside and closed at the end.
    """

    contexts: Contexts
    """Apart from the streams, so that contexts can be written while one is being reattached."""

    def __init__(self, handler: CallHandler, **options: Unpack[AgentOptions]) -> None:
        """Raises INVALID_FIELD for an option out of its bounds. Nothing is sent before `start` or `run`."""
        known(options, AgentOptions)
        self._handler = handler
        self._options = options
        self._config = session_config(options)
        self._drain_timeout = seconds("drain_timeout", options.get("drain_timeout", 30), 0, MAX_DRAIN)
        self._handler_grace = seconds("handler_grace", options.get("handler_grace", 5), 0, 86_400)
        self._requests = RotatingConnection(self._config.connection, "agent")
        self.contexts = Contexts(self._requests)
        self._sessions: list[Session] = []
        self._current: Session | None = None
        self._started: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Future[None]] = set()
        self._outage = False
        self._ending: Literal["draining", "closing", "closed"] | None = None
        self._drained: asyncio.Task[None] | None = None
        self._wake_drain = asyncio.Event()
        self._stop_signals: Callable[[], None] = lambda: None

    @property
    def calls(self) -> list[Call]:
        """The calls that the agent has now."""
        return [call for session in self._sessions for call in session.calls.values()]

    @property
    def instance_id(self) -> str:
        """This process, as registered first."""
        return self._config.register.instance_id

    async def start(self) -> None:
        """Registers and takes calls; returns when the first gateway has answered, however long that takes.

        Raises when it can never work: UNAUTHENTICATED, POOL_NOT_FOUND, INVALID_FIELD, or when it is closed meanwhile.
        """
        if self._ending:
            raise closed_error("agent")
        if self._started is None:
            loop = asyncio.get_running_loop()
            self._started = loop.create_future()
            self._closed = loop.create_future()
            for future in (self._started, self._closed):
                future.add_done_callback(lambda f: f.cancelled() or f.exception())
            self._begin(0, self._config)
        await asyncio.shield(self._started)

    async def run(self) -> None:
        """Takes calls until `drain` or `close` ends it.

        Raises when it cannot go on: UNAUTHENTICATED, POOL_NOT_FOUND, INVALID_FIELD, SUPERSEDED. Cancelled, it closes.
        """
        try:
            await self.start()
            assert self._closed is not None
            await asyncio.shield(self._closed)
        except asyncio.CancelledError:
            await self.close()
            raise
        except CallweaveError as error:
            if error.reason != "CLOSED":
                raise

    async def __aenter__(self) -> Agent:
        """Registers."""
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        await self.close()

    async def drain(self, timeout: float | None = None) -> None:
        """Takes no more calls, waits for those there are, at most `timeout` (default `drain_timeout`), then gives the rest back and
        closes. A second call waits for the first. Raises INVALID_FIELD, draining nothing."""
        timeout = self._drain_timeout if timeout is None else seconds("timeout", timeout, 0, MAX_DRAIN)
        if self._drained is None:
            self._drained = asyncio.ensure_future(self._drain_once(timeout))
        await asyncio.shield(self._drained)

    async def close(self) -> None:
        """Gives all calls back at once and closes."""
        if self._ending in ("closing", "closed"):
            if self._closed is not None:
                with contextlib.suppress(CallweaveError):
                    await asyncio.shield(self._closed)
            return
        self._ending = "closing"
        self._wake_drain.set()
        await asyncio.gather(*(session.close() for session in list(self._sessions)))
        await self._finish(None)

    def drain_on_signals(
        self, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
    ) -> Callable[[], None]:
        """Drains at the first of these signals of the process and closes at the second. Answers how to stop that. Called within the
        running event loop."""
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            task = asyncio.ensure_future(self.close() if self._ending else self.drain())
            self._background.add(task)
            task.add_done_callback(self._background.discard)

        added: list[signal.Signals] = []
        for number in signals:
            # Windows has no such handlers: there Ctrl-C cancels `asyncio.run`, which closes.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, on_signal)
                added.append(number)

        def stop() -> None:
            while added:
                loop.remove_signal_handler(added.pop())

        self._stop_signals = stop
        return stop

    def reauthenticate(self, token: str) -> None:
        """Sends a fresh token on the streams there are, before the old one expires. New streams ask the `token` option."""
        for session in self._sessions:
            session.reauthenticate(token)

    async def _drain_once(self, timeout: float) -> None:
        if self._ending:
            await self.close()
            return
        self._ending = "draining"
        self._status(AgentStatus("draining"))
        for session in self._sessions:
            session.drain()
        self._check_drained()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake_drain.wait(), max(timeout, 0.001))
        await self.close()

    def _check_drained(self) -> None:
        busy = any(session.calls or session.pending_offers for session in self._sessions)
        if self._ending == "draining" and not busy:
            self._wake_drain.set()

    def _begin(self, endpoint: int, config: SessionConfig) -> None:
        session = Session(config, self, endpoint)
        self._current = session
        self._sessions.append(session)
        session.finished.add_done_callback(lambda task: self._session_over(session, task))

    def _session_over(self, session: Session, task: asyncio.Task[None]) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        self._check_drained()
        error = None if task.cancelled() else task.exception()
        if error is not None and session is self._current:
            self._later(self._finish(error))

    # What sessions ask and tell.

    def going_away(self, session: Session, deadline: float) -> None:
        """@private"""
        self._status(AgentStatus("going_away", deadline=deadline))
        session.drain()
        if not session.calls:
            self._later(session.close())
        if session is not self._current or self._ending:
            return
        # Another instance id: the old session lives on for its calls.
        register = replace(self._config.register, instance_id=str(uuid.uuid4()))
        self._begin(session.endpoint + 1, replace(self._config, register=register))

    def accept(self, offer: Offer) -> bool | str | Awaitable[bool | str]:
        """@private"""
        if self._ending:
            return "draining"
        pending = sum(session.pending_offers for session in self._sessions)
        if len(self.calls) + pending >= self._config.register.capacity:
            return "at capacity"
        decide = self._options.get("accept")
        return decide(offer) if decide else True

    def assigned(self, call: Call) -> None:
        """@private"""
        if self._config.register.answer_on_accept and call.state == "PENDING":
            _once_answered(call, lambda: self._start_handler(call))
        else:
            self._start_handler(call)
        call.on("ended", lambda _: self._call_over())

    def connected(self, session: Session, gateway_id: str) -> None:
        """@private"""
        if self._started and not self._started.done():
            self._started.set_result(None)
        self._status(AgentStatus("connected", gateway_id=gateway_id))

    def disconnected(self, session: Session, error: CallweaveError, retry_in: float) -> None:
        """@private"""
        self._status(AgentStatus("disconnected", error=error, retry_in=retry_in))
        self._check_drained()

    def changed(self) -> None:
        """@private"""
        self._check_drained()

    def load(self) -> float:
        """@private"""
        load = self._options.get("load")
        return load() if load else len(self.calls) / self._config.register.capacity

    def error(self, error: BaseException, call_id: str | None = None) -> None:
        """@private"""
        try:
            on_error = self._options.get("on_error")
            if on_error:
                on_error(error, call_id)
            else:
                about = f"call {call_id}: " if call_id else ""
                print(f"callweave: {about}{_describe(error)}", file=sys.stderr)
        except Exception:
            pass  # Nobody is left to be told.

    def _call_over(self) -> None:
        # The end of a call comes before the session has forgotten it.
        asyncio.get_running_loop().call_soon(self._after_call)

    def _after_call(self) -> None:
        for session in self._sessions:
            if session is not self._current and not session.calls:
                self._later(session.close())
        self._check_drained()

    def _start_handler(self, call: Call) -> None:
        if call.end:
            return
        task = asyncio.ensure_future(self._handle(call))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        loop = asyncio.get_running_loop()

        def over(_: object) -> None:
            timer = loop.call_later(self._handler_grace, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())

        call.on("ended", over)

    async def _handle(self, call: Call) -> None:
        try:
            await self._handler(call)
        except asyncio.CancelledError:
            if call.end is None:
                await self._quietly(call.release(), call)
            return
        except Exception as error:
            if call.end is None:
                self.error(error, call.id)
                await self._quietly(call.release(), call)
            return
        if call.end or self._options.get("when_handler_returns", "leave") == "keep":
            return
        # A command of the handler that still waits or runs goes first: then this one is refused, which is right.
        if call.state == "CONNECTED":
            await self._quietly(call.close(), call)
        elif call.state == "PENDING":
            await self._quietly(call.release(), call)
        else:
            ending = call.disconnect(after="drained", after_deadline=120, on_interrupt="PROCEED")
            await self._quietly(ending, call)

    async def _quietly(self, command: asyncio.Future[None], call: Call) -> None:
        try:
            await command
        except CallweaveError as error:
            if error.reason not in _EXPECTED_AT_END:
                self.error(error, call.id)

    async def _finish(self, error: BaseException | None) -> None:
        if self._ending == "closed":
            return
        self._ending = "closed"
        self._wake_drain.set()
        self._stop_signals()
        for task in self._handlers:
            # Their calls are over; each has its grace.
            asyncio.get_running_loop().call_later(self._handler_grace, task.cancel)
        if self._handlers:
            await asyncio.wait(self._handlers)
        await self._requests.close()
        self._status(AgentStatus("closed"))
        failure = None if error is None else from_exception(error)
        if self._started and not self._started.done():
            self._started.set_exception(failure or closed_error("agent"))
        if self._closed and not self._closed.done():
            if failure:
                self._closed.set_exception(failure)
            else:
                self._closed.set_result(None)

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _status(self, status: AgentStatus) -> None:
        try:
            on_status = self._options.get("on_status")
            if on_status:
                on_status(status)
            else:
                self._log_status(status)
        except Exception as error:
            self.error(error)

    def _log_status(self, status: AgentStatus) -> None:
        """Once per outage, so that an agent without a gateway does not look as if it worked."""
        if status.type == "connected" and self._outage:
            print("callweave: connected", file=sys.stderr)
        if status.error and not self._outage:
            print(f"callweave: no connection, trying again: {status.error}", file=sys.stderr)
        if status.type in ("connected", "disconnected"):
            self._outage = status.type == "disconnected"


def run(handler: CallHandler, **options: Unpack[AgentOptions]) -> None:
    """Runs an agent until SIGTERM or SIGINT drains it; a second signal closes it. For the main thread of a program.

    Raises when it cannot go on: UNAUTHENTICATED, POOL_NOT_FOUND, INVALID_FIELD, SUPERSEDED.
    """

    async def main() -> None:
        agent = Agent(handler, **options)
        agent.drain_on_signals()
        await agent.run()

    asyncio.run(main())


def _once_answered(call: Call, begin: Callable[[], None]) -> None:
    """Calls `begin` when the call is answered, when that failed, or when it is over."""
    stops: list[Callable[[], None]] = []

    def go() -> None:
        if stops:
            for stop in stops:
                stop()
            stops.clear()
            begin()

    def on_event(event: CallEvent) -> None:
        if isinstance(event.body, CommandDone) and event.body.verb == "AnswerCall":
            go()

    stops.append(call.on("state", lambda state: go() if state != "PENDING" else None))
    stops.append(call.on("event", on_event))
    stops.append(call.on("ended", lambda _: go()))


def _describe(error: BaseException) -> str:
    if isinstance(error, CallweaveError):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()
