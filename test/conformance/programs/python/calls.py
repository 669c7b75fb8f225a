"""What the program does with a call."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import Any

from io_lines import show

from callweave import AfterMark, AudioChunk, AudioGap, Call, CallContext, CalleeTarget, PoolTarget, Turn

Args = dict[str, Any]
"""A command as it came."""

# Arguments in milliseconds, and what they are called here.
_SECONDS = {
    "afterDeadlineMs": "after_deadline",
    "confirmTimeoutMs": "confirm_timeout",
    "saveTimeoutMs": "save_timeout",
    "offerMs": "offer_time",
}
_NAMES = {
    "requestId": "request_id",
    "onInterrupt": "on_interrupt",
    "ringTimeSeconds": "ring_time",
    "routingHint": "routing_hint",
    "whileRinging": "while_ringing",
    "onContextFailure": "on_context_failure",
    "endCall": "end_call",
}
_OTHER = {"id", "do", "call", "mode", "reason", "endpoints", "token"}


def options(args: Args) -> Any:
    """The arguments of a verb as this client names them."""
    given: dict[str, Any] = {}
    for name, value in args.items():
        if name in _OTHER:
            continue
        if name in _SECONDS:
            given[_SECONDS[name]] = value / 1000
        elif name == "after":
            given["after"] = AfterMark(value["mark"]) if isinstance(value, dict) else value
        elif name == "target":
            given["target"] = _target(value)
        elif name == "to":
            given |= {"pool": value["pool"]} if "pool" in value else {"instance_id": value["instanceId"]}
        else:
            given[_NAMES.get(name, name)] = value
    return given


def _target(target: Args) -> CalleeTarget | PoolTarget:
    if "callee" in target:
        return CalleeTarget(target["callee"].get("ringTimeSeconds", 60))
    return PoolTarget(target["pool"], target.get("waitMs", 30_000) / 1000)


def play(call: Call, args: Args) -> Any:
    """Plays a file, whole or in pieces."""
    audio = Path(args["file"]).read_bytes()
    size = args.get("pieceBytes")
    return call.play(_pieces(audio, size) if size else audio)


def _pieces(audio: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(audio), size):
        yield audio[at : at + size]


async def echo(call: Call, keep_back_ms: int = 300) -> None:
    """Plays back what the call says. The first of it is held back once, so that jitter makes no holes."""
    early: bytes | None = b""
    async for chunk in call.audio():
        if isinstance(chunk, AudioGap):
            _report_gap(call.id, chunk)
            continue
        pcm = chunk.pcm
        if early is not None:
            early = pcm = early + pcm
            if len(pcm) < keep_back_ms * call.sample_rate * 0.002:
                continue
            early = None
        await call.play(pcm)


async def record(audio: AsyncIterable[AudioChunk], call: str, file: str) -> None:
    """Appends audio to a file, reports gaps."""
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        async for chunk in audio:
            if isinstance(chunk, AudioGap):
                _report_gap(call, chunk)
            else:
                os.write(out, chunk.pcm)
    finally:
        os.close(out)


def _report_gap(call: str, gap: AudioGap) -> None:
    show(event="gap", call=call, gapMs=gap.duration * 1000, reason=gap.reason)


def turns(args: Args) -> list[Turn]:
    """The turns of `appendTurns`."""
    return [Turn(turn["role"], turn["text"], turn["id"]) for turn in args["turns"]]


def outlined(context: CallContext) -> Args:
    """A context as the protocol writes it."""
    last = {"lastTurn": context.turns[-1].text} if context.turns else {}
    return {
        "callId": context.call_id,
        "status": context.status,
        "summary": context.summary,
        "turns": len(context.turns),
    } | last
