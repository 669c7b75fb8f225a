from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import OneCall
from fake_gateway import assigned, fake_call, seconds, until

from callweave import (
    AfterMark,
    AudioGap,
    Call,
    CalleeTarget,
    CallEvent,
    CallOverError,
    CallStateError,
    CommandCancelledError,
    InvalidFieldError,
    QueueFullError,
    UnansweredError,
)
from callweave.v1 import agent_service_pb2 as pb
from callweave.v1 import call_event_pb2, call_pb2, call_service_pb2, error_pb2, escalation_pb2

SECOND = 32_000


def progress(handle: int, played: float, queued: float = 0) -> pb.GatewayItem:
    position = call_pb2.PlaybackPosition(queued=seconds(queued), played=seconds(played))
    return pb.GatewayItem(playback=pb.PlaybackProgress(handle=handle, position=position))


def reached(name: str, end: int = pb.MARK_END_PLAYED) -> pb.GatewayItem:
    mark = pb.MarkReached(handle=1, name=name)
    mark.end = end  # type: ignore[assignment]
    return pb.GatewayItem(mark_reached=mark)


def unassigned(cause: int, end_reason: int = 0) -> pb.GatewayItem:
    item = pb.Unassigned(handle=1, call_id="c-1")
    item.cause = cause  # type: ignore[assignment]
    item.end_reason = end_reason  # type: ignore[assignment]
    return pb.GatewayItem(unassigned=item)


HUNG_UP = unassigned(call_event_pb2.SEAT_CAUSE_CALL_ENDED, call_pb2.END_REASON_TERMINATED)


async def test_audio_of_the_caller_is_read_with_its_gaps(rig: OneCall) -> None:
    call = await rig.call()
    audio = pb.GatewayItem()
    audio.audio.handle, audio.audio.position, audio.audio.pcm = 1, 16_000, b"ab" * 320
    gap = pb.GatewayItem()
    gap.audio_gap.handle = 1
    setattr(gap.audio_gap, "from", 32_000)
    gap.audio_gap.duration.CopyFrom(seconds(0.5))
    gap.audio_gap.reason = 2  # type: ignore[assignment]
    rig.stream.send(audio, gap, HUNG_UP)
    chunks = [chunk async for chunk in call.audio()]
    assert chunks[0].pcm == b"ab" * 320
    assert chunks[0].at == 1.0
    assert isinstance(chunks[1], AudioGap)
    assert (chunks[1].duration, chunks[1].reason, chunks[1].at) == (0.5, "DETACHED", 2.0)


async def test_play_sends_a_second_ahead_and_the_rest_as_it_is_heard(rig: OneCall) -> None:
    call = await rig.call()
    said = bytes(range(256)) * (SECOND * 3 // 2 // 256)
    playing = call.play(said)
    await until(lambda: len(rig.stream.audio()) >= SECOND - 4_000, "a second")
    assert not playing.done()
    assert 0.3 < call.playback.queued < 0.6
    rig.stream.send(progress(1, 0.6, 0.4))
    assert await playing == "SENT"
    await until(lambda: rig.stream.audio() == said, "all of it, in order")


async def test_an_iterable_is_read_only_as_fast_as_it_is_played(rig: OneCall) -> None:
    call = await rig.call()
    read = 0

    async def words() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield bytes(SECOND // 10)

    playing = call.play(words())
    await until(lambda: len(rig.stream.audio()) >= SECOND * 0.9, "a second")
    await asyncio.sleep(0.05)
    assert read < 30
    await call_clear(rig, call)
    assert await playing == "CLEARED"


async def call_clear(rig: OneCall, call: Call) -> Any:
    clearing = call.clear()
    await rig.stream.next("clear_playback")
    cleared = pb.GatewayItem()
    cleared.playback_cleared.handle = 1
    cleared.playback_cleared.dropped_local.CopyFrom(seconds(0.5))
    cleared.playback_cleared.estimated_unheard_at_provider.CopyFrom(seconds(0.25))
    cleared.playback_cleared.played.CopyFrom(seconds(0.2))
    rig.stream.send(cleared)
    return await clearing


async def test_clear_answers_what_was_not_heard(rig: OneCall) -> None:
    call = await rig.call()
    playing, mark = call.play(bytes(SECOND * 10)), call.mark("end")
    await until(lambda: len(rig.stream.audio()) >= SECOND * 0.9, "a second")
    cleared = await call_clear(rig, call)
    assert 9.3 < cleared.dropped < 9.7
    assert (cleared.estimated_unheard, cleared.played) == (0.25, pytest.approx(0.2))
    assert (await playing, await mark) == ("CLEARED", "CLEARED")


async def test_cancelling_play_drops_what_is_not_yet_sent(rig: OneCall) -> None:
    call = await rig.call()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call.play(b"\1\1" * SECOND * 5), 0.1)
    assert call.playback.queued == 0
    call.play(b"\2\2" * 1_600)
    await until(lambda: rig.stream.audio().endswith(b"\2\2" * 1_600), "what was said next", 5)
    assert rig.stream.audio().count(b"\1") < SECOND * 1.4


async def test_marks_keep_their_place_and_tell_their_end(rig: OneCall) -> None:
    call = await rig.call()
    call.play(bytes(3_200))
    played, cleared = call.mark("m"), call.mark("n")
    await rig.stream.next("mark")
    kinds = [item.WhichOneof("item") for item in rig.stream.items]
    assert kinds.index("audio") < kinds.index("mark")
    rig.stream.send(reached("m"), reached("n", pb.MARK_END_CLEARED))
    assert (await played, await cleared) == ("PLAYED", "CLEARED")


async def test_limits_hold_at_their_edge(rig: OneCall) -> None:
    await rig.begin(max_marks=2, max_playback_queued=1.0, max_events_queued=2, send_ahead=0.1)
    call = await rig.call()
    marks = [call.mark(), call.mark()]
    with pytest.raises(QueueFullError):
        await call.mark()
    first = call.play(bytes(SECOND))
    with pytest.raises(QueueFullError):
        await call.play(bytes(SECOND))
    assert not first.done() or first.exception() is None
    events = call.events()
    for number in (1, 2, 3):
        rig.stream.event("c-1", number, answered=call_event_pb2.CallAnswered())
    got: list[CallEvent] = []
    await asyncio.sleep(0.1)
    with pytest.raises(QueueFullError):
        async for event in events:
            got.append(event)
    assert [event.sequence for event in got] == [1, 2]
    assert not any(mark.done() for mark in marks)


async def test_a_verb_is_a_command_and_its_result_the_answer(rig: OneCall) -> None:
    await rig.begin(answer_on_accept=False)
    call = await rig.call(state=call_pb2.CALL_STATE_PENDING)
    answering = call.answer(request_id="r-1")
    command = await rig.stream.next("command")
    assert (command.request_id, command.WhichOneof("verb"), command.handle) == ("r-1", "answer", 1)
    rig.stream.result(command, call=fake_call("c-1", last_event_sequence=9))
    await answering
    assert call.state == "ANSWERED"


async def test_errors_come_in_their_class(rig: OneCall) -> None:
    call = await rig.call()
    connecting, mode = call.connect(ring_time=5), call.set_mode("SPY")
    one, two = await rig.stream.next("command"), await rig.stream.next("command")
    assert one.connect.ring_duration.seconds == 5
    rig.stream.result(one, pending=True)
    state = error_pb2.Error(code=9, reason=error_pb2.ERROR_REASON_CALL_STATE, metadata={"state": "ANSWERED"})
    rig.stream.result(two, error=state)
    with pytest.raises(CallStateError) as refused:
        await mode
    assert refused.value.metadata == {"state": "ANSWERED"}
    unanswered = error_pb2.Error(code=9, reason=error_pb2.ERROR_REASON_CALLEE_UNANSWERED)
    done = call_event_pb2.CommandDone(verb="ConnectCall", request_id=one.request_id, error=unanswered)
    rig.stream.event("c-1", 1, command_done=done)
    with pytest.raises(UnansweredError):
        await connecting


async def test_escalate_waits_for_its_announcement_and_tells_its_outcome(rig: OneCall) -> None:
    call = await rig.call()
    call.play(bytes(3_200))
    escalating = call.escalate("FRUSTRATED", summary="Angry.", data={"n": 1}, target=CalleeTarget(20))
    command = await rig.stream.next("command")
    kinds = [item.WhichOneof("item") for item in rig.stream.items]
    assert kinds.index("audio") < kinds.index("command")
    assert command.escalate.reason == escalation_pb2.ESCALATION_REASON_FRUSTRATED
    assert command.escalate.original_callee.ring_duration.seconds == 20
    result = escalation_pb2.EscalationResult(
        outcome=escalation_pb2.ESCALATION_OUTCOME_UNANSWERED,
        durability=escalation_pb2.CONTEXT_DURABILITY_STORE,
    )
    unanswered = error_pb2.Error(code=9, reason=error_pb2.ERROR_REASON_CALLEE_UNANSWERED)
    rig.stream.result(command, escalation=result, error=unanswered)
    assert (await escalating).outcome == "UNANSWERED"


async def test_leaving_by_an_escalation_is_its_success(rig: OneCall) -> None:
    call = await rig.call()
    escalating, answering = call.escalate("EMERGENCY", after="now"), call.answer()
    await rig.stream.next("command")
    left = call_pb2.END_REASON_LEFT_TO_PARTIES
    rig.stream.send(unassigned(call_event_pb2.SEAT_CAUSE_CALL_ENDED, left))
    assert (await escalating).outcome == "CONNECTED"
    with pytest.raises(CallOverError):
        await answering
    end = await call.ended()
    assert (end.cause, end.end_reason) == ("CALL_ENDED", "LEFT_TO_PARTIES")


async def test_cancelling_a_sent_command_asks_the_gateway_to_cancel_it(rig: OneCall) -> None:
    call = await rig.call()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call.connect(request_id="r-1"), 0.1)
    await rig.stream.next("command")
    cancel = await rig.stream.next("command")
    assert cancel.cancel.request_id == "r-1"


async def test_cancelling_a_queued_command_needs_no_gateway(rig: OneCall) -> None:
    call = await rig.call()
    call.play(bytes(SECOND * 10))
    closing = call.close(after="drained", end_call=True)
    closing.cancel()
    await asyncio.sleep(0.05)
    assert rig.stream.all("command") == []
    disconnecting = call.disconnect(after="drained")
    await call_clear(rig, call)
    with pytest.raises(CommandCancelledError):
        await disconnecting


async def test_an_interrupt_lets_an_escalation_go_ahead(rig: OneCall) -> None:
    call = await rig.call()
    call.play(bytes(SECOND * 10))
    call.escalate("ASKED_FOR_HUMAN")
    await call_clear(rig, call)
    command = await rig.stream.next("command")
    assert command.WhichOneof("verb") == "escalate"


async def test_after_and_its_fields_are_checked(rig: OneCall) -> None:
    call = await rig.call()
    call.disconnect(after=AfterMark("m"), after_deadline=2.5, on_interrupt="PROCEED")
    command = await rig.stream.next("command")
    after = command.disconnect.after
    assert after.condition == call_service_pb2.AFTER_CONDITION_MARK
    assert (after.mark, after.deadline.seconds, after.deadline.nanos) == ("m", 2, 500_000_000)
    wrong: list[Any] = [
        call.disconnect(after=AfterMark("")),
        call.connect(ring_time=121),
        call.connect(ring_time=0),
        call.transfer(),
        call.transfer(pool="a", instance_id="b"),
        call.escalate("NO_SUCH_REASON"),  # type: ignore[arg-type]
        call.escalate("EMERGENCY", data={"x": object()}),
        call.mark(""),
        call.mark("m" * 101),
        call.play("text"),  # type: ignore[arg-type]
    ]
    for future in wrong:
        with pytest.raises(InvalidFieldError):
            await future
    with pytest.raises(TypeError):
        await call.connect(no_such_option=1)  # type: ignore[call-arg]


async def test_the_end_of_a_call_ends_all_that_waits_for_it(rig: OneCall) -> None:
    call = await rig.call()
    playing, mark, connecting = call.play(bytes(SECOND * 10)), call.mark(), call.connect()
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    call.create_task(work())
    events = call.events()
    await asyncio.sleep(0.05)
    rig.stream.send(HUNG_UP)
    end = await call.ended()
    assert (end.cause, end.end_reason, call.state) == ("CALL_ENDED", "TERMINATED", "DISCONNECTED")
    await asyncio.wait_for(cancelled.wait(), 5)
    assert await mark == "CLEARED"
    for future in (playing, connecting, call.clear(), call.answer(), call.play(b"ab")):
        with pytest.raises(CallOverError):
            await future
    assert [event async for event in events] == []


async def test_a_refused_item_is_sent_again_and_disturbs_nobody(rig: OneCall) -> None:
    call = await rig.call()
    said = bytes(range(1, 101)) * 32
    await call.play(said)
    full = error_pb2.Error(code=8, reason=error_pb2.ERROR_REASON_PLAYBACK_FULL)
    refused = pb.ItemRefused(handle=1, item="audio", error=full)
    await until(lambda: rig.stream.audio() == said, "the audio")
    rig.stream.send(pb.GatewayItem(item_refused=refused))
    await until(lambda: rig.stream.audio() == said * 2, "the same audio again")


async def test_listeners_that_raise_are_reported_and_the_others_called(rig: OneCall) -> None:
    call = await rig.call()
    notes: list[str] = []

    async def later(note: Any) -> None:
        notes.append(note.author)

    def raises(_: object) -> None:
        raise RuntimeError("listener")

    call.on("note", raises)
    call.on("note", later)
    stop = call.on("note", lambda note: notes.append(note.text))
    note = pb.GatewayItem(note=pb.Note(handle=1, text="be brief", author="client:desk"))
    rig.stream.send(note)
    await until(lambda: len(notes) == 2, "both listeners")
    assert sorted(notes) == ["be brief", "client:desk"]
    assert str(rig.errors[0]) == "listener"
    stop()
    rig.stream.send(note)
    await until(lambda: notes.count("client:desk") == 2, "the one that is left")
    assert notes.count("be brief") == 1


async def test_an_event_of_a_newer_kind_is_told_as_unknown(rig: OneCall) -> None:
    call = await rig.call()
    events = call.events()
    event = call_event_pb2.CallEvent(call_id="c-1", sequence=1)
    # Field 99 of the oneof, as a newer gateway might send it.
    raw = event.SerializeToString() + b"\x9a\x06\x00"
    item = b"\x62" + bytes([len(raw)]) + raw
    rig.stream.send_raw(b"\x0a" + bytes([len(item)]) + item)
    told = await asyncio.wait_for(anext(events), 5)
    assert (told.type, told.sequence) == ("unknown", 1)


async def test_a_call_that_was_assigned_again_is_another_one(rig: OneCall) -> None:
    call = await rig.call()
    rig.stream.send(assigned(fake_call("c-1"), 2, epoch=2))
    assert (await call.ended()).cause == "LOST"
    await until(lambda: len(rig.calls) == 2, "the new call")
    assert rig.calls[1].epoch == 2
