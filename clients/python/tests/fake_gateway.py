"""A gateway in this process on a free loopback port: it answers Register, the rest is up to the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import duration_pb2

from callweave.v1 import agent_service_pb2 as pb
from callweave.v1 import audio_pb2, call_event_pb2, call_pb2

SERVE = "/callweave.v1.AgentService/Serve"


async def until(condition: Callable[[], Any], what: str = "condition", timeout: float = 10) -> Any:
    """Waits for a condition; answers what it gave."""
    end = asyncio.get_running_loop().time() + timeout
    while not (found := condition()):
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"timed out waiting for {what}")
        await asyncio.sleep(0.005)
    return found


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def status_details(
    code: int, reason: str, metadata: dict[str, str] | None = None, domain: str = "callweave"
) -> bytes:
    """A google.rpc.Status with an ErrorInfo, as a gateway packs it."""
    info = field(1, reason.encode()) + field(2, domain.encode())
    for key, value in (metadata or {}).items():
        info += field(3, field(1, key.encode()) + field(2, value.encode()))
    packed = field(1, b"type.googleapis.com/google.rpc.ErrorInfo") + field(2, info)
    return varint(1 << 3) + varint(code) + field(2, b"refused") + field(3, packed)


def seconds(value: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


def fake_call(call_id: str, **fields: Any) -> call_pb2.Call:
    """A call as a gateway would show it."""
    given: dict[str, Any] = {
        "caller": "+15550100",
        "callee": "+15550199",
        "pool": "default",
        "locale": "en",
        "state": call_pb2.CALL_STATE_ANSWERED,
        "sample_rate_hertz": 16_000,
        "gateway_id": "gw-1",
    }
    return call_pb2.Call(call_id=call_id, **(given | fields))


def assigned(
    call: call_pb2.Call, handle: int, epoch: int = 1, offer_id: str = "", resume: int = 1
) -> pb.GatewayItem:
    """An Assigned item. `resume`: 1 new, 2 reattached, 3 moved, 4 taken over."""
    audio = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_S16LE, sample_rate_hertz=16_000)
    item = pb.Assigned(
        call=call, epoch=epoch, handle=handle, audio_format=audio, offer_id=offer_id, attempt=1
    )
    item.resume = resume  # type: ignore[assignment]
    return pb.GatewayItem(assigned=item)


class FakeStream:
    """One Serve stream as the gateway sees it."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.messages: list[list[pb.AgentItem]] = []
        self.items: list[pb.AgentItem] = []
        self.metadata = dict(context.invocation_metadata() or ())
        self.closed = False
        self._taken: set[int] = set()
        self._out: asyncio.Queue[Any] = asyncio.Queue()

    def send(self, *items: pb.GatewayItem) -> None:
        """Sends items as one message."""
        self._out.put_nowait(pb.ServeResponse(items=items).SerializeToString())

    def send_raw(self, data: bytes) -> None:
        """Sends any bytes as a message."""
        self._out.put_nowait(data)

    def fail(self, code: grpc.StatusCode, reason: str, metadata: dict[str, str] | None = None) -> None:
        """Ends the stream with a status and reason."""
        self._out.put_nowait((code, reason, metadata))

    def end(self) -> None:
        """Ends the stream with OK."""
        self._out.put_nowait(None)

    def all(self, kind: str) -> list[Any]:
        """All items of this kind so far."""
        return [getattr(item, kind) for item in self.items if item.WhichOneof("item") == kind]

    async def next(self, kind: str, timeout: float = 10) -> Any:
        """The next item of this kind that was not taken yet."""

        def find() -> Any:
            for at, item in enumerate(self.items):
                if at not in self._taken and item.WhichOneof("item") == kind:
                    self._taken.add(at)
                    return (getattr(item, kind),)
            return None

        return (await until(find, f"{kind} in {self.items}", timeout))[0]

    def audio(self, handle: int = 1) -> bytes:
        """The audio of a call so far."""
        return b"".join(a.pcm for a in self.all("audio") if a.handle == handle)

    async def assign(self, call_id: str, handle: int, **fields: Any) -> None:
        """Offers a call, waits for the acceptance and assigns it."""
        call = fake_call(call_id, **fields)
        offer_id = f"offer-{call_id}-{handle}"
        offer = pb.Offer(offer_id=offer_id, call=call, attempt=1, time_left=seconds(2))
        self.send(pb.GatewayItem(offer=offer))
        await until(lambda: any(a.offer_id == offer_id for a in self.all("accept")), "the acceptance")
        self.send(assigned(call, handle, offer_id=offer_id))

    def result(self, command: pb.Command, **fields: Any) -> None:
        """Answers a command."""
        result = pb.CommandResult(request_id=command.request_id, handle=command.handle, **fields)
        self.send(pb.GatewayItem(command_result=result))

    def event(self, call_id: str, sequence: int, **event: Any) -> None:
        """Sends an event of a call."""
        made = call_event_pb2.CallEvent(call_id=call_id, sequence=sequence, **event)
        self.send(pb.GatewayItem(call_event=made))

    async def run(self, requests: AsyncIterator[bytes], first: Callable[[pb.AgentItem], None]) -> None:
        async def read() -> None:
            async for data in requests:
                request = pb.ServeRequest.FromString(data)
                began = bool(self.items)
                self.messages.append(list(request.items))
                self.items.extend(request.items)
                if not began:
                    first(request.items[0])
            self.closed = True
            self.end()

        reader = asyncio.ensure_future(read())
        try:
            while (out := await self._out.get()) is not None:
                if isinstance(out, tuple):
                    code, reason, metadata = out
                    details = status_details(code.value[0], reason, metadata)
                    self.context.set_trailing_metadata([("grpc-status-details-bin", details)])
                    await self.context.abort(code, f"refused: {reason}")
                await self.context.write(out)
        finally:
            self.closed = True
            reader.cancel()


Unary = Callable[[bytes, Any], Awaitable[bytes]]


class FakeGateway:
    """Started again it uses the same port."""

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        # Answers the first item of a stream in its own way when it is set and answers True.
        self.on_first: Callable[[FakeStream, pb.AgentItem], bool] | None = None
        self.registered = pb.Registered(
            session_token="token-1",
            heartbeat_interval=seconds(0.5),
            reattach_grace=seconds(2),
            limits=pb.ServeLimits(max_items=256, max_message_bytes=262_144, max_playback=seconds(30)),
            gateway_id="gw-1",
        )
        # Handlers of unary and server-streaming requests by "Service/Method".
        self.unary: dict[str, Unary] = {}
        self.server_streams: dict[str, Callable[[bytes, Any], AsyncIterator[bytes]]] = {}
        self.serves = True
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers([_Handlers(self)])
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Breaks all connections."""
        server, self._server = self._server, None
        if server:
            await server.stop(None)

    async def serve(self, requests: AsyncIterator[bytes], context: Any) -> None:
        stream = FakeStream(context)
        self.streams.append(stream)

        def first(item: pb.AgentItem) -> None:
            if self.on_first and self.on_first(stream, item):
                return
            if item.WhichOneof("item") in ("register", "join"):
                registered = pb.Registered()
                registered.CopyFrom(self.registered)
                registered.instance_id = item.register.instance_id
                stream.send(pb.GatewayItem(registered=registered))

        await stream.run(requests, first)

    async def stream(self, number: int) -> FakeStream:
        """The n-th stream, from 0, once its first item came."""
        await until(lambda: len(self.streams) > number and self.streams[number].items, f"stream {number}")
        return self.streams[number]


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway

    def service(self, details: Any) -> Any:
        gateway = self._gateway
        name = details.method.removeprefix("/callweave.v1.")
        if details.method == SERVE and gateway.serves:
            return grpc.stream_stream_rpc_method_handler(gateway.serve)
        if name in gateway.unary:
            return grpc.unary_unary_rpc_method_handler(gateway.unary[name])
        if name in gateway.server_streams:
            return grpc.unary_stream_rpc_method_handler(gateway.server_streams[name])
        return None
