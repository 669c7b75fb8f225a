use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::{Decision, Offer};
use crate::call_inner::{CallInner, Offered};
use crate::convert::*;
use crate::enums::{EscalationReason, SeatCause};
use crate::error::{Error, Reason};
use crate::proto;
use crate::proto::agent_item::Item;
use crate::queue::lock;
use crate::session::{CallOutbox, Session};
use crate::types::{CallEnd, EndCause};

/// How much more than `send_ahead` may be unconfirmed: progress comes twice a second, and a round trip.
const MAX_UNCONFIRMED_BEYOND: Duration = Duration::from_secs(2);
/// After a further stream failed the next attempt is not before.
const NEXT_STREAM: Duration = Duration::from_secs(2);

/// How seats come and go: offers, assignments, refusals.
impl Session {
    pub(crate) fn on_offer(self: &Arc<Self>, outbox: &Arc<CallOutbox>, wire: proto::Offer) {
        let offer_id = wire.offer_id;
        let offer = Offer {
            call: to_call_info(wire.call),
            context: wire.context.map(to_context),
            attempt: to_u32(wire.attempt),
            time_left: to_duration(wire.time_left),
            escalation_reason: EscalationReason::from_wire(wire.escalation_reason),
        };
        let refused = {
            let state = lock(&self.state);
            (state.draining || state.leaving).then_some("draining")
        };
        if let Some(reason) = refused.or_else(|| self.shared.refuses()) {
            outbox.send(decline(offer_id, reason));
            return;
        }
        let taken = Offered { context: offer.context.clone(), escalation_reason: offer.escalation_reason };
        lock(&self.state).offers.insert(offer_id.clone(), (outbox.id, taken));
        let Some(decide) = self.shared.options.hooks.accept.clone() else {
            outbox.send(Item::Accept(proto::Accept { offer_id }));
            return;
        };
        let (session, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            let call_id = offer.call.call_id.clone();
            // In a task of its own: a panic is its end and nothing else.
            let decision = tokio::spawn(async move { decide(offer).await }).await;
            if !lock(&session.state).offers.contains_key(&offer_id) {
                return;
            }
            let reason = match decision {
                Ok(Decision::Accept) => {
                    outbox.send(Item::Accept(proto::Accept { offer_id }));
                    return;
                }
                Ok(Decision::Decline(reason)) => reason,
                Err(error) => {
                    session.shared.error(error.into(), Some(&call_id));
                    "the agent failed to decide".to_owned()
                }
            };
            lock(&session.state).offers.remove(&offer_id);
            outbox.send(decline(offer_id, &reason));
            session.shared.progress();
        });
    }

    pub(crate) fn on_assigned(self: &Arc<Self>, outbox: &Arc<CallOutbox>, assigned: proto::Assigned) {
        use proto::AssignedResume as Resume;
        let wire = assigned.call.clone().unwrap_or_default();
        self.on_up(outbox, wire.gateway_id);
        let (offered, known, max_unconfirmed) = {
            let mut state = lock(&self.state);
            let offered = state.offers.remove(&assigned.offer_id).map(|(_, offered)| offered);
            let limits = self.shared.options.limits;
            let room = state.max_playback.saturating_sub(Duration::from_millis(500));
            let max = room.min(limits.send_ahead + MAX_UNCONFIRMED_BEYOND);
            (offered.unwrap_or_default(), state.calls.get(&wire.call_id).cloned(), max)
        };
        if let Some(call) = known {
            let (epoch, handle) = {
                let core = call.core();
                (core.epoch, core.handle)
            };
            let back = assigned.resume == Resume::TakenOver as i32 || epoch == assigned.epoch;
            if back && assigned.resume != Resume::New as i32 {
                for stream in lock(&self.state).streams.clone() {
                    stream.unbind(handle, &call);
                }
                let handle = assigned.handle;
                call.on_reattached(assigned, outbox);
                outbox.bind(handle, call.clone());
                call.kick();
                return;
            }
            self.end_call(&call, CallEnd { cause: EndCause::Seat(SeatCause::Lost), end_reason: None });
        }
        let handle = assigned.handle;
        let call = CallInner::new(
            assigned,
            outbox,
            offered,
            self.shared.contexts.clone(),
            self.shared.options.limits,
            max_unconfirmed,
        );
        lock(&self.state).calls.insert(call.id.clone(), call.clone());
        outbox.bind(handle, call.clone());
        self.shared.clone().assigned(call);
        self.more_streams();
    }

    /// Opens a further stream when the calls need one.
    fn more_streams(self: &Arc<Self>) {
        let options = &self.shared.options;
        let token = {
            let mut state = lock(&self.state);
            let streams = 1 + state.extra_streams;
            let enough = state.calls.len() <= streams * options.calls_per_stream;
            let later = Instant::now() < state.extra_not_before;
            if enough || later || streams >= options.max_streams || state.token.is_empty() || state.leaving {
                return;
            }
            state.extra_streams += 1;
            state.token.clone()
        };
        let session = self.clone();
        self.tasks.spawn(async move {
            let (error, up_for) = session.stream(Item::Join(proto::Join { session_token: token })).await;
            let mut state = lock(&session.state);
            state.extra_streams -= 1;
            if up_for.is_none() {
                state.extra_not_before = Instant::now() + NEXT_STREAM;
                tracing::debug!(%error, "no further stream");
            }
        });
    }

    pub(crate) fn on_refused(self: &Arc<Self>, outbox: &Arc<CallOutbox>, refused: proto::ItemRefused) {
        let error = refused.error.as_ref().map_or_else(|| Error::closed("item"), Error::from_wire);
        if let Some(offer_id) = error.metadata().get("offer_id") {
            lock(&self.state).offers.remove(offer_id);
            self.shared.progress();
        }
        if error.reason() == Reason::OfferGone {
            return;
        }
        let reattach = refused.item == "reattach";
        let named = || {
            let call_id = error.call_id().filter(|_| reattach)?;
            lock(&self.state).calls.get(call_id).cloned()
        };
        let gone = reattach || error.reason() == Reason::SeatTaken;
        let stale = error.reason() == Reason::StaleHandle;
        match outbox.source(refused.handle).or_else(named) {
            Some(call) if gone || stale => {
                if gone {
                    self.on_up(outbox, String::new());
                }
                self.end_call(&call, CallEnd { cause: EndCause::Seat(SeatCause::Lost), end_reason: None });
            }
            Some(call) => {
                if let Some(error) = call.on_refused(&refused.item, error) {
                    self.shared.error(error.into(), Some(&call.id));
                }
            }
            // A repeated item of a call that is over is no news.
            None if stale || gone => {}
            None => self.shared.error(error.into(), None),
        }
    }
}

fn decline(offer_id: String, reason: &str) -> Item {
    Item::Decline(proto::Decline { offer_id, reason: reason.chars().take(100).collect() })
}
