use std::time::SystemTime;

use crate::enums::*;
use crate::types::{Data, Turn, Value};

/// What the caller was told and agreed to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consent {
    /// When the agent said that it is automated and writes down the talk.
    pub disclosed_time: Option<SystemTime>,
    /// False: no turns are stored or published.
    pub transcript: bool,
    /// True while something is spoken that nobody may keep: turns are kept without their words, listeners hear nothing.
    pub paused: bool,
}

/// A note of a human.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ContextNote {
    /// When.
    pub time: Option<SystemTime>,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// What was written elsewhere while the store was away and is not in the fields of the context.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ContextConflict {
    /// When it was found.
    pub time: Option<SystemTime>,
    /// As in the contract: "summary", "data.order_id".
    pub field: String,
    /// The value that was written.
    pub value: String,
    /// When it was written.
    pub write_time: Option<SystemTime>,
}

/// The fields of a context that a program writes. What is not set stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContextFields {
    pub(crate) locale: Option<String>,
    pub(crate) status: Option<ContextStatus>,
    pub(crate) escalation_reason: Option<EscalationReason>,
    pub(crate) routing_hint: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) summary_source: Option<SummarySource>,
    pub(crate) data: Option<Data>,
    pub(crate) consent: Option<Consent>,
    pub(crate) outcome: Option<String>,
    pub(crate) turns: Vec<Turn>,
}

impl ContextFields {
    /// Nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A BCP 47 tag.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// Where the conversation stands.
    pub fn status(mut self, status: ContextStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Why it was escalated.
    pub fn escalation_reason(mut self, reason: EscalationReason) -> Self {
        self.escalation_reason = Some(reason);
        self
    }

    /// At most 100 characters.
    pub fn routing_hint(mut self, hint: impl Into<String>) -> Self {
        self.routing_hint = Some(hint.into());
        self
    }

    /// At most three sentences, 2,000 characters.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }

    /// Who wrote the summary.
    pub fn summary_source(mut self, source: SummarySource) -> Self {
        self.summary_source = Some(source);
        self
    }

    /// One fact for programs; all of them at most 64 KiB as JSON; merged key by key.
    pub fn data(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// What the caller was told and agreed to.
    pub fn consent(mut self, consent: Consent) -> Self {
        self.consent = Some(consent);
        self
    }

    /// At most 500 characters.
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = Some(outcome.into());
        self
    }

    /// A turn, appended by its id. For `save` alone.
    pub fn turn(mut self, turn: Turn) -> Self {
        self.turns.push(turn);
        self
    }
}

/// The record of a conversation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallContext {
    /// The call; unique within the tenant.
    pub call_id: String,
    /// The provider's id of the session.
    pub session_id: String,
    /// E.164, empty when withheld.
    pub caller: String,
    /// E.164.
    pub callee: String,
    /// A BCP 47 tag.
    pub locale: String,
    /// Where the conversation stands.
    pub status: Option<ContextStatus>,
    /// Why it was escalated.
    pub escalation_reason: Option<EscalationReason>,
    /// A symbolic hint for the human side.
    pub routing_hint: String,
    /// At most three sentences.
    pub summary: String,
    /// Who wrote the summary.
    pub summary_source: Option<SummarySource>,
    /// What was said, in the order of appending.
    pub turns: Vec<Turn>,
    /// How many turns there are in all.
    pub turn_count: u32,
    /// True when turns are left out here.
    pub truncated: bool,
    /// Facts for programs.
    pub data: Data,
    /// What the caller was told and agreed to.
    pub consent: Option<Consent>,
    /// Notes of humans.
    pub notes: Vec<ContextNote>,
    /// What was written elsewhere while the store was away; oldest first.
    pub conflicts: Vec<ContextConflict>,
    /// How it came out.
    pub outcome: String,
    /// How the escalation ended.
    pub escalation_outcome: Option<EscalationOutcome>,
    /// Grows with every write except appending turns.
    pub revision: u64,
    /// When it was first written.
    pub create_time: Option<SystemTime>,
    /// When it was last written.
    pub update_time: Option<SystemTime>,
    /// When it will be deleted.
    pub expire_time: Option<SystemTime>,
}

/// A written context, without turns, and where it is safe.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WrittenContext {
    /// As it is now.
    pub context: CallContext,
    /// Where it is safe.
    pub durability: Option<ContextDurability>,
}

/// What appending turns answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendedTurns {
    /// How many turns there are now.
    pub turn_count: u32,
    /// Where they are safe.
    pub durability: Option<ContextDurability>,
}
