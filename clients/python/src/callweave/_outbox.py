"""Merges what is ready together into one message."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from .v1.agent_service_pb2 import AgentItem


class PlaybackSource(Protocol):
    """Gives the playback of one call, piece by piece."""

    @property
    def has_playback(self) -> bool:
        """Whether something waits, for later too."""
        ...

    def next_item(self) -> AgentItem | None:
        """The next item that may be sent now."""
        ...


@dataclass(slots=True)
class OutboxLimits:
    """Bounds of an outbox."""

    max_items: int
    """Items in a message."""
    max_bytes: int
    """Bytes of a message."""
    max_control_items: int
    """Control items that may wait."""
    tick: float
    """How often waiting audio is looked at. Seconds."""


class Outbox:
    """Control first, then the audio of the calls in turn. At most one write in flight; what comes meanwhile waits and merges.

    One timer for all calls, only while audio waits.
    """

    def __init__(
        self,
        limits: OutboxLimits,
        write: Callable[[list[AgentItem]], Awaitable[None]],
        sources: Callable[[], Iterable[PlaybackSource]],
        overflow: Callable[[], None],
    ) -> None:
        self.limits = limits
        self._write = write
        self._sources = sources
        self._overflow = overflow
        self._control: deque[AgentItem] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._closed = False
        self._turn = 0

    def send(self, item: AgentItem) -> None:
        """Queues a control item."""
        if self._closed:
            return
        if len(self._control) >= self.limits.max_control_items:
            self.close()
            self._overflow()
            return
        self._control.append(item)
        self._idle.clear()
        self._wake.set()

    def kick(self) -> None:
        """There may be something to send."""
        self._wake.set()

    async def flushed(self, timeout: float) -> None:
        """Returns when all control items are with the stream, or when the time is over."""
        self.kick()
        if not self._closed and (self._control or not self._idle.is_set()):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._idle.wait(), timeout)

    def close(self) -> None:
        """Nothing more is sent."""
        self._closed = True
        self._control.clear()
        self._idle.set()
        self._wake.set()

    async def run(self) -> None:
        """Writes until it is closed; raises what a write raises."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            self._wake.clear()
            items = self._gather()
            if items:
                await self._write(items)
                continue
            if not self._control:
                self._idle.set()
            # Audio that waits for its time: looked at again in a moment.
            waits = any(source.has_playback for source in self._sources())
            timer = loop.call_later(self.limits.tick, self._wake.set) if waits else None
            try:
                await self._wake.wait()
            finally:
                if timer:
                    timer.cancel()

    def _gather(self) -> list[AgentItem]:
        max_items, max_bytes = self.limits.max_items, self.limits.max_bytes
        items: list[AgentItem] = []
        size = 0
        while self._control and len(items) < max_items:
            more = _size(self._control[0])
            if items and size + more > max_bytes:
                return items
            items.append(self._control.popleft())
            size += more
        if self._control:
            return items
        sources = [source for source in self._sources() if source.has_playback]
        if len(sources) > 1:
            start = self._turn % len(sources)
            self._turn += 1
            sources = sources[start:] + sources[:start]
        while sources:
            again: list[PlaybackSource] = []
            for source in sources:
                # Room is left for the largest item, so that nothing taken from a queue has to be put back.
                if len(items) >= max_items or size > max_bytes // 2:
                    return items
                item = source.next_item()
                if item is None:
                    continue
                more = _size(item)
                if items and size + more > max_bytes:
                    self._control.append(item)
                    return items
                items.append(item)
                size += more
                if source.has_playback:
                    again.append(source)
            sources = again
        return items


def _size(item: AgentItem) -> int:
    """Bytes in the message, its tag and length included."""
    return item.ByteSize() + 6
