use std::time::{Duration, Instant};

use tonic::Code;

use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::convert::*;
use crate::enums::*;
use crate::error::{Error, Reason, Result};
use crate::events::CallEvent;
use crate::feed::Feed;
use crate::proto;
use crate::proto::call_service_client::CallServiceClient as Service;
use crate::types::*;
use crate::verbs;

/// Which calls. Empty fields do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// At most 100.
    pub call_ids: Vec<String>,
    /// At most 100.
    pub pools: Vec<String>,
    /// For `list` alone.
    pub states: Vec<CallState>,
}

/// A page of calls.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallInfo>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// From which `watch` misses nothing after the list was made.
    pub cursor: String,
    /// Their calls are missing.
    pub unreachable_gateways: Vec<String>,
}

/// What a verb answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VerbResult {
    /// The call as it is now.
    pub call: CallInfo,
    /// The id it was given with, for `cancel` and repetitions.
    pub request_id: String,
    /// It waits or runs; the event `CommandDone` tells its end, or the same verb with this id and a `wait`.
    pub pending: bool,
    /// Of a finished escalation.
    pub escalation: Option<EscalationResult>,
}

/// One step of `watch`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchItem {
    /// Something happened.
    Event(Box<CallEvent>),
    /// History is over, from here on live; resume from this cursor. Told once.
    Live(String),
}

/// Options of `watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    cursor: String,
    filter: CallFilter,
    resume_timeout: Option<Duration>,
}

impl Watch {
    /// All calls, from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events after this one: from an event, `list` or `Live`.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = cursor.into();
        self
    }

    /// Which calls; states are ignored.
    pub fn filter(mut self, filter: CallFilter) -> Self {
        self.filter = CallFilter { states: Vec::new(), ..filter };
        self
    }

    /// How long to try to come back after the stream broke, then it ends with the error. Default: for ever.
    pub fn resume_timeout(mut self, timeout: Duration) -> Self {
        self.resume_timeout = Some(timeout);
        self
    }
}

/// One step of `listen`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// The format of all that follows.
    Started(AudioFormat),
    /// Audio, or a gap.
    Chunk(AudioChunk),
    /// The call is over; the last one.
    Ended(Option<EndReason>),
}

/// Lists, watches, hears and commands calls.
#[derive(Clone)]
pub struct Calls {
    connection: Connection,
}

macro_rules! verb {
    ($(#[$meta:meta])* $name:ident, $rpc:ident, $options:ty, $response:ident => $($escalation:tt)+) => {
        $(#[$meta])*
        pub async fn $name(&self, call_id: &str, options: $options) -> Result<VerbResult> {
            let request_id = options.common.request_id.clone().unwrap_or_else(crate::ids::uuid);
            let request = options.request(call_id, &request_id)?;
            let wait = options.common.wait.unwrap_or_default();
            let $response = self
                .connection
                .unary(request, wait, false, |channel, request| async {
                    Service::new(channel).$rpc(request).await
                })
                .await?;
            Ok(VerbResult {
                pending: $response.pending.is_some(),
                escalation: $($escalation)+,
                call: to_call_info($response.call),
                request_id,
            })
        }
    };
}

macro_rules! simple_verb {
    ($(#[$meta:meta])* $visible:vis $name:ident($($arg:ident: $type:ty),*), $rpc:ident, $request:expr) => {
        $(#[$meta])*
        $visible async fn $name(&self, call_id: &str $(, $arg: $type)*) -> Result<CallInfo> {
            let request = $request(call_id.to_owned() $(, $arg)*);
            let response = self
                .connection
                .unary(request, Duration::ZERO, false, |channel, request| async {
                    Service::new(channel).$rpc(request).await
                })
                .await?;
            Ok(to_call_info(response.call))
        }
    };
}

impl Calls {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// One call. Ended calls are kept for 10 minutes; `CallNotFound`.
    pub async fn get(&self, call_id: &str) -> Result<CallInfo> {
        let request = proto::GetCallRequest { call_id: call_id.to_owned() };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).get_call(request).await
            })
            .await?;
        Ok(to_call_info(response.call))
    }

    /// A page of calls. `page_size`: 1 to 1,000; 0: 100. `page_token`: from the page before, with the same filter.
    pub async fn list(&self, filter: CallFilter, page_size: u32, page_token: &str) -> Result<CallPage> {
        let request = proto::ListCallsRequest {
            filter: Some(from_filter(filter)),
            page_size: page_size as i32,
            page_token: page_token.to_owned(),
        };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).list_calls(request).await
            })
            .await?;
        Ok(CallPage {
            calls: response.calls.into_iter().map(|call| to_call_info(Some(call))).collect(),
            next_page_token: response.next_page_token,
            cursor: response.cursor,
            unreachable_gateways: response.unreachable_gateways,
        })
    }

    /// Events of calls, history first, then live, without gap or repeat. Resumes by itself after a broken stream, from the
    /// last cursor. `CursorExpired`: list again and go on from there. While nothing was read yet and no cursor was given, a
    /// broken stream loses what happened meanwhile.
    pub fn watch(&self, watch: Watch) -> Feed<WatchItem> {
        let connection = self.connection.clone();
        let Watch { mut cursor, filter, resume_timeout } = watch;
        let filter = from_filter(filter);
        Feed::start(async move |sender| {
            let mut backoff = Backoff::default();
            let mut live = false;
            let mut broken: Option<Instant> = None;
            loop {
                let request = proto::WatchCallsRequest {
                    cursor: cursor.clone(),
                    filter: Some(filter.clone()),
                    ..Default::default()
                };
                let (index, channel) = connection.channel()?;
                let read = async {
                    let timeout = connection.options.request_timeout;
                    let request = connection.options.request(request, timeout).await?;
                    let mut stream = Service::new(channel).watch_calls(request).await?.into_inner();
                    while let Some(message) = stream.message().await? {
                        backoff.reset();
                        broken = None;
                        let item = match message.item {
                            Some(proto::watch_calls_response::Item::Event(event)) => {
                                if !event.cursor.is_empty() {
                                    cursor.clone_from(&event.cursor);
                                }
                                WatchItem::Event(Box::new(to_event(event)))
                            }
                            Some(proto::watch_calls_response::Item::Live(now)) => {
                                if !now.cursor.is_empty() {
                                    cursor = now.cursor;
                                }
                                if std::mem::replace(&mut live, true) {
                                    continue;
                                }
                                WatchItem::Live(cursor.clone())
                            }
                            None => continue,
                        };
                        if !sender.send(item).await {
                            return Ok(false);
                        }
                    }
                    Ok::<_, Error>(true)
                };
                match read.await {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(error) => {
                        let since = broken.get_or_insert_with(Instant::now);
                        let late = resume_timeout.is_some_and(|timeout| since.elapsed() > timeout);
                        if late || !resumable(&error) {
                            return Err(error);
                        }
                        connection.rotate(index);
                    }
                }
                tokio::time::sleep(backoff.next()).await;
            }
        })
    }

    /// Hears a call until it is over. `source`: `None` is `Mixed`; `format`: `None` is s16le at the rate of the call. What is
    /// read too slowly loses the oldest audio, told as a gap.
    pub fn listen(
        &self,
        call_id: &str,
        source: Option<AudioSource>,
        format: Option<AudioFormat>,
    ) -> Feed<Heard> {
        use proto::listen_call_response::Item;
        let this = self.clone();
        let request = proto::ListenCallRequest {
            call_id: call_id.to_owned(),
            source: source.map_or(0, AudioSource::to_wire),
            format: format.map(from_audio_format),
        };
        Feed::start(async move |sender| {
            // Positions are at the rate of the call, which may differ from the rate that was asked for.
            let rate = this.get(&request.call_id).await?.sample_rate_hertz;
            let options = &this.connection.options;
            let request = options.request(request, options.request_timeout).await?;
            let (_, channel) = this.connection.channel()?;
            let mut stream = Service::new(channel).listen_call(request).await?.into_inner();
            while let Some(message) = stream.message().await? {
                let heard = match message.item {
                    Some(Item::Started(format)) => Heard::Started(to_audio_format(Some(format), rate)),
                    Some(Item::Audio(wire)) => {
                        let at = position_time(wire.position, rate);
                        Heard::Chunk(crate::audio_queue::audio(wire.pcm, wire.position, at))
                    }
                    Some(Item::Gap(gap)) => Heard::Chunk(AudioChunk::Gap(to_gap(&gap, rate))),
                    Some(Item::Ended(reason)) => {
                        sender.send(Heard::Ended(EndReason::from_wire(reason))).await;
                        return Ok(());
                    }
                    None => continue,
                };
                if !sender.send(heard).await {
                    break;
                }
            }
            Ok(())
        })
    }

    verb! {
        /// Rings the original callee; on pick-up caller, callee and agent are in one conference. In `Pending` and `Answered`.
        connect, connect_call, verbs::Connect, response => None
    }
    verb! {
        /// Saves the context, lets the announcement end, connects a human and leaves. In `Answered`.
        escalate, escalate_call, verbs::Escalate, response => to_escalation(response.result)
    }
    verb! {
        /// Moves the seat to another agent; the holder keeps it until the other has accepted.
        transfer, transfer_call, verbs::Transfer, response => None
    }
    verb! {
        /// The agent leaves. In `Connected` the parties talk on; in `Answered` it ends the call and needs `end_call`.
        close, close_call, verbs::Close, response => None
    }
    verb! {
        /// Ends the call for everyone.
        disconnect, disconnect_call, verbs::Disconnect, response => None
    }
    simple_verb! {
        /// Answers the call. In `Pending`.
        pub answer(), answer_call, |call_id| proto::AnswerCallRequest { call_id, request_id: crate::ids::uuid() }
    }
    simple_verb! {
        mode_set(mode: verbs::SetMode), set_agent_mode, |call_id: String, mode: verbs::SetMode| {
            let request_id = mode.common.request_id.clone().unwrap_or_else(crate::ids::uuid);
            mode.request(&call_id, &request_id)
        }
    }

    /// Says who hears the agent. In `Connected`. Takes a mode, or a `SetMode` with a request id.
    pub async fn set_mode(&self, call_id: &str, mode: impl Into<verbs::SetMode>) -> Result<CallInfo> {
        self.mode_set(call_id, mode.into()).await
    }

    simple_verb! {
        /// Says whether the human accepted an escalation that asked for confirmation.
        pub confirm_escalation(accepted: bool), confirm_escalation, |call_id, accepted| {
            proto::ConfirmEscalationRequest { call_id, request_id: crate::ids::uuid(), accepted }
        }
    }
    simple_verb! {
        /// Takes the seat from its holder; the call is offered again.
        pub release(), release_call, |call_id| proto::ReleaseCallRequest { call_id, request_id: crate::ids::uuid() }
    }
    simple_verb! {
        /// Cancels a command that has had no effect yet; an empty id: the one that waits. `CommandNotFound`.
        pub cancel(request_id: &str), cancel_command, |call_id, request_id: &str| {
            proto::CancelCommandRequest { call_id, request_id: request_id.to_owned() }
        }
    }

    /// Sends 1 to 2,000 characters to the seat holder, heard by nobody. False: nobody holds the seat.
    pub async fn send_note(&self, call_id: &str, text: impl Into<String>) -> Result<bool> {
        let request = proto::SendNoteRequest {
            call_id: call_id.to_owned(),
            request_id: crate::ids::uuid(),
            text: text.into(),
        };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).send_note(request).await
            })
            .await?;
        Ok(response.delivered)
    }
}

/// Whether a watch goes on after this.
fn resumable(error: &Error) -> bool {
    use Code::*;
    match error.reason() {
        Reason::GoingAway | Reason::StreamQueueFull => true,
        Reason::Transport => {
            matches!(error.code(), Unavailable | Cancelled | Unknown | Internal | Aborted | DeadlineExceeded)
        }
        _ => false,
    }
}

fn from_filter(filter: CallFilter) -> proto::CallFilter {
    proto::CallFilter {
        call_ids: filter.call_ids,
        pools: filter.pools,
        states: filter.states.into_iter().map(CallState::to_wire).collect(),
    }
}
