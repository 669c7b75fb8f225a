use std::time::Duration;

use crate::convert::{from_data, from_duration};
use crate::enums::*;
use crate::error::{Error, Result};
use crate::proto;
use crate::types::{Data, Value};

/// When a command takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// At once.
    Now,
    /// When all audio that was played before it on this call was heard.
    Drained,
    /// When the mark of this name was reached: 1 to 100 characters.
    Mark(String),
}

/// What the verbs have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Common {
    pub request_id: Option<String>,
    pub wait: Option<Duration>,
    pub after: Option<After>,
    pub after_deadline: Option<Duration>,
    pub on_interrupt: Option<OnInterrupt>,
}

impl Common {
    fn after(&self) -> Result<Option<proto::After>> {
        let Self { after, after_deadline, on_interrupt, .. } = self;
        if after.is_none() && after_deadline.is_none() && on_interrupt.is_none() {
            return Ok(None);
        }
        let mut mark = String::new();
        let condition = match after {
            None => proto::AfterCondition::Unspecified,
            Some(After::Now) => proto::AfterCondition::Now,
            Some(After::Drained) => proto::AfterCondition::PlaybackDrained,
            Some(After::Mark(name)) => {
                if name.is_empty() || name.chars().count() > 100 {
                    return Err(Error::invalid_field("after.mark", "1 to 100 characters", name));
                }
                mark = name.clone();
                proto::AfterCondition::Mark
            }
        };
        Ok(Some(proto::After {
            condition: condition as i32,
            mark,
            deadline: from_duration(*after_deadline),
            on_interrupt: on_interrupt.map_or(0, OnInterrupt::to_wire),
        }))
    }
}

macro_rules! request_id {
    () => {
        /// Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID.
        pub fn request_id(mut self, id: impl Into<String>) -> Self {
            self.common.request_id = Some(id.into());
            self
        }

        /// For observers: how long to wait for the result. At most 150 s. Default: answers at once. Of no effect on the
        /// calls of an agent, which always wait for the result.
        pub fn wait(mut self, wait: Duration) -> Self {
            self.common.wait = Some(wait);
            self
        }
    };
}

macro_rules! after {
    () => {
        /// When it takes effect. Default: `Now`, for an escalation `Drained`.
        pub fn after(mut self, after: After) -> Self {
            self.common.after = Some(after);
            self
        }

        /// How long to wait for that at most, from when the gateway has the command: 100 ms to 120 s. Passed: it fails with
        /// `AfterDeadline`, nothing was done. Default: 15 s, or the queued playback plus 5 s if that is longer.
        pub fn after_deadline(mut self, deadline: Duration) -> Self {
            self.common.after_deadline = Some(deadline);
            self
        }

        /// What `clear` does to the waiting command. Default: `Cancel`, for an escalation `Proceed`.
        pub fn on_interrupt(mut self, rule: OnInterrupt) -> Self {
            self.common.on_interrupt = Some(rule);
            self
        }
    };
}

/// How `connect` rings the original callee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    pub(crate) common: Common,
    ring_seconds: Option<u32>,
}

impl Connect {
    /// With the defaults.
    pub fn new() -> Self {
        Self::default()
    }
    request_id!();
    after!();

    /// How long to ring, in whole seconds, 1 to 120. Default: 60.
    pub fn ring_seconds(mut self, seconds: u32) -> Self {
        self.ring_seconds = Some(seconds);
        self
    }

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> Result<proto::ConnectCallRequest> {
        Ok(proto::ConnectCallRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            ring_duration: ring(self.ring_seconds)?,
            after: self.common.after()?,
            wait: from_duration(self.common.wait),
        })
    }
}

/// Who hears the agent, for `set_mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMode {
    pub(crate) common: Common,
    mode: AgentMode,
}

impl SetMode {
    /// That mode.
    pub fn new(mode: AgentMode) -> Self {
        Self { common: Common::default(), mode }
    }
    request_id!();

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> proto::SetAgentModeRequest {
        proto::SetAgentModeRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            mode: self.mode.to_wire(),
        }
    }
}

impl From<AgentMode> for SetMode {
    fn from(mode: AgentMode) -> Self {
        Self::new(mode)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Callee { ring_seconds: Option<u32> },
    Pool { pool: String, wait: Option<Duration>, then_callee: Option<Option<u32>> },
}

/// How `escalate` hands the caller to a human.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalate {
    pub(crate) common: Common,
    reason: EscalationReason,
    summary: String,
    summary_source: Option<SummarySource>,
    routing_hint: String,
    data: Option<Data>,
    target: Option<Target>,
    confirm: Option<EscalationConfirm>,
    confirm_timeout: Option<Duration>,
    then: Option<EscalationThen>,
    while_ringing: Option<WhileRinging>,
    on_context_failure: Option<OnContextFailure>,
    save_timeout: Option<Duration>,
}

impl Escalate {
    /// To the original callee, ringing for 60 s, when all audio was heard.
    pub fn new(reason: EscalationReason) -> Self {
        Self {
            common: Common::default(),
            reason,
            summary: String::new(),
            summary_source: None,
            routing_hint: String::new(),
            data: None,
            target: None,
            confirm: None,
            confirm_timeout: None,
            then: None,
            while_ringing: None,
            on_context_failure: None,
            save_timeout: None,
        }
    }
    request_id!();
    after!();

    /// What the human reads: three sentences, at most 2,000 characters. Default: keeps the context's.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Default: `Model`.
    pub fn summary_source(mut self, source: SummarySource) -> Self {
        self.summary_source = Some(source);
        self
    }

    /// A symbolic hint for the human side, at most 100 characters: "billing".
    pub fn routing_hint(mut self, hint: impl Into<String>) -> Self {
        self.routing_hint = hint.into();
        self
    }

    /// One fact, merged into the context's data by its key.
    pub fn data(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Rings the number that was called for so many whole seconds, 1 to 120.
    pub fn to_callee(mut self, ring_seconds: u32) -> Self {
        self.target = Some(Target::Callee { ring_seconds: Some(ring_seconds) });
        self
    }

    /// Offers the call to a pool of human agents for so long, 1 s to 600 s; `None`: 30 s.
    pub fn to_pool(mut self, pool: impl Into<String>, wait: Option<Duration>) -> Self {
        self.target = Some(Target::Pool { pool: pool.into(), wait, then_callee: None });
        self
    }

    /// If nobody of the pool accepts, rings the original callee then, for so many whole seconds, 1 to 120. Of no effect
    /// without `to_pool` before it.
    pub fn then_callee(mut self, ring_seconds: u32) -> Self {
        if let Some(Target::Pool { then_callee, .. }) = &mut self.target {
            *then_callee = Some(Some(ring_seconds));
        }
        self
    }

    /// Who accepts on the human side before the agent leaves. Default: `None`.
    pub fn confirm(mut self, confirm: EscalationConfirm) -> Self {
        self.confirm = Some(confirm);
        self
    }

    /// How long to wait for that: 1 s to 120 s. Default: 20 s.
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.confirm_timeout = Some(timeout);
        self
    }

    /// What the agent leg does then. Default: `Leave`.
    pub fn then(mut self, then: EscalationThen) -> Self {
        self.then = Some(then);
        self
    }

    /// What the caller hears meanwhile. Default: `HoldAudio`.
    pub fn while_ringing(mut self, what: WhileRinging) -> Self {
        self.while_ringing = Some(what);
        self
    }

    /// What happens when the context cannot be saved in time. Default: `ConnectAnyway`.
    pub fn on_context_failure(mut self, what: OnContextFailure) -> Self {
        self.on_context_failure = Some(what);
        self
    }

    /// How long the save may hold up the ringing: 100 ms to 10 s. Default: 1.5 s.
    pub fn save_timeout(mut self, timeout: Duration) -> Self {
        self.save_timeout = Some(timeout);
        self
    }

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> Result<proto::EscalateCallRequest> {
        use proto::escalate_call_request::Target as Wire;
        let mut after = self.common.after()?;
        // Without a condition a deadline or interrupt rule still belongs to the default condition of an escalation.
        if let Some(after) = &mut after
            && after.condition == 0
        {
            after.condition = proto::AfterCondition::PlaybackDrained as i32;
            if after.on_interrupt == 0 {
                after.on_interrupt = proto::OnInterrupt::Proceed as i32;
            }
        }
        let target = match &self.target {
            None => None,
            Some(Target::Callee { ring_seconds }) => Some(Wire::OriginalCallee(callee(*ring_seconds)?)),
            Some(Target::Pool { pool, wait, then_callee }) => Some(Wire::Pool(proto::PoolTarget {
                pool: pool.clone(),
                wait: from_duration(*wait),
                then_original_callee: then_callee.map(callee).transpose()?,
            })),
        };
        Ok(proto::EscalateCallRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            reason: self.reason.to_wire(),
            summary: self.summary.clone(),
            summary_source: self.summary_source.map_or(0, SummarySource::to_wire),
            routing_hint: self.routing_hint.clone(),
            data: self.data.clone().map(from_data),
            target,
            after,
            confirm: self.confirm.map_or(0, EscalationConfirm::to_wire),
            confirm_timeout: from_duration(self.confirm_timeout),
            then: self.then.map_or(0, EscalationThen::to_wire),
            while_ringing: self.while_ringing.map_or(0, WhileRinging::to_wire),
            on_context_failure: self.on_context_failure.map_or(0, OnContextFailure::to_wire),
            save_timeout: from_duration(self.save_timeout),
            wait: from_duration(self.common.wait),
        })
    }
}

/// How `transfer` moves the seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub(crate) common: Common,
    to: proto::transfer_call_request::To,
    offer: Option<Duration>,
}

impl Transfer {
    /// To any agent of a pool.
    pub fn to_pool(pool: impl Into<String>) -> Self {
        Self::to(proto::transfer_call_request::To::Pool(pool.into()))
    }

    /// To one agent process.
    pub fn to_instance(instance_id: impl Into<String>) -> Self {
        Self::to(proto::transfer_call_request::To::InstanceId(instance_id.into()))
    }

    fn to(to: proto::transfer_call_request::To) -> Self {
        Self { common: Common::default(), to, offer: None }
    }
    request_id!();
    after!();

    /// How long to offer it: 1 s to 600 s. Default: 30 s.
    pub fn offer(mut self, duration: Duration) -> Self {
        self.offer = Some(duration);
        self
    }

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> Result<proto::TransferCallRequest> {
        Ok(proto::TransferCallRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            to: Some(self.to.clone()),
            after: self.common.after()?,
            offer_duration: from_duration(self.offer),
            wait: from_duration(self.common.wait),
            ..Default::default()
        })
    }
}

/// How `close` leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    pub(crate) common: Common,
    end_call: bool,
}

impl Close {
    /// With the defaults.
    pub fn new() -> Self {
        Self::default()
    }
    request_id!();
    after!();

    /// Needed in `Answered`, where leaving ends the call.
    pub fn end_call(mut self) -> Self {
        self.end_call = true;
        self
    }

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> Result<proto::CloseCallRequest> {
        Ok(proto::CloseCallRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            end_call: self.end_call,
            after: self.common.after()?,
            wait: from_duration(self.common.wait),
        })
    }
}

/// How `disconnect` ends the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    pub(crate) common: Common,
}

impl Disconnect {
    /// With the defaults.
    pub fn new() -> Self {
        Self::default()
    }
    request_id!();
    after!();

    pub(crate) fn request(&self, call_id: &str, request_id: &str) -> Result<proto::DisconnectCallRequest> {
        Ok(proto::DisconnectCallRequest {
            call_id: call_id.into(),
            request_id: request_id.into(),
            after: self.common.after()?,
            wait: from_duration(self.common.wait),
        })
    }
}

fn callee(ring_seconds: Option<u32>) -> Result<proto::OriginalCalleeTarget> {
    Ok(proto::OriginalCalleeTarget { ring_duration: ring(ring_seconds)? })
}

fn ring(seconds: Option<u32>) -> Result<Option<prost_types::Duration>> {
    match seconds {
        None => Ok(None),
        Some(seconds @ 1..=120) => Ok(Some(prost_types::Duration { seconds: i64::from(seconds), nanos: 0 })),
        Some(other) => Err(Error::invalid_field("ring_seconds", "a whole number from 1 to 120", other)),
    }
}

/// The verb of a Command.
pub(crate) type Verb = proto::command::Verb;

fn after_of(verb: &Verb) -> Option<&Option<proto::After>> {
    match verb {
        Verb::Connect(v) => Some(&v.after),
        Verb::Escalate(v) => Some(&v.after),
        Verb::Transfer(v) => Some(&v.after),
        Verb::Close(v) => Some(&v.after),
        Verb::Disconnect(v) => Some(&v.after),
        _ => None,
    }
}

/// Whether the command has to keep its place behind the audio of its call.
pub(crate) fn waits_for_playback(verb: &Verb) -> bool {
    let Some(after) = after_of(verb) else { return false };
    match after.as_ref().map_or(0, |after| after.condition) {
        0 => matches!(verb, Verb::Escalate(_)),
        condition => condition != proto::AfterCondition::Now as i32,
    }
}

/// Whether `clear` lets the command go ahead.
pub(crate) fn proceeds_on_interrupt(verb: &Verb) -> bool {
    let Some(after) = after_of(verb) else { return true };
    match after.as_ref().map_or(0, |after| after.on_interrupt) {
        0 => matches!(verb, Verb::Escalate(_)),
        rule => rule == proto::OnInterrupt::Proceed as i32,
    }
}
