"""Who is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ._connection import RotatingConnection
from ._convert import to_time
from .v1 import fleet_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool of agents."""

    name: str
    """Its name."""
    agent_count: int
    """Sessions registered and not draining."""
    capacity: int
    """Their places in all."""
    busy: int
    """Places taken."""
    waiting: int
    """Calls waiting for a seat."""


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent session."""

    agent_id: str
    """Shared by all processes of an agent."""
    instance_id: str
    """One process."""
    pool: str
    """Its pool."""
    capacity: int
    """Its places."""
    call_ids: tuple[str, ...]
    """The calls it has."""
    load: float
    """0 to 1, from its newest heartbeat."""
    draining: bool
    """It takes no more offers."""
    connected: bool
    """False between the loss of its streams and the end of its grace."""
    labels: Mapping[str, str]
    """As registered."""
    register_time: datetime | None
    """When it registered."""


@dataclass(frozen=True, slots=True)
class ConnectorInfo:
    """The control connection of a connector."""

    name: str
    """Its name."""
    ready: bool
    """Signed in at the provider."""


@dataclass(frozen=True, slots=True)
class GatewayInfo:
    """A gateway."""

    gateway_id: str
    """Its id."""
    version: str
    """Its version."""
    call_count: int
    """Calls whose sockets it has."""
    draining: bool
    """It takes no new calls."""
    connectors: tuple[ConnectorInfo, ...]
    """Its connectors."""
    start_time: datetime | None
    """When it started."""


class Fleet:
    """Who is there. What fails raises a `CallweaveError`."""

    def __init__(self, connections: RotatingConnection) -> None:
        self._connections = connections

    async def pools(self) -> list[PoolInfo]:
        """The pools, by name."""
        response = await self._connections.ask(lambda c: c.fleet.ListPools, pb.ListPoolsRequest())
        return [PoolInfo(p.name, p.agent_count, p.capacity, p.busy, p.waiting) for p in response.pools]

    async def agents(self, pool: str = "") -> list[AgentInfo]:
        """The agent sessions, by pool and time of registration. `pool`: only this one."""
        request = pb.ListAgentsRequest(pool=pool)
        response = await self._connections.ask(lambda c: c.fleet.ListAgents, request)
        return [
            AgentInfo(
                agent_id=a.agent_id,
                instance_id=a.instance_id,
                pool=a.pool,
                capacity=a.capacity,
                call_ids=tuple(a.call_ids),
                load=a.load,
                draining=a.draining,
                connected=a.connected,
                labels=dict(a.labels),
                register_time=to_time(a, "register_time"),
            )
            for a in response.agents
        ]

    async def gateways(self) -> list[GatewayInfo]:
        """The gateways, by id."""
        response = await self._connections.ask(lambda c: c.fleet.ListGateways, pb.ListGatewaysRequest())
        return [
            GatewayInfo(
                gateway_id=g.gateway_id,
                version=g.version,
                call_count=g.call_count,
                draining=g.draining,
                connectors=tuple(ConnectorInfo(c.name, c.ready) for c in g.connectors),
                start_time=to_time(g, "start_time"),
            )
            for g in response.gateways
        ]
