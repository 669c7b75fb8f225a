"""Obeys the lines of standard input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import calls as do
from io_lines import ProgramError, show, told
from simple_form import simple_form

from callweave import (
    Agent,
    AgentStatus,
    AudioFormat,
    Call,
    CallEnd,
    CallweaveError,
    Client,
    Note,
    Tls,
    WatchLive,
    connect,
)

Args = dict[str, Any]
"""A command as it came."""

_AGENT = {
    "agentId": "agent_id",
    "instanceId": "instance_id",
    "answerOnAccept": "answer_on_accept",
    "noAudio": "no_audio",
    "maxStreams": "max_streams",
    "callsPerStream": "calls_per_stream",
}
_AGENT_SECONDS = {
    "sendAheadMs": "send_ahead",
    "maxAudioQueuedMs": "max_audio_queued",
    "maxPlaybackQueuedMs": "max_playback_queued",
    "reattachTimeoutMs": "reattach_timeout",
}
_SAME = ("endpoints", "token", "tls", "pool", "capacity", "heartbeat")


class Program:
    """What the program has between `start` and `stop`."""

    def __init__(self) -> None:
        self._agent: Agent | None = None
        self._calls: dict[str, Call] = {}
        self._clients: list[Client] = []
        self._work: set[asyncio.Task[Any]] = set()
        self._terminated = False
        self._told_to_drain = False
        self._actions: dict[str, Callable[[Args], Any]] = {
            "start": self._start,
            "drain": self._drain,
            "stop": lambda _: self._stop(),
            "play": lambda a: self._ending(do.play(self._call(a), a)),
            "mark": lambda a: self._ending(self._call(a).mark(a.get("name"))),
            "drained": lambda a: self._ending(self._call(a).drained()),
            "clear": self._clear,
            "playback": self._playback,
            "echo": lambda a: self._later(do.echo(self._call(a), a.get("keepBackMs", 300)), a["call"]),
            "record": lambda a: self._later(
                do.record(self._call(a).audio(), a["call"], a["file"]), a["call"]
            ),
            "answer": lambda a: self._call(a).answer(**do.options(a)),
            "connect": lambda a: self._call(a).connect(**do.options(a)),
            "setMode": lambda a: self._call(a).set_mode(a["mode"], **do.options(a)),
            "escalate": self._escalate,
            "transfer": lambda a: self._call(a).transfer(**do.options(a)),
            "release": lambda a: self._call(a).release(**do.options(a)),
            "close": lambda a: self._call(a).close(**do.options(a)),
            "disconnect": lambda a: self._call(a).disconnect(**do.options(a)),
            "appendTurns": self._append_turns,
            "getContext": self._get_context,
            "watch": self._watch,
            "listen": self._listen,
            "readContext": self._read_context,
            "findContexts": self._find_contexts,
            "simpleForm": lambda a: simple_form(a["endpoints"][0], a.get("agentId", "simple"), a["file"]),
        }

    async def run(self) -> None:
        """Until `exit` or the end of the lines; or, told by SIGTERM, until the agent has drained."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        # A transcript of 2,000 turns is one line.
        reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        show(event="hello", protocol=1, language="python")
        while line := await reader.readline():
            args = json.loads(line)
            if args["do"] == "exit":
                break
            self._keep(self._obey(args))
        await self._stop()
        self._leave()

    def _leave(self) -> None:
        sys.stdout.flush()
        os._exit(0)

    def _terminate(self) -> None:
        self._terminated = True
        if self._agent is None:
            self._leave()

    async def _obey(self, args: Args) -> None:
        try:
            action = self._actions.get(args["do"])
            if action is None:
                raise ProgramError(f"unknown command {args['do']}")
            value = action(args)
            if isinstance(value, Awaitable):
                value = await value
            show(id=args["id"], ok=True, value=value or {})
        except Exception as error:
            show(id=args["id"], ok=False, error=told(error))

    async def _start(self, args: Args) -> Args:
        options: Args = {name: args[name] for name in _SAME if name in args}
        options |= {ours: args[name] for name, ours in _AGENT.items() if name in args}
        options |= {ours: args[name] / 1000 for name, ours in _AGENT_SECONDS.items() if name in args}
        options.setdefault("agent_id", "agent")
        if "sampleRateHertz" in args:
            options["audio_format"] = AudioFormat(args["sampleRateHertz"])
        if "caFile" in args:
            cert, key = (Path(args[name]) if name in args else None for name in ("certFile", "keyFile"))
            options["tls"] = Tls(ca=Path(args["caFile"]), cert=cert, key=key)
        if "tokenFile" in args:
            options["token"] = Path(args["tokenFile"]).read_text
        if "decline" in args:
            options["accept"] = lambda _: str(args["decline"])
        handler = args.get("handler", "keep")

        async def handle(call: Call) -> None:
            self._calls[call.id] = call
            self._follow(call)
            if handler == "throw" and call.attempt == 1:
                raise RuntimeError("told to throw")
            if handler == "echo":
                self._later(do.echo(call), call.id)

        agent = Agent(
            handle,
            **options,
            when_handler_returns="keep",
            on_status=self._report,
            on_error=lambda error, call: show(event="error", **told(error), call=call),
        )
        self._agent = agent
        self._told_to_drain = False
        agent.drain_on_signals([signal.SIGTERM])
        self._keep(self._run_agent(agent))
        await agent.start()
        return {"instanceId": agent.instance_id}

    async def _drain(self, _: Args) -> None:
        self._told_to_drain = True
        if self._agent:
            await self._agent.drain()

    def _report(self, status: AgentStatus) -> None:
        if status.type == "draining" and not self._told_to_drain:
            # The agent's own handler of SIGTERM did that.
            self._terminated = True
        elif status.type == "disconnected" and status.error:
            show(event="status", status="disconnected", reason=status.error.reason)
        elif status.type in ("connected", "going_away"):
            show(event="status", status="goingAway" if status.type == "going_away" else "connected")

    async def _run_agent(self, agent: Agent) -> None:
        try:
            await agent.run()
        except CallweaveError as error:
            show(event="over", reason=error.reason)
        if self._terminated:
            self._leave()
        # The agent has taken its own handler of SIGTERM away.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminate)

    def _follow(self, call: Call) -> None:
        call.on("attached", lambda attached: show(event="attached", call=call.id, attached=attached))
        call.on("note", lambda note: _note(call.id, note))
        call.on("ended", lambda end: _ended(call.id, end))
        context = call.context
        show(
            event="call",
            call=call.id,
            epoch=call.epoch,
            attempt=call.attempt,
            state=call.state,
            caller=call.caller,
            callee=call.callee,
            sampleRateHertz=call.sample_rate,
            escalationReason=call.escalation_reason,
            summary=context.summary if context else None,
            turns=len(context.turns) if context else None,
        )

    async def _stop(self) -> None:
        agent, self._agent = self._agent, None
        if agent:
            await agent.close()
        for client in self._clients:
            await client.close()
        self._clients.clear()
        self._calls.clear()

    async def _ending(self, work: Awaitable[str]) -> Args:
        return {"end": await work}

    async def _clear(self, args: Args) -> Args:
        cleared = await self._call(args).clear()
        return {
            "droppedMs": cleared.dropped * 1000,
            "estimatedUnheardMs": cleared.estimated_unheard * 1000,
            "playedMs": cleared.played * 1000,
        }

    def _playback(self, args: Args) -> Args:
        status = self._call(args).playback
        return {
            "queuedMs": status.queued * 1000,
            "aheadMs": status.ahead * 1000,
            "playedMs": status.played * 1000,
        }

    async def _escalate(self, args: Args) -> Args:
        result = await self._call(args).escalate(args["reason"], **do.options(args))
        return {"outcome": result.outcome, "durability": result.durability}

    async def _append_turns(self, args: Args) -> Args:
        return {"turnCount": (await self._call(args).append_turns(do.turns(args))).turn_count}

    async def _get_context(self, args: Args) -> Args:
        return do.outlined(await self._call(args).get_context())

    async def _watch(self, args: Args) -> None:
        watched = self._client(args).calls
        cursor = (await watched.list()).cursor
        live = asyncio.Event()

        async def follow() -> None:
            async for item in watched.watch(cursor=cursor):
                if isinstance(item, WatchLive):
                    live.set()
                    continue
                first, *rest = item.type.split("_")
                kind = first + "".join(word.capitalize() for word in rest)
                show(event="watched", call=item.call_id, type=kind, sequence=item.sequence)

        self._later(follow(), None)
        await live.wait()

    def _listen(self, args: Args) -> None:
        audio = self._client(args).calls.listen(args["call"])
        self._later(do.record(audio, args["call"], args["file"]), args["call"])

    async def _read_context(self, args: Args) -> Args:
        return do.outlined(await self._client(args).contexts.get(args["call"]))

    async def _find_contexts(self, args: Args) -> Args:
        found = await self._client(args).contexts.find(caller=args["caller"])
        return {"calls": [context.call_id for context in found]}

    def _call(self, args: Args) -> Call:
        """A call of the agent, those that are over too."""
        call = self._calls.get(args["call"])
        if call is None:
            raise ProgramError(f"there is no call {args['call']}")
        return call

    def _client(self, args: Args) -> Client:
        """A client without a seat."""
        options: Args = {name: args[name] for name in ("endpoints", "token") if name in args}
        client = connect(**options)
        self._clients.append(client)
        return client

    def _later(self, work: Coroutine[Any, Any, None], call: str | None) -> None:
        """Lets something run; what it raises is reported."""

        async def reported() -> None:
            try:
                await work
            except Exception as error:
                # What a client does that was closed meanwhile is no news.
                if not isinstance(error, CallweaveError) or error.reason != "CLOSED":
                    show(event="error", **told(error), call=call)

        self._keep(reported())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _note(call: str, note: Note) -> None:
    show(event="note", call=call, text=note.text, author=note.author)


def _ended(call: str, end: CallEnd) -> None:
    show(event="ended", call=call, cause=end.cause, endReason=end.end_reason)
