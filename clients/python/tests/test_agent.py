from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import grpc
import pytest
from conftest import OneCall
from fake_gateway import FakeGateway, FakeStream, assigned, fake_call, seconds, until

from callweave import (
    Agent,
    AudioFormat,
    Call,
    CallweaveError,
    ClosedError,
    InvalidFieldError,
    NotFoundError,
    Offer,
    TransportError,
    UnauthenticatedError,
)
from callweave.v1 import agent_service_pb2 as pb
from callweave.v1 import call_event_pb2, call_pb2, error_pb2


async def nothing(_: Call) -> None:
    """A handler that does nothing."""


async def test_registers_with_what_was_given(rig: OneCall) -> None:
    agent = await rig.begin(
        pool="sales",
        capacity=7,
        audio_format=AudioFormat(8_000, "MULAW"),
        labels={"version": "1"},
        heartbeat=True,
        no_audio=True,
        answer_on_accept=False,
        token=lambda: "secret",
        load=lambda: 0.25,
    )
    register = (await rig.stream.next("register")).SerializeToString()
    said = pb.Register.FromString(register)
    assert (said.agent_id, said.pool, said.capacity) == ("test", "sales", 7)
    assert (said.audio_format.sample_rate_hertz, dict(said.labels)) == (8_000, {"version": "1"})
    assert (said.heartbeat, said.no_audio, said.answer_on_accept) == (True, True, False)
    assert said.instance_id == agent.instance_id
    assert rig.stream.metadata["authorization"] == "Bearer secret"
    assert (await rig.stream.next("heartbeat")).load == 0.25


async def test_sends_a_fresh_token_before_the_old_one_expires(rig: OneCall) -> None:
    tokens = iter(["first", "second"])

    async def token() -> str:
        return next(tokens)

    await rig.begin(token=token)
    rig.stream.send(pb.GatewayItem(credential_expiring=pb.CredentialExpiring()))
    assert (await rig.stream.next("reauthenticate")).token == "second"
    # A function that has none is told; the stream goes on until the gateway ends it.
    rig.stream.send(pb.GatewayItem(credential_expiring=pb.CredentialExpiring()))
    await until(lambda: rig.errors, "the error")
    assert rig.agent.calls == []


async def test_declines_beyond_its_capacity_and_what_it_does_not_want(rig: OneCall) -> None:
    async def accept(offer: Offer) -> bool | str:
        if offer.call.call_id == "odd":
            raise RuntimeError("cannot decide")
        return offer.call.call_id != "no" or "not today"

    await rig.begin(capacity=1, accept=accept)
    for call_id in ("no", "odd"):
        offer = pb.Offer(offer_id=call_id, call=fake_call(call_id), attempt=1)
        rig.stream.send(pb.GatewayItem(offer=offer))
    reasons = {(await rig.stream.next("decline")).reason for _ in range(2)}
    assert reasons == {"not today", "the agent failed to decide"}
    assert [str(error) for error in rig.errors] == ["cannot decide"]
    await rig.call()
    rig.stream.send(pb.GatewayItem(offer=pb.Offer(offer_id="x", call=fake_call("c-2"), attempt=1)))
    assert (await rig.stream.next("decline")).reason == "at capacity"


async def test_a_handler_that_raises_gives_its_call_back_and_the_others_live_on(rig: OneCall) -> None:
    async def handler(call: Call) -> None:
        rig.calls.append(call)
        if call.id == "bad":
            raise RuntimeError("handler")
        await call.ended()

    await rig.begin(handler=handler)
    good = await rig.call("good", 1)
    await rig.call("bad", 2)
    command = await rig.stream.next("command")
    assert (command.handle, command.WhichOneof("verb")) == (2, "release")
    assert [str(error) for error in rig.errors] == ["handler"]
    assert good.end is None
    good.play(bytes(640))
    await until(lambda: len(rig.stream.audio(1)) == 640, "the audio of the other call")


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        (call_pb2.CALL_STATE_ANSWERED, "disconnect"),
        (call_pb2.CALL_STATE_CONNECTED, "close"),
        (call_pb2.CALL_STATE_PENDING, "release"),
    ],
)
async def test_leaves_when_the_handler_returns(rig: OneCall, state: int, verb: str) -> None:
    async def handler(call: Call) -> None:
        rig.calls.append(call)

    await rig.begin(handler=handler, answer_on_accept=False)
    await rig.call(state=state)
    assert (await rig.stream.next("command")).WhichOneof("verb") == verb


async def test_a_handler_that_goes_on_after_its_call_is_cancelled(rig: OneCall) -> None:
    cancelled = asyncio.Event()

    async def handler(call: Call) -> None:
        rig.calls.append(call)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await rig.begin(handler=handler, handler_grace=0.1)
    await rig.call()
    gone = pb.Unassigned(handle=1, call_id="c-1")
    rig.stream.send(pb.GatewayItem(unassigned=gone))
    await asyncio.wait_for(cancelled.wait(), 5)
    assert rig.errors == []


async def test_comes_back_with_its_calls_and_sends_again_what_had_no_answer(rig: OneCall) -> None:
    call = await rig.call()
    attached: list[bool] = []
    call.on("attached", attached.append)
    connecting = call.connect(request_id="r-1")
    await rig.stream.next("command")

    def back(stream: FakeStream, item: pb.AgentItem) -> bool:
        if item.WhichOneof("item") == "reattach":
            stream.send(assigned(fake_call("c-1"), 7, resume=2))
        return True

    rig.gateway.on_first = back
    rig.stream.fail(grpc.StatusCode.UNAVAILABLE, "GOING_AWAY")
    again = await rig.gateway.stream(1)
    reattach = await again.next("reattach")
    assert [(c.call_id, c.epoch) for c in reattach.calls] == [("c-1", 1)]
    assert reattach.session_token == "token-1"
    command = await again.next("command")
    assert (command.request_id, command.handle) == ("r-1", 7)
    again.result(command)
    await connecting
    assert attached == [False, True]


async def test_marks_that_were_cleared_just_before_the_stream_was_lost_end(rig: OneCall) -> None:
    call = await rig.call()
    call.play(bytes(16_000))
    mark = call.mark("cut")
    await rig.stream.next("mark")
    call.clear()
    await rig.stream.next("clear_playback")

    def back(stream: FakeStream, item: pb.AgentItem) -> bool:
        if item.WhichOneof("item") == "reattach":
            stream.send(assigned(fake_call("c-1"), 7, resume=2))
        return True

    rig.gateway.on_first = back
    rig.stream.fail(grpc.StatusCode.UNAVAILABLE, "GOING_AWAY")
    assert await asyncio.wait_for(mark, 10) == "CLEARED"


async def test_a_call_that_does_not_come_back_is_lost(rig: OneCall) -> None:
    await rig.begin(reattach_timeout=0)
    call = await rig.call()
    await rig.gateway.stop()
    assert (await asyncio.wait_for(call.ended(), 10)).cause == "LOST"
    await rig.gateway.start()
    await until(lambda: rig.statuses[-1].type == "connected", "a new registration")


async def test_a_seat_taken_by_another_is_lost_and_the_agent_goes_on(rig: OneCall) -> None:
    call = await rig.call()

    def refuse(stream: FakeStream, item: pb.AgentItem) -> bool:
        taken = pb.ItemRefused(item="reattach")
        taken.error.code, taken.error.reason = 10, error_pb2.ERROR_REASON_SEAT_TAKEN
        taken.error.metadata["call_id"] = "c-1"
        registered = pb.GatewayItem(registered=rig.gateway.registered)
        stream.send(registered, pb.GatewayItem(item_refused=taken))
        return True

    rig.gateway.on_first = refuse
    rig.stream.fail(grpc.StatusCode.UNAVAILABLE, "GOING_AWAY")
    assert (await call.ended()).cause == "LOST"
    rig.stream = await rig.gateway.stream(1)
    assert (await rig.call("c-2", 2)).id == "c-2"


async def test_opens_more_streams_for_more_calls_and_moves_them(rig: OneCall) -> None:
    await rig.begin(calls_per_stream=1, max_streams=2)
    await rig.call("c-1", 1)
    first = rig.stream
    await rig.call("c-2", 2)
    second = await rig.gateway.stream(1)
    assert (await second.next("join")).session_token == "token-1"
    rig.stream = second
    third = await rig.call("c-3", 3)
    third.play(bytes(640))
    await until(lambda: len(second.audio(3)) == 640, "the audio on the stream of its call")
    # The first stream breaks: its calls come to the second, before or after its loss is seen here.
    moved = [call for call in rig.calls if call.id != "c-3"]
    first.fail(grpc.StatusCode.UNAVAILABLE, "GOING_AWAY")
    second.send(assigned(fake_call("c-1"), 11, resume=3), assigned(fake_call("c-2"), 12, resume=3))
    for call in moved:
        call.play(bytes(640))
    await until(lambda: len(second.audio(11) + second.audio(12)) == 1280, "the audio of moved calls")
    assert all(call.end is None for call in rig.calls)
    # And the stream is opened again.
    again = await rig.gateway.stream(2)
    await again.next("join")


async def test_calls_that_nobody_moved_are_asked_for(rig: OneCall) -> None:
    await rig.begin(calls_per_stream=1, max_streams=2)
    await rig.call("c-1", 1)
    await rig.call("c-2", 2)
    await rig.gateway.stream(1)
    await until(lambda: rig.gateway.streams[1].all("join"), "the join")
    rig.stream.fail(grpc.StatusCode.UNAVAILABLE, "GOING_AWAY")
    third = await rig.gateway.stream(2)
    reattach = await third.next("reattach")
    assert sorted(c.call_id for c in reattach.calls) == ["c-1", "c-2"]


async def test_registers_elsewhere_when_its_gateway_goes_away(rig: OneCall) -> None:
    other = FakeGateway()
    await other.start()
    try:
        await rig.begin(endpoints=[rig.gateway.endpoint, other.endpoint])
        call = await rig.call()
        rig.stream.send(pb.GatewayItem(go_away=pb.GoAway(deadline=seconds(30))))
        there = await other.stream(0)
        await there.next("register")
        await rig.stream.next("drain")
        assert call.end is None
        assert [s.type for s in rig.statuses] == ["connected", "going_away", "connected"]
    finally:
        await rig.agent.close()
        await other.stop()


async def test_drains_when_told_and_by_sigterm(rig: OneCall) -> None:
    agent = await rig.begin()
    agent.drain_on_signals([signal.SIGTERM])
    await rig.call()
    running = asyncio.ensure_future(agent.run())
    os.kill(os.getpid(), signal.SIGTERM)
    await rig.stream.next("drain")
    await asyncio.sleep(0.05)
    assert not running.done()
    rig.stream.send(
        pb.GatewayItem(
            unassigned=pb.Unassigned(handle=1, call_id="c-1", cause=call_event_pb2.SEAT_CAUSE_CALL_ENDED)
        )
    )
    await asyncio.wait_for(running, 10)
    await rig.stream.next("bye")
    with pytest.raises(ClosedError):
        await agent.start()


async def test_gives_back_what_is_left_when_the_drain_takes_too_long(rig: OneCall) -> None:
    agent = await rig.begin()
    call = await rig.call()
    await asyncio.wait_for(agent.drain(0.1), 10)
    assert (await call.ended()).cause == "CLOSED"
    await rig.stream.next("bye")


async def test_a_lost_stream_tells_the_reason_though_a_write_failed_beside_it(gateway: FakeGateway) -> None:
    # A failed write of grpc.aio writes INTERNAL over the status that the server has sent.
    for _ in range(15):

        def refuse(stream: FakeStream, item: pb.AgentItem) -> bool:
            stream.fail(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
            return True

        gateway.on_first = refuse
        agent = Agent(nothing, endpoint=gateway.endpoint, agent_id="a", on_status=lambda _: None)
        starting = asyncio.ensure_future(agent.start())
        await asyncio.sleep(0)
        while not starting.done():
            agent.reauthenticate("x" * 1_000)
            await asyncio.sleep(0)
        with pytest.raises(UnauthenticatedError):
            await starting
        await agent.close()


def options(**given: Any) -> dict[str, Any]:
    return {"agent_id": "a", "on_status": lambda _: None} | given


async def test_a_refused_token_an_unknown_pool_and_a_superseded_agent_end_it(gateway: FakeGateway) -> None:
    for code, reason, kind in [
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", UnauthenticatedError),
        (grpc.StatusCode.NOT_FOUND, "POOL_NOT_FOUND", NotFoundError),
        (grpc.StatusCode.ABORTED, "SUPERSEDED", CallweaveError),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", InvalidFieldError),
    ]:

        def refuse(
            stream: FakeStream,
            _: pb.AgentItem,
            code: grpc.StatusCode = code,
            reason: str = reason,
        ) -> bool:
            stream.fail(code, reason, {"field": "x"})
            return True

        gateway.on_first = refuse
        with pytest.raises(kind) as refused:
            await Agent(nothing, **options(endpoint=gateway.endpoint)).run()
        assert refused.value.reason == reason
        assert refused.value.metadata == {"field": "x"}


async def test_a_gateway_of_another_contract_ends_it(gateway: FakeGateway) -> None:
    gateway.serves = False
    with pytest.raises(TransportError) as refused:
        await Agent(nothing, **options(endpoint=gateway.endpoint)).run()
    assert refused.value.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_wrong_endpoint_is_told_and_tried_again(gateway: FakeGateway) -> None:
    statuses: list[Any] = []
    wrong = ["127.0.0.1:1", gateway.endpoint]
    agent = Agent(nothing, **options(endpoints=wrong, on_status=statuses.append))
    await asyncio.wait_for(agent.start(), 10)
    assert [s.type for s in statuses] == ["disconnected", "connected"]
    assert statuses[0].error.reason == "TRANSPORT"
    assert statuses[0].error.retryable
    await agent.close()


async def test_garbage_from_the_server_breaks_the_stream_alone(rig: OneCall) -> None:
    call = await rig.call()
    rig.gateway.on_first = lambda stream, item: True
    rig.stream.send_raw(b"\xff\xff\xff\xff")
    await until(lambda: any(s.type == "disconnected" for s in rig.statuses), "the broken stream")
    lost = next(s for s in rig.statuses if s.type == "disconnected")
    assert isinstance(lost.error, TransportError)
    assert lost.error.code is grpc.StatusCode.INTERNAL
    again = await rig.gateway.stream(1)
    await again.next("reattach")
    again.send(assigned(fake_call("c-1"), 2, resume=2))
    await until(lambda: call._line is not None, "the call to be back")


async def test_something_that_is_no_grpc_at_all() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    statuses: list[Any] = []
    agent = Agent(nothing, **options(endpoint=f"127.0.0.1:{port}", on_status=statuses.append))
    starting = asyncio.ensure_future(agent.start())
    await until(lambda: statuses, "the first attempt")
    assert statuses[0].error.reason == "TRANSPORT"
    await agent.close()
    with pytest.raises(ClosedError):
        await starting
    server.close()


async def test_a_server_that_never_answers_and_a_token_that_never_comes(gateway: FakeGateway) -> None:
    gateway.on_first = lambda stream, item: True
    statuses: list[Any] = []

    async def token() -> str:
        await asyncio.sleep(60)
        return ""

    tokens: list[dict[str, Any]] = [{}, {"token": token}]
    for given in tokens:
        statuses.clear()
        agent = Agent(
            nothing,
            **options(endpoint=gateway.endpoint, connect_timeout=0.1, on_status=statuses.append, **given),
        )
        starting = asyncio.ensure_future(agent.start())
        starting.add_done_callback(lambda f: f.exception())
        await until(lambda: statuses, "the timeout")
        assert statuses[0].error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await agent.close()


BOUNDS: list[tuple[str, Any, Any, Any, Any]] = [
    ("capacity", 1, 1_000, 0, 1_001),
    ("send_ahead", 0.1, 20, 0.09, 20.1),
    ("max_playback_queued", 0.1, 3_600, 0.09, 3_601),
    ("max_audio_queued", 0.02, 600, 0.01, 601),
    ("max_marks", 1, 1_000, 0, 1_001),
    ("max_events_queued", 1, 100_000, 0, 100_001),
    ("max_control_items", 100, 1_000_000, 99, 1_000_001),
    ("calls_per_stream", 1, 1_000, 0, 1_001),
    ("max_streams", 1, 16, 0, 17),
    ("connect_timeout", 0.1, 600, 0.09, 601),
    ("reattach_timeout", 0, 3_600, -1, 3_601),
    ("drain_timeout", 0, 86_400, -1, 86_401),
    ("handler_grace", 0, 86_400, -1, 86_401),
    ("request_timeout", 0.001, 600, 0, 601),
    ("keepalive", 10, 86_400, 9, 86_401),
]


@pytest.mark.parametrize(("name", "low", "high", "below", "above"), BOUNDS)
def test_options_at_their_edges(name: str, low: Any, high: Any, below: Any, above: Any) -> None:
    for good in (low, high):
        Agent(nothing, **options(**{name: good}))
    for bad in (below, above, "1", None if name != "reattach_timeout" else "x", float("nan"), True):
        with pytest.raises(InvalidFieldError) as refused:
            Agent(nothing, **options(**{name: bad}))
        assert refused.value.metadata["field"] == name


def test_other_options_that_are_wrong() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"agent_id": ""},
        {"agent_id": "a b"},
        {"agent_id": "a" * 65},
        {"endpoints": []},
        {"endpoints": "127.0.0.1:1"},
        {"token": 5},
        {"when_handler_returns": "stay"},
    )
    for given in wrong:
        with pytest.raises(InvalidFieldError):
            Agent(nothing, **options(**given))
    with pytest.raises(TypeError, match="capacty"):
        Agent(nothing, **options(capacty=5))
