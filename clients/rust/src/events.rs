use std::time::SystemTime;

use crate::enums::*;
use crate::error::Error;
use crate::types::{CallInfo, EscalationResult, Seat};

/// Something that happened to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallEvent {
    /// The call.
    pub call_id: String,
    /// Counts the events of the call, from 1.
    pub sequence: u64,
    /// When it happened, by the gateway's wall clock.
    pub time: SystemTime,
    /// Opaque, for `watch`; empty when not durable.
    pub cursor: String,
    /// False when the store was away: the event may be missing from the history.
    pub durable: bool,
    /// Audio position, samples at the rate of the call.
    pub position: u64,
    /// The pool of the call.
    pub pool: String,
    /// Counts the gateways that had the call, from 1. An event that is not durable is void when one with the same
    /// sequence and a higher owner epoch comes.
    pub owner_epoch: u64,
    /// What happened.
    pub body: EventBody,
}

/// What happened to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventBody {
    /// The call came.
    Arrived(Box<CallInfo>),
    /// No agent takes it.
    Unserved(UnservedAction),
    /// It was offered to an agent.
    Offered {
        /// The offer.
        offer_id: String,
        /// The agent.
        agent_id: String,
        /// Its process.
        instance_id: String,
        /// Counts the offers from 1.
        attempt: u32,
    },
    /// An offer ended without being taken.
    OfferEnded {
        /// The offer.
        offer_id: String,
        /// The agent.
        agent_id: String,
        /// Its process.
        instance_id: String,
        /// How.
        end: OfferEnd,
    },
    /// The seat changed.
    SeatChanged {
        /// As it is now.
        seat: Seat,
        /// Why.
        cause: SeatCause,
    },
    /// Answered by us.
    Answered,
    /// The callee rings.
    Ringing {
        /// For how long. Seconds.
        ring_time_seconds: u32,
    },
    /// The callee picked up.
    Connected,
    /// Who hears the agent changed.
    ModeSet(AgentMode),
    /// A command began.
    CommandStarted {
        /// The verb, as in the contract.
        verb: String,
        /// Its id.
        request_id: String,
        /// Of its body.
        body_hash: String,
        /// Who gave it.
        actor: String,
    },
    /// A command is finished.
    CommandDone {
        /// The verb, as in the contract.
        verb: String,
        /// Its id.
        request_id: String,
        /// Set when it failed.
        error: Option<Error>,
        /// Of an escalation.
        escalation: Option<EscalationResult>,
    },
    /// A step of an escalation.
    Escalation {
        /// The id of the command.
        request_id: String,
        /// The step.
        step: EscalationStep,
    },
    /// The context was written.
    ContextWritten {
        /// Its revision now.
        revision: u64,
        /// Its turns now.
        turn_count: u32,
        /// Where it is safe.
        durability: Option<ContextDurability>,
    },
    /// A note was sent to the holder.
    NoteSent {
        /// Who sent it.
        actor: String,
        /// Whether somebody held the seat.
        delivered: bool,
    },
    /// The call is over.
    Ended(EndReason),
    /// Its audio changed.
    MediaChanged {
        /// How.
        change: MediaChange,
        /// For people.
        detail: String,
    },
    /// Hold audio began or ended.
    HoldChanged {
        /// Whether it plays.
        holding: bool,
    },
    /// Another gateway has the call now, or the same one after a restart. What was queued for playback there is gone.
    TakenOver {
        /// The gateway before.
        from_gateway_id: String,
        /// Its owner epoch.
        from_epoch: u64,
        /// The gateway now.
        gateway_id: String,
    },
    /// Events that were told under this owner epoch and were not durable will never be in the store.
    EventsLost {
        /// The owner epoch.
        from_epoch: u64,
    },
    /// A kind newer than this library.
    Unknown,
}

impl EventBody {
    /// The name of the kind, as in the contract's `oneof`, in camel case: "seatChanged"; "unknown" for newer kinds.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Arrived(_) => "arrived",
            Self::Unserved(_) => "unserved",
            Self::Offered { .. } => "offered",
            Self::OfferEnded { .. } => "offerEnded",
            Self::SeatChanged { .. } => "seatChanged",
            Self::Answered => "answered",
            Self::Ringing { .. } => "ringing",
            Self::Connected => "connected",
            Self::ModeSet(_) => "modeSet",
            Self::CommandStarted { .. } => "commandStarted",
            Self::CommandDone { .. } => "commandDone",
            Self::Escalation { .. } => "escalation",
            Self::ContextWritten { .. } => "contextWritten",
            Self::NoteSent { .. } => "noteSent",
            Self::Ended(_) => "ended",
            Self::MediaChanged { .. } => "mediaChanged",
            Self::HoldChanged { .. } => "holdChanged",
            Self::TakenOver { .. } => "takenOver",
            Self::EventsLost { .. } => "eventsLost",
            Self::Unknown => "unknown",
        }
    }
}

/// What an agent is told about its call besides its events.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A text from a supervisor, heard by nobody.
    Note {
        /// The text.
        text: String,
        /// Who wrote it.
        author: String,
    },
    /// The call is in another state.
    State(CallState),
    /// Who hears the agent changed.
    Mode(AgentMode),
    /// False: the connection broke, the seat is reserved for a moment; true: it is back.
    Attached(bool),
    /// The gateway told how far the playback is: at most twice a second.
    Playback(crate::types::PlaybackStatus),
}
