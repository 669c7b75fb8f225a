"""Starts the receptionist: python main.py --database customers.db   (gateway: CALLWEAVE_ENDPOINT)."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from receptionist import Receptionist
from speech import RATE, Recogniser, Voice

from callweave import Agent, AudioFormat


async def main() -> None:
    """Takes calls until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="SQLite: customers(phone, name)")
    parser.add_argument(
        "--pool", default="default", help="the pool to take calls from (default: %(default)s)"
    )
    parser.add_argument("--capacity", type=int, default=10, help="calls at a time (default: %(default)s)")
    given = parser.parse_args()
    with Recogniser() as recogniser:
        async with Voice() as voice:
            await serve(given, Receptionist(given.database, voice, recogniser))


async def serve(given: argparse.Namespace, desk: Receptionist) -> None:
    """Takes calls until it has drained."""
    agent = Agent(
        desk.handle,
        agent_id="receptionist",
        pool=given.pool,
        capacity=given.capacity,
        audio_format=AudioFormat(RATE),
        # The caller may speak while the agent does: that is understood when its sentence is over.
        max_audio_queued=10,
    )
    agent.drain_on_signals()
    await agent.run()


if __name__ == "__main__":
    asyncio.run(main())
