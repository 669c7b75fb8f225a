from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fake_gateway import FakeGateway, FakeStream, until

from callweave import Agent, Call


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    fake = FakeGateway()
    await fake.start()
    yield fake
    await fake.stop()


class OneCall:
    """An agent with calls that it keeps until they end, and what it was told."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.errors: list[BaseException] = []
        self.statuses: list[Any] = []
        self.calls: list[Call] = []
        self.agents: list[Agent] = []
        self.agent: Agent
        self.stream: FakeStream

    async def begin(self, **options: Any) -> Agent:
        async def keep(call: Call) -> None:
            self.calls.append(call)
            await call.ended()

        given: dict[str, Any] = {
            "endpoint": self.gateway.endpoint,
            "agent_id": "test",
            "capacity": 10,
            "heartbeat": False,
            "on_error": lambda error, _: self.errors.append(error),
            "on_status": self.statuses.append,
        }
        handler = options.pop("handler", keep)
        self.agent = Agent(handler, **(given | options))
        self.agents.append(self.agent)
        await self.agent.start()
        self.stream = await self.gateway.stream(len(self.gateway.streams) - 1)
        return self.agent

    async def call(self, call_id: str = "c-1", handle: int = 1, **fields: Any) -> Call:
        if not self.agents:
            await self.begin()
        await self.stream.assign(call_id, handle, **fields)

        def find() -> Call | None:
            return next((call for call in self.calls if call.id == call_id), None)

        found: Call = await until(find, "the call")
        return found


@pytest.fixture
async def rig(gateway: FakeGateway) -> AsyncIterator[OneCall]:
    one = OneCall(gateway)
    yield one
    for agent in one.agents:
        await agent.close()
