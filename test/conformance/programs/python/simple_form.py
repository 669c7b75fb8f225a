"""The simple form: generated stubs alone, capacity 1, no handles, one item a message, no heartbeat."""

from __future__ import annotations

from pathlib import Path

import grpc
from io_lines import show

from callweave.v1 import agent_service_pb2 as pb
from callweave.v1.agent_service_pb2_grpc import AgentServiceStub

_PIECE_BYTES = 3200


async def simple_form(endpoint: str, agent_id: str, file: str) -> dict[str, str]:
    """Takes one call, plays the file and leaves with Bye when it was heard. Returns when the stream is over."""
    call_id = ""
    audio = Path(file).read_bytes()  # noqa: ASYNC240
    async with grpc.aio.insecure_channel(endpoint, [("grpc.enable_http_proxy", 0)]) as channel:
        stream = AgentServiceStub(channel).Serve()

        async def send(item: pb.AgentItem) -> None:
            await stream.write(pb.ServeRequest(items=[item]))

        register = pb.Register(agent_id=agent_id, capacity=1, answer_on_accept=True)
        await send(pb.AgentItem(register=register))
        async for response in stream:
            for item in response.items:
                kind = item.WhichOneof("item")
                if kind == "registered":
                    show(event="registered")
                elif kind == "offer":
                    await send(pb.AgentItem(accept=pb.Accept()))
                elif kind == "assigned":
                    call_id = item.assigned.call.call_id
                    show(event="call", call=call_id)
                    for at in range(0, len(audio), _PIECE_BYTES):
                        piece = audio[at : at + _PIECE_BYTES]
                        await send(pb.AgentItem(audio=pb.AgentAudio(pcm=piece)))
                    await send(pb.AgentItem(mark=pb.Mark(name="said")))
                elif kind == "mark_reached":
                    await send(pb.AgentItem(bye=pb.Bye()))
                    await stream.done_writing()
    return {"call": call_id}
