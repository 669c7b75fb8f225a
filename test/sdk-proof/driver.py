"""An agent on the vendor's SDK, unchanged, driven by JSON lines on stdin; reports JSON lines on stdout.

usage: driver.py BASE_URL API_KEY CONNECTOR_UUID SAMPLE_RATE AUDIO_MODE
With SDK_CERT and SDK_KEY in the environment it logs in by that client certificate instead of the key.
"""

import asyncio
import base64
import json
import math
import os
import struct
import sys

from telcoflow import (
    AudioMode,
    CallAudioConfig,
    CallEvent,
    CallFlowBuilder,
    ChannelType,
    InboundCallMode,
    SessionManager,
    SessionManagerConfig,
)
from telcoflow.exceptions import WSSSessionBusy

# The end of what was heard on each channel, for the `heard` request.
KEEP_BYTES = 6400

sessions = {}
calls = {}
heard = {}
echo_to = set()


def report(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def tone(hz, seconds, rate, amplitude=8000):
    step = 2 * math.pi * hz / rate
    count = int(seconds * rate)
    return struct.pack("<%dh" % count, *(int(amplitude * math.sin(step * i)) for i in range(count)))


async def pump(call, channel):
    async for chunk in call.audio_stream(channel):
        heard[channel] = (heard.get(channel, b"") + chunk)[-KEEP_BYTES:]
        if channel == 0 and call.id in echo_to:
            await call.send_audio(chunk)


def serve_call(session, call):
    calls[session.id] = call

    @call.on_call_event(CallEvent.CALL_TERMINATED)
    async def terminated():
        report("terminated", session=session.id)

    @call.on_call_event(CallEvent.CALL_ERROR)
    async def error(data):
        report("call_error", session=session.id, code=data.get("error_code"))

    report("call", session=session.id, caller=call.caller_number, callee=call.callee_number)


async def claim(manager, session_id):
    try:
        session = await manager.open_session(session_id)
    except WSSSessionBusy as e:
        report("busy", session=session_id, bound_to=e.bound_sm_ws_id)
        return
    except Exception as e:
        report("refused", session=session_id, error=type(e).__name__)
        return
    prepare(session)
    await session.ready()


def prepare(session):
    sessions[session.id] = session

    @session.on_incoming_call
    async def on_call(call):
        serve_call(session, call)

    @session.on_incoming_message
    async def on_message(message):
        report("message", session=session.id, sender=message.sender, content=message.content)

    @session.on_closed
    async def on_closed(reason):
        report("session_closed", session=session.id, reason=str(reason))

    report("claimed", session=session.id)


async def execute(manager, request, rate):
    do = request["do"]
    call = calls.get(request.get("session"))
    if do in ("answer", "whisper", "barge", "spy", "close", "disconnect", "connect"):
        arguments = {"ring_time_seconds": request["ring"]} if "ring" in request else {}
        result = await getattr(call, do)(**arguments)
        if do in ("answer", "connect") and result.success and 0 not in getattr(call, "_pumped", ()):
            call._pumped = (0, 1, 2)
            for channel in call._pumped:
                asyncio.create_task(pump(call, channel))
        return {"success": result.success, "error_code": result.error_code, "state": str(call.state)}
    if do == "tone":
        await call.send_audio(tone(request["hz"], request["seconds"], rate))
        return {"queued": await call.get_send_audio_buffer_size()}
    if do == "clear":
        return {"cleared": await call.clear_send_audio_buffer()}
    if do == "echo":
        echo_to.add(call.id)
        return {}
    if do == "heard":
        return {"heard": {channel: base64.b64encode(pcm).decode() for channel, pcm in heard.items()}}
    if do == "state":
        return {"state": str(call.state)}
    if do == "list":
        return {"sessions": [s.__dict__ for s in await manager.list_sessions(channel=ChannelType.TELCO)]}
    if do == "create":
        session = await manager.create_session(ChannelType.TELCO, request["to"])
        prepare(session)
        await session.ready()
        return {"session": session.id}
    if do == "call_flow":
        await manager.setup_call_flow(CallFlowBuilder().inbound_call(InboundCallMode(request["inbound"])).build())
        return {}
    if do == "close_session":
        await sessions[request["session"]].close()
        return {}
    raise ValueError(do)


async def main():
    url, api_key, connector, rate, mode = sys.argv[1:6]
    rate = int(rate)
    if "SDK_CERT" in os.environ:
        login = {"cert_path": os.environ["SDK_CERT"], "key_path": os.environ["SDK_KEY"]}
    else:
        login = {"api_key": api_key, "connector_uuid": connector}
    config = SessionManagerConfig.create(
        **login,
        base_url=url,
        call_audio=CallAudioConfig(sample_rate=rate, audio_mode=AudioMode(mode)),
    )
    manager = SessionManager(config)

    @manager.on_session_notification
    async def on_notification(notification):
        report("notified", session=notification.session_id, activity=notification.activity)
        await claim(manager, notification.session_id)

    try:
        await manager._connect()
    except Exception as e:
        report("login_failed", error=type(e).__name__, text=str(e))
        return
    report("connected", id=manager.id)

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def answer(request):
        try:
            report("result", id=request["id"], **await execute(manager, request, rate))
        except Exception as e:
            report("result", id=request["id"], raised=type(e).__name__, text=str(e))

    pending = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        pending.add(task)
        task.add_done_callback(pending.discard)


asyncio.run(main())
