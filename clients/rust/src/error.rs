use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use prost::Message;
use tonic::Code;

use crate::proto;

/// What this library gives back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as handlers may give it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

const ERROR_DOMAIN: &str = "callweave";

macro_rules! reasons {
    ( $( $(#[$meta:meta])* $variant:ident = $text:literal ),+ $(,)? ) => {
        /// Why something was refused; stable, programs match on this. New ones may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $( $(#[$meta])* $variant, )+
            /// Of this library: the call ended or its seat went to somebody else. Metadata: `call_id`, `cause`.
            CallOver,
            /// Of this library: the worker or client was closed.
            Closed,
            /// Of this library: a queue of it is full. Metadata: `queue`, `max`.
            QueueFull,
            /// Of this library: no reason came from a gateway: not reachable, deadline passed, stream broken. See
            /// [`Error::code`]. A reason newer than this library is this one, with its name in the metadata `reason`.
            Transport,
        }

        impl Reason {
            /// Its name in the contract, without its prefix.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::CallOver => "CALL_OVER",
                    Self::Closed => "CLOSED",
                    Self::QueueFull => "QUEUE_FULL",
                    Self::Transport => "TRANSPORT",
                }
            }

            fn from_gateway(name: &str) -> Option<Self> {
                match name {
                    $( $text => Some(Self::$variant), )+
                    _ => None,
                }
            }

            fn from_wire(value: i32) -> Option<Self> {
                match proto::ErrorReason::try_from(value) {
                    $( Ok(proto::ErrorReason::$variant) => Some(Self::$variant), )+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    /// A field breaks its rule. Metadata: `field`, `rule`, `value`.
    InvalidField = "INVALID_FIELD",
    /// No such call, or one of another tenant.
    CallNotFound = "CALL_NOT_FOUND",
    /// The verb is not allowed in the state of the call. Metadata: `state`, `verb`, `allowed`.
    CallState = "CALL_STATE",
    /// The same request id came before with another body.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// An ending command is already waiting or under way.
    PendingCommand = "PENDING_COMMAND",
    /// The callee did not pick up; the call is as it was.
    CalleeUnanswered = "CALLEE_UNANSWERED",
    /// Whether the command took effect is unknown.
    OutcomeUnknown = "OUTCOME_UNKNOWN",
    /// The provider refused the command.
    ProviderRefused = "PROVIDER_REFUSED",
    /// The telephony connection of the call is away.
    ProviderUnavailable = "PROVIDER_UNAVAILABLE",
    /// What `after` waited for did not come in time; nothing was done.
    AfterDeadline = "AFTER_DEADLINE",
    /// The command was cancelled before it had an effect.
    CommandCancelled = "COMMAND_CANCELLED",
    /// There is no such waiting command.
    CommandNotFound = "COMMAND_NOT_FOUND",
    /// The handle is not, or no longer, a seat of this stream.
    StaleHandle = "STALE_HANDLE",
    /// Somebody else has the seat.
    SeatTaken = "SEAT_TAKEN",
    /// Nobody holds the seat that the verb needs.
    SeatNotHeld = "SEAT_NOT_HELD",
    /// The offer is unknown, expired, revoked or answered.
    OfferGone = "OFFER_GONE",
    /// Nobody took the transferred call; its holder keeps it.
    TransferUnanswered = "TRANSFER_UNANSWERED",
    /// The playback ring of the gateway is full.
    PlaybackFull = "PLAYBACK_FULL",
    /// The first item of a stream was no registration.
    NotRegistered = "NOT_REGISTERED",
    /// No such session.
    SessionNotFound = "SESSION_NOT_FOUND",
    /// The instance registered again elsewhere.
    Superseded = "SUPERSEDED",
    /// Heartbeats were missed.
    HeartbeatLost = "HEARTBEAT_LOST",
    /// The stream was read too slowly.
    StreamQueueFull = "STREAM_QUEUE_FULL",
    /// No such pool.
    PoolNotFound = "POOL_NOT_FOUND",
    /// No such agent.
    AgentNotFound = "AGENT_NOT_FOUND",
    /// The cursor is too old or of another store.
    CursorExpired = "CURSOR_EXPIRED",
    /// No such context.
    ContextNotFound = "CONTEXT_NOT_FOUND",
    /// The context changed since it was read.
    RevisionConflict = "REVISION_CONFLICT",
    /// The context could not be saved.
    ContextNotSaved = "CONTEXT_NOT_SAVED",
    /// No valid credential.
    Unauthenticated = "UNAUTHENTICATED",
    /// A limit of the gateway.
    LimitReached = "LIMIT_REACHED",
    /// The gateway goes away.
    GoingAway = "GOING_AWAY",
    /// A fault of the gateway.
    Internal = "INTERNAL",
    /// The gateway of the call cannot be reached.
    CallOwnerAway = "CALL_OWNER_AWAY",
    /// The store of contexts cannot be reached.
    ContextStoreAway = "CONTEXT_STORE_AWAY",
    /// The credential does not allow it.
    PermissionDenied = "PERMISSION_DENIED",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one error of this library. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    reason: Reason,
    code: Code,
    message: String,
    metadata: HashMap<String, String>,
    source: Option<BoxError>,
}

impl Error {
    pub(crate) fn new(reason: Reason, code: Code, message: impl Into<String>) -> Self {
        Self::with(reason, code, message, [])
    }

    pub(crate) fn with<const N: usize>(
        reason: Reason,
        code: Code,
        message: impl Into<String>,
        metadata: [(&str, String); N],
    ) -> Self {
        Self(Arc::new(Inner {
            reason,
            code,
            message: message.into(),
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            source: None,
        }))
    }

    /// Why; match on this.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The gRPC status that goes with it.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All variable parts of the message; the contract lists the keys at each reason.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.0.metadata
    }

    /// The call that it is about, when it is about one.
    pub fn call_id(&self) -> Option<&str> {
        self.0.metadata.get("call_id").map(String::as_str)
    }

    /// Whether the same request may succeed a little later without any change.
    pub fn is_retryable(&self) -> bool {
        self.0.code == Code::Unavailable
    }

    pub(crate) fn call_over(call_id: &str, cause: &str) -> Self {
        Self::with(
            Reason::CallOver,
            Code::Aborted,
            format!("the call is over for this agent: {cause}"),
            [("call_id", call_id.to_owned()), ("cause", cause.to_owned())],
        )
    }

    pub(crate) fn queue_full(queue: &str, max: String) -> Self {
        Self::with(
            Reason::QueueFull,
            Code::ResourceExhausted,
            format!("{queue} is full: at most {max}"),
            [("queue", queue.to_owned()), ("max", max)],
        )
    }

    pub(crate) fn invalid_field(field: &str, rule: &str, value: impl fmt::Display) -> Self {
        let value: String = value.to_string().chars().take(100).collect();
        Self::with(
            Reason::InvalidField,
            Code::InvalidArgument,
            format!("{field} must be {rule}"),
            [("field", field.to_owned()), ("rule", rule.to_owned()), ("value", value)],
        )
    }

    pub(crate) fn closed(what: &str) -> Self {
        Self::new(Reason::Closed, Code::Cancelled, format!("the {what} was closed"))
    }

    pub(crate) fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Reason::Transport, Code::DeadlineExceeded, message)
    }

    /// A connection that could not be made.
    pub(crate) fn unreachable(endpoint: &str, source: tonic::transport::Error) -> Self {
        let mut text = format!("cannot connect to {endpoint}: {source}");
        let mut cause = std::error::Error::source(&source);
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        Self(Arc::new(Inner {
            reason: Reason::Transport,
            code: Code::Unavailable,
            message: text,
            metadata: HashMap::new(),
            source: Some(source.into()),
        }))
    }

    /// An `Error` message of a stream or event.
    pub(crate) fn from_wire(error: &proto::Error) -> Self {
        let mut metadata = error.metadata.clone();
        let reason = Reason::from_wire(error.reason).unwrap_or_else(|| {
            metadata.insert("reason".into(), error.reason.to_string());
            Reason::Transport
        });
        Self(Arc::new(Inner {
            reason,
            code: Code::from(error.code),
            message: error.message.clone(),
            metadata,
            source: None,
        }))
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let mut metadata = HashMap::new();
        let mut reason = match status.code() {
            Code::Unauthenticated => Reason::Unauthenticated,
            _ => Reason::Transport,
        };
        if let Some(info) = error_info(status.details()) {
            metadata = info.metadata;
            match Reason::from_gateway(&info.reason) {
                Some(known) => reason = known,
                None => {
                    reason = Reason::Transport;
                    metadata.insert("reason".into(), info.reason);
                }
            }
        }
        Self(Arc::new(Inner {
            reason,
            code: status.code(),
            message: status.message().to_owned(),
            metadata,
            source: Some(status.into()),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("reason", &self.0.reason)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("metadata", &self.0.metadata)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// google.rpc.Status, as it is in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusDetails {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// google.rpc.ErrorInfo.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// The reason that a gateway packed; `None` when there is none or when it is no google.rpc.Status.
fn error_info(details: &[u8]) -> Option<ErrorInfo> {
    StatusDetails::decode(details)
        .ok()?
        .details
        .iter()
        .filter(|any| any.type_url.ends_with("/google.rpc.ErrorInfo"))
        .filter_map(|any| ErrorInfo::decode(&any.value[..]).ok())
        .find(|info| info.domain == ERROR_DOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(domain: &str, reason: &str) -> tonic::Status {
        let info = ErrorInfo {
            reason: reason.into(),
            domain: domain.into(),
            metadata: HashMap::from([("call_id".into(), "c-1".into())]),
        };
        let details = StatusDetails {
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(),
                value: info.encode_to_vec(),
            }],
        };
        tonic::Status::with_details(Code::NotFound, "no such call", details.encode_to_vec().into())
    }

    #[test]
    fn reads_the_reason_that_a_gateway_packed() {
        let error = Error::from(status("callweave", "CALL_NOT_FOUND"));
        assert_eq!(error.reason(), Reason::CallNotFound);
        assert_eq!(error.code(), Code::NotFound);
        assert_eq!(error.call_id(), Some("c-1"));
        assert_eq!(error.to_string(), "CALL_NOT_FOUND: no such call");
    }

    #[test]
    fn a_newer_reason_is_transport_with_its_name() {
        let error = Error::from(status("callweave", "FROM_THE_FUTURE"));
        assert_eq!(error.reason(), Reason::Transport);
        assert_eq!(error.metadata()["reason"], "FROM_THE_FUTURE");
    }

    #[test]
    fn another_domain_and_garbage_leave_the_status_alone() {
        assert_eq!(Error::from(status("other", "CALL_NOT_FOUND")).reason(), Reason::Transport);
        let garbage = tonic::Status::with_details(Code::Internal, "x", vec![255u8, 1, 2].into());
        assert_eq!(Error::from(garbage).code(), Code::Internal);
        assert_eq!(Error::from(tonic::Status::unauthenticated("no")).reason(), Reason::Unauthenticated);
    }

    #[test]
    fn every_reason_of_the_contract_is_known() {
        for value in 1.. {
            let Ok(wire) = proto::ErrorReason::try_from(value) else { break };
            let name = wire.as_str_name();
            let name = name.strip_prefix("ERROR_REASON_").unwrap();
            let known = Reason::from_wire(value).map(Reason::as_str);
            assert_eq!(known, Some(name), "a new reason: add it to Reason");
            assert_eq!(Reason::from_gateway(name), Reason::from_wire(value));
        }
        assert!(Reason::from_wire(0).is_none());
    }
}
