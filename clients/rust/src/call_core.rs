use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::call_inner::CallInner;
use crate::commands::Commands;
use crate::convert::{from_ms, to_call_info};
use crate::enums::{AgentMode, CallState};
use crate::events::{CallEvent, Notice};
use crate::outbox::Outbox;
use crate::player::Player;
use crate::proto;
use crate::proto::agent_item::Item;
use crate::queue::Sender;
use crate::types::{CallEnd, CallInfo, PlaybackStatus};

pub(crate) type ClearWaiter = oneshot::Sender<Option<proto::PlaybackCleared>>;

/// What changes of a call; under one lock.
pub(crate) struct Core {
    pub info: CallInfo,
    pub epoch: u64,
    pub handle: u32,
    pub player: Player,
    pub commands: Commands,
    pub end: Option<CallEnd>,
    pub outbox: Option<Arc<Outbox<CallInner>>>,
    pub urgent: VecDeque<Item>,
    pub clears: VecDeque<ClearWaiter>,
    pub events: Vec<Sender<CallEvent>>,
    pub notices: Vec<Sender<Notice>>,
    pub played_ms: f64,
    pub last_sequence: u64,
    pub last_owner_epoch: u64,
}

impl Core {
    pub(crate) fn status(&self, now: f64) -> PlaybackStatus {
        PlaybackStatus {
            queued: from_ms(self.player.queue.queued_ms()),
            ahead: from_ms(self.player.queue.ahead_ms(now)),
            played: from_ms(self.played_ms),
        }
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.notices.retain(|sender| sender.push(notice.clone()));
    }

    /// Without a stream it is sent after the reattachment, with all that had no answer.
    pub(crate) fn send_command(&mut self, request_id: &str) {
        let command = self.commands.take_to_send(request_id, self.handle);
        if let (Some(command), Some(outbox)) = (command, &self.outbox) {
            outbox.send(Item::Command(command));
        }
    }

    pub(crate) fn drop_clears(&mut self) {
        for waiter in self.clears.drain(..) {
            let _ = waiter.send(None);
        }
    }

    pub(crate) fn update(&mut self, call: proto::Call, force: bool) {
        let info = to_call_info(Some(call));
        if !force && info.last_event_sequence < self.last_sequence {
            return;
        }
        let (state, mode) = (info.state, info.agent_mode);
        let before = std::mem::replace(&mut self.info, info);
        self.info.state = before.state;
        self.info.agent_mode = before.agent_mode;
        self.set_state(state);
        match mode {
            Some(mode) => self.set_mode(mode),
            None => self.info.agent_mode = None,
        }
    }

    pub(crate) fn set_state(&mut self, state: CallState) {
        if std::mem::replace(&mut self.info.state, state) != state {
            self.notify(Notice::State(state));
        }
    }

    pub(crate) fn set_mode(&mut self, mode: AgentMode) {
        if self.info.agent_mode.replace(mode) != Some(mode) {
            self.notify(Notice::Mode(mode));
        }
    }
}
