from __future__ import annotations

import random
from typing import Any

import pytest

from callweave import PlaybackPosition, QueueFullError
from callweave._playback_queue import RETRY_AFTER_FULL, PlaybackLimits, PlaybackQueue, Sound

RATE = 32_000  # bytes a second: 16 kHz s16le


class Rig:
    """A queue on a clock of its own."""

    def __init__(self, **limits: float) -> None:
        self.now = 0.0
        given: dict[str, float] = {
            "max_queued": 60,
            "send_ahead": 1,
            "max_unconfirmed": 3,
            "max_item": 0.1,
        }
        self.queue = PlaybackQueue(PlaybackLimits(**(given | limits)), RATE, lambda: self.now)

    def take(self) -> list[Any]:
        """Sends all that may be sent now: lengths in ms, and markers."""
        steps: list[Any] = []
        while step := self.queue.next():
            steps.append(round(step.seconds * 1000) if isinstance(step, Sound) else step.id)
        return steps

    def take_bytes(self) -> bytes:
        taken = b""
        while step := self.queue.next():
            if isinstance(step, Sound):
                taken += bytes(step.pcm)
        return taken

    def take_ms(self) -> int:
        return sum(step for step in self.take() if isinstance(step, int))


def pcm(ms: int, fill: int = 1) -> bytes:
    return bytes([fill]) * (ms * RATE // 1000)


def played(seconds: float, queued: float = 0, unheard: float = 0) -> PlaybackPosition:
    return PlaybackPosition(queued, unheard, seconds)


def test_sends_a_second_ahead_then_as_it_is_heard() -> None:
    rig = Rig()
    rig.queue.push_audio(pcm(5_000))
    assert rig.take_ms() == 1_000
    rig.now = 0.5
    assert rig.take_ms() == 500
    assert rig.queue.queued == pytest.approx(3.5)
    assert rig.queue.ahead == pytest.approx(1.0)


def test_cuts_audio_into_items() -> None:
    rig = Rig()
    rig.queue.push_audio(pcm(250))
    assert rig.take() == [100, 100, 50]


def test_keeps_markers_behind_their_audio() -> None:
    rig = Rig()
    rig.queue.push_marker("first")
    rig.queue.push_audio(pcm(1_200))
    rig.queue.push_marker("last")
    assert rig.take()[0] == "first"
    rig.now = 0.2
    assert rig.take() == [100, 100, "last"]


def test_goes_slower_when_less_was_heard() -> None:
    rig = Rig()
    rig.queue.push_audio(pcm(10_000))
    rig.take()
    rig.now = 1.0
    rig.queue.on_progress(played(0.2, 0.3, 0.5))
    assert rig.queue.ahead == pytest.approx(0.8)
    assert rig.take_ms() == 200


def test_stops_without_any_confirmation() -> None:
    rig = Rig()
    rig.queue.push_audio(pcm(30_000))
    sent = 0
    for _ in range(400):
        sent += rig.take_ms()
        rig.now += 0.05
    assert sent == 3_000
    rig.queue.on_progress(played(3))
    assert rig.take_ms() == 1_000


def test_a_played_mark_confirms() -> None:
    rig = Rig(max_unconfirmed=1)
    rig.queue.push_audio(pcm(1_000))
    rig.queue.push_marker("m")
    rig.queue.push_audio(pcm(1_000))
    assert rig.take_ms() == 1_000
    rig.now = 5
    assert rig.take_ms() == 0
    rig.queue.on_mark_played("m")
    assert rig.take_ms() == 1_000


def test_refuses_as_a_whole_what_does_not_fit() -> None:
    rig = Rig(max_queued=1)
    rig.queue.push_audio(pcm(600))
    with pytest.raises(QueueFullError):
        rig.queue.push_audio(pcm(401))
    assert rig.queue.queued == pytest.approx(0.6)
    rig.queue.push_audio(pcm(400))
    assert rig.queue.room == pytest.approx(0, abs=1e-6)


def test_sends_again_in_order_what_the_gateway_had_no_room_for() -> None:
    rig = Rig()
    for fill in range(1, 6):
        rig.queue.push_audio(pcm(100, fill))
    rig.take()
    rig.queue.on_full()
    rig.queue.on_full()
    assert rig.take_bytes() == b""
    rig.now = RETRY_AFTER_FULL
    assert rig.take_bytes() == pcm(100, 4) + pcm(100, 5)


def test_clear_tells_what_was_dropped_and_starts_anew() -> None:
    rig = Rig()
    rig.queue.push_audio(pcm(3_000))
    rig.queue.push_marker("m")
    rig.take()
    dropped, markers = rig.queue.clear()
    assert dropped == pytest.approx(2.0)
    assert markers == ["m"]
    # A report that was on its way says nothing about what is played from now on.
    rig.queue.on_progress(played(0.1))
    rig.queue.push_audio(pcm(500))
    assert rig.take_ms() == 500
    rig.queue.on_cleared(0.3)
    rig.queue.on_progress(played(0.5, 0.3))
    assert rig.queue.ahead == pytest.approx(0.3)


def test_sends_again_after_a_lost_stream_what_the_gateway_does_not_have() -> None:
    rig = Rig()
    for fill in range(1, 11):
        rig.queue.push_audio(pcm(100, fill))
    rig.queue.push_marker("m")
    rig.take()
    rig.now = 0.3
    # 0.3 s were heard, 0.45 s are there, the last quarter second is lost.
    passed, again = rig.queue.on_reattached(played(0.3, 0.4, 0.05))
    assert (passed, again) == ([], ["m"])
    rest = rig.take_bytes()
    assert rest == pcm(50, 8) + pcm(100, 9) + pcm(100, 10)


def test_taken_over_sends_all_that_was_not_heard() -> None:
    rig = Rig()
    for fill in range(1, 11):
        rig.queue.push_audio(pcm(100, fill))
    rig.take()
    rig.now = 0.5
    rig.queue.on_taken_over(played(0), rig.queue.ahead)
    assert rig.take_bytes() == b"".join(pcm(100, fill) for fill in range(6, 11))


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_or_repeated_whatever_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    rig = Rig()
    said = b"".join(pcm(20, chance.randrange(256)) for _ in range(200))
    rig.queue.push_audio(said)
    took = b""
    ring = 0.0  # seconds in the gateway
    heard = 0.0
    while len(took) < len(said):
        refused = 0
        while step := rig.queue.next():
            assert isinstance(step, Sound)
            # Once one is refused, so is what is behind it on the way.
            if refused or ring + step.seconds > chance.uniform(0.3, 1.2):
                refused += 1
            else:
                ring += step.seconds
                took += bytes(step.pcm)
        for _ in range(refused):
            rig.queue.on_full()
        step_time = chance.uniform(0.05, 0.3)
        rig.now += step_time
        gone = min(ring, step_time)
        ring -= gone
        heard += gone
        if chance.random() < 0.5:
            rig.queue.on_progress(played(heard, ring))
        assert rig.now < 200
    assert took == said
