"""A receptionist: knows the caller before the first word, greets by name, connects or takes a message."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from speech import Ear, Recogniser, Voice

from callweave import Call, CalleeTarget, Consent, Turn

LOOKUP_LIMIT = 0.15
"""How long the database may take; then the caller is greeted without a name. Seconds."""
PERSON = {"person", "human", "connect", "someone", "somebody", "talk", "speak", "yes"}
MESSAGE = {"message", "messages", "back"}


def find_name(database: Path, caller: str) -> str | None:
    """The name of a customer; None for a stranger. Blocks."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
        row = db.execute("SELECT name FROM customers WHERE phone = ?", (caller,)).fetchone()
    return str(row[0]) if row else None


class Receptionist:
    """What the agent does with a call."""

    def __init__(self, database: Path, voice: Voice, recogniser: Recogniser) -> None:
        self._database, self._voice, self._recogniser = database, voice, recogniser

    async def look_up(self, caller: str) -> str | None:
        """The caller's name, if the database tells it in time."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(find_name, self._database, caller), LOOKUP_LIMIT)
        except (asyncio.TimeoutError, sqlite3.Error) as error:
            print(f"receptionist: look-up failed: {type(error).__name__}", file=sys.stderr, flush=True)
            return None

    async def handle(self, call: Call) -> None:
        """One call, from the look-up to the goodbye."""
        name = await self.look_up(call.caller)
        ear = Ear(call, self._recogniser)
        await self.say(call, f"Good day, {name}." if name else "Good day.")
        await self.say(call, "I am an automated receptionist and write down what you say.")
        await call.save_context(
            consent=Consent(True, datetime.now(timezone.utc)), data={"customer": name or ""}
        )
        for question in ("Shall I connect you to a person, or take a message?", "A person, or a message?"):
            await self.say(call, question)
            words = set((await self.hear(call, ear)).split())
            if words & MESSAGE:
                break
            if words & PERSON:
                if await self.connect(call, name):
                    return
                break
        await self.take_message(call, ear, name)

    async def connect(self, call: Call, name: str | None) -> bool:
        """Whether the agent's part is over: the caller is with a person, or gone."""
        await self.say(call, "One moment, I connect you.")
        summary = f"{name or 'A caller who is not known'} asked for a person."
        escalation = call.escalate("ASKED_FOR_HUMAN", summary=summary, target=CalleeTarget(ring_time=20))
        if (await escalation).outcome in ("CONNECTED", "CALLER_LEFT"):
            return True
        await self.say(call, "I am sorry, nobody is there right now.")
        return False

    async def take_message(self, call: Call, ear: Ear, name: str | None) -> None:
        """Writes the message into the context, for whoever calls back."""
        await self.say(call, "Please say your message now.")
        message = await self.hear(call, ear, 10)
        if not message:
            await self.say(call, "I did not hear a message. Goodbye.")
            return
        summary = f"{name or 'A caller who is not known'} left a message: {message}"[:2_000]
        await call.save_context(
            status="CALLBACK_WANTED", summary=summary, summary_source="RULES", data={"message": message}
        )
        await self.say(call, "Thank you, I pass that on. Goodbye.")

    async def say(self, call: Call, text: str) -> None:
        """Speaks, after what was said before."""
        call.play(await self._voice.say(text))
        await call.append_turns([Turn("AI", text)])

    async def hear(self, call: Call, ear: Ear, timeout: float = 6) -> str:
        """What the caller says when all was heard; empty when nothing comes."""
        await call.drained()
        words = await ear.listen(timeout)
        if words:
            await call.append_turns([Turn("CALLER", words)])
        return words
