"""Items for one reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from ._errors import CallweaveError

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """Full: the reader gets what is queued and then the error."""

    def __init__(
        self,
        max_items: int,
        full_error: Callable[[], CallweaveError],
        on_left: Callable[[BoundedQueue[T]], None] = lambda _: None,
    ) -> None:
        self._max_items = max_items
        self._full_error = full_error
        self._on_left = on_left
        self._items: deque[T] = deque()
        self._ended = False
        self._error: CallweaveError | None = None
        self._wake = asyncio.Event()

    def push(self, item: T) -> None:
        """Adds an item."""
        if self._ended:
            return
        if len(self._items) >= self._max_items:
            self._error = self._full_error()
            self._ended = True
        else:
            self._items.append(item)
        self._wake.set()

    def end(self) -> None:
        """No more items come; what is queued can still be read."""
        self._ended = True
        self._wake.set()

    async def read(self) -> AsyncIterator[T]:
        """Reads until the end."""
        try:
            while True:
                if self._items:
                    yield self._items.popleft()
                elif self._error:
                    raise self._error
                elif self._ended:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._ended = True
            self._on_left(self)
