"""The audio, marks and waiting commands of one call, and how much of it may be sent when. Knows no socket and no timer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ._errors import queue_full
from ._types import PlaybackPosition

RETRY_AFTER_FULL = 0.5
"""How long after the last PLAYBACK_FULL the refused audio is sent again, if no progress is told before. Seconds."""
RETRY_AFTER_PROGRESS = 0.2
"""With progress: after this long, since what is still on its way is refused as well. Seconds."""
SETTLE = 1.0
"""How long after the last write a report may still be older than that write. Seconds."""
# Sums of lengths are not exact.
_TINY = 1e-6


@dataclass(eq=False, slots=True)
class Sound:
    """Audio that waits or was sent."""

    pcm: memoryview
    seconds: float
    owner: object | None = None
    done: Callable[[], None] | None = None


@dataclass(eq=False, slots=True)
class Marker:
    """A mark or a command: sent when all audio before it was sent."""

    id: str


@dataclass(frozen=True, slots=True)
class PlaybackLimits:
    """Bounds and paces of a playback queue. All in seconds."""

    max_queued: float
    """How much may wait here."""
    send_ahead: float
    """How far beyond what was heard audio is sent."""
    max_unconfirmed: float
    """How much may be sent beyond what the gateway last confirmed as heard."""
    max_item: float
    """The longest audio item."""


class PlaybackQueue:
    """Sends `send_ahead` beyond what was heard, judged by the own clock, corrected by the progress that the gateway tells.

    Audio that was sent is kept until it is confirmed as heard, so that what a gateway refused (PLAYBACK_FULL) or cut (a lost
    stream) can be sent again.
    """

    def __init__(self, limits: PlaybackLimits, bytes_per_second: float, now: Callable[[], float]) -> None:
        self._limits = limits
        self._rate = bytes_per_second
        self._now = now
        self._items: deque[Sound | Marker] = deque()
        self._waiting = 0.0
        # Sent and not confirmed, oldest first.
        self._sent: deque[Sound | Marker] = deque()
        self._sent_seconds = 0.0
        # On the gateway's clock of heard audio: where the newest sent audio ends.
        self._end_position = 0.0
        # On the own clock: when all that was sent is heard.
        self._heard_at = 0.0
        self._last_send = float("-inf")
        self._refused = 0
        self._refused_at = 0.0
        self._progress_since_refused = False
        self._clearing = 0

    @property
    def queued(self) -> float:
        """Audio waits here, in seconds."""
        return self._waiting

    @property
    def ahead(self) -> float:
        """Sent and, by the own clock, not yet heard, in seconds."""
        return max(0.0, self._heard_at - self._now())

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items and self._refused == 0

    @property
    def room(self) -> float:
        """Free room, in seconds."""
        return max(0.0, self._limits.max_queued - self._waiting)

    def seconds_of(self, size: int) -> float:
        """Length of samples in seconds."""
        return size / self._rate

    def push_audio(
        self,
        pcm: bytes | memoryview,
        done: Callable[[], None] | None = None,
        owner: object | None = None,
    ) -> None:
        """Appends audio; `done` is called when its last piece was given to the stream. Raises QUEUE_FULL, taking nothing."""
        view = memoryview(pcm).cast("B")
        seconds = self.seconds_of(len(view))
        if self._waiting + seconds > self._limits.max_queued + _TINY:
            raise queue_full("the playback queue of the call", f"{self._limits.max_queued:g} s")
        piece = max(2, int(self._limits.max_item * self._rate + _TINY) & ~1)
        for at in range(0, len(view), piece):
            part = view[at : at + piece]
            last = at + piece >= len(view)
            self._items.append(Sound(part, self.seconds_of(len(part)), owner, done if last else None))
        self._waiting += seconds

    def push_marker(self, marker_id: str) -> None:
        """Appends a mark or command."""
        self._items.append(Marker(marker_id))

    def remove_marker(self, marker_id: str) -> bool:
        """Takes a marker out again; False when it is not here any more."""
        for item in self._items:
            if isinstance(item, Marker) and item.id == marker_id:
                self._items.remove(item)
                return True
        return False

    def remove_audio(self, owner: object) -> None:
        """Takes out what was not sent yet of one owner."""
        keep = [item for item in self._items if isinstance(item, Marker) or item.owner is not owner]
        self._items = deque(keep)
        self._waiting = sum(item.seconds for item in keep if isinstance(item, Sound))

    def next(self) -> Sound | Marker | None:
        """The next thing to send now; None when nothing may be sent yet."""
        now = self._now()
        if self._refused > 0:
            wait = RETRY_AFTER_PROGRESS if self._progress_since_refused else RETRY_AFTER_FULL
            if now - self._refused_at < wait:
                return None
            self._take_back_refused()
        if not self._items:
            return None
        item = self._items[0]
        if isinstance(item, Sound):
            if self._heard_at - now >= self._limits.send_ahead - _TINY:
                return None
            over = self._sent_seconds + item.seconds > self._limits.max_unconfirmed + _TINY
            if over and self._sent_seconds > _TINY:
                return None
        self._items.popleft()
        self._sent.append(item)
        if isinstance(item, Sound):
            self._waiting = max(0.0, self._waiting - item.seconds) if self._items else 0.0
            self._sent_seconds += item.seconds
            self._end_position += item.seconds
            self._heard_at = max(self._heard_at, now) + item.seconds
            self._last_send = now
            if item.done:
                item.done()
        return item

    def on_progress(self, position: PlaybackPosition) -> None:
        """The gateway told how far it is."""
        if self._clearing > 0:
            return
        now = self._now()
        if self._refused > 0:
            self._progress_since_refused = True
            return
        if position.queued + position.unheard_at_provider == 0 and now - self._last_send > SETTLE:
            # Nothing is on its way and nothing is there: whatever the clocks say, all of it is over.
            self._confirm_all()
            self._end_position = position.played
            self._heard_at = now
            return
        remaining = min(self._sent_seconds, max(0.0, self._end_position - position.played))
        self._heard_at = now + remaining
        self._confirm_down_to(remaining)

    def on_mark_played(self, marker_id: str) -> None:
        """A mark was heard: so was all audio before it."""
        if not self.has_sent(marker_id):
            return
        while True:
            item = self._sent.popleft()
            if isinstance(item, Marker):
                if item.id == marker_id:
                    break
            else:
                self._sent_seconds = max(0.0, self._sent_seconds - item.seconds)
        self._heard_at = min(self._heard_at, self._now() + self._sent_seconds)

    def on_full(self) -> None:
        """An audio item was refused because the gateway's ring is full. Nothing is sent until there is progress."""
        self._refused += 1
        self._refused_at = self._now()
        self._progress_since_refused = False

    def has_sent(self, marker_id: str) -> bool:
        """Whether a marker was sent and is neither passed nor dropped, as far as is known here."""
        return any(isinstance(item, Marker) and item.id == marker_id for item in self._sent)

    def clear(self) -> tuple[float, list[str]]:
        """Empties the queue. Answers what was dropped here and which markers waited here, in order."""
        dropped = self._waiting
        items = list(self._items)
        now = self._now()
        self._end_position -= max(0.0, self._heard_at - now)
        self._heard_at = now
        self._items.clear()
        self._waiting = 0.0
        self._confirm_all()
        self._refused = 0
        self._clearing += 1
        for item in items:
            if isinstance(item, Sound) and item.done:
                item.done()
        return dropped, [item.id for item in items if isinstance(item, Marker)]

    def on_cleared(self, played: float) -> None:
        """The gateway answered the clear: how much was heard until then."""
        self._clearing = max(0, self._clearing - 1)
        if self._clearing == 0:
            self._end_position = played + self._sent_seconds

    def on_reattached(self, position: PlaybackPosition) -> tuple[list[str], list[str]]:
        """The call is on another stream.

        What the gateway does not have any more is put back to the front, to be sent again; answers the markers that are
        confirmed as passed and those that are to be sent again.
        """
        self._clearing = 0
        self._refused = 0
        at_gateway = min(self._sent_seconds, position.queued + position.unheard_at_provider)
        remaining = min(self._sent_seconds, max(0.0, self._end_position - position.played))
        passed = self._confirm_down_to(remaining)
        lost = remaining - at_gateway
        again: list[str] = []
        back: list[Sound | Marker] = []
        while self._sent:
            item = self._sent[-1]
            if isinstance(item, Sound) and lost <= _TINY:
                break
            self._sent.pop()
            if isinstance(item, Marker):
                again.insert(0, item.id)
                back.insert(0, item)
                continue
            keep = max(0.0, item.seconds - lost)
            lost -= item.seconds
            self._sent_seconds = max(0.0, self._sent_seconds - item.seconds)
            back.insert(0, self._tail(item, keep))
        self._put_back(back)
        self._end_position = position.played + at_gateway
        self._heard_at = self._now() + at_gateway
        return passed, again

    def on_taken_over(self, position: PlaybackPosition, ahead: float) -> tuple[list[str], list[str]]:
        """Another gateway has the call now, and nothing of what was sent.

        What was not heard yet by the own clock, `ahead` when the stream was lost, is put back; answers as `on_reattached`.
        """
        self._end_position = position.played + min(self._sent_seconds, ahead)
        return self.on_reattached(PlaybackPosition(played=position.played))

    def start_at(self, position: PlaybackPosition) -> None:
        """A new epoch begins here: the gateway's clock stands there."""
        at_gateway = position.queued + position.unheard_at_provider
        self._end_position = position.played + at_gateway
        self._heard_at = self._now() + at_gateway

    def _take_back_refused(self) -> None:
        """The last refused audio items that were sent were not taken: back to the front, in order."""
        back: list[Sound | Marker] = []
        while self._refused > 0 and self._sent:
            item = self._sent.pop()
            # Markers among them were taken by the gateway: they stay sent, though they come early now.
            if isinstance(item, Marker):
                continue
            back.insert(0, Sound(item.pcm, item.seconds, item.owner))
            self._refused -= 1
            self._sent_seconds = max(0.0, self._sent_seconds - item.seconds)
            self._end_position -= item.seconds
            self._heard_at -= item.seconds
        self._refused = 0
        self._put_back(back)

    def _put_back(self, items: list[Sound | Marker]) -> None:
        self._waiting += sum(item.seconds for item in items if isinstance(item, Sound))
        self._items.extendleft(reversed(items))

    def _tail(self, item: Sound, skip: float) -> Sound:
        at = min(len(item.pcm), round(skip * self._rate) & ~1)
        rest = item.pcm[at:]
        return Sound(rest, self.seconds_of(len(rest)), item.owner)

    def _confirm_down_to(self, remaining: float) -> list[str]:
        """Forgets the oldest sent audio until at most this much is left; answers the markers passed."""
        passed: list[str] = []
        while self._sent:
            item = self._sent[0]
            if isinstance(item, Marker):
                passed.append(item.id)
            elif self._sent_seconds - item.seconds >= remaining - 0.0005:
                self._sent_seconds = max(0.0, self._sent_seconds - item.seconds)
            else:
                break
            self._sent.popleft()
        return passed

    def _confirm_all(self) -> None:
        self._sent.clear()
        self._sent_seconds = 0.0
