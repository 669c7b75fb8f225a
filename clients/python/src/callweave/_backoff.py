"""Waits between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits that grow, with jitter: half to full of 50 ms, 100 ms … up to the maximum. Seconds."""

    def __init__(
        self, shortest: float = 0.05, longest: float = 2.0, chance: Callable[[], float] = random.random
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._chance = chance
        self._attempt = 0

    def next(self) -> float:
        """The next wait."""
        full = min(self._longest, self._shortest * 2.0 ** min(self._attempt, 20))
        self._attempt += 1
        return full * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """It worked: the next wait is the shortest again."""
        self._attempt = 0
