//! Callweave client: answer phone calls with a few lines, watch and command them, read their contexts.
//!
//! [`agent`] begins an agent, which takes calls; [`client`] begins an observer or supervisor. The README shows both, and
//! every option with its default and bounds.
#![deny(missing_docs)]

mod agent;
mod audio_queue;
mod backoff;
mod bounded;
mod call;
mod call_core;
mod call_inner;
mod call_source;
mod calls;
mod client;
mod commands;
mod connection;
mod context_types;
mod contexts;
mod convert;
mod enums;
mod error;
mod events;
mod feed;
mod handler;
mod ids;
mod outbox;
mod pending;
mod playback_queue;
mod player;
mod queue;
mod seats;
mod session;
mod signals;
mod stream;
mod types;
mod verbs;
mod worker;

/// The contract as prost and tonic generate it, for programs that want the plain stubs.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod proto {
    include!("gen/callweave.v1.rs");
}

// Taking calls.
pub use agent::{AgentBuilder, Decision, Offer, Status, agent};
pub use audio_queue::Audio;
pub use call::Call;
pub use pending::Pending;
pub use queue::Events;
pub use worker::Worker;
// Watching, hearing and commanding calls.
pub use calls::{CallFilter, CallPage, Calls, Heard, VerbResult, Watch, WatchItem};
pub use client::{AgentInfo, Client, ClientBuilder, ConnectorInfo, Fleet, GatewayInfo, PoolInfo, client};
pub use contexts::{ContextFilter, ContextPage, Contexts, Number};
pub use feed::Feed;
// Common to both.
#[cfg(feature = "tls")]
pub use connection::Tls;
pub use context_types::{
    AppendedTurns, CallContext, Consent, ContextConflict, ContextFields, ContextNote, WrittenContext,
};
pub use enums::*;
pub use error::{BoxError, Error, Reason, Result};
pub use events::{CallEvent, EventBody, Notice};
pub use types::*;
pub use verbs::{After, Close, Connect, Disconnect, Escalate, SetMode, Transfer};
// What is part of this interface and of other crates.
pub use bytes::Bytes;
pub use tokio_util::sync::CancellationToken;
pub use tonic::Code;
