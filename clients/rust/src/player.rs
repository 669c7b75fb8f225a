use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::commands::Commands;
use crate::enums::MarkEnd;
use crate::error::{Error, Result};
use crate::playback_queue::{Done, Marker, PlaybackQueue, Progress, Step};
use crate::types::PlayEnd;

struct WaitingMark {
    name: String,
    sent: bool,
    done: oneshot::Sender<MarkEnd>,
}

/// Something that has to wait until a stream was played to its end.
enum Deferred {
    Audio { pcm: Bytes, ms: f64, done: Done },
    Mark(u64),
    Command(String),
    Stream { id: u64, start: oneshot::Sender<bool> },
}

/// The place of a stream among what is played.
pub(crate) struct Ticket {
    pub id: u64,
    /// True: its turn; false: it was dropped before. `None`: at once.
    pub start: Option<oneshot::Receiver<bool>>,
    /// Changes at an interrupt and at the end of the call.
    pub interrupts: watch::Receiver<u64>,
}

/// What became of a chunk of a stream.
pub(crate) enum Streamed {
    Taken(oneshot::Receiver<Result<PlayEnd>>),
    /// There is no room yet.
    Wait,
}

/// What a step of the queue stands for.
pub(crate) enum Outgoing {
    Audio(Bytes),
    Mark(String),
    Command(String),
}

/// Bounds of a player.
#[derive(Clone, Copy)]
pub(crate) struct PlayerLimits {
    pub max_queued_ms: f64,
    pub prefetch_ms: f64,
    pub max_marks: usize,
}

/// The audio that the agent says in one call: buffers and streams in order, marks and waiting commands among them.
pub(crate) struct Player {
    pub queue: PlaybackQueue,
    limits: PlayerLimits,
    marks: BTreeMap<u64, WaitingMark>,
    next_id: u64,
    interrupts: watch::Sender<u64>,
    streaming: Option<u64>,
    deferred: VecDeque<Deferred>,
    deferred_ms: f64,
    ahead_when_lost_ms: f64,
    over: Option<Error>,
}

impl Player {
    pub(crate) fn new(queue: PlaybackQueue, limits: PlayerLimits) -> Self {
        Self {
            queue,
            limits,
            marks: BTreeMap::new(),
            next_id: 0,
            interrupts: watch::Sender::new(0),
            streaming: None,
            deferred: VecDeque::new(),
            deferred_ms: 0.0,
            ahead_when_lost_ms: 0.0,
            over: None,
        }
    }

    pub(crate) fn over(&self) -> Option<&Error> {
        self.over.as_ref()
    }

    fn alive(&self) -> Result<()> {
        self.over.clone().map_or(Ok(()), Err)
    }

    /// Takes a buffer; see `Call::play`.
    pub(crate) fn play(&mut self, pcm: Bytes) -> Result<oneshot::Receiver<Result<PlayEnd>>> {
        self.alive()?;
        let ms = self.queue.ms_of(pcm.len());
        if self.queue.queued_ms() + self.deferred_ms + ms > self.limits.max_queued_ms {
            return Err(self.queue.full());
        }
        let (done, receiver) = oneshot::channel();
        if pcm.is_empty() {
            let _ = done.send(Ok(PlayEnd::Sent));
        } else if self.streaming.is_some() {
            self.deferred_ms += ms;
            self.deferred.push_back(Deferred::Audio { pcm, ms, done });
        } else {
            self.queue.push_audio(pcm, Some(done))?;
        }
        Ok(receiver)
    }

    /// Takes a place for a stream.
    pub(crate) fn begin_stream(&mut self) -> Result<Ticket> {
        self.alive()?;
        let id = self.id();
        let interrupts = self.interrupts.subscribe();
        let start = if self.streaming.is_some() {
            let (start, receiver) = oneshot::channel();
            self.deferred.push_back(Deferred::Stream { id, start });
            Some(receiver)
        } else {
            self.streaming = Some(id);
            None
        };
        Ok(Ticket { id, start, interrupts })
    }

    /// A chunk of the stream whose turn it is. A little is kept ready here, so that the call never waits for the stream; a
    /// large chunk goes in alone. Fails when it could never fit.
    pub(crate) fn push_streamed(&mut self, pcm: &Bytes) -> Result<Streamed> {
        self.alive()?;
        if self.queue.queued_ms() > self.limits.prefetch_ms {
            return Ok(Streamed::Wait);
        }
        if self.queue.ms_of(pcm.len()) > self.queue.room_ms() {
            return if self.queue.queued_ms() == 0.0 { Err(self.queue.full()) } else { Ok(Streamed::Wait) };
        }
        let (done, receiver) = oneshot::channel();
        self.queue.push_audio(pcm.clone(), Some(done))?;
        Ok(Streamed::Taken(receiver))
    }

    /// The stream is over or was given up: what waited behind it goes on.
    pub(crate) fn end_stream(&mut self, id: u64) {
        if self.streaming != Some(id) {
            self.deferred
                .retain(|entry| !matches!(entry, Deferred::Stream { id: other, .. } if *other == id));
            return;
        }
        self.streaming = None;
        while self.streaming.is_none() {
            match self.deferred.pop_front() {
                None => return,
                Some(Deferred::Audio { pcm, ms, done }) => {
                    self.deferred_ms = (self.deferred_ms - ms).max(0.0);
                    // There was room when it was taken, and what is queued has only become less.
                    let _ = self.queue.push_audio(pcm, Some(done));
                }
                Some(Deferred::Mark(id)) => self.queue.push_marker(Marker::Mark(id)),
                Some(Deferred::Command(id)) => self.queue.push_marker(Marker::Command(id)),
                Some(Deferred::Stream { id, start }) => {
                    if start.send(true).is_ok() {
                        self.streaming = Some(id);
                    }
                }
            }
        }
    }

    /// Sets a mark behind the audio until now.
    pub(crate) fn mark(&mut self, name: Option<String>) -> Result<oneshot::Receiver<MarkEnd>> {
        self.alive()?;
        let id = self.id();
        let name = name.unwrap_or_else(|| format!("~m{id}"));
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Error::invalid_field("mark", "1 to 100 characters", name));
        }
        if self.marks.len() >= self.limits.max_marks {
            let max = format!("{} marks", self.limits.max_marks);
            return Err(Error::queue_full("the list of waiting marks", max));
        }
        let (done, receiver) = oneshot::channel();
        self.marks.insert(id, WaitingMark { name, sent: false, done });
        if self.streaming.is_some() {
            self.deferred.push_back(Deferred::Mark(id));
        } else {
            self.queue.push_marker(Marker::Mark(id));
        }
        Ok(receiver)
    }

    /// Puts a command behind the audio until now.
    pub(crate) fn command(&mut self, request_id: &str) {
        if self.streaming.is_some() {
            self.deferred.push_back(Deferred::Command(request_id.to_owned()));
        } else {
            self.queue.push_marker(Marker::Command(request_id.to_owned()));
        }
    }

    /// Takes a command out again that still waits here.
    pub(crate) fn remove_command(&mut self, request_id: &str) {
        self.queue.remove_marker(&Marker::Command(request_id.to_owned()));
        self.deferred.retain(|entry| !matches!(entry, Deferred::Command(id) if id == request_id));
    }

    /// What may be sent now.
    pub(crate) fn next(&mut self, now: f64) -> Option<Outgoing> {
        loop {
            match self.queue.next(now)? {
                Step::Audio(pcm) => return Some(Outgoing::Audio(pcm)),
                Step::Marker(Marker::Command(id)) => return Some(Outgoing::Command(id)),
                Step::Marker(Marker::Mark(id)) => {
                    if let Some(mark) = self.marks.get_mut(&id) {
                        mark.sent = true;
                        return Some(Outgoing::Mark(mark.name.clone()));
                    }
                }
            }
        }
    }

    /// Whether a stream that waits may go on.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.queued_ms() <= self.limits.prefetch_ms
    }

    pub(crate) fn on_mark_reached(&mut self, name: &str, end: MarkEnd, now: f64) {
        let found = self.marks.iter().find(|(_, mark)| mark.sent && mark.name == name);
        if let Some(id) = found.map(|(id, _)| *id) {
            if end == MarkEnd::Played {
                self.queue.on_mark_played(&Marker::Mark(id), now);
            }
            self.end_mark(id, end);
        }
    }

    /// The gateway refused a mark; the oldest that it has.
    pub(crate) fn on_mark_refused(&mut self) {
        let found = self.marks.iter().find(|(_, mark)| mark.sent);
        if let Some(id) = found.map(|(id, _)| *id) {
            self.end_mark(id, MarkEnd::Cleared);
        }
    }

    /// Interrupt. Answers what was dropped here, in milliseconds, and the commands that go ahead, to be sent after the
    /// ClearPlayback.
    pub(crate) fn clear(&mut self, now: f64, commands: &mut Commands) -> (f64, Vec<String>) {
        let (dropped_ms, markers) = self.queue.clear(now, Ok(PlayEnd::Cleared));
        let mut proceed = Vec::new();
        let mut met = |id: String, proceed: &mut Vec<String>| {
            if commands.on_interrupt(&id) {
                proceed.push(id);
            }
        };
        for marker in markers {
            match marker {
                Marker::Mark(id) => self.end_mark(id, MarkEnd::Cleared),
                Marker::Command(id) => met(id, &mut proceed),
            }
        }
        for entry in std::mem::take(&mut self.deferred) {
            match entry {
                Deferred::Audio { done, .. } => drop(done.send(Ok(PlayEnd::Cleared))),
                Deferred::Mark(id) => self.end_mark(id, MarkEnd::Cleared),
                Deferred::Command(id) => met(id, &mut proceed),
                Deferred::Stream { start, .. } => drop(start.send(false)),
            }
        }
        let dropped_ms = dropped_ms + self.deferred_ms;
        self.deferred_ms = 0.0;
        self.streaming = None;
        self.interrupts.send_modify(|count| *count += 1);
        (dropped_ms, proceed)
    }

    /// The stream is lost: from here on nobody hears what is still ahead, if the gateway is dead.
    pub(crate) fn on_detached(&mut self, now: f64) {
        self.ahead_when_lost_ms = self.queue.ahead_ms(now);
    }

    /// The call is on another stream; `taken_over`: at another gateway. Answers the commands to be sent again in their place.
    pub(crate) fn on_reattached(&mut self, progress: Progress, taken_over: bool, now: f64) -> Vec<String> {
        let resumed = if taken_over {
            self.queue.on_taken_over(progress.played_ms, self.ahead_when_lost_ms, now)
        } else {
            self.queue.on_reattached(progress, now)
        };
        for marker in resumed.passed {
            if let Marker::Mark(id) = marker {
                self.end_mark(id, MarkEnd::Played);
            }
        }
        let mut commands = Vec::new();
        for marker in resumed.again {
            match marker {
                Marker::Command(id) => commands.push(id),
                Marker::Mark(id) => {
                    if let Some(mark) = self.marks.get_mut(&id) {
                        mark.sent = false;
                    }
                }
            }
        }
        // Sent and dropped before the stream was lost: their answer was lost with it.
        let forgotten: Vec<u64> = self
            .marks
            .iter()
            .filter(|(id, mark)| mark.sent && !self.queue.has_sent(**id))
            .map(|(id, _)| *id)
            .collect();
        for id in forgotten {
            self.end_mark(id, MarkEnd::Cleared);
        }
        commands
    }

    /// The agent does not have the call any more.
    pub(crate) fn end(&mut self, error: Error, now: f64) {
        self.queue.clear(now, Err(error.clone()));
        for entry in std::mem::take(&mut self.deferred) {
            if let Deferred::Audio { done, .. } = entry {
                let _ = done.send(Err(error.clone()));
            }
        }
        for (_, mark) in std::mem::take(&mut self.marks) {
            let _ = mark.done.send(MarkEnd::Cleared);
        }
        self.streaming = None;
        self.over = Some(error);
        self.interrupts.send_modify(|count| *count += 1);
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn end_mark(&mut self, id: u64, end: MarkEnd) {
        if let Some(mark) = self.marks.remove(&id) {
            let _ = mark.done.send(end);
        }
    }
}
