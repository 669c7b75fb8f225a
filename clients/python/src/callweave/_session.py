"""One registration at one gateway, over as many streams as it takes."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import grpc

from ._backoff import Backoff
from ._call import Call
from ._call_link import CallLink
from ._connection import ask_token
from ._convert import seconds_of, to_call_info, to_context, to_escalation_reason
from ._errors import CallweaveError, TransportError, closed_error, from_wire, invalid_field
from ._line import Line, is_fatal
from ._outbox import OutboxLimits
from ._reattach import fit_reattach
from ._serve_stream import ServeStream
from ._session_port import Offer, SessionConfig, SessionPort
from ._types import CallEnd
from .v1 import agent_service_pb2 as pb

MAX_MESSAGE_ITEMS = 256
"""Items in a message; less when the gateway says so."""
MAX_MESSAGE_BYTES = 256 * 1024
"""Bytes of a message; less when the gateway says so."""
MAX_UNCONFIRMED_BEYOND = 2.0
"""How much more than `send_ahead` may be unconfirmed: progress comes twice a second, and a round trip. Seconds."""
END_TIMEOUT = 2.0
"""How long the end of a stream waits for its last items, and once more for the gateway. Seconds."""
TAKEOVER = 13.0
"""Beyond the grace: the lease of a dead gateway, and what its successor needs. Seconds."""
STABLE = 2.0
"""A stream that lived this long counts as stable: the next wait begins with the shortest. Seconds."""
MOVE_WAIT = 1.0
"""How long a gateway may take to move the calls of a lost stream to a sibling, before they are asked for. Seconds."""

_ABOUT_HANDLES = {"audio", "audio_gap", "mark_reached", "playback", "playback_cleared", "note"}


class Session:
    """Runs until it is closed or can never work."""

    def __init__(self, config: SessionConfig, port: SessionPort, endpoint: int) -> None:
        self.calls: dict[str, Call] = {}
        self.endpoint = endpoint
        self._config = config
        self._port = port
        self._lines: list[Line] = []
        self._offers: dict[str, Offer] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff()
        self._token = ""
        self._ever_up = False
        self._lost_at = 0.0
        self._grace = 2.0
        self._heartbeat = 0.5
        self._max_playback = 30.0
        self._max_items = MAX_MESSAGE_ITEMS
        self._max_bytes = MAX_MESSAGE_BYTES
        self._draining = False
        self._leaving = False
        self._load_failed = False
        # Up again, and not all calls have come back yet.
        self._settling: asyncio.TimerHandle | None = None
        self._beat_timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._extra: set[asyncio.Task[None]] = set()
        self._link = CallLink(self._send_for, self._kick_for, port.error, port.contexts)
        self.finished: asyncio.Task[None] = asyncio.ensure_future(self._run(primary=True))

    @property
    def pending_offers(self) -> int:
        """Offers that were taken and not yet assigned."""
        return len(self._offers)

    @property
    def is_up(self) -> bool:
        """Whether the gateway knows the session and takes items."""
        return any(line.up for line in self._lines)

    def drain(self) -> None:
        """No more offers; calls go on."""
        if not self._draining:
            self._draining = True
            self._send(pb.AgentItem(drain=pb.Drain()))

    def reauthenticate(self, token: str) -> None:
        """A fresh credential for the streams."""
        for line in self._lines:
            line.stream.outbox.send(pb.AgentItem(reauthenticate=pb.Reauthenticate(token=token)))

    async def _refresh(self) -> None:
        """Asks for a fresh token; without one the streams end, and the next ones ask again."""
        try:
            token = await ask_token(self._config.connection, self._config.connect_timeout)
        except Exception as error:
            self._port.error(error)
            return
        if token:
            self.reauthenticate(token)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def close(self) -> None:
        """Gives all calls back and ends."""
        if not self._closing.is_set():
            self._closing.set()
            lines = list(self._lines)
            self._end_calls("CLOSED")
            for at, line in enumerate(lines):
                last = pb.AgentItem(bye=pb.Bye()) if line.up and at == 0 else None
                await line.stream.end(last, END_TIMEOUT)
        await asyncio.wait([self.finished, *self._extra])

    async def _run(self, primary: bool) -> None:
        try:
            await self._keep(primary)
        finally:
            if primary:
                self._stop_timers()
                for task in [*self._extra, *self._work]:
                    task.cancel()

    async def _keep(self, primary: bool) -> None:
        while not self._closing.is_set():
            line, error = await self._connect_once(self._first_item())
            if self._closing.is_set():
                return
            was_stable = line.up and self._loop.time() - line.up_at > STABLE
            self._down(line)
            if was_stable:
                self._backoff.reset()
            if is_fatal(error, self._ever_up):
                self._end_calls("LOST")
                if primary:
                    raise error
                return
            # The gateway died, or this is another one: register there under the same instance id. Its calls are kept for the
            # gateway that takes them over and gives this agent its seats again.
            gone = error.reason == "SESSION_NOT_FOUND"
            if gone:
                self._token = ""
            self._give_up_late_calls()
            if self._leaving and not self.calls:
                return
            if not line.up and not gone and primary:
                self.endpoint += 1
            wait = 0.0 if gone else self._backoff.next()
            if self.is_up:
                await self._wait_moved(wait)
                if not primary and not self._orphans():
                    return
                continue
            if not primary:
                return
            self._port.disconnected(self, error, wait)
            await self._sleep(wait)
            self._give_up_late_calls()

    async def _connect_once(self, first: pb.AgentItem) -> tuple[Line, CallweaveError]:
        """One stream, until it is over."""
        limits = OutboxLimits(
            self._max_items, self._max_bytes, self._config.max_control_items, self._config.tick
        )
        line: Line
        stream = ServeStream(limits, lambda item: self._on_item(line, item), lambda: self._sources(line))
        line = Line(stream, first.HasField("reattach"))
        self._lines.append(line)
        endpoints = self._config.connection.endpoints
        endpoint = endpoints[self.endpoint % len(endpoints)]
        try:
            error = await stream.run(self._config.connection, endpoint, first, self._config.connect_timeout)
        finally:
            self._lines.remove(line)
        return line, error

    def _sources(self, line: Line) -> list[Call]:
        return list(line.handles.values())

    def _first_item(self) -> pb.AgentItem:
        if self._token and self.is_up and not self._orphans():
            return pb.AgentItem(join=pb.Join(session_token=self._token))
        calls = self._orphans() if self.is_up else list(self.calls.values())
        if self._token and calls:
            wanted = [
                pb.ReattachCall(call_id=c.id, epoch=c.epoch, last_event_sequence=c._last_sequence)
                for c in calls
            ]
            reattach, left = fit_reattach(self._token, wanted, self._max_bytes)
            for call in left:
                self._no_room(call.call_id)
            return pb.AgentItem(reattach=reattach)
        return pb.AgentItem(register=self._config.register.message())

    def _no_room(self, call_id: str) -> None:
        """A call without room in the Reattach, which is only so with ids far beyond the usual length."""
        call = self.calls.get(call_id)
        if call is not None:
            text = f"the calls to come back to do not fit a message of {self._max_bytes} bytes"
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            self._port.error(TransportError("TRANSPORT", code, text, {"call_id": call_id}), call_id)
            self._remove(call)._over(CallEnd("LOST"))

    def _on_item(self, line: Line, wire: pb.GatewayItem) -> None:
        kind = wire.WhichOneof("item")
        if kind is None:
            return  # A kind newer than this library.
        item: Any = getattr(wire, kind)
        if kind in _ABOUT_HANDLES:
            call = line.handles.get(item.handle)
            if call:
                call._on_item(kind, item)
        elif kind == "call_event":
            call = self.calls.get(item.call_id)
            if call:
                call._on_event(item)
        elif kind == "command_result":
            call = line.handles.get(item.handle) or self.calls.get(item.call.call_id)
            if call:
                call._on_result(item)
        elif kind == "registered":
            self._on_registered(line, item)
        elif kind == "offer":
            self._in_background(self._on_offer(line, item))
        elif kind == "offer_revoked":
            self._offers.pop(item.offer_id, None)
            self._port.changed()
        elif kind == "assigned":
            self._on_assigned(line, item)
        elif kind == "unassigned":
            call = line.handles.get(item.handle)
            if call:
                self._remove(call)._on_unassigned(item)
        elif kind == "item_refused":
            self._on_refused(line, item)
        elif kind == "credential_expiring":
            self._in_background(self._refresh())
        elif kind == "go_away" and not self._leaving:
            # Told on every stream.
            self._leaving = True
            self._port.going_away(self, seconds_of(item.deadline))

    def _on_registered(self, line: Line, registered: pb.Registered) -> None:
        if registered.session_token:
            self._token = registered.session_token
        if registered.HasField("reattach_grace"):
            self._grace = seconds_of(registered.reattach_grace)
        if registered.HasField("heartbeat_interval"):
            self._heartbeat = seconds_of(registered.heartbeat_interval)
        limits = registered.limits
        self._max_items = min(MAX_MESSAGE_ITEMS, limits.max_items or MAX_MESSAGE_ITEMS)
        self._max_bytes = min(MAX_MESSAGE_BYTES, limits.max_message_bytes or MAX_MESSAGE_BYTES)
        if limits.HasField("max_playback"):
            self._max_playback = seconds_of(limits.max_playback)
        line.stream.outbox.limits.max_items = self._max_items
        line.stream.outbox.limits.max_bytes = self._max_bytes
        self._on_up(line, registered.gateway_id)

    def _on_up(self, line: Line, gateway_id: str) -> None:
        if line.up:
            return
        first = not self.is_up
        line.up = True
        line.up_at = self._loop.time()
        self._ever_up = True
        if not first:
            return
        if self._config.register.heartbeat and self._heartbeat > 0:
            self._beat()
        if self._draining or self._leaving:
            self._send(pb.AgentItem(drain=pb.Drain()))
        if self.calls:
            left = self._lost_at + self._takeover - self._loop.time()
            wait = self._config.connect_timeout if line.reattaches else max(0.0, left)
            self._settling = self._loop.call_later(wait, self._drop_unanswered)
        self._port.connected(self, gateway_id)

    def _drop_unanswered(self) -> None:
        """Calls that the gateway neither gave back nor refused after a Reattach."""
        self._settling = None
        for call in self._orphans():
            self._remove(call)._over(CallEnd("LOST"))

    def _beat(self) -> None:
        self._send(pb.AgentItem(heartbeat=pb.Heartbeat(load=self._load())))
        self._beat_timer = self._loop.call_later(self._heartbeat, self._beat)

    def _load(self) -> float:
        """0 to 1. What is wrong with the answer of the port is told once, until it answers well again."""
        try:
            load: object = self._port.load()
            if not isinstance(load, (int, float)) or not math.isfinite(load):
                raise invalid_field("load", "a finite number from 0 to 1", load)
            self._load_failed = False
            return min(1.0, max(0.0, float(load)))
        except Exception as error:
            if not self._load_failed:
                self._port.error(error)
            self._load_failed = True
            return min(1.0, len(self.calls) / self._config.register.capacity)

    async def _on_offer(self, line: Line, wire: pb.Offer) -> None:
        answer: object = "draining"
        offer_id = wire.offer_id
        try:
            offer = Offer(
                call=to_call_info(wire.call),
                context=to_context(wire.context) if wire.HasField("context") else None,
                attempt=wire.attempt,
                time_left=seconds_of(wire.time_left),
                escalation_reason=to_escalation_reason(wire.escalation_reason),
            )
            if not self._draining and not self._leaving:
                answer = self._port.accept(offer)
                # Counted from now on, so that two offers at once do not both take the last place.
                self._offers[offer_id] = offer
                if inspect.isawaitable(answer):
                    answer = await answer
                if line not in self._lines or offer_id not in self._offers:
                    return
        except Exception as error:
            self._port.error(error, wire.call.call_id)
            answer = "the agent failed to decide"
        if answer is True:
            line.stream.outbox.send(pb.AgentItem(accept=pb.Accept(offer_id=offer_id)))
            return
        self._offers.pop(offer_id, None)
        # Without types accept may answer anything.
        reason = answer[:100] if isinstance(answer, str) else "declined"
        line.stream.outbox.send(pb.AgentItem(decline=pb.Decline(offer_id=offer_id, reason=reason)))
        self._port.changed()

    def _on_assigned(self, line: Line, assigned: pb.Assigned) -> None:
        self._on_up(line, assigned.call.gateway_id)
        call_id = assigned.call.call_id
        offer = self._offers.pop(assigned.offer_id, None)
        known = self.calls.get(call_id)
        back = assigned.resume == pb.ASSIGNED_RESUME_TAKEN_OVER or (
            known is not None and known.epoch == assigned.epoch
        )
        if known and back and assigned.resume != pb.ASSIGNED_RESUME_NEW:
            self._forget_handle(known)
            line.handles[assigned.handle] = known
            known._on_reattached(assigned, line)
            return
        if known:
            self._remove(known)._over(CallEnd("LOST"))
        limits = self._config.call_limits
        unconfirmed = max(
            limits.max_item, min(self._max_playback - 0.5, limits.send_ahead + MAX_UNCONFIRMED_BEYOND)
        )
        call = Call(
            assigned,
            offer.context if offer else None,
            offer.escalation_reason if offer else None,
            self._link,
            replace(limits, max_unconfirmed=unconfirmed),
        )
        call._line = line
        self.calls[call_id] = call
        line.handles[assigned.handle] = call
        self._port.assigned(call)
        self._open_streams()

    def _open_streams(self) -> None:
        """One more stream for each `calls_per_stream` calls; the gateway gives new calls to the stream with the fewest."""
        wanted = min(self._config.max_streams, math.ceil(len(self.calls) / self._config.calls_per_stream))
        if self._token and self.is_up and wanted > 1 + len(self._extra) and not self._leaving:
            task = asyncio.ensure_future(self._run(primary=False))
            self._extra.add(task)
            task.add_done_callback(self._extra_over)

    def _extra_over(self, task: asyncio.Task[None]) -> None:
        self._extra.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._port.error(error)

    def _on_refused(self, line: Line, refused: pb.ItemRefused) -> None:
        error = from_wire(refused.error) if refused.HasField("error") else closed_error("item")
        offer_id = error.metadata.get("offer_id")
        if offer_id is not None:
            self._offers.pop(offer_id, None)
            self._port.changed()
        if error.reason == "OFFER_GONE":
            return
        call = line.handles.get(refused.handle)
        if call is None and refused.item == "reattach":
            call = self.calls.get(error.call_id or "")
        if call is None:
            # A repeated item of a call that is over is no news.
            if error.reason not in ("STALE_HANDLE", "SEAT_TAKEN"):
                self._port.error(error)
            return
        gone = refused.item == "reattach" or error.reason == "SEAT_TAKEN"
        if gone:
            self._on_up(line, "")
        if gone or error.reason == "STALE_HANDLE":
            self._remove(call)._over(CallEnd("LOST"))
        else:
            call._on_refused(refused.item, error)

    def _send(self, item: pb.AgentItem) -> None:
        """On the first stream that is up; dropped while there is none."""
        for line in self._lines:
            if line.up:
                line.stream.outbox.send(item)
                return

    def _send_for(self, call: Call, item: pb.AgentItem) -> None:
        if isinstance(call._line, Line):
            call._line.stream.outbox.send(item)

    def _kick_for(self, call: Call) -> None:
        if isinstance(call._line, Line):
            call._line.stream.outbox.kick()

    def _down(self, line: Line) -> None:
        """The stream is gone."""
        if line.up and not self.is_up:
            if self._settling is None:
                self._lost_at = self._loop.time()
            self._stop_timers()
        if not self.is_up:
            self._offers.clear()
        line.handles.clear()
        for call in list(self.calls.values()):
            if call._line is line:
                call._on_detached()
        self._port.changed()

    def _stop_timers(self) -> None:
        for timer in (self._settling, self._beat_timer):
            if timer:
                timer.cancel()
        self._settling = None

    def _orphans(self) -> list[Call]:
        """Calls that are on no stream."""
        return [call for call in self.calls.values() if call._line is None]

    async def _wait_moved(self, least: float) -> None:
        """Another stream lives: the gateway moves the calls there. What is left after a while has to be asked for."""
        until = self._loop.time() + MOVE_WAIT
        await self._sleep(least)
        while self._orphans() and self.is_up and self._loop.time() < until:
            if not await self._sleep(0.05):
                return

    async def _sleep(self, seconds: float) -> bool:
        """Whether it slept to the end: closing ends it early."""
        try:
            await asyncio.wait_for(self._closing.wait(), max(seconds, 0.001))
        except asyncio.TimeoutError:
            return True
        return False

    def _give_up_late_calls(self) -> None:
        if self.calls and not self.is_up and self._loop.time() - self._lost_at > self._takeover:
            self._end_calls("LOST")

    @property
    def _takeover(self) -> float:
        """How long calls are kept after a lost stream: time to come back, or for another gateway to take them over."""
        timeout = self._config.reattach_timeout
        return self._grace + TAKEOVER if timeout is None else timeout

    def _end_calls(self, cause: Any) -> None:
        self._token = ""
        for call in list(self.calls.values()):
            self._remove(call)._over(CallEnd(cause))

    def _forget_handle(self, call: Call) -> None:
        if isinstance(call._line, Line) and call._line.handles.get(call._handle) is call:
            del call._line.handles[call._handle]

    def _remove(self, call: Call) -> Call:
        self.calls.pop(call.id, None)
        self._forget_handle(call)
        return call
