"""The vendor's SDK as an echo, frozen (docs/adr/0014): takes every call and says back what it hears, in the SDK's own way.

usage: sdk_echo.py BASE_URL [--unpatched]

Unless --unpatched, the one change without which the SDK takes no more than 50 calls in a process: abxbus keeps a history of
100 events and refuses the next one; here it drops the oldest instead. Ends with its standard input.
"""

import asyncio
import json
import logging
import sys

from telcoflow import AudioMode, CallAudioConfig, SessionManager, SessionManagerConfig

tasks = set()


def begin(coroutine):
    task = asyncio.create_task(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def echo(call):
    await call.answer()
    async for chunk in call.audio_stream():
        await call.send_audio(chunk)


async def take(manager, session_id):
    session = await manager.open_session(session_id)

    @session.on_incoming_call
    async def on_call(call):
        begin(echo(call))

    await session.ready()


async def main():
    logging.disable(logging.WARNING)
    config = SessionManagerConfig.create(
        api_key="bench",
        connector_uuid="bench",
        base_url=sys.argv[1],
        call_audio=CallAudioConfig(sample_rate=24000, audio_mode=AudioMode("mixed")),
    )
    manager = SessionManager(config)
    if "--unpatched" not in sys.argv:
        manager._bus.event_history.max_history_drop = True

    @manager.on_session_notification
    async def on_notification(notification):
        begin(take(manager, notification.session_id))

    await manager._connect()
    print(json.dumps({"ready": None}), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        pass


asyncio.run(main())
