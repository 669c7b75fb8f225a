/// Makes a public enum of the names of a wire enum, without "not given".
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$vmeta])* $variant, )+
        }

        impl $name {
            /// The name in the contract, without its prefix.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }

            /// The value of that name; `None` for a name that is not known.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $text => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// From the wire; `None` for "not given" and for values newer than this library.
            #[allow(dead_code)]
            pub(crate) fn from_wire(value: i32) -> Option<Self> {
                match crate::proto::$name::try_from(value) {
                    $( Ok(crate::proto::$name::$variant) => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// For the wire.
            #[allow(dead_code)]
            pub(crate) fn to_wire(self) -> i32 {
                match self {
                    $( Self::$variant => crate::proto::$name::$variant as i32, )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_enum! {
    /// Where a call stands. Only forward; connect is allowed from `Pending`.
    CallState {
        /// Not answered by us.
        Pending = "PENDING",
        /// The agent and the caller talk.
        Answered = "ANSWERED",
        /// The callee picked up.
        Connected = "CONNECTED",
        /// Over for us.
        Disconnected = "DISCONNECTED",
    }
}
wire_enum! {
    /// Who hears the agent leg while `Connected`.
    AgentMode {
        /// Both parties.
        Barge = "BARGE",
        /// The callee alone.
        Whisper = "WHISPER",
        /// Nobody.
        Spy = "SPY",
    }
}
wire_enum! {
    /// Why a call is over.
    EndReason {
        /// A party hung up.
        Terminated = "TERMINATED",
        /// Ended by a command.
        Disconnected = "DISCONNECTED",
        /// The agent left; the parties talk on.
        LeftToParties = "LEFT_TO_PARTIES",
        /// Its audio broke and did not come back.
        MediaLost = "MEDIA_LOST",
        /// The provider closed its session.
        SessionClosed = "SESSION_CLOSED",
    }
}
wire_enum! {
    /// Where the seat of a call stands.
    SeatState {
        /// Nobody has it.
        Vacant = "VACANT",
        /// Offered to an agent.
        Offered = "OFFERED",
        /// An agent has it.
        Held = "HELD",
        /// Reserved for an agent whose stream was lost.
        Suspended = "SUSPENDED",
    }
}
wire_enum! {
    /// Why a seat changed.
    SeatCause {
        /// An agent accepted the offer.
        Accepted = "ACCEPTED",
        /// The holder came back.
        Reattached = "REATTACHED",
        /// The stream of the holder was lost.
        Lost = "LOST",
        /// The holder did not come back in time.
        GraceExpired = "GRACE_EXPIRED",
        /// Given back.
        Released = "RELEASED",
        /// Moved to another agent.
        Transferred = "TRANSFERRED",
        /// An escalation succeeded.
        Escalated = "ESCALATED",
        /// The call is over.
        CallEnded = "CALL_ENDED",
        /// Another gateway has the call now.
        TakenOver = "TAKEN_OVER",
    }
}
wire_enum! {
    /// Why an agent hands the call to a human.
    EscalationReason {
        /// The caller wants a person.
        AskedForHuman = "ASKED_FOR_HUMAN",
        /// The caller is frustrated.
        Frustrated = "FRUSTRATED",
        /// Not what the agent is for.
        OutOfScope = "OUT_OF_SCOPE",
        /// The agent does not understand.
        NotUnderstood = "NOT_UNDERSTOOD",
        /// An emergency.
        Emergency = "EMERGENCY",
        /// Speech or model of the agent failed.
        ProviderFailed = "PROVIDER_FAILED",
    }
}
wire_enum! {
    /// How an escalation ended. Other than `Connected` and `CallerLeft`: the agent still has the call.
    EscalationOutcome {
        /// A human has the caller.
        Connected = "CONNECTED",
        /// Nobody picked up.
        Unanswered = "UNANSWERED",
        /// Picked up, and not confirmed.
        PickedUpNotConfirmed = "PICKED_UP_NOT_CONFIRMED",
        /// The caller hung up.
        CallerLeft = "CALLER_LEFT",
        /// The context could not be saved, and the call was to stay then.
        ContextNotSaved = "CONTEXT_NOT_SAVED",
        /// Cancelled before it had an effect.
        Cancelled = "CANCELLED",
        /// Refused.
        Rejected = "REJECTED",
        /// Nobody knows.
        Unknown = "UNKNOWN",
        /// Connected, and the agent could not leave.
        LeaveFailed = "LEAVE_FAILED",
    }
}
wire_enum! {
    /// Where a written context is safe.
    ContextDurability {
        /// In the store.
        Store = "STORE",
        /// In the replicated log.
        ReplicatedLog = "REPLICATED_LOG",
        /// On the disk of one gateway.
        LocalDisk = "LOCAL_DISK",
    }
}
wire_enum! {
    /// How samples are written; mono. `Mulaw` and `Alaw` at 8000 Hz alone.
    AudioEncoding {
        /// Signed 16 bit, little endian.
        S16le = "S16LE",
        /// G.711 µ-law.
        Mulaw = "MULAW",
        /// G.711 A-law.
        Alaw = "ALAW",
    }
}
wire_enum! {
    /// What to listen to.
    AudioSource {
        /// What the agent leg hears.
        Mixed = "MIXED",
        /// What the agent says.
        Agent = "AGENT",
    }
}
wire_enum! {
    /// What becomes of a call that no agent takes.
    UnservedAction {
        /// The original callee is rung.
        Connect = "CONNECT",
        /// It waits unanswered.
        Queue = "QUEUE",
        /// It is answered and waits with hold audio.
        AnswerAndHold = "ANSWER_AND_HOLD",
        /// It hears an announcement.
        Announce = "ANNOUNCE",
        /// It is not taken.
        Leave = "LEAVE",
    }
}
wire_enum! {
    /// How an offer ended without being taken.
    OfferEnd {
        /// The agent declined.
        Declined = "DECLINED",
        /// Its time was over.
        Expired = "EXPIRED",
        /// The gateway took it back.
        Revoked = "REVOKED",
    }
}
wire_enum! {
    /// A step of an escalation.
    EscalationStep {
        /// The context is being saved.
        Saving = "SAVING",
        /// A human is being connected.
        Connecting = "CONNECTING",
        /// Waiting for confirmation.
        Confirming = "CONFIRMING",
        /// The agent leaves.
        Leaving = "LEAVING",
    }
}
wire_enum! {
    /// What happened to the audio of a call.
    MediaChange {
        /// It broke.
        Lost = "LOST",
        /// It is back.
        Restored = "RESTORED",
        /// The provider told an error.
        ProviderError = "PROVIDER_ERROR",
    }
}
wire_enum! {
    /// Where the conversation stands.
    ContextStatus {
        /// An agent talks.
        Active = "ACTIVE",
        /// On the way to a human.
        Escalating = "ESCALATING",
        /// A human has it.
        HandedOver = "HANDED_OVER",
        /// The caller is to be called back.
        CallbackWanted = "CALLBACK_WANTED",
        /// The caller left while waiting.
        Abandoned = "ABANDONED",
        /// Over.
        Ended = "ENDED",
    }
}
wire_enum! {
    /// Who wrote a summary.
    SummarySource {
        /// A model.
        Model = "MODEL",
        /// Rules.
        Rules = "RULES",
    }
}
wire_enum! {
    /// Who said a turn.
    TurnRole {
        /// The caller.
        Caller = "CALLER",
        /// The agent.
        Ai = "AI",
        /// The human on the other side.
        Specialist = "SPECIALIST",
    }
}
wire_enum! {
    /// Whether what a mark waited for was heard.
    MarkEnd {
        /// All audio before it was heard, by the gateway's clock.
        Played = "PLAYED",
        /// The audio before it was dropped, by `clear` or by the end of the call.
        Cleared = "CLEARED",
    }
}
wire_enum! {
    /// Who accepts on the human side before the agent leaves.
    EscalationConfirm {
        /// Pick-up is enough; a voicemail then counts as a person.
        None = "NONE",
        /// A person at a desk accepts.
        DeskAccept = "DESK_ACCEPT",
        /// The person says yes to the agent.
        SpokenYes = "SPOKEN_YES",
    }
}
wire_enum! {
    /// What the agent leg does after an escalation.
    EscalationThen {
        /// Leaves.
        Leave = "LEAVE",
        /// Stays as a silent spy with an empty seat.
        StaySilent = "STAY_SILENT",
    }
}
wire_enum! {
    /// What the caller hears while the callee rings.
    WhileRinging {
        /// Hold audio.
        HoldAudio = "HOLD_AUDIO",
        /// The agent.
        Agent = "AGENT",
    }
}
wire_enum! {
    /// What happens when the context cannot be saved in time.
    OnContextFailure {
        /// The human is connected all the same.
        ConnectAnyway = "CONNECT_ANYWAY",
        /// The agent keeps the call.
        Stay = "STAY",
    }
}
wire_enum! {
    /// What `clear` does to a waiting command.
    OnInterrupt {
        /// Cancels it.
        Cancel = "CANCEL",
        /// It goes ahead at once.
        Proceed = "PROCEED",
    }
}
