from __future__ import annotations

import asyncio

import pytest

from callweave import AudioData, AudioGap, CallStateError, QueueFullError
from callweave._audio_queue import MAX_CHUNKS, AudioQueue
from callweave._bounded_queue import BoundedQueue
from callweave._errors import queue_full
from callweave._outbox import Outbox, OutboxLimits
from callweave._reattach import fit_reattach
from callweave.v1 import agent_service_pb2 as pb


def data(at: int) -> AudioData:
    return AudioData(bytes([at % 256]) * 640, at * 320, at * 0.02)


async def read_all(queue: AudioQueue) -> list[AudioData | AudioGap]:
    queue.end()
    return [chunk async for chunk in queue.read()]


async def test_audio_is_read_in_order_and_ends() -> None:
    queue = AudioQueue(1.0)
    for at in range(3):
        queue.push(data(at), 0.02)
    assert [chunk.position for chunk in await read_all(queue)] == [0, 320, 640]


async def test_full_the_oldest_audio_becomes_one_gap() -> None:
    queue = AudioQueue(0.1)
    for at in range(5):
        queue.push(data(at), 0.02)
    assert queue.length == pytest.approx(0.1)
    for at in range(5, 20):
        queue.push(data(at), 0.02)
    gap, *rest = await read_all(queue)
    assert isinstance(gap, AudioGap)
    assert (gap.reason, gap.position) == ("LOCAL_QUEUE_FULL", 0)
    assert gap.duration == pytest.approx(0.3)
    assert [chunk.position for chunk in rest] == [at * 320 for at in range(15, 20)]


async def test_gaps_alone_are_bounded_too() -> None:
    queue = AudioQueue(1.0)
    for at in range(MAX_CHUNKS * 2):
        queue.push_gap(AudioGap(0.02, "PROVIDER", at * 320, at * 0.02))
    chunks = await read_all(queue)
    assert len(chunks) == MAX_CHUNKS
    told = sum(chunk.duration for chunk in chunks if isinstance(chunk, AudioGap))
    assert told == pytest.approx(MAX_CHUNKS * 2 * 0.02)


async def test_leaving_a_loop_loses_nothing_and_two_readers_are_refused() -> None:
    queue = AudioQueue(1.0)
    for at in range(3):
        queue.push(data(at), 0.02)
    reader = queue.read()
    assert (await anext(reader)).position == 0
    with pytest.raises(CallStateError):
        await anext(queue.read())
    await reader.aclose()  # type: ignore[attr-defined]
    assert [chunk.position for chunk in await read_all(queue)] == [320, 640]


async def test_a_full_event_queue_gives_what_it_has_and_then_the_error() -> None:
    queue = BoundedQueue[int](3, lambda: queue_full("the queue", "3 events"))
    for number in range(4):
        queue.push(number)
    got = []
    with pytest.raises(QueueFullError):
        async for number in queue.read():
            got.append(number)
    assert got == [0, 1, 2]


class Source:
    def __init__(self, count: int, size: int, handle: int = 1) -> None:
        self.left = count
        self.size = size
        self.handle = handle

    @property
    def has_playback(self) -> bool:
        return self.left > 0

    def next_item(self) -> pb.AgentItem | None:
        if not self.left:
            return None
        self.left -= 1
        return pb.AgentItem(audio=pb.AgentAudio(handle=self.handle, pcm=bytes(self.size)))


class Wire:
    """Takes messages, one after the other, when it is let."""

    def __init__(self, sources: list[Source], **limits: int) -> None:
        self.messages: list[list[pb.AgentItem]] = []
        self.free = asyncio.Event()
        self.overflows = 0
        given = {"max_items": 256, "max_bytes": 262_144, "max_control_items": 100} | limits
        self.outbox = Outbox(OutboxLimits(**given, tick=0.01), self.write, lambda: sources, self.overflow)
        self.task = asyncio.ensure_future(self.outbox.run())

    async def write(self, items: list[pb.AgentItem]) -> None:
        self.messages.append(items)
        await self.free.wait()

    def overflow(self) -> None:
        self.overflows += 1

    async def end(self) -> None:
        self.outbox.close()
        self.free.set()
        await self.task


def mark(name: str) -> pb.AgentItem:
    return pb.AgentItem(mark=pb.Mark(name=name))


async def test_one_write_in_flight_and_what_comes_meanwhile_merges() -> None:
    wire = Wire([])
    wire.outbox.send(mark("0"))
    await asyncio.sleep(0.01)
    for name in "123":
        wire.outbox.send(mark(name))
    await asyncio.sleep(0.01)
    assert [len(m) for m in wire.messages] == [1]
    wire.free.set()
    await wire.outbox.flushed(1)
    assert [[item.mark.name for item in m] for m in wire.messages] == [["0"], ["1", "2", "3"]]
    await wire.end()


async def test_a_message_has_at_most_256_items_and_256_kib() -> None:
    wire = Wire([Source(600, 10)])
    wire.free.set()
    wire.outbox.kick()
    await asyncio.sleep(0.05)
    assert [len(m) for m in wire.messages] == [256, 256, 88]
    await wire.end()
    big = Wire([Source(30, 50_000)])
    big.free.set()
    big.outbox.kick()
    await asyncio.sleep(0.05)
    sizes = [pb.ServeRequest(items=m).ByteSize() for m in big.messages]
    assert max(sizes) <= 262_144
    assert sum(len(m) for m in big.messages) == 30
    await big.end()


async def test_control_goes_first_and_calls_take_turns() -> None:
    sources = [Source(3, 10, handle) for handle in (1, 2)]
    wire = Wire(sources)
    wire.outbox.send(mark("m"))
    wire.free.set()
    await asyncio.sleep(0.05)
    kinds = [item.WhichOneof("item") for item in wire.messages[0]]
    assert kinds == ["mark"] + ["audio"] * 6
    assert [item.audio.handle for item in wire.messages[0][1:]] == [1, 2, 1, 2, 1, 2]
    await wire.end()


async def test_a_full_control_queue_gives_the_stream_up() -> None:
    wire = Wire([], max_control_items=100)
    for number in range(100):
        wire.outbox.send(mark(str(number)))
    assert wire.overflows == 0
    wire.outbox.send(mark("one more"))
    assert wire.overflows == 1
    await wire.end()


def test_a_reattach_takes_what_fits_a_message() -> None:
    calls = [pb.ReattachCall(call_id=f"{at:0200d}", epoch=3, last_event_sequence=500) for at in range(1_000)]
    reattach, left = fit_reattach("t" * 40, calls, 262_144)
    assert not left
    message = pb.ServeRequest(items=[pb.AgentItem(reattach=reattach)])
    assert message.ByteSize() <= 262_144
    reattach, left = fit_reattach("t" * 40, calls, 100_000)
    assert len(reattach.calls) + len(left) == 1_000
    assert pb.ServeRequest(items=[pb.AgentItem(reattach=reattach)]).ByteSize() <= 100_000
