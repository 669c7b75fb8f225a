"""Says an announcement, then hands the caller to a human; if nobody is there, says so and ends the call.

Run: python examples/02_escalate.py announcement.raw nobody.raw   (s16le, mono, 16 kHz, without header)
"""

import sys
from pathlib import Path

import callweave
from callweave import AudioFormat, Call, CalleeTarget, Turn

if len(sys.argv) != 3:
    sys.exit("usage: 02_escalate.py announcement.raw nobody.raw")
announcement, nobody = (Path(name).read_bytes() for name in sys.argv[1:])


async def handle(call: Call) -> None:
    call.on("event", lambda event: print(event.sequence, event.type, flush=True))
    await call.append_turns([Turn("AI", "I connect you with a colleague.")])
    await call.play(announcement)
    # One command: the context is saved while the announcement plays, then the callee rings, then the agent leaves.
    result = await call.escalate(
        "ASKED_FOR_HUMAN",
        summary="The caller asked for a person.",
        target=CalleeTarget(ring_time=30),
    )
    if result.outcome in ("CONNECTED", "CALLER_LEFT"):
        return
    # Not connected: the agent still has the call, and the context says so.
    await call.play(nobody)
    await call.disconnect(after="drained")


if __name__ == "__main__":
    callweave.run(handle, agent_id="escalation", audio_format=AudioFormat(16_000))
