"""Watches, hears and commands one call and tells it in lines of JSON: observer.py CALL CALLER."""

from __future__ import annotations

import asyncio
import sys

from telling import tell

from callweave import CallEvent, CallStateError, NotFoundError, RevisionConflictError, connect


async def main(call_id: str, caller: str) -> None:
    async with connect() as client:
        calls, contexts = client.calls, client.contexts
        call = await calls.get(call_id)
        tell("call", state=call.state, agent=call.seat.agent_id)
        cursor = (await calls.list()).cursor
        types: list[str] = []

        async def watch() -> None:
            async for item in calls.watch(cursor=cursor):
                if isinstance(item, CallEvent) and item.call_id == call_id:
                    types.append(item.type)
                    if item.type == "ended":
                        return

        watching = asyncio.ensure_future(watch())
        heard = 0
        listening = calls.listen(call_id)
        async for chunk in listening:
            heard += len(chunk.pcm or b"")
            if heard > 16_000:
                break
        tell("heard", bytes=heard, rate=listening.format.sample_rate if listening.format else 0)
        tell("note", delivered=await calls.send_note(call_id, "be brief"))
        written = await contexts.save(call_id, summary="Seen.")
        revision = written.context.revision
        await contexts.update(call_id, revision=revision, outcome="done", add_note="Called back.")
        try:
            await contexts.update(call_id, revision=revision, outcome="again")
        except RevisionConflictError as error:
            tell("conflict", revision=error.metadata["revision"])
        found = await contexts.find(caller=caller)
        context = next(c for c in found if c.call_id == call_id)
        tell("context", summary=context.summary, outcome=context.outcome, notes=len(context.notes))
        try:
            await calls.set_mode(call_id, "SPY")
        except CallStateError as error:
            tell("refused", reason=error.reason, call_id=error.call_id)
        try:
            await calls.get("no-such-call")
        except NotFoundError as error:
            tell("missing", reason=error.reason)
        pools = await client.fleet.pools()
        agents = await client.fleet.agents()
        gateways = await client.fleet.gateways()
        ids = [agent.agent_id for agent in agents]
        tell("fleet", busy=pools[0].busy, agents=ids, gateways=len(gateways))
        result = await calls.disconnect(call_id, wait=5)
        tell("disconnected", pending=result.pending)
        await asyncio.wait_for(watching, 10)
        tell("watched", types=types)


asyncio.run(main(*sys.argv[1:]))
