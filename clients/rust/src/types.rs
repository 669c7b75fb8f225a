use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::enums::*;

/// How an escalation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EscalationResult {
    /// How it ended.
    pub outcome: EscalationOutcome,
    /// Where the context is safe; `None` when it was not written, or when nothing was said about it.
    pub durability: Option<ContextDurability>,
}

/// A format of mono audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Default `S16le`.
    pub encoding: AudioEncoding,
    /// 8000, 16000 or 24000; 0 is the rate of the call (8000 for `Mulaw` and `Alaw`). Default 0.
    pub sample_rate_hertz: u32,
}

impl Default for AudioFormat {
    fn default() -> Self {
        Self { encoding: AudioEncoding::S16le, sample_rate_hertz: 0 }
    }
}

impl AudioFormat {
    pub(crate) fn bytes_per_ms(self) -> f64 {
        let bytes = if self.encoding == AudioEncoding::S16le { 2.0 } else { 1.0 };
        f64::from(self.sample_rate_hertz) * bytes / 1000.0
    }
}

/// How much of the agent's audio was played, by the gateway's clock. Estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PlaybackPosition {
    /// Waits in the gateway.
    pub queued: Duration,
    /// At the provider and, by the clock, not yet heard.
    pub unheard_at_provider: Duration,
    /// Heard since the media began.
    pub played: Duration,
}

/// The one agent leg of a call and who has it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Seat {
    /// Where it stands.
    pub state: SeatState,
    /// Empty when nobody holds it.
    pub agent_id: String,
    /// The process that holds it; empty when nobody does.
    pub instance_id: String,
    /// Grows with each new holder, from 1; 0 before the first.
    pub epoch: u64,
    /// How many times the call was offered so far.
    pub attempt: u32,
    /// While suspended: when the reservation ends.
    pub suspend_expire_time: Option<SystemTime>,
}

/// A command that waits or runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingCommand {
    /// The id it was given with.
    pub request_id: String,
    /// The verb, as in the contract: "EscalateCall".
    pub verb: String,
}

/// A call as a gateway shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallInfo {
    /// Unique within the tenant; the provider's id of the call.
    pub call_id: String,
    /// The provider's id of the session that the call belongs to.
    pub session_id: String,
    /// The connector's name in the configuration of the gateway.
    pub connector: String,
    /// E.164, empty when withheld.
    pub caller: String,
    /// E.164.
    pub callee: String,
    /// As the provider wrote it.
    pub raw_caller: String,
    /// The number that was called, as the provider wrote it.
    pub raw_callee: String,
    /// The pool that the route chose.
    pub pool: String,
    /// A BCP 47 tag.
    pub locale: String,
    /// Where it stands; a state newer than this library is `Pending`.
    pub state: CallState,
    /// Set while connected.
    pub agent_mode: Option<AgentMode>,
    /// Set once disconnected.
    pub end_reason: Option<EndReason>,
    /// Its seat.
    pub seat: Seat,
    /// 8000, 16000 or 24000; positions count in it.
    pub sample_rate_hertz: u32,
    /// The ending command under way, if any.
    pub pending: Option<PendingCommand>,
    /// The agent's audio so far.
    pub playback: PlaybackPosition,
    /// When the gateway was given the call.
    pub create_time: Option<SystemTime>,
    /// When it was answered by us.
    pub answer_time: Option<SystemTime>,
    /// When the callee picked up.
    pub connect_time: Option<SystemTime>,
    /// When it was over for us.
    pub end_time: Option<SystemTime>,
    /// The gateway that has the sockets of the call.
    pub gateway_id: String,
    /// Of the newest event of the call.
    pub last_event_sequence: u64,
}

/// Audio that came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AudioData {
    /// Whole samples in the agreed format.
    pub pcm: Bytes,
    /// Position of the first sample, in samples at the rate of the call, since the media began.
    pub position: u64,
    /// The same as time.
    pub at: Duration,
}

/// Why audio is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The receiver was too slow.
    SlowReceiver,
    /// Its stream was away.
    Detached,
    /// The provider sent nothing.
    Provider,
    /// Something is spoken that nobody may keep.
    Paused,
    /// Nobody read the audio fast enough in this process.
    LocalQueueFull,
    /// Not given, or newer than this library.
    Unspecified,
}

impl GapReason {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlowReceiver => "SLOW_RECEIVER",
            Self::Detached => "DETACHED",
            Self::Provider => "PROVIDER",
            Self::Paused => "PAUSED",
            Self::LocalQueueFull => "LOCAL_QUEUE_FULL",
            Self::Unspecified => "UNSPECIFIED",
        }
    }
}

/// Audio that will not come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AudioGap {
    /// How much is missing.
    pub duration: Duration,
    /// Why.
    pub reason: GapReason,
    /// Position of the first missing sample.
    pub position: u64,
    /// The same as time.
    pub at: Duration,
}

/// One step of a call's audio.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioChunk {
    /// Audio.
    Audio(AudioData),
    /// Audio that will not come.
    Gap(AudioGap),
}

impl AudioChunk {
    /// The samples; `None` for a gap.
    pub fn pcm(&self) -> Option<&Bytes> {
        match self {
            Self::Audio(audio) => Some(&audio.pcm),
            Self::Gap(_) => None,
        }
    }

    /// When it begins, since the media began.
    pub fn at(&self) -> Duration {
        match self {
            Self::Audio(audio) => audio.at,
            Self::Gap(gap) => gap.at,
        }
    }
}

/// How audio was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// All of it is with the gateway.
    Sent,
    /// Dropped by `clear`.
    Cleared,
}

impl PlayEnd {
    /// "SENT" or "CLEARED".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "SENT",
            Self::Cleared => "CLEARED",
        }
    }
}

/// What an interrupt dropped. Estimates by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cleared {
    /// Was still in this library or in the gateway.
    pub dropped: Duration,
    /// Was at the provider and not yet heard.
    pub estimated_unheard: Duration,
    /// Heard since the media of the call began; 0 when the gateway could not be asked.
    pub played: Duration,
}

/// Where the agent's audio is. Estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PlaybackStatus {
    /// Waits in this library.
    pub queued: Duration,
    /// Sent to the gateway and not yet heard.
    pub ahead: Duration,
    /// Heard since the media began, as the gateway last told.
    pub played: Duration,
}

/// Why this agent does not have the call any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// As the gateway told; `Lost` also when the connection did not come back in time.
    Seat(SeatCause),
    /// The worker was closed.
    Closed,
}

impl EndCause {
    /// The name of the cause; "CLOSED" for a closed worker.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seat(cause) => cause.as_str(),
            Self::Closed => "CLOSED",
        }
    }
}

/// How the call ended for this agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallEnd {
    /// Why.
    pub cause: EndCause,
    /// When the call itself is over: why.
    pub end_reason: Option<EndReason>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Turn {
    /// Unique within the call, at most 100 characters; appending the same id again changes nothing. Default: a UUID.
    pub id: String,
    /// Who said it.
    pub role: TurnRole,
    /// At most 10,000 characters.
    pub text: String,
    /// A BCP 47 tag. Empty: the locale of the context.
    pub locale: String,
    /// When it began. Default: now.
    pub time: Option<SystemTime>,
    /// Of an agent's turn that was cut off: the part heard.
    pub heard: String,
    /// The turn was cut off.
    pub interrupted: bool,
}

impl Turn {
    /// A turn that begins now, with a fresh id.
    pub fn new(role: TurnRole, text: impl Into<String>) -> Self {
        Self {
            id: crate::ids::uuid(),
            role,
            text: text.into(),
            locale: String::new(),
            time: Some(SystemTime::now()),
            heard: String::new(),
            interrupted: false,
        }
    }

    /// Said by the caller.
    pub fn caller(text: impl Into<String>) -> Self {
        Self::new(TurnRole::Caller, text)
    }

    /// Said by the agent.
    pub fn ai(text: impl Into<String>) -> Self {
        Self::new(TurnRole::Ai, text)
    }

    /// With this id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// In this language.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = locale.into();
        self
    }

    /// It was cut off; the part that was heard.
    pub fn interrupted(mut self, heard: impl Into<String>) -> Self {
        self.heard = heard.into();
        self.interrupted = true;
        self
    }
}

/// Facts for programs, like JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// null.
    Null,
    /// true or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Data),
}

/// The data of a context: values by key.
pub type Data = HashMap<String, Value>;

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
