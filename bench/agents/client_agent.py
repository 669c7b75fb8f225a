"""An agent on the client library for Python, as its readers would write it.

Says back what it hears call by call, a chunk at a time, with a mark each second of each call. Arguments: the gateway's
address, how many calls it takes, how many streams it may open. Can be told to say a whole answer instead, and to interrupt
it. Answers questions on standard input with lines of JSON on standard output, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from callweave import Agent, AudioFormat, Call

# As in bench/frame.ts.
SAMPLE_RATE = 24_000
FRAME_BYTES = 960
STAMP = struct.Struct("<dd")
STAMP_AT = 20
FRAMES_PER_MARK = 50

calls: dict[str, Call] = {}
speaking: set[str] = set()
counters: dict[str, Any] = {
    "marksSet": 0,
    "marksPlayed": 0,
    "refused": 0,
    "lastRefusal": "",
    "gaps": 0,
    "oddFrames": 0,
}


def machine_ms() -> float:
    """The machine's monotonic clock: the same in every process, so that stamps can be compared."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) * 1000


async def echo(call: Call) -> None:
    """Says back what the call says."""
    calls[call.id] = call
    frames = 0
    async for chunk in call.audio():
        in_ms = machine_ms()
        if not chunk.pcm:
            counters["gaps"] += 1
            continue
        if call.id in speaking:
            continue
        await call.play(stamped(chunk.pcm, in_ms))
        frames += 1
        if frames % FRAMES_PER_MARK == 0:
            counters["marksSet"] += 1
            call.mark().add_done_callback(marked)


def stamped(audio: bytes, in_ms: float) -> bytes:
    """The audio with the times at the agent in each frame."""
    if len(audio) % FRAME_BYTES != 0:
        counters["oddFrames"] += 1
        return audio
    pcm = bytearray(audio)
    for at in range(0, len(pcm), FRAME_BYTES):
        STAMP.pack_into(pcm, at + STAMP_AT, in_ms, machine_ms())
    return bytes(pcm)


def marked(mark: asyncio.Future[Any]) -> None:
    """Counts a mark that was reached."""
    if not mark.cancelled() and mark.exception() is None:
        counters["marksPlayed"] += 1


def failed(error: BaseException, _call_id: str | None) -> None:
    """Counts what the gateway or the library refused."""
    counters["refused"] += 1
    counters["lastRefusal"] = str(error)


def play_failed(played: asyncio.Future[Any]) -> None:
    """Counts an answer that could not be said to its end."""
    if not played.cancelled() and (error := played.exception()) is not None:
        failed(error, None)


async def speak(about: dict[str, Any]) -> None:
    """Begins a whole answer in each call, `apartMs` after each other."""
    whole = b"\x01" * (about["seconds"] * SAMPLE_RATE * 2)
    for call_id in about["callIds"]:
        speaking.add(call_id)
        calls[call_id].play(whole).add_done_callback(play_failed)
        await asyncio.sleep(about["apartMs"] / 1000)


async def clear(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Interrupts each call, `apartMs` after each other."""
    clears: list[asyncio.Task[dict[str, Any]]] = []
    for call_id in about["callIds"]:
        clears.append(asyncio.create_task(cleared(call_id)))
        await asyncio.sleep(about["apartMs"] / 1000)
    return list(await asyncio.gather(*clears))


async def cleared(call_id: str) -> dict[str, Any]:
    """Interrupts a call and tells when."""
    sent_ms = machine_ms()
    result = await calls[call_id].clear()
    return {
        "callId": call_id,
        "sentMs": sent_ms,
        "answeredMs": machine_ms(),
        "droppedMs": result.dropped * 1000,
    }


async def wait_for(about: dict[str, Any]) -> bool:
    """Returns when the agent has these calls."""
    async with asyncio.timeout(10):
        while not all(call_id in calls for call_id in about["callIds"]):
            await asyncio.sleep(0.005)
    return True


async def counted(_about: Any) -> dict[str, Any]:
    """What was counted."""
    return counters


HANDLERS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "counters": counted,
    "speak": speak,
    "clear": clear,
    "waitFor": wait_for,
}


def say(line: dict[str, Any]) -> None:
    """Prints a line."""
    print(json.dumps(line), flush=True)


async def answer(question: dict[str, Any]) -> None:
    """Answers a question."""
    reply: dict[str, Any] = {"id": question["id"]}
    try:
        reply["result"] = await HANDLERS[question["command"]](question.get("argument"))
    except Exception as error:  # whatever it is, the main process is told
        reply["error"] = repr(error)
    say(reply)


async def main(address: str, capacity: int, streams: int) -> None:
    """Takes calls until the input ends."""
    agent = Agent(
        echo,
        endpoint=address,
        agent_id="bench-client",
        capacity=capacity,
        max_streams=streams,
        calls_per_stream=max(1, capacity // streams),
        when_handler_returns="keep",
        audio_format=AudioFormat(SAMPLE_RATE),
        on_error=failed,
    )
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with agent:
        say({"ready": None})
        answers: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(answer(json.loads(line)))
            answers.add(task)
            task.add_done_callback(answers.discard)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
