"""A call whose seat this agent has."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any, Literal, TypeVar

from . import _event_types as ev
from ._audio_queue import AudioQueue
from ._bounded_queue import BoundedQueue
from ._call_link import CallLimits, CallLink
from ._call_verbs import CallVerbs
from ._commands import Commands
from ._context_types import CallContext
from ._convert import (
    seconds_of,
    to_audio_data,
    to_audio_format,
    to_audio_gap,
    to_call_event,
    to_call_info,
    to_end_reason,
    to_playback,
    to_seat_cause,
)
from ._errors import CallweaveError, call_over, queue_full
from ._playback_queue import Marker, PlaybackLimits, PlaybackQueue, Sound
from ._player import MarkEnd, PlayEnd, Player, PlaySource, failed, new_future, settle
from ._types import (
    AgentMode,
    AudioChunk,
    AudioFormat,
    CallEnd,
    CallInfo,
    CallState,
    Cleared,
    EscalationReason,
    Note,
    Pending,
    PlaybackStatus,
)
from ._verbs import Request, waits_for_playback
from .v1 import agent_service_pb2 as pb
from .v1 import call_event_pb2, call_pb2

T = TypeVar("T")
ListenerName = Literal["event", "note", "state", "mode", "playback", "attached", "ended"]
"""What `Call.on` tells: a `CallEvent`, a `Note`, a `CallState`, an `AgentMode`, a `PlaybackStatus`, whether the call is
attached to a stream, a `CallEnd`."""

OUTCOME_WAIT = 5.0
"""How long the end of a command is waited for after a takeover. Seconds."""
# At most one of these waits or runs at a time.
_ENDING = {"ConnectCall", "EscalateCall", "TransferCall", "CloseCall", "DisconnectCall"}


class Call(CallVerbs):
    """A call whose seat this agent has.

    `play`, `mark`, `clear` and the verbs take effect in the order in which they are called, awaited or not. What fails raises
    a `CallweaveError` where it is awaited, after the end of the call a `CallOverError`; if nobody awaits it, it does no harm.
    Cancelling a verb cancels the command while it has had no effect.
    """

    attempt: int
    """Counts the offers of the call from 1; above 1 somebody else may have talked before."""
    epoch: int
    """Of the seat; grows with each new holder."""
    audio_format: AudioFormat
    """The agreed format of audio both ways."""
    context: CallContext | None
    """The context as it came with the offer, its newest turns; None for a new call."""
    escalation_reason: EscalationReason | None
    """Set when the call came by an escalation."""

    def __init__(
        self,
        assigned: pb.Assigned,
        context: CallContext | None,
        escalation_reason: EscalationReason | None,
        link: CallLink,
        limits: CallLimits,
    ) -> None:
        """Made by the agent."""
        self._contexts = link.contexts
        self._link = link
        self._limits = limits
        self._info = to_call_info(assigned.call)
        self.id = self._info.call_id
        self.attempt = assigned.attempt
        self.epoch = assigned.epoch
        self.audio_format = to_audio_format(assigned.audio_format, self._info.sample_rate)
        self.context = context
        self.escalation_reason = escalation_reason
        self._handle = assigned.handle
        self._line: object | None = None
        self._last_sequence = self._info.last_event_sequence
        self._last_owner_epoch = 0
        self._played = self._info.playback.played
        self._end: CallEnd | None = None
        self._ended: asyncio.Future[CallEnd] = new_future()
        self._listeners: dict[str, list[Callable[..., object]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._event_queues: list[BoundedQueue[ev.CallEvent]] = []
        self._clears: list[tuple[asyncio.Future[Cleared], float]] = []
        self._outcome_timer: asyncio.TimerHandle | None = None
        self._audio = AudioQueue(limits.max_audio_queued)
        self._commands = Commands(self.id)
        size = 2 if self.audio_format.encoding == "S16LE" else 1
        self._bytes_per_second = self.audio_format.sample_rate * size
        queue = PlaybackQueue(
            PlaybackLimits(
                max_queued=limits.max_playback_queued,
                send_ahead=limits.send_ahead,
                max_unconfirmed=limits.max_unconfirmed,
                max_item=limits.max_item,
            ),
            self._bytes_per_second,
            asyncio.get_running_loop().time,
        )
        queue.start_at(self._info.playback)
        self._player = Player(
            queue,
            self.id,
            lambda: link.kick(self),
            self._commands.on_interrupt,
            max_queued=limits.max_playback_queued,
            prefetch=limits.send_ahead,
            max_marks=limits.max_marks,
        )

    @property
    def info(self) -> CallInfo:
        """All that is known of the call now."""
        return self._info

    @property
    def caller(self) -> str:
        """The caller's number in E.164, empty when withheld."""
        return self._info.caller

    @property
    def callee(self) -> str:
        """The number that was called, in E.164."""
        return self._info.callee

    @property
    def locale(self) -> str:
        """A BCP 47 tag, from the route."""
        return self._info.locale

    @property
    def pool(self) -> str:
        """The pool that the call came by."""
        return self._info.pool

    @property
    def state(self) -> CallState:
        """Where the call stands now."""
        return self._info.state

    @property
    def mode(self) -> AgentMode | None:
        """Who hears the agent; set while CONNECTED."""
        return self._info.agent_mode

    @property
    def sample_rate(self) -> int:
        """Of `audio` and `play`. Hz."""
        return self.audio_format.sample_rate

    @property
    def playback(self) -> PlaybackStatus:
        """Where the agent's audio is."""
        queue = self._player.queue
        return PlaybackStatus(queue.queued, queue.ahead, self._played)

    @property
    def end(self) -> CallEnd | None:
        """Why the agent does not have the call any more; None while it has it."""
        return self._end

    async def ended(self) -> CallEnd:
        """Returns when the agent does not have the call any more."""
        return await asyncio.shield(self._ended)

    def create_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs work that belongs to the call: the task is cancelled when the agent does not have the call any more.

        What it raises is told to `on_error` of the agent, too.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        if self._end:
            task.cancel()
        return task

    def audio(self) -> AsyncIterator[AudioChunk]:
        """The caller's audio, from the acceptance on; ends with the call.

        What nobody reads is kept up to `max_audio_queued`, then the oldest is dropped and told as a gap. One reader at a time; a
        later loop goes on where one stopped.
        """
        return self._audio.read()

    def play(self, audio: PlaySource) -> asyncio.Future[PlayEnd]:
        """Plays audio after what was played before. Done when all of it is with the gateway, about `send_ahead` before its end is
        heard; use `mark` or `drained` to know when it was heard.

        A buffer must not be changed meanwhile. Raises QUEUE_FULL, taking nothing, when more than `max_playback_queued` would
        wait; an iterable is read only as fast as it is played. Cancelled, what is not yet sent of it is dropped.
        """
        return self._player.play(audio)

    def mark(self, name: str | None = None) -> asyncio.Future[MarkEnd]:
        """Done when all audio before it was heard, or dropped. At most `max_marks` wait, then QUEUE_FULL."""
        return self._player.mark(name)

    def drained(self) -> asyncio.Future[MarkEnd]:
        """Done when all audio until now was heard, or dropped. The same as a mark without a name."""
        return self._player.mark(None)

    def clear(self) -> asyncio.Future[Cleared]:
        """Interrupt: drops all audio until now, here, in the gateway and at the provider. Answers what was not heard."""
        if self._end:
            return failed(call_over(self.id, self._end.cause))
        dropped, proceed = self._player.clear()
        future: asyncio.Future[Cleared] = new_future()
        if self._line is None:
            # Without a stream the gateway has cut the playback itself.
            future.set_result(Cleared(dropped, 0.0, 0.0))
        else:
            self._clears.append((future, dropped))
            self._send(pb.AgentItem(clear_playback=pb.ClearPlayback(handle=self._handle)))
        for request_id in proceed:
            self._send_command(request_id)
        return future

    def on(self, name: ListenerName, listener: Callable[..., object]) -> Callable[[], None]:
        """Listens; answers how to stop. A coroutine function is run as a task of the call. What a listener raises is told to
        `on_error` of the agent."""
        listeners = self._listeners.setdefault(name, [])
        listeners.append(listener)

        def stop() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return stop

    def events(self) -> AsyncIterator[ev.CallEvent]:
        """The events of the call from now on; ends with the call. At most `max_events_queued` wait for the reader, then the loop
        reads those and raises QUEUE_FULL."""
        limit = self._limits.max_events_queued
        queue = BoundedQueue[ev.CallEvent](
            limit,
            lambda: queue_full("the queue of events()", f"{limit} events", self.id),
            lambda q: self._event_queues.remove(q) if q in self._event_queues else None,
        )
        if self._end:
            queue.end()
        else:
            self._event_queues.append(queue)
        return queue.read()

    def _give(self, request_id: str, verb: str, request: Request, future: asyncio.Future[Any]) -> None:
        if self._end:
            raise call_over(self.id, self._end.cause)
        waits = waits_for_playback(verb, request)
        self._commands.add(request_id, verb, request, waits, future, self._on_cancelled)
        if waits:
            self._player.command(request_id)
        else:
            self._send_command(request_id)

    # What the session asks and tells.

    @property
    def has_playback(self) -> bool:
        """Whether something waits to be played."""
        return not self._player.queue.empty

    def next_item(self) -> pb.AgentItem | None:
        """The next piece of playback that may be sent now."""
        while True:
            step = self._player.queue.next()
            self._player.on_sent()
            if step is None:
                return None
            if isinstance(step, Sound):
                return pb.AgentItem(audio=pb.AgentAudio(handle=self._handle, pcm=bytes(step.pcm)))
            item = self._marker_item(step)
            if item is not None:
                return item

    def _marker_item(self, marker: Marker) -> pb.AgentItem | None:
        if marker.id.startswith("c"):
            command = self._commands.to_send(marker.id[1:], self._handle)
            return None if command is None else pb.AgentItem(command=command)
        name = self._player.mark_of(marker)
        return None if name is None else pb.AgentItem(mark=pb.Mark(handle=self._handle, name=name))

    def _on_item(self, kind: str, item: Any) -> None:
        """Something about the call that carries its handle."""
        if kind == "audio":
            data = to_audio_data(item, self._info.sample_rate or self.sample_rate)
            self._audio.push(data, len(data.pcm) / self._bytes_per_second)
        elif kind == "audio_gap":
            self._audio.push_gap(to_audio_gap(item, self._info.sample_rate))
        elif kind == "mark_reached":
            cleared = item.end == pb.MARK_END_CLEARED
            self._player.on_mark_reached(item.name, "CLEARED" if cleared else "PLAYED")
        elif kind == "playback":
            progress = to_playback(item.position)
            self._played = progress.played
            self._player.queue.on_progress(progress)
            self._link.kick(self)
            self._emit("playback", self.playback)
        elif kind == "playback_cleared":
            self._played = seconds_of(item.played)
            self._player.queue.on_cleared(self._played)
            if self._clears:
                future, dropped = self._clears.pop(0)
                dropped += seconds_of(item.dropped_local)
                unheard = seconds_of(item.estimated_unheard_at_provider)
                settle(future, Cleared(dropped, unheard, self._played))
            self._link.kick(self)
        elif kind == "note":
            self._emit("note", Note(item.text, item.author))

    def _on_result(self, result: pb.CommandResult) -> None:
        if result.HasField("call"):
            self._update(result.call)
        self._commands.on_result(result)

    def _on_event(self, wire: call_event_pb2.CallEvent) -> None:
        # Numbers that a dead gateway told and did not store come again, from its successor.
        if wire.sequence <= self._last_sequence and wire.owner_epoch <= self._last_owner_epoch:
            return
        self._last_sequence = wire.sequence
        self._last_owner_epoch = max(self._last_owner_epoch, wire.owner_epoch)
        event = to_call_event(wire)
        body = event.body
        if isinstance(body, ev.Answered):
            self._set(state="ANSWERED")
        elif isinstance(body, ev.Connected):
            self._set(state="CONNECTED", agent_mode=self._info.agent_mode or "BARGE")
        elif isinstance(body, ev.ModeSet):
            self._set(agent_mode=body.mode)
        elif isinstance(body, ev.SeatChanged):
            self._set(seat=body.seat)
        elif isinstance(body, ev.CommandStarted) and body.verb in _ENDING:
            self._set(pending=Pending(body.request_id, body.verb))
        elif isinstance(body, ev.CommandDone):
            if self._info.pending and self._info.pending.request_id == body.request_id:
                self._set(pending=None)
        elif isinstance(body, ev.Ended):
            self._set(state="DISCONNECTED", end_reason=body.reason)
        self._emit("event", event)
        for queue in list(self._event_queues):
            queue.push(event)
        if isinstance(body, ev.CommandDone):
            self._commands.on_done(body)

    def _on_refused(self, item: str, error: CallweaveError) -> None:
        if error.reason == "PLAYBACK_FULL":
            self._player.queue.on_full()
            self._link.kick(self)
        elif item == "mark":
            self._player.on_mark_refused()
        elif item == "clear_playback" and self._clears:
            self._end_clears(1)
        else:
            self._link.on_error(error, self.id)

    def _on_detached(self) -> None:
        """The stream broke; the seat is reserved for a moment."""
        if self._line is None or self._end:
            return
        self._line = None
        self._player.on_detached()
        self._end_clears()
        self._emit("attached", False)

    def _on_reattached(self, assigned: pb.Assigned, line: object) -> None:
        """The call is on a new stream: what was lost on the way is sent again."""
        was_attached = self._line is not None
        if was_attached:
            # Moved before the loss of the old stream was seen here.
            self._player.on_detached()
            self._end_clears()
        self._line = line
        self._handle = assigned.handle
        self.epoch = assigned.epoch
        taken_over = assigned.resume == pb.ASSIGNED_RESUME_TAKEN_OVER
        requeued = set(self._player.on_reattached(to_playback(assigned.call.playback), taken_over))
        if taken_over:
            self._expect_outcomes()
        self._update(assigned.call, force=True)
        for request_id in self._commands.unanswered():
            if request_id in requeued:
                self._commands.requeue(request_id)
            else:
                self._send_command(request_id)
        if not was_attached:
            self._emit("attached", True)
        self._link.kick(self)

    def _on_unassigned(self, unassigned: pb.Unassigned) -> None:
        self._over(CallEnd(to_seat_cause(unassigned.cause), to_end_reason(unassigned.end_reason)))

    def _over(self, end: CallEnd) -> None:
        """The agent does not have the call any more."""
        if self._end:
            return
        self._end = end
        if end.cause == "CALL_ENDED":
            self._set(state="DISCONNECTED", end_reason=end.end_reason)
        self._end_clears()
        self._player.end(end.cause)
        self._commands.on_over(end)
        self._audio.end()
        if self._outcome_timer:
            self._outcome_timer.cancel()
        for queue in list(self._event_queues):
            queue.end()
        self._emit("ended", end)
        settle(self._ended, end)
        for task in list(self._tasks):
            task.cancel()

    def _expect_outcomes(self) -> None:
        """Commands that the dead gateway had answered as pending: its successor tells how they ended. If it knows nothing of one,
        because even its start was not stored, nobody does."""
        pending = self._commands.pending()
        if pending:
            loop = asyncio.get_running_loop()
            self._outcome_timer = loop.call_later(OUTCOME_WAIT, self._outcomes_unknown, pending)

    def _outcomes_unknown(self, pending: list[str]) -> None:
        for request_id in pending:
            self._commands.unknown(request_id)

    def _end_clears(self, count: int | None = None) -> None:
        ended = self._clears[:count]
        del self._clears[: len(ended)]
        for future, dropped in ended:
            settle(future, Cleared(dropped, 0.0, 0.0))

    def _update(self, call: call_pb2.Call, force: bool = False) -> None:
        info = to_call_info(call)
        if force or info.last_event_sequence >= self._last_sequence:
            self._become(info)

    def _set(self, **change: Any) -> None:
        self._become(replace(self._info, **change))

    def _become(self, info: CallInfo) -> None:
        before, self._info = self._info, info
        if info.state != before.state:
            self._emit("state", info.state)
        if info.agent_mode and info.agent_mode != before.agent_mode:
            self._emit("mode", info.agent_mode)

    def _send(self, item: pb.AgentItem) -> None:
        self._link.send(self, item)

    def _send_command(self, request_id: str) -> None:
        command = self._commands.to_send(request_id, self._handle)
        # Without a stream it is sent after the reattachment, with all that had no answer.
        if command is not None and self._line is not None:
            self._send(pb.AgentItem(command=command))

    def _on_cancelled(self, request_id: str) -> None:
        if self._commands.is_queued(request_id):
            self._player.queue.remove_marker(f"c{request_id}")
        elif self._commands.has(request_id) and not self._end:
            # That there is nothing to cancel any more is no error.
            self.cancel(request_id)
        self._commands.drop(request_id)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._end is None:
            self._link.on_error(error, self.id)

    def _emit(self, name: ListenerName, value: object) -> None:
        for listener in list(self._listeners.get(name, ())):
            try:
                result = listener(value)
                if inspect.iscoroutine(result):
                    self.create_task(result)
            except Exception as error:
                self._link.on_error(error, self.id)
