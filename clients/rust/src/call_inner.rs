use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::audio_queue::{AudioQueue, audio};
use crate::call::Held;
use crate::call_core::Core;
use crate::commands::Commands;
use crate::context_types::CallContext;
use crate::contexts::Contexts;
use crate::convert::*;
use crate::enums::{AgentMode, CallState, EndReason, EscalationReason, MarkEnd, SeatCause};
use crate::error::{Error, Reason, Result};
use crate::events::{CallEvent, EventBody, Notice};
use crate::outbox::Outbox;
use crate::playback_queue::{PlaybackLimits, PlaybackQueue, Progress};
use crate::player::{Player, PlayerLimits};
use crate::proto;
use crate::proto::agent_item::Item;
use crate::queue::{Sender, lock};
use crate::types::*;
use crate::verbs::{Verb, waits_for_playback};

/// Longer audio is sent in items of this length, in milliseconds.
const MAX_ITEM_MS: f64 = 100.0;
/// How long the end of a command is waited for after a takeover.
const OUTCOME_WAIT: Duration = Duration::from_secs(5);
/// Verbs of which at most one waits or runs at a time.
const ENDING: [&str; 5] = ["ConnectCall", "EscalateCall", "TransferCall", "CloseCall", "DisconnectCall"];

/// Bounds of a call.
#[derive(Clone, Copy)]
pub(crate) struct CallLimits {
    pub max_audio_queued: Duration,
    pub max_playback_queued: Duration,
    pub send_ahead: Duration,
    pub max_marks: usize,
    pub max_events_queued: usize,
}

/// What came with the offer.
#[derive(Default)]
pub(crate) struct Offered {
    pub context: Option<CallContext>,
    pub escalation_reason: Option<EscalationReason>,
}

/// A call as the session has it; the session tells it what came on the stream.
pub(crate) struct CallInner {
    pub id: String,
    pub attempt: u32,
    pub format: AudioFormat,
    pub offered: Offered,
    pub contexts: Contexts,
    pub limits: CallLimits,
    pub over: CancellationToken,
    pub ended: watch::Sender<Option<CallEnd>>,
    /// Answered, or it is known that it will not be.
    pub settled: watch::Sender<bool>,
    pub room: Notify,
    pub audio: AudioQueue,
    pub held: OnceLock<Weak<Held>>,
    begun: Instant,
    core: Mutex<Core>,
}

impl CallInner {
    pub(crate) fn new(
        assigned: proto::Assigned,
        outbox: &Arc<Outbox<CallInner>>,
        offered: Offered,
        contexts: Contexts,
        limits: CallLimits,
        max_unconfirmed: Duration,
    ) -> Arc<Self> {
        let info = to_call_info(assigned.call);
        let format = to_audio_format(assigned.audio_format, info.sample_rate_hertz);
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let playback = PlaybackLimits {
            max_queued_ms: ms(limits.max_playback_queued),
            send_ahead_ms: ms(limits.send_ahead),
            max_unconfirmed_ms: ms(max_unconfirmed).max(MAX_ITEM_MS),
            max_item_ms: MAX_ITEM_MS,
        };
        let mut queue = PlaybackQueue::new(playback, format.bytes_per_ms());
        let progress = to_progress(&info.playback);
        queue.start_at(progress, 0.0);
        let player = PlayerLimits {
            max_queued_ms: playback.max_queued_ms,
            prefetch_ms: playback.send_ahead_ms,
            max_marks: limits.max_marks,
        };
        let core = Core {
            epoch: assigned.epoch,
            handle: assigned.handle,
            player: Player::new(queue, player),
            commands: Commands::new(&info.call_id),
            end: None,
            outbox: Some(outbox.clone()),
            urgent: VecDeque::new(),
            clears: VecDeque::new(),
            events: Vec::new(),
            notices: Vec::new(),
            played_ms: progress.played_ms,
            last_sequence: info.last_event_sequence,
            last_owner_epoch: 0,
            info,
        };
        Arc::new(Self {
            id: core.info.call_id.clone(),
            attempt: to_u32(assigned.attempt),
            format,
            offered,
            contexts,
            limits,
            over: CancellationToken::new(),
            ended: watch::Sender::new(None),
            settled: watch::Sender::new(core.info.state != CallState::Pending),
            room: Notify::new(),
            audio: AudioQueue::new(limits.max_audio_queued),
            held: OnceLock::new(),
            begun: Instant::now(),
            core: Mutex::new(core),
        })
    }

    /// Milliseconds of the own clock.
    pub(crate) fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() * 1_000.0
    }

    pub(crate) fn core(&self) -> std::sync::MutexGuard<'_, Core> {
        lock(&self.core)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.core().end.is_some()
    }

    pub(crate) fn over_error(&self) -> Error {
        let cause = self.core().end.map_or("LOST", |end| end.cause.as_str());
        Error::call_over(&self.id, cause)
    }

    /// Whether it is on this stream.
    pub(crate) fn is_on(&self, outbox: &Arc<Outbox<CallInner>>) -> bool {
        self.core().outbox.as_ref().is_some_and(|own| Arc::ptr_eq(own, outbox))
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.core().outbox.is_some()
    }

    /// There may be audio to send.
    pub(crate) fn kick(&self) {
        let outbox = self.core().outbox.clone();
        if let Some(outbox) = outbox {
            outbox.kick();
        }
    }

    pub(crate) fn status(&self) -> PlaybackStatus {
        let core = self.core();
        core.status(self.now())
    }

    pub(crate) fn listen_events(&self, sender: Sender<CallEvent>) {
        let mut core = self.core();
        if core.end.is_none() {
            core.events.push(sender);
        }
    }

    pub(crate) fn listen_notices(&self, sender: Sender<Notice>) {
        let mut core = self.core();
        if core.end.is_none() {
            core.notices.push(sender);
        }
    }

    /// Gives a command; the receiver is told when it is finished.
    pub(crate) fn command(
        &self,
        request_id: &str,
        verb: Verb,
    ) -> Result<oneshot::Receiver<Result<Option<EscalationResult>>>> {
        let mut core = self.core();
        if let Some(error) = core.player.over() {
            return Err(error.clone());
        }
        let waits = waits_for_playback(&verb);
        let done = core.commands.add(request_id, verb, waits)?;
        if waits {
            core.player.command(request_id);
        } else {
            core.send_command(request_id);
        }
        let outbox = core.outbox.clone();
        drop(core);
        if let Some(outbox) = outbox {
            outbox.kick();
        }
        Ok(done)
    }

    /// Whoever gave the command does not wait for it any more: cancelled while it has had no effect.
    pub(crate) fn abort_command(&self, request_id: &str) {
        let mut core = self.core();
        if core.commands.is_queued(request_id) {
            core.player.remove_command(request_id);
            core.commands.cancel_locally(request_id, "ABORTED");
        } else if core.commands.has(request_id) {
            let verb = Verb::Cancel(proto::CancelCommandRequest {
                call_id: self.id.clone(),
                request_id: request_id.to_owned(),
            });
            drop(core);
            // That there is nothing to cancel any more is no error.
            let _ = self.command(&crate::ids::uuid(), verb);
        }
    }

    /// Drops all audio until now; the receiver is told what the gateway dropped.
    pub(crate) fn clear(&self) -> Result<(f64, oneshot::Receiver<Option<proto::PlaybackCleared>>)> {
        let now = self.now();
        let mut core = self.core();
        let core = &mut *core;
        if let Some(error) = core.player.over() {
            return Err(error.clone());
        }
        let (dropped_ms, proceed) = core.player.clear(now, &mut core.commands);
        let (done, receiver) = oneshot::channel();
        if let Some(outbox) = &core.outbox {
            core.clears.push_back(done);
            let handle = core.handle;
            core.urgent.push_back(Item::ClearPlayback(proto::ClearPlayback { handle }));
            for request_id in proceed {
                let command = core.commands.take_to_send(&request_id, handle);
                core.urgent.extend(command.map(Item::Command));
            }
            outbox.kick();
        } else {
            // Without a stream the gateway has cut the playback itself; the commands are sent when it is back.
            for request_id in proceed {
                let _ = core.commands.take_to_send(&request_id, core.handle);
            }
            let _ = done.send(None);
        }
        self.room.notify_waiters();
        Ok((dropped_ms, receiver))
    }

    pub(crate) fn reattach_call(&self) -> proto::ReattachCall {
        let core = self.core();
        proto::ReattachCall {
            call_id: self.id.clone(),
            epoch: core.epoch,
            last_event_sequence: core.last_sequence,
        }
    }

    pub(crate) fn on_audio(&self, wire: proto::CallAudio) {
        let rate = self.call_rate();
        let ms = wire.pcm.len() as f64 / self.format.bytes_per_ms();
        self.audio.push(audio(wire.pcm, wire.position, position_time(wire.position, rate)), ms);
    }

    pub(crate) fn on_gap(&self, gap: &proto::AudioGap) {
        self.audio.push(AudioChunk::Gap(to_gap(gap, self.call_rate())), 0.0);
    }

    fn call_rate(&self) -> u32 {
        match self.core().info.sample_rate_hertz {
            0 => self.format.sample_rate_hertz,
            rate => rate,
        }
    }

    pub(crate) fn on_mark_reached(&self, reached: &proto::MarkReached) {
        let end = MarkEnd::from_wire(reached.end).unwrap_or(MarkEnd::Played);
        self.core().player.on_mark_reached(&reached.name, end, self.now());
        self.kick();
    }

    pub(crate) fn on_progress(&self, progress: &proto::PlaybackProgress) {
        let progress = to_progress(&to_playback(progress.position.as_ref()));
        let now = self.now();
        let mut core = self.core();
        core.played_ms = progress.played_ms;
        core.player.queue.on_progress(progress, now);
        let status = core.status(now);
        core.notify(Notice::Playback(status));
        drop(core);
        self.kick();
    }

    pub(crate) fn on_cleared(&self, cleared: proto::PlaybackCleared) {
        let played_ms = to_ms(cleared.played);
        let mut core = self.core();
        core.played_ms = played_ms;
        core.player.queue.on_cleared(played_ms);
        if let Some(waiter) = core.clears.pop_front() {
            let _ = waiter.send(Some(cleared));
        }
        drop(core);
        self.kick();
    }

    pub(crate) fn on_note(&self, note: proto::Note) {
        self.core().notify(Notice::Note { text: note.text, author: note.author });
    }

    pub(crate) fn on_result(&self, mut result: proto::CommandResult) {
        let mut core = self.core();
        if let Some(call) = result.call.take() {
            core.update(call, false);
        }
        core.commands.on_result(result);
        self.settle(core, false);
    }

    pub(crate) fn on_event(&self, wire: proto::CallEvent) {
        let mut core = self.core();
        // Numbers that a dead gateway told and did not store come again, from its successor.
        if wire.sequence <= core.last_sequence && wire.owner_epoch <= core.last_owner_epoch {
            return;
        }
        core.last_sequence = wire.sequence;
        core.last_owner_epoch = core.last_owner_epoch.max(wire.owner_epoch);
        let event = to_event(wire);
        let mut answer_over = false;
        match &event.body {
            EventBody::Answered => core.set_state(CallState::Answered),
            EventBody::Connected => {
                core.set_state(CallState::Connected);
                let mode = core.info.agent_mode.unwrap_or(AgentMode::Barge);
                core.set_mode(mode);
            }
            EventBody::ModeSet(mode) => core.set_mode(*mode),
            EventBody::SeatChanged { seat, .. } => core.info.seat = seat.clone(),
            EventBody::CommandStarted { verb, request_id, .. } if ENDING.contains(&verb.as_str()) => {
                core.info.pending =
                    Some(PendingCommand { request_id: request_id.clone(), verb: verb.clone() });
            }
            EventBody::CommandDone { verb, request_id, error, escalation } => {
                if core.info.pending.as_ref().is_some_and(|p| p.request_id == *request_id) {
                    core.info.pending = None;
                }
                answer_over = verb == "AnswerCall";
                core.commands.finish(request_id, error.clone(), escalation.clone());
            }
            EventBody::Ended(reason) => {
                core.info.end_reason = Some(*reason);
                core.set_state(CallState::Disconnected);
            }
            _ => {}
        }
        core.events.retain(|sender| sender.push(event.clone()));
        self.settle(core, answer_over);
    }

    /// Lets the handler begin once the call is answered, or when that failed.
    fn settle(&self, core: std::sync::MutexGuard<'_, Core>, answer_over: bool) {
        let settled = answer_over || core.info.state != CallState::Pending;
        drop(core);
        if settled {
            self.settled.send_if_modified(|before| !std::mem::replace(before, true));
        }
    }

    /// The gateway refused an item of the call; answers what nobody waited for.
    pub(crate) fn on_refused(&self, item: &str, error: Error) -> Option<Error> {
        let mut core = self.core();
        match item {
            _ if error.reason() == Reason::PlaybackFull => core.player.queue.on_full(self.now()),
            "mark" => core.player.on_mark_refused(),
            "clear_playback" => {
                if let Some(waiter) = core.clears.pop_front() {
                    let _ = waiter.send(None);
                }
            }
            _ => return Some(error),
        }
        drop(core);
        self.kick();
        None
    }

    /// The stream broke; the seat is reserved for a moment.
    pub(crate) fn on_detached(&self) {
        let now = self.now();
        let mut core = self.core();
        if core.end.is_some() || core.outbox.take().is_none() {
            return;
        }
        core.urgent.clear();
        core.player.on_detached(now);
        core.drop_clears();
        core.notify(Notice::Attached(false));
    }

    /// The call is on a new stream: what was lost on the way is sent again.
    pub(crate) fn on_reattached(
        self: &Arc<Self>,
        assigned: proto::Assigned,
        outbox: &Arc<Outbox<CallInner>>,
    ) {
        // A sibling may have it before the loss of its stream was seen here.
        self.on_detached();
        let taken_over = assigned.resume == proto::AssignedResume::TakenOver as i32;
        let now = self.now();
        let mut guard = self.core();
        let core = &mut *guard;
        core.handle = assigned.handle;
        core.epoch = assigned.epoch;
        core.outbox = Some(outbox.clone());
        let position = assigned.call.as_ref().and_then(|call| call.playback.as_ref());
        let progress = to_progress(&to_playback(position));
        let requeued = core.player.on_reattached(progress, taken_over, now);
        if taken_over {
            self.expect_outcomes(core.commands.pending());
        }
        if let Some(call) = assigned.call {
            core.update(call, true);
        }
        for request_id in core.commands.unanswered() {
            if requeued.contains(&request_id) {
                core.commands.requeue(&request_id);
            } else {
                core.send_command(&request_id);
            }
        }
        core.notify(Notice::Attached(true));
        self.settle(guard, false);
        self.kick();
    }

    /// Commands that the dead gateway had answered as pending: its successor tells how they ended. If it knows nothing of
    /// one, because even its start was not stored, nobody does.
    fn expect_outcomes(self: &Arc<Self>, pending: Vec<String>) {
        if pending.is_empty() {
            return;
        }
        let call = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(OUTCOME_WAIT).await;
            if let Some(call) = call.upgrade() {
                let mut core = call.core();
                for request_id in pending {
                    core.commands.unknown(&request_id);
                }
            }
        });
    }

    pub(crate) fn on_unassigned(&self, unassigned: &proto::Unassigned) {
        let cause = SeatCause::from_wire(unassigned.cause).unwrap_or(SeatCause::Lost);
        let end_reason = EndReason::from_wire(unassigned.end_reason);
        self.end(CallEnd { cause: EndCause::Seat(cause), end_reason });
    }

    /// The agent does not have the call any more.
    pub(crate) fn end(&self, end: CallEnd) {
        let now = self.now();
        let mut core = self.core();
        if core.end.is_some() {
            return;
        }
        core.end = Some(end);
        if end.cause == EndCause::Seat(SeatCause::CallEnded) {
            core.info.end_reason = end.end_reason.or(core.info.end_reason);
            core.set_state(CallState::Disconnected);
        }
        core.drop_clears();
        core.urgent.clear();
        core.player.end(Error::call_over(&self.id, end.cause.as_str()), now);
        core.commands.on_over(end);
        core.events.clear();
        core.notices.clear();
        core.outbox = None;
        drop(core);
        self.audio.end();
        self.room.notify_waiters();
        self.settled.send_if_modified(|before| !std::mem::replace(before, true));
        self.ended.send_replace(Some(end));
        self.over.cancel();
    }
}

fn to_progress(position: &PlaybackPosition) -> Progress {
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    Progress {
        at_gateway_ms: ms(position.queued) + ms(position.unheard_at_provider),
        played_ms: ms(position.played),
    }
}
