from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fake_gateway import FakeGateway, fake_call, status_details

import callweave
from callweave import (
    AudioGap,
    CallEvent,
    CallweaveError,
    ClosedError,
    CursorExpiredError,
    InvalidFieldError,
    NotFoundError,
    Tls,
    TransportError,
    Turn,
    UnauthenticatedError,
    WatchLive,
    connect,
)
from callweave._errors import from_status
from callweave._options import is_loopback
from callweave.v1 import audio_pb2, call_event_pb2, context_pb2
from callweave.v1 import call_service_pb2 as calls_pb
from callweave.v1 import context_service_pb2 as contexts_pb


def event(sequence: int) -> bytes:
    made = call_event_pb2.CallEvent(call_id="c-1", sequence=sequence, cursor=f"cursor-{sequence}")
    made.answered.SetInParent()
    return calls_pb.WatchCallsResponse(event=made).SerializeToString()


async def test_watch_resumes_from_its_cursor_without_gap_or_repeat(gateway: FakeGateway) -> None:
    cursors: list[str] = []

    async def watch(raw: bytes, context: Any) -> AsyncIterator[bytes]:
        request = calls_pb.WatchCallsRequest.FromString(raw)
        cursors.append(request.cursor)
        if len(cursors) == 1:
            yield event(1)
            yield calls_pb.WatchCallsResponse(live=calls_pb.WatchLive(cursor="live")).SerializeToString()
            yield event(2)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        yield calls_pb.WatchCallsResponse(live=calls_pb.WatchLive(cursor="live")).SerializeToString()
        yield event(3)

    gateway.server_streams["CallService/WatchCalls"] = watch
    seen: list[Any] = []
    async with connect(endpoint=gateway.endpoint) as client:
        async for item in client.calls.watch(cursor="start"):
            seen.append(item)
            if isinstance(item, CallEvent) and item.sequence == 3:
                break
    assert cursors == ["start", "cursor-2"]
    assert [i.sequence if isinstance(i, CallEvent) else i for i in seen] == [1, WatchLive("live"), 2, 3]


async def test_watch_ends_with_what_cannot_be_resumed(gateway: FakeGateway) -> None:
    async def watch(_: bytes, context: Any) -> AsyncIterator[bytes]:
        details = status_details(11, "CURSOR_EXPIRED", {"oldest": "x"})
        context.set_trailing_metadata([("grpc-status-details-bin", details)])
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too old")
        yield b""

    gateway.server_streams["CallService/WatchCalls"] = watch
    async with connect(endpoint=gateway.endpoint) as client:
        with pytest.raises(CursorExpiredError) as refused:
            async for _ in client.calls.watch(cursor="old"):
                pass
    assert refused.value.metadata == {"oldest": "x"}


async def test_listen_gives_audio_gaps_and_the_end(gateway: FakeGateway) -> None:
    async def get(_: bytes, context: Any) -> bytes:
        return calls_pb.GetCallResponse(call=fake_call("c-1")).SerializeToString()

    async def listen(_: bytes, context: Any) -> AsyncIterator[bytes]:
        wanted = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_S16LE, sample_rate_hertz=8_000)
        yield calls_pb.ListenCallResponse(started=wanted).SerializeToString()
        audio = audio_pb2.CallAudio(position=16_000, pcm=b"abcd")
        yield calls_pb.ListenCallResponse(audio=audio).SerializeToString()
        yield calls_pb.ListenCallResponse(gap=audio_pb2.AudioGap()).SerializeToString()
        yield calls_pb.ListenCallResponse(ended=1).SerializeToString()  # type: ignore[arg-type]

    gateway.unary["CallService/GetCall"] = get
    gateway.server_streams["CallService/ListenCall"] = listen
    async with connect(endpoint=gateway.endpoint) as client:
        listening = client.calls.listen("c-1")
        chunks = [chunk async for chunk in listening]
    assert (chunks[0].pcm, chunks[0].at) == (b"abcd", 1.0)
    assert isinstance(chunks[1], AudioGap)
    assert listening.format == callweave.AudioFormat(8_000)
    assert listening.end_reason == "TERMINATED"


async def test_contexts_are_written_and_read(gateway: FakeGateway) -> None:
    requests: dict[str, Any] = {}
    stored = context_pb2.CallContext(call_id="c-1", revision=3)
    stored.data.update({"count": 2, "ratio": 0.5, "list": [1, {"x": None}]})

    async def update(raw: bytes, context: Any) -> bytes:
        requests["update"] = contexts_pb.UpdateContextRequest.FromString(raw)
        return contexts_pb.UpdateContextResponse(context=stored).SerializeToString()

    async def append(raw: bytes, context: Any) -> bytes:
        requests["append"] = contexts_pb.AppendTurnsRequest.FromString(raw)
        return contexts_pb.AppendTurnsResponse(turn_count=2).SerializeToString()

    gateway.unary["ContextService/UpdateContext"] = update
    gateway.unary["ContextService/AppendTurns"] = append
    async with connect(endpoint=gateway.endpoint) as client:
        written = await client.contexts.update("c-1", revision=2, add_note="n", outcome="", data={"a": 1})
        appended = await client.contexts.append_turns("c-1", [Turn("AI", "Hello."), Turn("CALLER", "Hi.")])
        with pytest.raises(InvalidFieldError):
            await client.contexts.get()
        with pytest.raises(InvalidFieldError):
            await client.contexts.delete(call_id="c", caller="d")
        with pytest.raises(TypeError):
            await client.contexts.update("c-1", sumary="x")  # type: ignore[call-arg]
    assert list(requests["update"].update_mask.paths) == ["outcome", "data"]
    assert (requests["update"].revision, requests["update"].add_note) == (2, "n")
    assert written.context.data == {"count": 2, "ratio": 0.5, "list": [1, {"x": None}]}
    assert appended.turn_count == 2
    ids = [turn.id for turn in requests["append"].turns]
    assert len(set(ids)) == 2
    assert all(ids)


async def test_errors_of_requests(gateway: FakeGateway) -> None:
    async def refuse(_: bytes, context: Any) -> bytes:
        context.set_trailing_metadata(
            [("grpc-status-details-bin", status_details(5, "CALL_NOT_FOUND", {"call_id": "c-1"}))]
        )
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such call")
        return b""

    async def garbage(_: bytes, context: Any) -> bytes:
        return b"\xff\xff\xff"

    gateway.unary["CallService/GetCall"] = refuse
    gateway.unary["CallService/ListCalls"] = garbage
    client = connect(endpoint=gateway.endpoint, request_timeout=5)
    with pytest.raises(NotFoundError) as missing:
        await client.calls.get("c-1")
    assert (missing.value.reason, missing.value.call_id) == ("CALL_NOT_FOUND", "c-1")
    with pytest.raises(TransportError) as odd:
        await client.calls.list()
    assert odd.value.code is grpc.StatusCode.INTERNAL
    with pytest.raises(TransportError) as other:
        await client.fleet.pools()
    assert other.value.code is grpc.StatusCode.UNIMPLEMENTED
    await client.close()
    with pytest.raises(ClosedError):
        await client.calls.list()


async def test_the_next_endpoint_is_taken_when_one_cannot_be_reached(gateway: FakeGateway) -> None:
    async def get(_: bytes, context: Any) -> bytes:
        return calls_pb.GetCallResponse(call=fake_call("c-1")).SerializeToString()

    gateway.unary["CallService/GetCall"] = get
    async with connect(endpoints=["127.0.0.1:1", gateway.endpoint]) as client:
        with pytest.raises(TransportError) as away:
            await client.calls.get("c-1")
        assert away.value.retryable
        assert (await client.calls.get("c-1")).caller == "+15550100"


async def test_interceptors_see_requests_and_streams(gateway: FakeGateway) -> None:
    seen: list[str] = []

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method if isinstance(details.method, str) else details.method.decode())
            return await continuation(details, request)

    class Stream(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
            seen.append(details.method if isinstance(details.method, str) else details.method.decode())
            return await continuation(details, requests)

    async def get(_: bytes, context: Any) -> bytes:
        return calls_pb.GetCallResponse(call=fake_call("c-1")).SerializeToString()

    gateway.unary["CallService/GetCall"] = get
    both: list[Any] = [Unary(), Stream()]
    async with connect(endpoint=gateway.endpoint, interceptors=both) as client:
        await client.calls.get("c-1")

    async def handler(call: callweave.Call) -> None:
        await call.play(bytes(640))

    given: dict[str, Any] = {"on_status": lambda _: None, "interceptors": both, "agent_id": "a"}
    async with callweave.Agent(handler, endpoint=gateway.endpoint, **given):
        stream = await gateway.stream(0)
        await stream.assign("c-1", 1)
        await stream.next("audio")
    assert seen == ["/callweave.v1.CallService/GetCall", "/callweave.v1.AgentService/Serve"]


async def test_tls_files_that_cannot_be_read_are_refused() -> None:
    client = connect(endpoint="127.0.0.1:1", tls=Tls(ca=Path("no-such-file.pem")))
    with pytest.raises(InvalidFieldError) as refused:
        await client.calls.get("c-1")
    assert refused.value.metadata["field"] == "tls.ca"
    await client.close()


async def test_tls_against_a_plain_server(gateway: FakeGateway) -> None:
    async with connect(endpoint=gateway.endpoint, tls=True, request_timeout=3) as client:
        with pytest.raises(TransportError):
            await client.calls.get("c-1")


def test_loopback() -> None:
    for endpoint in ("127.0.0.1:7070", "localhost:1", "[::1]:7070", "::1", "dns:///localhost:1", "unix:/x"):
        assert is_loopback(endpoint), endpoint
    for endpoint in ("10.0.0.1:7070", "gateway.example:7070", "127.example:1"):
        assert not is_loopback(endpoint), endpoint


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_status_details_of_any_bytes_do_no_harm(cut: int) -> None:
    raw = status_details(5, "CALL_NOT_FOUND", {"call_id": "c-1"})
    whole = from_status(grpc.StatusCode.NOT_FOUND, "x", {"grpc-status-details-bin": raw})
    assert (whole.reason, whole.metadata) == ("CALL_NOT_FOUND", {"call_id": "c-1"})
    for bad in (raw[:cut], raw[cut:] + b"\xff", bytes(255 - b for b in raw[:cut])):
        error = from_status(grpc.StatusCode.NOT_FOUND, "x", {"grpc-status-details-bin": bad})
        assert isinstance(error, CallweaveError)
    newer = status_details(5, "NEWER_THAN_THIS")
    unknown = from_status(grpc.StatusCode.NOT_FOUND, "x", {"grpc-status-details-bin": newer})
    assert (unknown.reason, unknown.metadata) == ("TRANSPORT", {"reason": "NEWER_THAN_THIS"})
    foreign = status_details(5, "CALL_NOT_FOUND", domain="other")
    assert (
        from_status(grpc.StatusCode.NOT_FOUND, "x", {"grpc-status-details-bin": foreign}).reason
        == "TRANSPORT"
    )
    bare = from_status(grpc.StatusCode.UNAUTHENTICATED, None, {})
    assert isinstance(bare, UnauthenticatedError)


def test_every_exported_name_is_there_and_documented() -> None:
    assert sorted(callweave.__all__) == callweave.__all__
    for name in callweave.__all__:
        value = getattr(callweave, name)
        if isinstance(value, type):
            assert value.__doc__, name
            for member, content in vars(value).items():
                if callable(content) and not member.startswith("_"):
                    assert content.__doc__, f"{name}.{member}"
