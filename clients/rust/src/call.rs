use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_core::Stream;
use tokio_util::sync::CancellationToken;

use crate::audio_queue::Audio;
use crate::call_inner::CallInner;
use crate::context_types::*;
use crate::convert::{from_ms, to_duration};
use crate::enums::*;
use crate::error::{Error, Result};
use crate::events::{CallEvent, Notice};
use crate::pending::Pending;
use crate::player::{Streamed, Ticket};
use crate::proto;
use crate::queue::{Events, queue};
use crate::types::*;
use crate::verbs::{self, Verb};

/// The hold of a program on a call.
pub(crate) struct Held {
    pub inner: Arc<CallInner>,
    /// The worker has done what is to be done when the handler returns.
    pub settled: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.settled.load(Ordering::Acquire) && !self.inner.is_over() {
            let request = proto::ReleaseCallRequest::default();
            let _ = self.inner.command(&crate::ids::uuid(), Verb::Release(request));
        }
    }
}

/// A call whose seat this agent has; a cheap handle, cloned freely. What fails gives an [`Error`], after the end of the
/// call with [`Reason::CallOver`](crate::Reason::CallOver).
///
/// `play`, `mark`, `clear` and the verbs take effect when they are called, in that order; the future only waits. Dropping
/// the future of a verb cancels the command while it has had no effect; dropping the future of `play` or `mark` changes
/// nothing. When the last handle of a call is dropped, the seat is given back.
#[derive(Clone)]
pub struct Call {
    held: Arc<Held>,
}

impl Call {
    pub(crate) fn new(inner: Arc<CallInner>) -> Self {
        let held = Arc::new(Held { inner: inner.clone(), settled: AtomicBool::new(false) });
        let _ = inner.held.set(Arc::downgrade(&held));
        Self { held }
    }

    /// The handle of a call that somebody still has.
    pub(crate) fn of(inner: &CallInner) -> Option<Self> {
        inner.held.get()?.upgrade().map(|held| Self { held })
    }

    /// Dropping the last handle does nothing any more.
    pub(crate) fn settle(&self) {
        self.held.settled.store(true, Ordering::Release);
    }

    pub(crate) fn inner(&self) -> &Arc<CallInner> {
        &self.held.inner
    }

    /// The call, unique within the tenant.
    pub fn id(&self) -> &str {
        &self.inner().id
    }

    /// All that is known of the call now.
    pub fn info(&self) -> CallInfo {
        self.inner().core().info.clone()
    }

    /// Where the call stands now.
    pub fn state(&self) -> CallState {
        self.inner().core().info.state
    }

    /// Who hears the agent; set while connected.
    pub fn mode(&self) -> Option<AgentMode> {
        self.inner().core().info.agent_mode
    }

    /// The caller's number in E.164, empty when withheld.
    pub fn caller(&self) -> String {
        self.inner().core().info.caller.clone()
    }

    /// The number that was called, in E.164.
    pub fn callee(&self) -> String {
        self.inner().core().info.callee.clone()
    }

    /// A BCP 47 tag, from the route.
    pub fn locale(&self) -> String {
        self.inner().core().info.locale.clone()
    }

    /// Counts the offers of the call from 1; above 1 somebody else may have talked before.
    pub fn attempt(&self) -> u32 {
        self.inner().attempt
    }

    /// Of the seat; grows with each new holder.
    pub fn epoch(&self) -> u64 {
        self.inner().core().epoch
    }

    /// The agreed format of audio both ways.
    pub fn audio_format(&self) -> AudioFormat {
        self.inner().format
    }

    /// The context as it came with the offer, its newest turns; `None` for a new call.
    pub fn context(&self) -> Option<&CallContext> {
        self.inner().offered.context.as_ref()
    }

    /// Set when the call came by an escalation.
    pub fn escalation_reason(&self) -> Option<EscalationReason> {
        self.inner().offered.escalation_reason
    }

    /// Cancelled when the agent does not have the call any more. Pass it to whatever works for the call.
    pub fn cancellation(&self) -> CancellationToken {
        self.inner().over.clone()
    }

    /// Waits until the agent does not have the call any more.
    pub fn ended(&self) -> impl Future<Output = CallEnd> + Send + use<> {
        let mut ended = self.inner().ended.subscribe();
        let inner = Arc::downgrade(self.inner());
        async move {
            let lost = CallEnd { cause: EndCause::Seat(SeatCause::Lost), end_reason: None };
            let end = match ended.wait_for(Option::is_some).await {
                Ok(end) => *end,
                Err(_) => inner.upgrade().and_then(|inner| inner.core().end),
            };
            end.unwrap_or(lost)
        }
    }

    /// Where the agent's audio is.
    pub fn playback(&self) -> PlaybackStatus {
        self.inner().status()
    }

    /// The caller's audio, from the acceptance on; ends with the call. What nobody reads is kept up to
    /// `max_audio_queued`, then the oldest is dropped and told as a gap.
    pub fn audio(&self) -> Audio {
        self.inner().audio.reader()
    }

    /// The events of the call from now on; end with the call. At most `max_events_queued` wait for the reader.
    pub fn events(&self) -> Events<CallEvent> {
        let (sender, events) = queue("the queue of events()", self.inner().limits.max_events_queued);
        self.inner().listen_events(sender);
        events
    }

    /// What else is told of the call from now on: notes, state, mode, connection, playback. At most `max_events_queued`
    /// wait for the reader.
    pub fn notices(&self) -> Events<Notice> {
        let (sender, notices) = queue("the queue of notices()", self.inner().limits.max_events_queued);
        self.inner().listen_notices(sender);
        notices
    }

    /// Plays audio in the agreed format after what was played before. Done when all of it is with the gateway, about
    /// `send_ahead` before its end is heard; use `mark` or `drained` to know when it was heard. A half sample at the end is
    /// kept for what follows. `QueueFull`, taking nothing, when more than `max_playback_queued` would wait.
    pub fn play(&self, pcm: impl Into<Bytes>) -> Pending<PlayEnd> {
        let inner = self.inner().clone();
        let played = inner.core().player.play(pcm.into());
        inner.kick();
        Pending::new(async move { played?.await.unwrap_or_else(|_| Err(inner.over_error())) })
    }

    /// Plays a stream, read only as fast as it is played. What is played, marked or commanded after it waits until its end.
    /// Dropping the future stops reading; what was read is still played.
    pub fn play_stream<S>(&self, stream: S) -> impl Future<Output = Result<PlayEnd>> + Send + use<S>
    where
        S: Stream + Send,
        S::Item: Into<Bytes> + Send,
    {
        let inner = self.inner().clone();
        let ticket = inner.core().player.begin_stream();
        async move {
            let ticket = ticket?;
            let turn = Turn { inner, id: ticket.id };
            play_stream(turn, ticket, stream).await
        }
    }

    /// Waits until all audio before it was heard, or dropped. 1 to 100 characters. At most `max_marks` wait, then
    /// `QueueFull`.
    pub fn mark(&self, name: impl Into<String>) -> Pending<MarkEnd> {
        self.set_mark(Some(name.into()))
    }

    /// Waits until all audio until now was heard, or dropped.
    pub fn drained(&self) -> Pending<MarkEnd> {
        self.set_mark(None)
    }

    fn set_mark(&self, name: Option<String>) -> Pending<MarkEnd> {
        let marked = self.inner().core().player.mark(name);
        self.inner().kick();
        Pending::new(async move { Ok(marked?.await.unwrap_or(MarkEnd::Cleared)) })
    }

    /// Interrupt: drops all audio until now, here, in the gateway and at the provider.
    pub fn clear(&self) -> Pending<Cleared> {
        let cleared = self.inner().clear();
        Pending::new(async move {
            let (dropped_ms, told) = cleared?;
            let told = told.await.ok().flatten().unwrap_or_default();
            Ok(Cleared {
                dropped: from_ms(dropped_ms) + to_duration(told.dropped_local),
                estimated_unheard: to_duration(told.estimated_unheard_at_provider),
                played: to_duration(told.played),
            })
        })
    }

    /// Answers the call. Not needed with `answer_on_accept`.
    pub fn answer(&self) -> Pending<()> {
        self.simple(None, Ok(Verb::Answer(proto::AnswerCallRequest::default())))
    }

    /// Rings the original callee; done when they picked up. `CalleeUnanswered`: the call is as it was.
    pub fn connect(&self, connect: verbs::Connect) -> Pending<()> {
        let verb = connect.request(self.id(), "").map(Verb::Connect);
        self.simple(connect.common.request_id, verb)
    }

    /// Says who hears the agent. In `Connected`.
    pub fn set_mode(&self, mode: impl Into<verbs::SetMode>) -> Pending<()> {
        let mode = mode.into();
        let verb = Verb::SetAgentMode(mode.request(self.id(), ""));
        self.simple(mode.common.request_id, Ok(verb))
    }

    /// Saves the context, lets the announcement end, connects a human and leaves. Gives how it ended.
    pub fn escalate(&self, escalate: verbs::Escalate) -> Pending<EscalationResult> {
        let verb = escalate.request(self.id(), "").map(Verb::Escalate);
        let done = self.run(escalate.common.request_id, verb);
        let unknown = EscalationResult { outcome: EscalationOutcome::Unknown, durability: None };
        Pending::new(async move { Ok(done.await?.unwrap_or(unknown)) })
    }

    /// Says whether the human accepted, for an escalation that asked for confirmation.
    pub fn confirm_escalation(&self, accepted: bool) -> Pending<()> {
        let request = proto::ConfirmEscalationRequest { accepted, ..Default::default() };
        self.simple(None, Ok(Verb::ConfirmEscalation(request)))
    }

    /// Moves the seat to another agent; done when that one has it. `TransferUnanswered`: you keep it.
    pub fn transfer(&self, transfer: verbs::Transfer) -> Pending<()> {
        let verb = transfer.request(self.id(), "").map(Verb::Transfer);
        self.simple(transfer.common.request_id, verb)
    }

    /// Gives the seat back; the call is offered again.
    pub fn release(&self) -> Pending<()> {
        self.simple(None, Ok(Verb::Release(proto::ReleaseCallRequest::default())))
    }

    /// The agent leaves. In `Connected` the parties talk on; in `Answered` it ends the call and needs `end_call`.
    pub fn close(&self, close: verbs::Close) -> Pending<()> {
        let verb = close.request(self.id(), "").map(Verb::Close);
        self.simple(close.common.request_id, verb)
    }

    /// Ends the call for everyone.
    pub fn disconnect(&self, disconnect: verbs::Disconnect) -> Pending<()> {
        let verb = disconnect.request(self.id(), "").map(Verb::Disconnect);
        self.simple(disconnect.common.request_id, verb)
    }

    /// Cancels a command that has had no effect yet; an empty id: the one that waits.
    pub fn cancel(&self, request_id: impl Into<String>) -> Pending<()> {
        let request =
            proto::CancelCommandRequest { call_id: self.id().to_owned(), request_id: request_id.into() };
        self.simple(None, Ok(Verb::Cancel(request)))
    }

    /// Appends 1 to 100 turns to the context.
    pub async fn append_turns(&self, turns: Vec<crate::types::Turn>) -> Result<AppendedTurns> {
        self.inner().contexts.append_turns(self.id(), turns).await
    }

    /// Writes the context: fields that are set replace what is there, turns are appended.
    pub async fn save_context(&self, fields: ContextFields) -> Result<WrittenContext> {
        self.inner().contexts.save(self.id(), fields).await
    }

    /// Writes single fields; `revision`: only when the revision is still this one.
    pub async fn update_context(
        &self,
        fields: ContextFields,
        revision: Option<u64>,
    ) -> Result<WrittenContext> {
        self.inner().contexts.update(self.id(), fields, revision, None).await
    }

    /// Reads the context with all turns.
    pub async fn get_context(&self) -> Result<CallContext> {
        self.inner().contexts.get(self.id()).await
    }

    fn simple(&self, request_id: Option<String>, verb: Result<Verb>) -> Pending<()> {
        let done = self.run(request_id, verb);
        Pending::new(async move { done.await.map(drop) })
    }

    fn run(&self, request_id: Option<String>, verb: Result<Verb>) -> Pending<Option<EscalationResult>> {
        let request_id = request_id.unwrap_or_else(crate::ids::uuid);
        let inner = self.inner().clone();
        let given = verb.and_then(|verb| inner.command(&request_id, verb));
        let mut guard = Abort { inner, request_id: given.is_ok().then_some(request_id) };
        Pending::new(async move {
            let done = given?.await;
            guard.request_id = None;
            done.unwrap_or_else(|_| Err(guard.inner.over_error()))
        })
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Cancels a command that nobody waits for any more.
struct Abort {
    inner: Arc<CallInner>,
    request_id: Option<String>,
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(request_id) = &self.request_id {
            self.inner.abort_command(request_id);
        }
    }
}

/// The turn of a stream among what is played; gives it on when it is dropped.
struct Turn {
    inner: Arc<CallInner>,
    id: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.inner.core().player.end_stream(self.id);
        self.inner.kick();
    }
}

async fn play_stream<S>(turn: Turn, ticket: Ticket, stream: S) -> Result<PlayEnd>
where
    S: Stream + Send,
    S::Item: Into<Bytes> + Send,
{
    let inner = turn.inner.clone();
    let interrupted = || inner.core().player.over().cloned().map_or(Ok(PlayEnd::Cleared), Err);
    if let Some(start) = ticket.start
        && !start.await.unwrap_or(false)
    {
        return interrupted();
    }
    let mut interrupts = ticket.interrupts;
    let mut stream = pin!(stream);
    let mut last = None;
    loop {
        let chunk = tokio::select! {
            biased;
            _ = interrupts.changed() => return interrupted(),
            chunk = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)) => chunk,
        };
        let Some(pcm) = chunk.map(Into::<Bytes>::into) else { break };
        if pcm.is_empty() {
            continue;
        }
        loop {
            let mut room = pin!(inner.room.notified());
            room.as_mut().enable();
            if let Streamed::Taken(taken) = inner.core().player.push_streamed(&pcm)? {
                last = Some(taken);
                break;
            }
            tokio::select! {
                biased;
                _ = interrupts.changed() => return interrupted(),
                () = room => {}
            }
        }
        inner.kick();
    }
    drop(turn);
    match last {
        None => Ok(PlayEnd::Sent),
        Some(last) => last.await.unwrap_or_else(|_| Err(Error::call_over(&inner.id, "LOST"))),
    }
}
