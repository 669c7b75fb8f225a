use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;

use crate::backoff::Backoff;
use crate::call_inner::{CallInner, Offered};
use crate::convert::*;
use crate::enums::SeatCause;
use crate::error::{Error, Reason, Result};
use crate::outbox::{MAX_MESSAGE_BYTES, MAX_MESSAGE_ITEMS, Outbox};
use crate::proto;
use crate::proto::agent_item::Item;
use crate::proto::gateway_item::Item as Told;
use crate::queue::lock;
use crate::types::{CallEnd, EndCause};
use crate::worker::Shared;

const DEFAULT_GRACE: Duration = Duration::from_secs(2);
const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(500);
const DEFAULT_MAX_PLAYBACK: Duration = Duration::from_secs(30);
/// Beyond the grace: the lease of a dead gateway, and what its successor needs.
const TAKEOVER: Duration = Duration::from_secs(13);
/// A stream that lived this long counts as stable: the next wait begins with the shortest.
const STABLE: Duration = Duration::from_secs(2);
/// Tags and lengths around the calls of a Reattach, and of each of them.
const AROUND_BYTES: usize = 64;
const PER_CALL_BYTES: usize = 3;

pub(crate) type CallOutbox = Outbox<CallInner>;

pub(crate) struct State {
    pub calls: HashMap<String, Arc<CallInner>>,
    /// Taken and not yet assigned, with the stream they came by.
    pub offers: HashMap<String, (u64, Offered)>,
    pub streams: Vec<Arc<CallOutbox>>,
    pub token: String,
    grace: Duration,
    pub heartbeat: Duration,
    pub max_playback: Duration,
    max_message_bytes: usize,
    up_since: Option<Instant>,
    ever_up: bool,
    lost_at: Instant,
    /// Up again, and not all calls have come back yet; counts, so that an older wait ends.
    settling: Option<u64>,
    settlings: u64,
    pub extra_not_before: Instant,
    pub extra_streams: usize,
    pub draining: bool,
    pub leaving: bool,
}

/// One registration at one gateway, over as many streams as it takes.
pub(crate) struct Session {
    pub shared: Arc<Shared>,
    pub instance_id: String,
    pub state: Mutex<State>,
    pub cancel: CancellationToken,
    pub tasks: TaskTracker,
    pub endpoint: std::sync::atomic::AtomicUsize,
    load_failed: AtomicBool,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, instance_id: String, endpoint: usize) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            shared,
            instance_id,
            state: Mutex::new(State {
                calls: HashMap::new(),
                offers: HashMap::new(),
                streams: Vec::new(),
                token: String::new(),
                grace: DEFAULT_GRACE,
                heartbeat: DEFAULT_HEARTBEAT,
                max_playback: DEFAULT_MAX_PLAYBACK,
                max_message_bytes: MAX_MESSAGE_BYTES,
                up_since: None,
                ever_up: false,
                lost_at: now,
                settling: None,
                settlings: 0,
                extra_not_before: now,
                extra_streams: 0,
                draining: false,
                leaving: false,
            }),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            endpoint: endpoint.into(),
            load_failed: AtomicBool::new(false),
        })
    }

    pub(crate) fn calls(&self) -> Vec<Arc<CallInner>> {
        lock(&self.state).calls.values().cloned().collect()
    }

    /// Calls and offers taken.
    pub(crate) fn places(&self) -> usize {
        let state = lock(&self.state);
        state.calls.len() + state.offers.len()
    }

    /// No more offers; calls go on.
    pub(crate) fn drain(&self) {
        let streams = {
            let mut state = lock(&self.state);
            if std::mem::replace(&mut state.draining, true) {
                return;
            }
            state.streams.clone()
        };
        if let Some(stream) = streams.iter().find(|stream| stream.is_up()) {
            stream.send(Item::Drain(proto::Drain {}));
        }
    }

    /// A fresh credential for the streams.
    pub(crate) fn reauthenticate(&self, token: &str) {
        let streams = lock(&self.state).streams.clone();
        for stream in streams {
            stream.send(Item::Reauthenticate(proto::Reauthenticate { token: token.to_owned() }));
        }
    }

    /// Gives all calls back and ends.
    pub(crate) async fn close(&self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The first stream and those after it, until the session is over.
    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let mut backoff = Backoff::default();
        let result = loop {
            let (error, up_for) = self.stream(self.first_item()).await;
            if self.cancel.is_cancelled() {
                break Ok(());
            }
            if up_for.is_some_and(|time| time > STABLE) {
                backoff.reset();
            }
            if self.is_fatal(&error) {
                self.end_calls(EndCause::Seat(SeatCause::Lost));
                self.cancel.cancel();
                break Err(error);
            }
            // The gateway died, or this is another one: register there under the same instance id. Its calls are kept for
            // the gateway that takes them over and gives this agent its seats again.
            let unknown = error.reason() == Reason::SessionNotFound;
            if unknown {
                lock(&self.state).token.clear();
            }
            self.give_up_late_calls();
            if self.is_left() {
                self.cancel.cancel();
                break Ok(());
            }
            if up_for.is_none() && !unknown {
                self.endpoint.fetch_add(1, Ordering::Relaxed);
            }
            let wait = if unknown { Duration::ZERO } else { backoff.next() };
            self.shared.disconnected(error, wait);
            tokio::select! {
                () = self.cancel.cancelled() => break Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            self.give_up_late_calls();
        };
        self.end_calls(EndCause::Closed);
        result
    }

    fn is_left(&self) -> bool {
        let state = lock(&self.state);
        state.leaving && state.calls.is_empty()
    }

    /// With these a new attempt is no use. A configuration may be reloaded and a token renewed: those are final only before
    /// the first registration.
    fn is_fatal(&self, error: &Error) -> bool {
        let later = matches!(error.reason(), Reason::Superseded | Reason::InvalidField);
        if lock(&self.state).ever_up {
            return later;
        }
        later
            || matches!(error.reason(), Reason::PoolNotFound | Reason::Unauthenticated)
            || matches!(error.code(), Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated)
    }

    fn first_item(&self) -> Item {
        let (token, calls, max_bytes, joined) = {
            let state = lock(&self.state);
            let calls: Vec<_> = state.calls.values().cloned().collect();
            let joined = state.streams.iter().any(|stream| stream.is_up());
            (state.token.clone(), calls, state.max_message_bytes, joined)
        };
        if joined {
            return Item::Join(proto::Join { session_token: token });
        }
        if token.is_empty() || calls.is_empty() {
            let mut register = self.shared.options.register();
            register.instance_id.clone_from(&self.instance_id);
            return Item::Register(register);
        }
        let mut bytes = AROUND_BYTES + token.len();
        let mut reattach = proto::Reattach { session_token: token, calls: Vec::new() };
        for call in calls {
            let entry = call.reattach_call();
            bytes += entry.encoded_len() + PER_CALL_BYTES;
            if bytes <= max_bytes {
                reattach.calls.push(entry);
            } else {
                self.give_up(&call, max_bytes);
            }
        }
        Item::Reattach(reattach)
    }

    /// A call without room in the Reattach, which is only so with ids far beyond the usual length.
    fn give_up(&self, call: &Arc<CallInner>, max_bytes: usize) {
        let error = Error::with(
            Reason::Transport,
            Code::ResourceExhausted,
            format!("the calls to come back to do not fit a message of {max_bytes} bytes"),
            [("call_id", call.id.clone())],
        );
        self.shared.error(error.into(), Some(&call.id));
        self.end_call(call, CallEnd { cause: EndCause::Seat(SeatCause::Lost), end_reason: None });
    }

    /// A stream begins.
    pub(crate) fn begin(&self) -> Arc<CallOutbox> {
        let mut state = lock(&self.state);
        let outbox = Outbox::new(self.shared.options.max_control_items, state.max_message_bytes);
        state.streams.push(outbox.clone());
        outbox
    }

    /// A stream is gone.
    pub(crate) fn down(self: &Arc<Self>, outbox: &Arc<CallOutbox>) {
        outbox.close();
        let (calls, wait) = {
            let mut state = lock(&self.state);
            state.streams.retain(|stream| !Arc::ptr_eq(stream, outbox));
            state.offers.retain(|_, (stream, _)| *stream != outbox.id);
            let last = !state.streams.iter().any(|stream| stream.is_up());
            let was_up = last && state.up_since.take().is_some();
            if was_up && state.settling.is_none() {
                state.lost_at = Instant::now();
            }
            if last {
                state.settling = None;
            }
            let calls: Vec<_> = state.calls.values().filter(|call| call.is_on(outbox)).cloned().collect();
            (calls, !last)
        };
        for call in &calls {
            call.on_detached();
        }
        if wait && !calls.is_empty() {
            // The gateway gives them to a sibling stream at once.
            self.settle_in(self.shared.options.connect_timeout);
        }
    }

    fn give_up_late_calls(&self) {
        let late = {
            let state = lock(&self.state);
            state.up_since.is_none() && state.lost_at.elapsed() > self.takeover(&state)
        };
        if late {
            self.end_calls(EndCause::Seat(SeatCause::Lost));
        }
    }

    /// How long calls are kept after a lost stream: time to come back, or for another gateway to take them over.
    fn takeover(&self, state: &State) -> Duration {
        self.shared.options.reattach_timeout.unwrap_or(state.grace + TAKEOVER)
    }

    fn end_calls(&self, cause: EndCause) {
        for call in self.calls() {
            self.end_call(&call, CallEnd { cause, end_reason: None });
        }
        lock(&self.state).token.clear();
    }

    pub(crate) fn end_call(&self, call: &Arc<CallInner>, end: CallEnd) {
        self.forget(call);
        call.end(end);
    }

    fn forget(&self, call: &Arc<CallInner>) {
        let mut state = lock(&self.state);
        state.calls.remove(&call.id);
        let streams = state.streams.clone();
        drop(state);
        let handle = call.core().handle;
        for stream in streams {
            stream.unbind(handle, call);
        }
    }

    /// Something came on a stream.
    pub(crate) fn on_item(self: &Arc<Self>, outbox: &Arc<CallOutbox>, told: Told) {
        match told {
            Told::Registered(registered) => self.on_registered(outbox, registered),
            Told::Offer(offer) => self.on_offer(outbox, offer),
            Told::OfferRevoked(revoked) => drop(lock(&self.state).offers.remove(&revoked.offer_id)),
            Told::Assigned(assigned) => self.on_assigned(outbox, assigned),
            Told::Unassigned(unassigned) => {
                if let Some(call) = outbox.source(unassigned.handle) {
                    self.forget(&call);
                    call.on_unassigned(&unassigned);
                }
            }
            Told::CommandResult(result) => {
                let named = || {
                    let call_id = &result.call.as_ref()?.call_id;
                    lock(&self.state).calls.get(call_id).cloned()
                };
                if let Some(call) = outbox.source(result.handle).or_else(named) {
                    call.on_result(result);
                }
            }
            Told::CallEvent(event) => {
                let call = lock(&self.state).calls.get(&event.call_id).cloned();
                if let Some(call) = call {
                    call.on_event(event);
                }
            }
            Told::ItemRefused(refused) => self.on_refused(outbox, refused),
            Told::GoAway(going) => {
                lock(&self.state).leaving = true;
                self.shared.clone().going_away(self, to_duration(going.deadline));
            }
            Told::CredentialExpiring(_) => self.refresh(outbox),
            Told::Audio(audio) => with(outbox, audio.handle, |call| call.on_audio(audio)),
            Told::AudioGap(gap) => with(outbox, gap.handle, |call| call.on_gap(&gap)),
            Told::MarkReached(mark) => with(outbox, mark.handle, |call| call.on_mark_reached(&mark)),
            Told::Playback(progress) => with(outbox, progress.handle, |call| call.on_progress(&progress)),
            Told::PlaybackCleared(cleared) => {
                with(outbox, cleared.handle, |call| call.on_cleared(cleared));
            }
            Told::Note(note) => with(outbox, note.handle, |call| call.on_note(note)),
        }
    }

    fn on_registered(self: &Arc<Self>, outbox: &Arc<CallOutbox>, registered: proto::Registered) {
        {
            let mut state = lock(&self.state);
            if !registered.session_token.is_empty() {
                state.token = registered.session_token;
            }
            if registered.reattach_grace.is_some() {
                state.grace = to_duration(registered.reattach_grace);
            }
            if registered.heartbeat_interval.is_some() {
                state.heartbeat = to_duration(registered.heartbeat_interval);
            }
            if let Some(limits) = registered.limits {
                let or = |told: i32, max: usize| if told > 0 { (told as usize).min(max) } else { max };
                state.max_message_bytes = or(limits.max_message_bytes, MAX_MESSAGE_BYTES);
                if limits.max_playback.is_some() {
                    state.max_playback = to_duration(limits.max_playback);
                }
                outbox.limit(or(limits.max_items, MAX_MESSAGE_ITEMS), state.max_message_bytes);
            }
        }
        self.on_up(outbox, registered.gateway_id);
    }

    pub(crate) fn on_up(self: &Arc<Self>, outbox: &Arc<CallOutbox>, gateway_id: String) {
        if outbox.up.swap(true, Ordering::AcqRel) {
            return;
        }
        let (first, drain, wait) = {
            let mut state = lock(&self.state);
            let first = state.up_since.is_none();
            state.up_since.get_or_insert_with(Instant::now);
            state.ever_up = true;
            // By a Reattach they come at once; after a registration the gateway that takes them over needs its time.
            let left = self.takeover(&state).saturating_sub(state.lost_at.elapsed());
            let back = state.calls.values().any(|call| !call.is_attached());
            (first, state.draining || state.leaving, back.then_some(left))
        };
        if drain {
            outbox.send(Item::Drain(proto::Drain {}));
        }
        if first {
            if let Some(left) = wait {
                let reattaches = outbox.reattaches.load(Ordering::Acquire);
                self.settle_in(if reattaches { self.shared.options.connect_timeout } else { left });
            }
            self.shared.connected(gateway_id);
        }
    }

    /// Calls that the gateway neither gives back nor refuses within this time are lost.
    fn settle_in(self: &Arc<Self>, time: Duration) {
        let number = {
            let mut state = lock(&self.state);
            state.settlings += 1;
            state.settling = Some(state.settlings);
            state.settlings
        };
        let session = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = session.cancel.cancelled() => return,
                () = tokio::time::sleep(time) => {}
            }
            let lost: Vec<_> = {
                let mut state = lock(&session.state);
                if state.settling != Some(number) {
                    return;
                }
                state.settling = None;
                state.calls.values().filter(|call| !call.is_attached()).cloned().collect()
            };
            for call in lost {
                session.end_call(&call, CallEnd { cause: EndCause::Seat(SeatCause::Lost), end_reason: None });
            }
        });
    }

    /// 0 to 1. What is wrong with the program's answer is told once, until it answers well again.
    pub(crate) fn load(&self) -> f64 {
        let error = match self.shared.load() {
            Ok(load) if load.is_finite() => {
                self.load_failed.store(false, Ordering::Relaxed);
                return load.clamp(0.0, 1.0);
            }
            Ok(load) => Error::invalid_field("load", "a finite number from 0 to 1", load).into(),
            Err(error) => error,
        };
        if !self.load_failed.swap(true, Ordering::Relaxed) {
            self.shared.error(error, None);
        }
        self.shared.default_load()
    }

    /// The token is about to expire: a fresh one, if there is a source of them.
    fn refresh(self: &Arc<Self>, outbox: &Arc<CallOutbox>) {
        let connection = &self.shared.options.connection;
        if connection.has_fixed_token() {
            return;
        }
        let (session, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            let options = &session.shared.options;
            match options.connection.fresh_token(options.connect_timeout).await {
                Ok(token) => outbox.send(Item::Reauthenticate(proto::Reauthenticate { token })),
                Err(error) => session.shared.error(error.into(), None),
            }
        });
    }
}

fn with(outbox: &CallOutbox, handle: u32, tell: impl FnOnce(Arc<CallInner>)) {
    if let Some(call) = outbox.source(handle) {
        tell(call);
    }
}
