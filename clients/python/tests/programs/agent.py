"""An agent that does one of several things with each call and tells it in lines of JSON: agent.py BEHAVIOUR [FILE]."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from telling import RATE, tell, tone

import callweave
from callweave import Call, CalleeTarget, Turn


async def echo(call: Call) -> None:
    await call.play(tone(440, 0.6))
    tell("play", end=await call.drained())
    async for chunk in call.audio():
        if chunk.pcm:
            await call.play(chunk.pcm)


async def escalate(call: Call) -> None:
    await call.append_turns([Turn("CALLER", "I want a person.", "t-1")])
    # Not awaited: the order is that of the calls.
    call.play(tone(440, 1))
    result = await call.escalate(
        "ASKED_FOR_HUMAN",
        summary="The caller wants a person.",
        data={"topic": "invoice", "attempts": 2},
        target=CalleeTarget(ring_time=20),
    )
    tell("escalated", outcome=result.outcome, durability=result.durability)
    if result.outcome == "UNANSWERED":
        await call.play(tone(700, 0.5))


async def clear(call: Call) -> None:
    playing = call.play(tone(500, 20))
    mark = call.mark("never")
    while call.playback.played < 0.8:
        await asyncio.sleep(0.02)
    cleared = await call.clear()
    tell(
        "cleared",
        dropped=cleared.dropped,
        played=cleared.played,
        unheard=cleared.estimated_unheard,
        playing=await playing,
        mark=await mark,
    )
    await call.play(tone(700, 0.4))
    tell("last", end=await call.drained())


async def numbers(call: Call) -> None:
    call.on("attached", lambda attached: tell("attached", attached=attached, epoch=call.epoch))
    await call.play(FILE)
    tell("play", end=await call.drained())
    gap = 0.0
    async for chunk in call.audio():
        if chunk.pcm is None:
            gap += chunk.duration
        elif gap > 0:
            break
    tell("gap", seconds=gap)
    await call.disconnect()


async def bounce(call: Call) -> None:
    """Writes what it hears to a file, plays it back whole when there is a second of it."""
    heard = b""
    async for chunk in call.audio():
        heard += chunk.pcm or b""
        if len(heard) >= RATE * 2:
            break
    Path(sys.argv[2]).write_bytes(heard)
    await call.play(heard)
    tell("bounced", bytes=len(heard), end=await call.drained())


async def first(call: Call) -> None:
    await call.append_turns([Turn("CALLER", "Remember this.")])
    tell("written")
    await call.ended()


async def resume(call: Call) -> None:
    turns = [turn.text for turn in call.context.turns] if call.context else []
    tell("context", turns=turns, attempt=call.attempt)
    await call.play(tone(700, 0.4))


async def throw(call: Call) -> None:
    if call.attempt == 1:
        raise RuntimeError("told to throw")
    await call.play(tone(700, 0.4))


async def hold(call: Call) -> None:
    call.on("note", lambda note: tell("note", text=note.text))
    end = await call.ended()
    tell("end", cause=end.cause)


BEHAVIOURS: dict[str, Callable[[Call], Awaitable[None]]] = {
    f.__name__: f for f in (echo, escalate, clear, numbers, bounce, first, resume, throw, hold)
}
FILE = Path(sys.argv[2]).read_bytes() if sys.argv[1] == "numbers" else b""


async def handle(call: Call) -> None:
    tell("call", id=call.id, state=call.state)
    await BEHAVIOURS[sys.argv[1]](call)


callweave.run(
    handle,
    agent_id=os.environ.get("AGENT_ID", "python"),
    capacity=10,
    audio_format=callweave.AudioFormat(RATE),
    on_status=lambda status: tell("status", type=status.type),
    on_error=lambda error, call_id: tell("error", error=repr(error), call=call_id),
)
