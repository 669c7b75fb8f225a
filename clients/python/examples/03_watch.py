"""Prints what happens to all calls, from now on.

Run: python examples/03_watch.py   (gateway: CALLWEAVE_ENDPOINT, default 127.0.0.1:7070)
"""

import asyncio

from callweave import CallEvent, connect


async def main() -> None:
    async with connect() as client:
        page = await client.calls.list()
        async for item in client.calls.watch(cursor=page.cursor):
            if isinstance(item, CallEvent):
                print(item.call_id, item.sequence, item.type, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
