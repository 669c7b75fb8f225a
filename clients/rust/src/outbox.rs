use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use prost::Message;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::proto::agent_item::Item;
use crate::proto::{AgentItem, ServeRequest};
use crate::queue::lock;

/// Bounds of a message; less when the gateway says so.
pub(crate) const MAX_MESSAGE_ITEMS: usize = 256;
pub(crate) const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// How often audio that waits for its time is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Gives the playback of one call, piece by piece.
pub(crate) trait Source: Send + Sync {
    /// An interrupt or what goes with it, ahead of all audio. `outbox` is who asks: a call that moved to another stream
    /// gives nothing to the one before.
    fn next_urgent(&self, outbox: u64) -> Option<Item>;
    /// The next item that may be sent now.
    fn next_item(&self, outbox: u64) -> Option<Item>;
    /// Whether something waits, for later too.
    fn has_playback(&self) -> bool;
}

struct State<S> {
    control: VecDeque<AgentItem>,
    max_items: usize,
    max_bytes: usize,
    max_control: usize,
    ending: bool,
    closed: bool,
    wake: Option<Waker>,
    turn: usize,
    sources: HashMap<u32, Arc<S>>,
}

/// What one stream sends. Merges what is ready together into one message: control first, then the audio of the calls in
/// turn. The stream asks for a message when it can write one; what comes meanwhile waits and merges. One timer for all
/// calls, only while audio waits. Full: the stream is given up and reattached.
pub(crate) struct Outbox<S> {
    /// Of this one, within the process.
    pub id: u64,
    state: Mutex<State<S>>,
    /// Told when the control queue was full.
    pub broken: Notify,
    /// The gateway knows the stream and takes items.
    pub up: AtomicBool,
    /// Its first item was a Reattach.
    pub reattaches: AtomicBool,
}

impl<S: Source> Outbox<S> {
    pub(crate) fn new(max_control: usize, max_bytes: usize) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                control: VecDeque::new(),
                max_items: MAX_MESSAGE_ITEMS,
                max_bytes,
                max_control,
                ending: false,
                closed: false,
                wake: None,
                turn: 0,
                sources: HashMap::new(),
            }),
            broken: Notify::new(),
            up: AtomicBool::new(false),
            reattaches: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Queues a control item; dropped when the stream is over.
    pub(crate) fn send(&self, item: Item) {
        let mut state = lock(&self.state);
        if state.closed || state.ending {
            return;
        }
        if state.control.len() >= state.max_control {
            state.closed = true;
            self.broken.notify_one();
        } else {
            state.control.push_back(AgentItem { item: Some(item) });
        }
        wake(state);
    }

    /// There may be something to send.
    pub(crate) fn kick(&self) {
        wake(lock(&self.state));
    }

    /// Sends what is queued, with `last`, and then ends the stream.
    pub(crate) fn end(&self, last: Option<Item>) {
        if let Some(item) = last {
            self.send(item);
        }
        let mut state = lock(&self.state);
        state.ending = true;
        wake(state);
    }

    /// Nothing more is sent.
    pub(crate) fn close(&self) {
        self.up.store(false, Ordering::Release);
        let mut state = lock(&self.state);
        state.closed = true;
        state.control.clear();
        state.sources.clear();
        wake(state);
    }

    /// The bounds that the gateway told.
    pub(crate) fn limit(&self, max_items: usize, max_bytes: usize) {
        let mut state = lock(&self.state);
        state.max_items = max_items.clamp(1, MAX_MESSAGE_ITEMS);
        state.max_bytes = max_bytes.clamp(1, MAX_MESSAGE_BYTES);
    }

    pub(crate) fn bind(&self, handle: u32, source: Arc<S>) {
        lock(&self.state).sources.insert(handle, source);
    }

    pub(crate) fn unbind(&self, handle: u32, source: &Arc<S>) {
        let mut state = lock(&self.state);
        if state.sources.get(&handle).is_some_and(|bound| Arc::ptr_eq(bound, source)) {
            state.sources.remove(&handle);
        }
    }

    pub(crate) fn source(&self, handle: u32) -> Option<Arc<S>> {
        lock(&self.state).sources.get(&handle).cloned()
    }

    /// Control items first; when all of them are in, the sources whose turn it is get what is left.
    fn gather(&self) -> (Vec<AgentItem>, bool) {
        let mut items = Vec::new();
        let mut bytes = 0;
        let (mut sources, max_items, max_bytes) = {
            let mut state = lock(&self.state);
            while let Some(item) = state.control.front() {
                let size = size(item);
                let full = items.len() >= state.max_items || bytes + size > state.max_bytes;
                if full && !items.is_empty() {
                    return (items, false);
                }
                bytes += size;
                items.extend(state.control.pop_front());
            }
            state.turn = state.turn.wrapping_add(1);
            let mut sources: Vec<_> = state.sources.values().cloned().collect();
            if !sources.is_empty() {
                let turn = state.turn % sources.len();
                sources.rotate_left(turn);
            }
            (sources, state.max_items, state.max_bytes)
        };
        sources.retain(|source| source.has_playback());
        for source in &sources {
            while items.len() < max_items
                && let Some(item) = source.next_urgent(self.id)
            {
                let item = AgentItem { item: Some(item) };
                bytes += size(&item);
                items.push(item);
            }
        }
        let mut waiting = false;
        while !sources.is_empty() {
            let mut again = Vec::with_capacity(sources.len());
            for source in sources {
                // Room is left for the largest item, so that nothing taken from a queue has to be put back.
                if items.len() >= max_items || bytes > max_bytes / 2 {
                    return (items, true);
                }
                let Some(item) = source.next_item(self.id) else {
                    waiting |= source.has_playback();
                    continue;
                };
                let item = AgentItem { item: Some(item) };
                let size = size(&item);
                if !items.is_empty() && bytes + size > max_bytes {
                    lock(&self.state).control.push_back(item);
                    return (items, true);
                }
                bytes += size;
                items.push(item);
                again.push(source);
            }
            sources = again;
        }
        (items, waiting)
    }
}

fn wake<S>(mut state: std::sync::MutexGuard<'_, State<S>>) {
    let wake = state.wake.take();
    drop(state);
    if let Some(wake) = wake {
        wake.wake();
    }
}

/// With its tag and length.
fn size(item: &AgentItem) -> usize {
    item.encoded_len() + 8
}

/// The messages of an outbox, as the stream takes them.
pub(crate) struct Messages<S> {
    outbox: Arc<Outbox<S>>,
    tick: Pin<Box<Sleep>>,
}

impl<S: Source> Messages<S> {
    pub(crate) fn new(outbox: Arc<Outbox<S>>) -> Self {
        Self { outbox, tick: Box::pin(tokio::time::sleep(TICK)) }
    }
}

impl<S: Source> Stream for Messages<S> {
    type Item = ServeRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServeRequest>> {
        loop {
            {
                let mut state = lock(&self.outbox.state);
                if state.closed || (state.ending && state.control.is_empty()) {
                    return Poll::Ready(None);
                }
                // Before looking, so that nothing that comes meanwhile is missed.
                state.wake = Some(cx.waker().clone());
            }
            let (items, waiting) = self.outbox.gather();
            if !items.is_empty() {
                return Poll::Ready(Some(ServeRequest { items }));
            }
            if !waiting {
                return Poll::Pending;
            }
            let due = self.tick.deadline();
            let now = Instant::now();
            if due <= now || due > now + TICK {
                self.tick.as_mut().reset(now + TICK);
            }
            if self.tick.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
#[path = "outbox_test.rs"]
mod tests;
