use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::types::PlayEnd;

/// Who waits for audio to be with the gateway.
pub(crate) type Done = oneshot::Sender<Result<PlayEnd>>;

/// A mark, or a command that waits behind the audio of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Mark(u64),
    Command(String),
}

enum Item {
    Audio { pcm: Bytes, ms: f64, done: Option<Done> },
    Marker(Marker),
}

/// What is to be written now.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Audio(Bytes),
    Marker(Marker),
}

/// Bounds and paces. All in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct PlaybackLimits {
    /// How much may wait here.
    pub max_queued_ms: f64,
    /// How far beyond what was heard audio is sent.
    pub send_ahead_ms: f64,
    /// How much may be sent beyond what the gateway last confirmed as heard.
    pub max_unconfirmed_ms: f64,
    /// The longest audio item.
    pub max_item_ms: f64,
}

/// The gateway's clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub at_gateway_ms: f64,
    pub played_ms: f64,
}

/// How long after the last PLAYBACK_FULL the refused audio is sent again, if no progress is told before.
const RETRY_AFTER_FULL_MS: f64 = 500.0;
/// With progress: after this long, since what is still on its way is refused as well.
const RETRY_AFTER_PROGRESS_MS: f64 = 200.0;
/// How long after the last write a report may still be older than that write.
const SETTLE_MS: f64 = 1_000.0;

/// Markers that are confirmed as passed and those that are to be sent again.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resumed {
    pub passed: Vec<Marker>,
    pub again: Vec<Marker>,
}

/// The audio, marks and waiting commands of one call, in order, and how much of it may be sent when: `send_ahead_ms`
/// beyond what was heard, judged by the own clock, corrected by the progress that the gateway tells. Knows no socket
/// and no clock: every method is told the time, in milliseconds.
///
/// Audio that was sent is kept until it is confirmed as heard, so that what a gateway refused (PLAYBACK_FULL) or cut (a
/// lost stream) can be sent again.
pub(crate) struct PlaybackQueue {
    limits: PlaybackLimits,
    bytes_per_ms: f64,
    items: VecDeque<Item>,
    waiting_ms: f64,
    /// Sent and not confirmed, oldest first.
    sent: VecDeque<Item>,
    sent_ms: f64,
    /// On the gateway's clock of heard audio: where the newest sent audio ends.
    end_position_ms: f64,
    /// On the own clock: when all that was sent is heard.
    heard_at_ms: f64,
    last_send_ms: f64,
    refused: usize,
    refused_at_ms: f64,
    progress_since_refused: bool,
    clearing: usize,
}

impl PlaybackQueue {
    pub(crate) fn new(limits: PlaybackLimits, bytes_per_ms: f64) -> Self {
        Self {
            limits,
            bytes_per_ms,
            items: VecDeque::new(),
            waiting_ms: 0.0,
            sent: VecDeque::new(),
            sent_ms: 0.0,
            end_position_ms: 0.0,
            heard_at_ms: 0.0,
            last_send_ms: f64::NEG_INFINITY,
            refused: 0,
            refused_at_ms: 0.0,
            progress_since_refused: false,
            clearing: 0,
        }
    }

    /// Audio waits here, in milliseconds.
    pub(crate) fn queued_ms(&self) -> f64 {
        self.waiting_ms
    }

    /// Sent and, by the own clock, not yet heard.
    pub(crate) fn ahead_ms(&self, now: f64) -> f64 {
        (self.heard_at_ms - now).max(0.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.refused == 0
    }

    pub(crate) fn room_ms(&self) -> f64 {
        (self.limits.max_queued_ms - self.waiting_ms).max(0.0)
    }

    pub(crate) fn ms_of(&self, bytes: usize) -> f64 {
        bytes as f64 / self.bytes_per_ms
    }

    pub(crate) fn full(&self) -> Error {
        Error::queue_full("the playback queue of the call", format!("{} ms", self.limits.max_queued_ms))
    }

    /// Appends audio; `done` is told when its last piece was given to the stream. Refuses it as a whole when full.
    pub(crate) fn push_audio(&mut self, mut pcm: Bytes, mut done: Option<Done>) -> Result<()> {
        let ms = self.ms_of(pcm.len());
        if self.waiting_ms + ms > self.limits.max_queued_ms {
            return Err(self.full());
        }
        let piece_bytes = ((self.limits.max_item_ms * self.bytes_per_ms) as usize & !1).max(2);
        while !pcm.is_empty() {
            let piece = pcm.split_to(piece_bytes.min(pcm.len()));
            let done = if pcm.is_empty() { done.take() } else { None };
            self.items.push_back(Item::Audio { ms: self.ms_of(piece.len()), pcm: piece, done });
        }
        self.waiting_ms += ms;
        Ok(())
    }

    pub(crate) fn push_marker(&mut self, marker: Marker) {
        self.items.push_back(Item::Marker(marker));
    }

    /// Takes a marker out again; false when it is not here any more.
    pub(crate) fn remove_marker(&mut self, marker: &Marker) -> bool {
        let at = self.items.iter().position(|item| matches!(item, Item::Marker(m) if m == marker));
        at.and_then(|at| self.items.remove(at)).is_some()
    }

    /// The next thing to send now; `None` when nothing may be sent yet.
    pub(crate) fn next(&mut self, now: f64) -> Option<Step> {
        if self.refused > 0 {
            let wait =
                if self.progress_since_refused { RETRY_AFTER_PROGRESS_MS } else { RETRY_AFTER_FULL_MS };
            if now - self.refused_at_ms < wait {
                return None;
            }
            self.take_back_refused();
        }
        if let Item::Audio { ms, .. } = self.items.front()? {
            let ahead = self.ahead_ms(now) >= self.limits.send_ahead_ms;
            let unconfirmed = self.sent_ms + ms > self.limits.max_unconfirmed_ms && self.sent_ms > 0.0;
            if ahead || unconfirmed {
                return None;
            }
        }
        match self.items.pop_front()? {
            Item::Marker(marker) => {
                self.sent.push_back(Item::Marker(marker.clone()));
                Some(Step::Marker(marker))
            }
            Item::Audio { pcm, ms, done } => {
                self.sent.push_back(Item::Audio { pcm: pcm.clone(), ms, done: None });
                self.waiting_ms = (self.waiting_ms - ms).max(0.0);
                self.sent_ms += ms;
                self.end_position_ms += ms;
                self.heard_at_ms = self.heard_at_ms.max(now) + ms;
                self.last_send_ms = now;
                if let Some(done) = done {
                    let _ = done.send(Ok(PlayEnd::Sent));
                }
                Some(Step::Audio(pcm))
            }
        }
    }

    /// The gateway told how far it is.
    pub(crate) fn on_progress(&mut self, progress: Progress, now: f64) {
        if self.clearing > 0 {
            return;
        }
        if self.refused > 0 {
            self.progress_since_refused = true;
            return;
        }
        if progress.at_gateway_ms == 0.0 && now - self.last_send_ms > SETTLE_MS {
            // Nothing is on its way and nothing is there: whatever the clocks say, all of it is over.
            self.confirm_all();
            self.end_position_ms = progress.played_ms;
            self.heard_at_ms = now;
            return;
        }
        let remaining = (self.end_position_ms - progress.played_ms).max(0.0).min(self.sent_ms);
        self.heard_at_ms = now + remaining;
        self.confirm_down_to(remaining);
    }

    /// A mark was heard: so was all audio before it.
    pub(crate) fn on_mark_played(&mut self, marker: &Marker, now: f64) {
        let at = self.sent.iter().position(|item| matches!(item, Item::Marker(m) if m == marker));
        let Some(at) = at else { return };
        for item in self.sent.drain(..=at) {
            if let Item::Audio { ms, .. } = item {
                self.sent_ms = (self.sent_ms - ms).max(0.0);
            }
        }
        self.heard_at_ms = self.heard_at_ms.min(now + self.sent_ms);
    }

    /// An audio item was refused because the gateway's ring is full. Nothing is sent until there is progress.
    pub(crate) fn on_full(&mut self, now: f64) {
        self.refused += 1;
        self.refused_at_ms = now;
        self.progress_since_refused = false;
    }

    /// Empties the queue. Answers what was dropped here and which markers waited here, in order.
    pub(crate) fn clear(&mut self, now: f64, end: Result<PlayEnd>) -> (f64, Vec<Marker>) {
        let dropped_ms = self.waiting_ms;
        self.end_position_ms -= self.ahead_ms(now);
        self.heard_at_ms = now;
        self.waiting_ms = 0.0;
        self.confirm_all();
        self.refused = 0;
        self.clearing += 1;
        let mut markers = Vec::new();
        for item in self.items.drain(..) {
            match item {
                Item::Marker(marker) => markers.push(marker),
                Item::Audio { done: Some(done), .. } => drop(done.send(end.clone())),
                Item::Audio { .. } => {}
            }
        }
        (dropped_ms, markers)
    }

    /// The gateway answered the clear: how much was heard until then.
    pub(crate) fn on_cleared(&mut self, played_ms: f64) {
        self.clearing = self.clearing.saturating_sub(1);
        if self.clearing == 0 {
            self.end_position_ms = played_ms + self.sent_ms;
        }
    }

    /// Whether a mark was sent and is neither passed nor dropped, as far as is known here.
    pub(crate) fn has_sent(&self, mark: u64) -> bool {
        self.sent.iter().any(|item| matches!(item, Item::Marker(Marker::Mark(id)) if *id == mark))
    }

    /// The call is on another stream. What the gateway does not have any more is put back to the front, to be sent again.
    pub(crate) fn on_reattached(&mut self, progress: Progress, now: f64) -> Resumed {
        self.clearing = 0;
        self.refused = 0;
        let at_gateway = progress.at_gateway_ms.min(self.sent_ms);
        let remaining = (self.end_position_ms - progress.played_ms).max(0.0).min(self.sent_ms);
        let passed = self.confirm_down_to(remaining);
        let mut lost = remaining - at_gateway;
        let mut again = VecDeque::new();
        let mut back = VecDeque::new();
        while let Some(item) = self.sent.pop_back() {
            match item {
                Item::Marker(marker) => {
                    again.push_front(marker.clone());
                    back.push_front(Item::Marker(marker));
                }
                audio if lost <= 0.0 => {
                    self.sent.push_back(audio);
                    break;
                }
                Item::Audio { pcm, ms, .. } => {
                    let keep = (ms - lost).max(0.0);
                    lost -= ms;
                    self.sent_ms = (self.sent_ms - ms).max(0.0);
                    back.push_front(self.tail(pcm, keep));
                }
            }
        }
        self.put_back(back);
        self.end_position_ms = progress.played_ms + at_gateway;
        self.heard_at_ms = now + at_gateway;
        Resumed { passed, again: again.into() }
    }

    /// Another gateway has the call now, and nothing of what was sent. What was not heard yet by the own clock, `ahead_ms`
    /// when the stream was lost, is put back to the front.
    pub(crate) fn on_taken_over(&mut self, played_ms: f64, ahead_ms: f64, now: f64) -> Resumed {
        self.end_position_ms = played_ms + self.sent_ms.min(ahead_ms);
        self.on_reattached(Progress { at_gateway_ms: 0.0, played_ms }, now)
    }

    /// A new epoch begins here: the gateway's clock stands there.
    pub(crate) fn start_at(&mut self, progress: Progress, now: f64) {
        self.end_position_ms = progress.played_ms + progress.at_gateway_ms;
        self.heard_at_ms = now + progress.at_gateway_ms;
    }

    /// The last `refused` audio items that were sent were not taken: back to the front, in order.
    fn take_back_refused(&mut self) {
        let mut back = VecDeque::new();
        while self.refused > 0 {
            let Some(item) = self.sent.pop_back() else { break };
            // Markers among them were taken by the gateway: they stay sent, though they come early now.
            if let Item::Audio { pcm, ms, .. } = item {
                back.push_front(Item::Audio { pcm, ms, done: None });
                self.refused -= 1;
                self.sent_ms = (self.sent_ms - ms).max(0.0);
                self.end_position_ms -= ms;
                self.heard_at_ms -= ms;
            }
        }
        self.refused = 0;
        self.put_back(back);
    }

    fn put_back(&mut self, items: VecDeque<Item>) {
        for item in items.into_iter().rev() {
            if let Item::Audio { ms, .. } = &item {
                self.waiting_ms += ms;
            }
            self.items.push_front(item);
        }
    }

    fn tail(&self, pcm: Bytes, skip_ms: f64) -> Item {
        let skip = ((skip_ms * self.bytes_per_ms).round() as usize & !1).min(pcm.len());
        let rest = pcm.slice(skip..);
        Item::Audio { ms: self.ms_of(rest.len()), pcm: rest, done: None }
    }

    /// Forgets the oldest sent audio until at most this much is left; answers the markers passed.
    fn confirm_down_to(&mut self, remaining_ms: f64) -> Vec<Marker> {
        let mut passed = Vec::new();
        while let Some(item) = self.sent.front() {
            match item {
                Item::Marker(marker) => passed.push(marker.clone()),
                Item::Audio { ms, .. } if self.sent_ms - ms >= remaining_ms - 0.5 => {
                    self.sent_ms = (self.sent_ms - ms).max(0.0);
                }
                Item::Audio { .. } => break,
            }
            self.sent.pop_front();
        }
        passed
    }

    fn confirm_all(&mut self) {
        self.sent.clear();
        self.sent_ms = 0.0;
    }
}

#[cfg(test)]
#[path = "playback_queue_test.rs"]
mod tests;
