"""Offline speech for agents in Python: flite speaks in a helper process, pocketsphinx understands. English, 16 kHz."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any

import pocketsphinx

from callweave import AudioGap, Call

RATE = 16_000
MAX_CACHED = 200
"""So many texts are kept as they were spoken; the one not used for longest goes first."""
MAX_UTTERANCE = 20.0
"""Longer speech is cut and understood in parts. Seconds."""
MAX_UNREAD = 8
"""So many utterances wait for `Ear.listen`; the oldest goes first."""


class SpeechError(Exception):
    """The voice does not speak."""


class Voice:
    """flite, in a process of its own, so that the event loop never waits for it. `async with` it."""

    def __init__(self, voice: str = "slt") -> None:
        self._voice = voice
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def say(self, text: str) -> bytes:
        """The text as s16le, mono, 16 kHz. Raises SpeechError; the next text finds a new process."""
        async with self._lock:
            if text in self._cache:
                self._cache.move_to_end(text)
                return self._cache[text]
            try:
                pcm = await asyncio.wait_for(self._speak(text), 10)
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                await self.close()
                raise SpeechError(f"flite does not answer: {type(error).__name__}") from error
            if not pcm:
                raise SpeechError("flite cannot speak this text")
            self._cache[text] = pcm
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
            return pcm

    async def _speak(self, text: str) -> bytes:
        if self._process is None or self._process.returncode is not None:
            # Ctrl-C in a terminal goes to the whole group; this process ends with its input.
            self._process = await asyncio.create_subprocess_exec(
                "node",
                str(Path(__file__).with_name("speak.mjs")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"text": text, "voice": self._voice}).encode() + b"\n")
        await stdin.drain()
        size = int.from_bytes(await stdout.readexactly(4), "little")
        return await stdout.readexactly(size)

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> Voice:
        """The voice, ready to speak."""
        await self.say("ready")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process."""
        await self.close()


_decoder: Any = None


def _begin() -> None:
    """In the process of the recogniser, which ends with the agent, not by Ctrl-C."""
    global _decoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")


def _decode(pcm: bytes) -> str:
    _decoder.start_utt()
    _decoder.process_raw(pcm, False, True)
    _decoder.end_utt()
    found = _decoder.hyp()
    # Without noise marks and pronunciation variants such as `read(2)`.
    words = [word.split("(")[0] for word in found.hypstr.split()] if found else []
    return " ".join(word for word in words if word and word[0] not in "<[")


class Recogniser:
    """pocketsphinx, in a process of its own: it would keep the interpreter, and with it every call, from running. `with` it.

    One utterance at a time; others wait.
    """

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)

    async def understand(self, pcm: bytes) -> str:
        """The words of some speech; empty when there are none, or when the process has died."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _decode, pcm)
        except BrokenProcessPool:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)
            return ""

    def __enter__(self) -> Recogniser:
        """The recogniser, its model loaded."""
        self._pool.submit(_decode, bytes(RATE)).result()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self._pool.shutdown(cancel_futures=True)


class Ear:
    """Listens to a call from now on until its end."""

    def __init__(self, call: Call, recogniser: Recogniser) -> None:
        self._call = call
        self._recogniser = recogniser
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._speaking = False
        call.create_task(self._run())

    async def listen(self, timeout: float) -> str:
        """The next utterance; empty when nobody speaks for so many seconds."""
        while True:
            try:
                return await asyncio.wait_for(self._heard.get(), timeout)
            except asyncio.TimeoutError:
                if not self._speaking:
                    return ""

    async def _run(self) -> None:
        endpointer: Any = pocketsphinx.Endpointer(sample_rate=RATE)
        size: int = endpointer.frame_bytes
        unread, speech = b"", b""
        async for chunk in self._call.audio():
            # Silence where audio is missing, so that a pause is one.
            if isinstance(chunk, AudioGap):
                unread += bytes(round(min(chunk.duration, 2) * RATE) * 2)
            else:
                unread += chunk.pcm
            while len(unread) >= size:
                frame, unread = unread[:size], unread[size:]
                speech += endpointer.process(frame) or b""
                too_long = len(speech) > MAX_UTTERANCE * RATE * 2
                if speech and (too_long or not endpointer.in_speech):
                    await self._understand(speech)
                    speech = b""
                self._speaking = endpointer.in_speech

    async def _understand(self, speech: bytes) -> None:
        self._speaking = True
        words = await self._recogniser.understand(speech)
        if words:
            self._heard.put_nowait(words)
        while self._heard.qsize() > MAX_UNREAD:
            self._heard.get_nowait()
