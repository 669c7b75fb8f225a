"""Options of an agent and what it tells of its connection."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ._call_link import CallLimits
from ._errors import CallweaveError, invalid_field
from ._options import ConnectionOptions, connection_config, seconds, whole
from ._session_port import Offer, Registration, SessionConfig
from ._types import AudioFormat

MAX_CAPACITY = 1_000
"""So many calls with ids of 200 bytes fit a Reattach of 256 KiB."""
TICK = 0.05
"""How often audio that waits for its time is looked at. Seconds."""
MAX_ITEM = 0.1
"""Longer audio is sent in items of this length. Seconds."""
MAX_DRAIN = 86_400


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What the agent does with its connection."""

    type: Literal["connected", "disconnected", "going_away", "draining", "closed"]
    """`going_away`: the gateway goes away; its calls go on until the deadline, new ones are taken elsewhere."""
    gateway_id: str = ""
    """With `connected`."""
    error: CallweaveError | None = None
    """With `disconnected`: why."""
    retry_in: float = 0.0
    """With `disconnected`: the next attempt is in so many seconds."""
    deadline: float = 0.0
    """With `going_away`: in so many seconds."""


class AgentOptions(ConnectionOptions, total=False):
    """Options of an agent. Durations are in seconds."""

    agent_id: str
    """The agent, shared by its processes: 1 to 64 of A-Z a-z 0-9 . _ - Required."""
    instance_id: str
    """This process. Default: a UUID."""
    pool: str
    """The pool to take calls from. Default: "default"."""
    capacity: int
    """How many calls at a time, 1 to 1,000: so many come back with one message of 256 KiB after a lost stream. For more, run
    more processes. Default: 1."""
    audio_format: AudioFormat
    """The format of audio both ways. Default: s16le at the rate of each call."""
    labels: Mapping[str, str]
    """At most 16, for people: language, version. Default: none."""
    answer_on_accept: bool
    """Taking a call answers it; the handler runs once it is answered (or in PENDING, if that failed). Off: the handler runs in
    PENDING and calls `Call.answer`. Default: True."""
    heartbeat: bool
    """The agent is found frozen when its event loop stands still. Default: True."""
    no_audio: bool
    """The agent only speaks and commands; `Call.audio` stays empty. Default: False."""
    accept: Callable[[Offer], bool | str | Awaitable[bool | str]]
    """Which offers to take: False, or a text for people, declines. Default: all, up to the capacity."""
    load: Callable[[], float]
    """0 to 1: offers go to low loads first. What it raises, or an answer that is no finite number, goes to `on_error` once, and
    calls by capacity are told instead. Default: calls by capacity."""
    when_handler_returns: Literal["leave", "keep"]
    """What happens when the handler returns and the agent still has the call. `leave`: in CONNECTED the agent leaves, in ANSWERED
    the call ends when all audio was heard, in PENDING the seat is given back. `keep`: nothing. A handler that raises gives the
    seat back in any case. Default: `leave`."""
    handler_grace: float
    """How long a handler may go on after the end of its call before its task is cancelled. 0 to 86,400. Default: 5."""
    send_ahead: float
    """How far beyond what was heard audio is sent. 0.1 to 20. Default: 1."""
    max_playback_queued: float
    """How much a call may have waiting to be played; full: `Call.play` raises QUEUE_FULL. 0.1 to 3,600. Default: 60."""
    max_audio_queued: float
    """How much unread audio of a call is kept; full: the oldest is dropped, told as a gap. 0.02 to 600. Default: 2."""
    max_marks: int
    """How many marks of a call may wait; full: `Call.mark` raises QUEUE_FULL. 1 to 1,000. Default: 1,000."""
    max_events_queued: int
    """How many events of a call may wait for a reader of `Call.events`; full: it reads what waits, then its loop raises
    QUEUE_FULL. 1 to 100,000. Default: 1,000."""
    max_control_items: int
    """How many control items may wait for a stream; full: the stream is given up and reattached. 100 to 1,000,000. Default:
    10,000."""
    calls_per_stream: int
    """With more calls than this per stream another stream is opened. 1 to 1,000. Default: 64."""
    max_streams: int
    """How many streams there may be, each on a connection of its own. 1 to 16. Default: 4."""
    connect_timeout: float
    """How long the token and the answer of a gateway to a new stream may take together; passed: the next attempt. 0.1 to 600.
    Default: 5."""
    reattach_timeout: float
    """After a lost stream calls end here with `LOST` after this long: time to come back, or, when the gateway died, for another
    one to take its calls over. 0 to 3,600. Default: the gateway's grace + 13."""
    drain_timeout: float
    """How long `Agent.drain` waits for calls to end before it gives them back. 0 to 86,400. Default: 30."""
    on_status: Callable[[AgentStatus], object]
    """What became of the connection. Default: one line on standard error when it is lost or cannot be made."""
    on_error: Callable[[BaseException, str | None], object]
    """A handler or listener raised, or an item was refused; with the id of the call. Default: a few lines on standard error."""


def session_config(options: AgentOptions) -> SessionConfig:
    """Fills in the defaults. Raises INVALID_FIELD."""
    get: Callable[..., Any] = options.get
    agent_id = get("agent_id", "")
    if not isinstance(agent_id, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", agent_id):
        raise invalid_field("agent_id", "1 to 64 of A-Z a-z 0-9 . _ -", agent_id)
    keep = get("when_handler_returns", "leave")
    if keep not in ("leave", "keep"):
        raise invalid_field("when_handler_returns", '"leave" or "keep"', keep)
    reattach = get("reattach_timeout")
    return SessionConfig(
        connection=connection_config(options),
        register=Registration(
            agent_id=agent_id,
            instance_id=get("instance_id") or str(uuid.uuid4()),
            pool=get("pool", "default"),
            capacity=whole("capacity", get("capacity", 1), 1, MAX_CAPACITY),
            audio_format=get("audio_format"),
            labels=dict(get("labels", {})),
            answer_on_accept=get("answer_on_accept", True),
            heartbeat=get("heartbeat", True),
            no_audio=get("no_audio", False),
        ),
        call_limits=CallLimits(
            max_audio_queued=seconds("max_audio_queued", get("max_audio_queued", 2), 0.02, 600),
            max_playback_queued=seconds("max_playback_queued", get("max_playback_queued", 60), 0.1, 3_600),
            send_ahead=seconds("send_ahead", get("send_ahead", 1), 0.1, 20),
            max_item=MAX_ITEM,
            max_marks=whole("max_marks", get("max_marks", 1_000), 1, 1_000),
            max_events_queued=whole("max_events_queued", get("max_events_queued", 1_000), 1, 100_000),
        ),
        connect_timeout=seconds("connect_timeout", get("connect_timeout", 5), 0.1, 600),
        reattach_timeout=None if reattach is None else seconds("reattach_timeout", reattach, 0, 3_600),
        max_control_items=whole("max_control_items", get("max_control_items", 10_000), 100, 1_000_000),
        calls_per_stream=whole("calls_per_stream", get("calls_per_stream", 64), 1, 1_000),
        max_streams=whole("max_streams", get("max_streams", 4), 1, 16),
        tick=TICK,
    )
