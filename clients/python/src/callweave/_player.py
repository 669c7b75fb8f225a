"""The audio that the agent says in one call: buffers and iterables in order, marks and waiting commands among them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from ._errors import CallweaveError, call_over, from_exception, invalid_field, queue_full
from ._playback_queue import Marker, PlaybackQueue
from ._types import PlaybackPosition

MarkEnd = Literal["PLAYED", "CLEARED"]
"""Whether what a mark waited for was heard, or dropped by `Call.clear` or by the end of the call."""
PlayEnd = Literal["SENT", "CLEARED"]
"""How audio was handed over: given to the gateway, or dropped by `Call.clear` before."""
Buffer = bytes | bytearray | memoryview
"""Samples in the agreed format."""
PlaySource = Buffer | AsyncIterable[Buffer] | Iterable[Buffer]
"""Audio to play, whole or as it is made. A half sample at the end is kept for what follows."""

T = TypeVar("T")
Future = asyncio.Future


def quiet(future: asyncio.Future[T]) -> asyncio.Future[T]:
    """An error that nobody awaits does no harm."""
    future.add_done_callback(lambda f: f.cancelled() or f.exception())
    return future


def new_future() -> asyncio.Future[Any]:
    """A quiet future of the running loop."""
    return quiet(asyncio.get_running_loop().create_future())


def failed(error: BaseException) -> asyncio.Future[Any]:
    """A future that has failed."""
    future = new_future()
    future.set_exception(error)
    return future


def settle(future: asyncio.Future[T], value: T) -> None:
    """Sets the result, unless the future is done."""
    if not future.done():
        future.set_result(value)


@dataclass(eq=False, slots=True)
class _Mark:
    name: str
    future: asyncio.Future[MarkEnd]
    sent: bool = False


@dataclass(eq=False, slots=True)
class _Deferred:
    """Something that has to wait until an iterable was played to its end."""

    run: Callable[[], None]
    # An interrupt met it. Answers the command that goes ahead, if it is one that does.
    clear: Callable[[], str | None]


class Player:
    """Knows the playback queue, but no socket."""

    def __init__(
        self,
        queue: PlaybackQueue,
        call_id: str,
        kick: Callable[[], None],
        interrupt_command: Callable[[str], bool],
        *,
        max_queued: float,
        prefetch: float,
        max_marks: int,
    ) -> None:
        self.queue = queue
        self._call_id = call_id
        self._kick = kick
        self._interrupt_command = interrupt_command
        self._max_queued = max_queued
        self._prefetch = prefetch
        self._max_marks = max_marks
        self._marks: dict[str, _Mark] = {}
        self._next_id = 0
        self._generation = 0
        self._streaming: asyncio.Task[None] | None = None
        self._deferred: list[_Deferred] = []
        self._deferred_seconds = 0.0
        self._ahead_when_lost = 0.0
        self._room = asyncio.Event()
        self._plays: set[asyncio.Future[PlayEnd]] = set()
        self._over: CallweaveError | None = None

    def play(self, source: PlaySource) -> asyncio.Future[PlayEnd]:
        """Plays; see Call.play."""
        if self._over:
            return failed(self._over)
        try:
            view = memoryview(cast("Any", source)).cast("B")
        except TypeError:
            if isinstance(source, AsyncIterable) or (
                isinstance(source, Iterable) and not isinstance(source, (str, dict))
            ):
                return self._play_iterable(cast("Any", source))
            return failed(invalid_field("audio", "bytes or an iterable of bytes", type(source).__name__))
        return self._play_buffer(view)

    def mark(self, name: str | None) -> asyncio.Future[MarkEnd]:
        """Sets a mark behind the audio until now."""
        if self._over:
            return failed(self._over)
        mark_id = f"m{self._next_id}"
        self._next_id += 1
        label = f"~{mark_id}" if name is None else name
        if not 1 <= len(label) <= 100:
            return failed(invalid_field("mark", "1 to 100 characters", label))
        if len(self._marks) >= self._max_marks:
            limit = f"{self._max_marks} marks"
            return failed(queue_full("the list of waiting marks", limit, self._call_id))
        mark = _Mark(label, new_future())
        self._marks[mark_id] = mark

        def run() -> None:
            self.queue.push_marker(mark_id)
            self._kick()

        self._in_order(_Deferred(run, lambda: self._end_mark(mark_id, "CLEARED")))
        return mark.future

    def command(self, request_id: str) -> None:
        """Puts a command behind the audio until now."""

        def run() -> None:
            self.queue.push_marker(f"c{request_id}")
            self._kick()

        self._in_order(_Deferred(run, lambda: request_id if self._interrupt_command(request_id) else None))

    def mark_of(self, marker: Marker) -> str | None:
        """The name of a mark that is about to be sent; None when nobody knows it any more."""
        mark = self._marks.get(marker.id)
        if mark is None:
            return None
        mark.sent = True
        return mark.name

    def on_sent(self) -> None:
        """Something was sent: there may be room."""
        if self.queue.queued <= self._prefetch:
            self._room.set()

    def on_mark_reached(self, name: str, end: MarkEnd) -> None:
        """The gateway told the end of a mark."""
        for mark_id, mark in self._marks.items():
            if mark.name != name or not mark.sent:
                continue
            if end == "PLAYED":
                self.queue.on_mark_played(mark_id)
            self._end_mark(mark_id, end)
            self._kick()
            return

    def on_mark_refused(self) -> None:
        """The gateway refused a mark; the oldest that it has."""
        for mark_id, mark in self._marks.items():
            if mark.sent:
                self._end_mark(mark_id, "CLEARED")
                return

    def clear(self) -> tuple[float, list[str]]:
        """Interrupt. Answers what was dropped here and the commands that go ahead, to be sent after the ClearPlayback."""
        self._stop_streaming()
        dropped, markers = self.queue.clear()
        proceed: list[str] = []
        for marker in markers:
            if not marker.startswith("c"):
                self._end_mark(marker, "CLEARED")
            elif self._interrupt_command(marker[1:]):
                proceed.append(marker[1:])
        dropped += self._deferred_seconds
        deferred, self._deferred = self._deferred, []
        self._deferred_seconds = 0.0
        for entry in deferred:
            command = entry.clear()
            if command is not None:
                proceed.append(command)
        self.on_sent()
        return dropped, proceed

    def on_detached(self) -> None:
        """The stream is lost: from here on nobody hears what is still ahead, if the gateway is dead."""
        self._ahead_when_lost = self.queue.ahead

    def on_reattached(self, position: PlaybackPosition, taken_over: bool) -> list[str]:
        """The call is on another stream, or at another gateway. Answers the commands to be sent again in their place."""
        passed, again = (
            self.queue.on_taken_over(position, self._ahead_when_lost)
            if taken_over
            else self.queue.on_reattached(position)
        )
        for marker in passed:
            self._end_mark(marker, "PLAYED")
        for marker in again:
            mark = self._marks.get(marker)
            if mark:
                mark.sent = False
        # Sent and dropped before the stream was lost: their answer was lost with it.
        for mark_id, mark in list(self._marks.items()):
            if mark.sent and not self.queue.has_sent(mark_id):
                self._end_mark(mark_id, "CLEARED")
        return [marker[1:] for marker in again if marker.startswith("c")]

    def end(self, cause: str) -> None:
        """The agent does not have the call any more."""
        self._over = call_over(self._call_id, cause)
        self._stop_streaming()
        for future in list(self._plays):
            if not future.done():
                future.set_exception(self._over)
        for mark_id in list(self._marks):
            self._end_mark(mark_id, "CLEARED")
        self.queue.clear()
        self._deferred.clear()

    def _stop_streaming(self) -> None:
        self._generation += 1
        if self._streaming:
            # A generator that hangs gets a CancelledError where it waits.
            self._streaming.cancel()
            self._streaming = None

    def _track(self, on_cancel: Callable[[], None]) -> asyncio.Future[PlayEnd]:
        future: asyncio.Future[PlayEnd] = new_future()
        self._plays.add(future)

        def done(f: asyncio.Future[PlayEnd]) -> None:
            self._plays.discard(f)
            if f.cancelled():
                on_cancel()

        future.add_done_callback(done)
        return future

    def _play_buffer(self, pcm: memoryview) -> asyncio.Future[PlayEnd]:
        length = self.queue.seconds_of(len(pcm))
        if self.queue.queued + self._deferred_seconds + length > self._max_queued + 1e-9:
            limit = f"{self._max_queued:g} s"
            return failed(queue_full("the playback queue of the call", limit, self._call_id))
        if len(pcm) == 0:
            future: asyncio.Future[PlayEnd] = new_future()
            future.set_result("SENT")
            return future
        if self._streaming is None:
            return self._play_now(pcm)
        generation = self._generation
        counted = True
        self._deferred_seconds += length

        def uncount() -> None:
            nonlocal counted
            if counted:
                self._deferred_seconds = max(0.0, self._deferred_seconds - length)
            counted = False

        def run() -> None:
            uncount()
            try:
                self.queue.push_audio(
                    pcm, lambda: settle(play, "SENT" if generation == self._generation else "CLEARED"), play
                )
            except CallweaveError as error:
                if not play.done():
                    play.set_exception(error)
            self._kick()

        def clear() -> None:
            settle(play, "CLEARED")

        def cancelled() -> None:
            # What is with the gateway is still heard; `clear` drops that too.
            if entry in self._deferred:
                self._deferred.remove(entry)
                uncount()
            self.queue.remove_audio(play)

        entry = _Deferred(run, clear)
        play = self._track(cancelled)
        self._in_order(entry)
        return play

    def _play_now(self, pcm: memoryview) -> asyncio.Future[PlayEnd]:
        """Nothing is before it, as it is for every frame of an echo: no more is made for it than one future."""
        generation = self._generation
        play: asyncio.Future[PlayEnd] = asyncio.get_running_loop().create_future()
        play.add_done_callback(self._played_now)
        self._plays.add(play)
        try:
            self.queue.push_audio(
                pcm, lambda: settle(play, "SENT" if generation == self._generation else "CLEARED"), play
            )
        except CallweaveError as error:
            play.set_exception(error)
        self._kick()
        return play

    def _played_now(self, play: asyncio.Future[PlayEnd]) -> None:
        self._plays.discard(play)
        if play.cancelled():
            # What is with the gateway is still heard; `clear` drops that too.
            self.queue.remove_audio(play)
        else:
            play.exception()  # one that nobody awaits does no harm

    def _play_iterable(self, source: AsyncIterable[Buffer] | Iterable[Buffer]) -> asyncio.Future[PlayEnd]:
        task: asyncio.Task[None] | None = None

        def run() -> None:
            nonlocal task
            task = asyncio.ensure_future(self._stream(source, play))
            self._streaming = task
            task.add_done_callback(lambda t: self._stream_over(t, play))

        def clear() -> None:
            settle(play, "CLEARED")

        def cancelled() -> None:
            if entry in self._deferred:
                self._deferred.remove(entry)
            if task:
                task.cancel()
            self.queue.remove_audio(play)

        entry = _Deferred(run, clear)
        play = self._track(cancelled)
        self._in_order(entry)
        return play

    async def _stream(
        self, source: AsyncIterable[Buffer] | Iterable[Buffer], play: asyncio.Future[PlayEnd]
    ) -> None:
        """Hands the pieces to the queue; the future is done when the last of them is sent."""
        pieces = aiter(source) if isinstance(source, AsyncIterable) else _each(source)
        unsent = 0
        read_all = False

        def sent() -> None:
            nonlocal unsent
            unsent -= 1
            if read_all and unsent == 0:
                settle(play, "SENT")

        try:
            async for piece in pieces:
                pcm = memoryview(piece).cast("B")
                while not self._fits(len(pcm)):
                    self._room.clear()
                    await self._room.wait()
                if len(pcm) == 0:
                    continue
                unsent += 1
                self.queue.push_audio(pcm, sent, play)
                self._kick()
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None and inspect.isasyncgen(pieces):
                await close()
        read_all = True
        if unsent == 0:
            settle(play, "SENT")

    def _stream_over(self, task: asyncio.Task[None], play: asyncio.Future[PlayEnd]) -> None:
        if task.cancelled():
            settle(play, "CLEARED")
        else:
            error = task.exception()
            if error is not None and not play.done():
                play.set_exception(error if isinstance(error, Exception) else from_exception(error))
        if self._streaming is not task:
            return
        self._streaming = None
        while self._streaming is None and self._deferred:
            self._deferred.pop(0).run()

    def _fits(self, size: int) -> bool:
        """A little is kept ready here, so that the stream never waits for the iterable; a large chunk goes in alone."""
        if self.queue.queued > self._prefetch:
            return False
        if self.queue.seconds_of(size) <= self.queue.room + 1e-9:
            return True
        if self.queue.queued == 0:
            raise queue_full("the playback queue of the call", f"{self._max_queued:g} s", self._call_id)
        return False

    def _in_order(self, entry: _Deferred) -> None:
        if self._streaming is not None:
            self._deferred.append(entry)
        else:
            entry.run()

    def _end_mark(self, mark_id: str, end: MarkEnd) -> None:
        mark = self._marks.pop(mark_id, None)
        if mark:
            settle(mark.future, end)


async def _each(source: Iterable[Buffer]) -> Any:
    """An iterable as an async one, which lets others have their turn."""
    for piece in source:
        yield piece
        await asyncio.sleep(0)
