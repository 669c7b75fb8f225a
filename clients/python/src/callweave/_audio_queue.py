"""The audio of a call that nobody has read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import grpc

from ._errors import CallStateError
from ._types import AudioChunk, AudioData, AudioGap

MAX_CHUNKS = 10_000
"""Gaps have no length in the queue; this bounds their number."""


class AudioQueue:
    """Bounded in seconds: full, the oldest audio is dropped and told as one gap before what follows it. One reader at a time."""

    def __init__(self, max_queued: float) -> None:
        self._max_queued = max_queued
        self._chunks: deque[tuple[AudioChunk, float]] = deque()
        self._queued = 0.0
        self._ended = False
        self._reading = False
        self._wake = asyncio.Event()

    @property
    def length(self) -> float:
        """Queued and not yet read, in seconds."""
        return self._queued

    def push(self, data: AudioData, seconds: float) -> None:
        """Adds audio of this length; drops the oldest if that makes it too much."""
        if self._ended:
            return
        self._chunks.append((data, seconds))
        self._queued += seconds
        if self._queued > self._max_queued + 1e-9:
            self._drop_oldest()
        self._wake.set()

    def push_gap(self, gap: AudioGap) -> None:
        """Adds a gap that a gateway told."""
        if self._ended:
            return
        self._chunks.append((gap, 0.0))
        if len(self._chunks) > MAX_CHUNKS:
            self._drop_oldest()
        self._wake.set()

    def end(self) -> None:
        """No more audio comes; what is queued can still be read."""
        self._ended = True
        self._wake.set()

    async def read(self) -> AsyncIterator[AudioChunk]:
        """Reads. Leaving the loop early loses nothing: a later loop goes on there."""
        if self._reading:
            text = "audio() is already being read"
            raise CallStateError("CALL_STATE", grpc.StatusCode.FAILED_PRECONDITION, text)
        self._reading = True
        try:
            while True:
                if self._chunks:
                    chunk, seconds = self._chunks.popleft()
                    self._queued -= seconds
                    yield chunk
                elif self._ended:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._reading = False

    def _drop_oldest(self) -> None:
        gap = 0.0
        first: AudioChunk | None = None
        # One place is left for the gap itself.
        while self._chunks and (self._queued > self._max_queued + 1e-9 or len(self._chunks) + 1 > MAX_CHUNKS):
            chunk, seconds = self._chunks.popleft()
            self._queued -= seconds
            gap += chunk.duration if isinstance(chunk, AudioGap) else seconds
            first = first or chunk
        if first is not None:
            told = AudioGap(gap, "LOCAL_QUEUE_FULL", first.position, first.at)
            self._chunks.appendleft((told, 0.0))
