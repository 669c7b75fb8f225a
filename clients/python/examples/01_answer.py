"""Answers each call, says a tone of a second and then what the caller said, for ten seconds.

Run: python examples/01_answer.py   (gateway: CALLWEAVE_ENDPOINT, default 127.0.0.1:7070)
"""

import array
import math

import callweave

RATE = 16_000
TONE = array.array(
    "h", (round(8_000 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(RATE))
).tobytes()


async def answer(call: callweave.Call) -> None:
    await call.play(TONE)
    async for chunk in call.audio():
        if chunk.pcm:
            await call.play(chunk.pcm)
        if chunk.at > 10:
            break


if __name__ == "__main__":
    callweave.run(answer, agent_id="hello", capacity=10, audio_format=callweave.AudioFormat(RATE))
