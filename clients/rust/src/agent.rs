use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::bounded::{bounded, bounded_number};
use crate::call::Call;
use crate::call_inner::CallLimits;
use crate::connection::{ConnectionOptions, connection_methods};
use crate::convert::from_audio_format;
use crate::error::{BoxError, Error, Result};
use crate::proto;
use crate::types::{AudioFormat, CallInfo};
use crate::worker::Worker;
use crate::{CallContext, EscalationReason};

/// So many calls with ids of 200 bytes fit a Reattach of 256 KiB.
const MAX_CAPACITY: u32 = 1_000;
pub(crate) const MAX_DRAIN_MS: u64 = 86_400_000;

/// Begins an agent. `agent_id` is shared by its processes: 1 to 64 of A-Z a-z 0-9 . _ -
pub fn agent(agent_id: impl Into<String>) -> AgentBuilder {
    AgentBuilder {
        connection: ConnectionOptions::default(),
        agent_id: agent_id.into(),
        instance_id: crate::ids::uuid(),
        pool: "default".into(),
        capacity: 1,
        audio_format: None,
        labels: HashMap::new(),
        answer_on_accept: true,
        heartbeat: true,
        no_audio: false,
        keep: false,
        limits: CallLimits {
            max_audio_queued: Duration::from_secs(2),
            max_playback_queued: Duration::from_secs(60),
            send_ahead: Duration::from_secs(1),
            max_marks: 1_000,
            max_events_queued: 1_000,
        },
        max_control_items: 10_000,
        max_streams: 4,
        calls_per_stream: 50,
        connect_timeout: Duration::from_secs(5),
        reattach_timeout: None,
        drain_timeout: Duration::from_secs(30),
        hooks: Hooks::default(),
    }
}

/// A call that an agent may take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Offer {
    /// The call as it is now.
    pub call: CallInfo,
    /// Its newest turns; `None` for a new call.
    pub context: Option<CallContext>,
    /// Counts the offers of the call from 1.
    pub attempt: u32,
    /// How long it may be answered.
    pub time_left: Duration,
    /// Set when the call comes by an escalation.
    pub escalation_reason: Option<EscalationReason>,
}

/// What to do with an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it.
    Accept,
    /// Decline it, with a reason for people; at most 100 characters count.
    Decline(String),
}

/// What the worker does with its connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// Registered, or reattached.
    Connected {
        /// The gateway.
        gateway_id: String,
    },
    /// The stream broke, or none could be made.
    Disconnected {
        /// Why.
        error: Error,
        /// When the next attempt is.
        retry_in: Duration,
    },
    /// The gateway goes away: its calls go on until the deadline, new ones are taken elsewhere.
    GoingAway {
        /// How long at most.
        deadline: Duration,
    },
    /// No more calls are taken.
    Draining,
    /// It is over.
    Closed,
}

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type Handler = dyn Fn(Call) -> BoxFuture<std::result::Result<(), BoxError>> + Send + Sync;
type OnError = dyn Fn(BoxError, Option<&str>) + Send + Sync;
type Accept = dyn Fn(Offer) -> BoxFuture<Decision> + Send + Sync;

/// Functions of the program.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub accept: Option<Arc<Accept>>,
    pub load: Option<Arc<dyn Fn() -> f64 + Send + Sync>>,
    pub status: Option<Arc<dyn Fn(Status) + Send + Sync>>,
    pub error: Option<Arc<OnError>>,
}

/// Options of an agent; see [`agent`].
pub struct AgentBuilder {
    pub(crate) connection: ConnectionOptions,
    pub(crate) agent_id: String,
    pub(crate) instance_id: String,
    pub(crate) pool: String,
    pub(crate) capacity: u32,
    audio_format: Option<AudioFormat>,
    labels: HashMap<String, String>,
    pub(crate) answer_on_accept: bool,
    pub(crate) heartbeat: bool,
    no_audio: bool,
    pub(crate) keep: bool,
    pub(crate) limits: CallLimits,
    pub(crate) max_control_items: usize,
    pub(crate) max_streams: usize,
    pub(crate) calls_per_stream: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) reattach_timeout: Option<Duration>,
    pub(crate) drain_timeout: Duration,
    pub(crate) hooks: Hooks,
}

impl AgentBuilder {
    connection_methods!();

    /// This process. Default: a UUID.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = id.into();
        self
    }

    /// The pool to take calls from. Default: "default".
    pub fn pool(mut self, pool: impl Into<String>) -> Self {
        self.pool = pool.into();
        self
    }

    /// How many calls at a time, 1 to 1,000: so many come back with one message of 256 KiB after a lost stream. For more,
    /// run more processes. Default: 1.
    pub fn capacity(mut self, calls: u32) -> Self {
        self.capacity = calls;
        self
    }

    /// The format of audio both ways. Default: s16le at the rate of each call.
    pub fn audio_format(mut self, format: AudioFormat) -> Self {
        self.audio_format = Some(format);
        self
    }

    /// s16le at this rate both ways: 8000, 16000 or 24000.
    pub fn sample_rate(self, hertz: u32) -> Self {
        self.audio_format(AudioFormat { sample_rate_hertz: hertz, ..AudioFormat::default() })
    }

    /// One of at most 16 labels, for people: language, version.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Taking a call answers it; the handler runs once it is answered (or in `Pending`, if that failed). Off: the handler
    /// runs in `Pending` and calls `answer`. Default: on.
    pub fn answer_on_accept(mut self, on: bool) -> Self {
        self.answer_on_accept = on;
        self
    }

    /// The agent is found frozen when its runtime stands still. Default: on.
    pub fn heartbeat(mut self, on: bool) -> Self {
        self.heartbeat = on;
        self
    }

    /// The agent only speaks and commands; `audio` stays empty. Default: off.
    pub fn no_audio(mut self, on: bool) -> Self {
        self.no_audio = on;
        self
    }

    /// What happens when the handler returns and the agent still has the call. Off: in `Connected` the agent leaves, in
    /// `Answered` the call ends when all audio was heard, in `Pending` the seat is given back. On: nothing, and the seat is
    /// given back when the last handle of the call is dropped. A handler that fails or panics gives the seat back in any
    /// case. Default: off.
    pub fn keep_calls(mut self, on: bool) -> Self {
        self.keep = on;
        self
    }

    /// How far beyond what was heard audio is sent. 100 ms to 20 s. Default: 1 s.
    pub fn send_ahead(mut self, duration: Duration) -> Self {
        self.limits.send_ahead = duration;
        self
    }

    /// How much a call may have waiting to be played; full: `play` fails with `QueueFull`. 100 ms to 3,600 s. Default: 60 s.
    pub fn max_playback_queued(mut self, duration: Duration) -> Self {
        self.limits.max_playback_queued = duration;
        self
    }

    /// How much unread audio of a call is kept; full: the oldest is dropped, told as a gap. 20 ms to 600 s. Default: 2 s.
    pub fn max_audio_queued(mut self, duration: Duration) -> Self {
        self.limits.max_audio_queued = duration;
        self
    }

    /// How many marks of a call may wait; full: `mark` fails with `QueueFull`. 1 to 1,000. Default: 1,000.
    pub fn max_marks(mut self, marks: usize) -> Self {
        self.limits.max_marks = marks;
        self
    }

    /// How many items may wait for a reader of `events` or `notices`; full: it reads what waits, then `QueueFull`. 1 to
    /// 100,000. Default: 1,000.
    pub fn max_events_queued(mut self, events: usize) -> Self {
        self.limits.max_events_queued = events;
        self
    }

    /// How many control items may wait for a stream; full: the stream is given up and reattached. 100 to 1,000,000.
    /// Default: 10,000.
    pub fn max_control_items(mut self, items: usize) -> Self {
        self.max_control_items = items;
        self
    }

    /// How many streams, each on its own connection, are opened as calls need them. 1 to 16. Default: 4.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams;
        self
    }

    /// With more calls than this on each stream another one is opened. 1 to 1,000. Default: 50.
    pub fn calls_per_stream(mut self, calls: usize) -> Self {
        self.calls_per_stream = calls;
        self
    }

    /// How long connection, token and first answer of a new stream may take together; passed: the next attempt. 100 ms to
    /// 600 s. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// After a lost stream calls end here with `Lost` after this long: time to come back, or, when the gateway died, for
    /// another one to take its calls over. 0 to 3,600 s. Default: the gateway's grace + 13 s.
    pub fn reattach_timeout(mut self, timeout: Duration) -> Self {
        self.reattach_timeout = Some(timeout);
        self
    }

    /// How long `drain` waits for calls to end before it gives them back. 0 to 24 h. Default: 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Which offers to take. Default: all, up to the capacity. One that panics declines, and `on_error` is told.
    pub fn accept<F, Fut>(mut self, accept: F) -> Self
    where
        F: Fn(Offer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Decision> + Send + 'static,
    {
        self.hooks.accept = Some(Arc::new(move |offer| Box::pin(accept(offer))));
        self
    }

    /// 0 to 1: offers go to low loads first. One that panics or gives no finite number is told to `on_error` once, and the
    /// default is sent. Default: calls by capacity.
    pub fn load(mut self, load: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.hooks.load = Some(Arc::new(load));
        self
    }

    /// What became of the connection. Default: an event of `tracing`, a warning when it is lost.
    pub fn on_status(mut self, listener: impl Fn(Status) + Send + Sync + 'static) -> Self {
        self.hooks.status = Some(Arc::new(listener));
        self
    }

    /// A handler failed or panicked, or an item was refused; with the call's id if it is about one. Default: an error event
    /// of `tracing`.
    pub fn on_error(mut self, listener: impl Fn(BoxError, Option<&str>) + Send + Sync + 'static) -> Self {
        self.hooks.error = Some(Arc::new(listener));
        self
    }

    /// The agent with its handler, which runs once per call; `run` or `start` lets it take calls. What the handler gives
    /// after the end of the call is no error. `InvalidField` names an option that breaks its rule.
    pub fn handler<F, Fut>(self, handler: F) -> Result<Worker>
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), BoxError>> + Send + 'static,
    {
        self.check()?;
        Ok(Worker::new(self, Arc::new(move |call| Box::pin(handler(call)))))
    }

    fn check(&self) -> Result<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=64).contains(&self.agent_id.len()) || !self.agent_id.chars().all(allowed) {
            return Err(Error::invalid_field("agent_id", "1 to 64 of A-Z a-z 0-9 . _ -", &self.agent_id));
        }
        self.connection.check()?;
        let CallLimits { max_audio_queued, max_playback_queued, send_ahead, max_marks, max_events_queued } =
            self.limits;
        bounded_number("capacity", self.capacity, 1, MAX_CAPACITY)?;
        bounded("send_ahead", send_ahead, 100, 20_000)?;
        bounded("max_playback_queued", max_playback_queued, 100, 3_600_000)?;
        bounded("max_audio_queued", max_audio_queued, 20, 600_000)?;
        bounded_number("max_marks", max_marks, 1, 1_000)?;
        bounded_number("max_events_queued", max_events_queued, 1, 100_000)?;
        bounded_number("max_control_items", self.max_control_items, 100, 1_000_000)?;
        bounded_number("max_streams", self.max_streams, 1, 16)?;
        bounded_number("calls_per_stream", self.calls_per_stream, 1, 1_000)?;
        bounded("connect_timeout", self.connect_timeout, 100, 600_000)?;
        bounded("reattach_timeout", self.reattach_timeout.unwrap_or_default(), 0, 3_600_000)?;
        bounded("drain_timeout", self.drain_timeout, 0, MAX_DRAIN_MS)
    }

    /// The registration of this process.
    pub(crate) fn register(&self) -> proto::Register {
        proto::Register {
            agent_id: self.agent_id.clone(),
            instance_id: self.instance_id.clone(),
            pool: self.pool.clone(),
            capacity: self.capacity as i32,
            audio_format: self.audio_format.map(from_audio_format),
            labels: self.labels.clone(),
            answer_on_accept: self.answer_on_accept,
            heartbeat: self.heartbeat,
            no_audio: self.no_audio,
        }
    }
}
