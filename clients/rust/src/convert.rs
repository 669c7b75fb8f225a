use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::context_types::{CallContext, Consent, ContextConflict, ContextNote};
use crate::enums::*;
use crate::error::Error;
use crate::events::{CallEvent, EventBody};
use crate::proto;
use crate::types::*;

/// A protobuf duration; 0 when unset or negative.
pub(crate) fn to_duration(duration: Option<prost_types::Duration>) -> Duration {
    duration.and_then(|d| Duration::try_from(d).ok()).unwrap_or_default()
}

pub(crate) fn from_duration(duration: Option<Duration>) -> Option<prost_types::Duration> {
    duration.map(|d| prost_types::Duration {
        seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        nanos: d.subsec_nanos() as i32,
    })
}

pub(crate) fn to_ms(duration: Option<prost_types::Duration>) -> f64 {
    to_duration(duration).as_secs_f64() * 1000.0
}

/// Milliseconds as a duration; 0 when negative.
pub(crate) fn from_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or_default()
}

pub(crate) fn to_time(time: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    time.and_then(|t| SystemTime::try_from(t).ok())
}

pub(crate) fn from_time(time: Option<SystemTime>) -> Option<prost_types::Timestamp> {
    time.map(prost_types::Timestamp::from)
}

pub(crate) fn to_playback(position: Option<&proto::PlaybackPosition>) -> PlaybackPosition {
    position.map_or_else(PlaybackPosition::default, |p| PlaybackPosition {
        queued: to_duration(p.queued),
        unheard_at_provider: to_duration(p.unheard_at_provider),
        played: to_duration(p.played),
    })
}

fn to_seat(seat: proto::Seat) -> Seat {
    Seat {
        state: SeatState::from_wire(seat.state).unwrap_or(SeatState::Vacant),
        agent_id: seat.agent_id,
        instance_id: seat.instance_id,
        epoch: seat.epoch,
        attempt: to_u32(seat.attempt),
        suspend_expire_time: to_time(seat.suspend_expire_time),
    }
}

pub(crate) fn to_u32(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

pub(crate) fn to_call_info(call: Option<proto::Call>) -> CallInfo {
    let c = call.unwrap_or_default();
    CallInfo {
        state: CallState::from_wire(c.state).unwrap_or(CallState::Pending),
        agent_mode: AgentMode::from_wire(c.agent_mode),
        end_reason: EndReason::from_wire(c.end_reason),
        seat: to_seat(c.seat.unwrap_or_default()),
        sample_rate_hertz: to_u32(c.sample_rate_hertz),
        pending: c.pending.map(|p| PendingCommand { request_id: p.request_id, verb: p.verb }),
        playback: to_playback(c.playback.as_ref()),
        create_time: to_time(c.create_time),
        answer_time: to_time(c.answer_time),
        connect_time: to_time(c.connect_time),
        end_time: to_time(c.end_time),
        call_id: c.call_id,
        session_id: c.session_id,
        connector: c.connector,
        caller: c.caller,
        callee: c.callee,
        raw_caller: c.raw_caller,
        raw_callee: c.raw_callee,
        pool: c.pool,
        locale: c.locale,
        gateway_id: c.gateway_id,
        last_event_sequence: c.last_event_sequence,
    }
}

/// `None` when not given or when the outcome is newer than this library.
pub(crate) fn to_escalation(result: Option<proto::EscalationResult>) -> Option<EscalationResult> {
    let result = result?;
    Some(EscalationResult {
        outcome: EscalationOutcome::from_wire(result.outcome)?,
        durability: ContextDurability::from_wire(result.durability),
    })
}

/// With its defaults: `S16le` at `call_rate`, else 16,000; `Mulaw` and `Alaw` at 8,000.
pub(crate) fn to_audio_format(format: Option<proto::AudioFormat>, call_rate: u32) -> AudioFormat {
    let format = format.unwrap_or_default();
    let encoding = AudioEncoding::from_wire(format.encoding).unwrap_or(AudioEncoding::S16le);
    let default = if encoding == AudioEncoding::S16le { call_rate } else { 8_000 };
    let rate = [to_u32(format.sample_rate_hertz), default, 16_000];
    AudioFormat { encoding, sample_rate_hertz: rate.into_iter().find(|rate| *rate > 0).unwrap_or(16_000) }
}

pub(crate) fn from_audio_format(format: AudioFormat) -> proto::AudioFormat {
    proto::AudioFormat {
        encoding: format.encoding.to_wire(),
        sample_rate_hertz: i32::try_from(format.sample_rate_hertz).unwrap_or(i32::MAX),
    }
}

/// A position in samples as time.
pub(crate) fn position_time(samples: u64, rate: u32) -> Duration {
    if rate == 0 {
        return Duration::ZERO;
    }
    let rate = u64::from(rate);
    Duration::from_secs(samples / rate) + Duration::from_nanos(samples % rate * 1_000_000_000 / rate)
}

pub(crate) fn to_gap(gap: &proto::AudioGap, call_rate: u32) -> AudioGap {
    use proto::AudioGapReason as Wire;
    AudioGap {
        duration: to_duration(gap.duration),
        reason: match Wire::try_from(gap.reason) {
            Ok(Wire::SlowReceiver) => GapReason::SlowReceiver,
            Ok(Wire::Detached) => GapReason::Detached,
            Ok(Wire::Provider) => GapReason::Provider,
            Ok(Wire::Paused) => GapReason::Paused,
            _ => GapReason::Unspecified,
        },
        position: gap.from,
        at: position_time(gap.from, call_rate),
    }
}

pub(crate) fn to_event(event: proto::CallEvent) -> CallEvent {
    CallEvent {
        call_id: event.call_id,
        sequence: event.sequence,
        time: to_time(event.time).unwrap_or(UNIX_EPOCH),
        cursor: event.cursor,
        durable: event.durable,
        position: event.position,
        pool: event.pool,
        // A gateway of before has none.
        owner_epoch: event.owner_epoch.max(1),
        body: event.event.map_or(EventBody::Unknown, to_body),
    }
}

fn to_body(event: proto::call_event::Event) -> EventBody {
    use proto::call_event::Event as E;
    match event {
        E::Arrived(e) => EventBody::Arrived(Box::new(to_call_info(e.call))),
        E::Unserved(e) => {
            EventBody::Unserved(UnservedAction::from_wire(e.action).unwrap_or(UnservedAction::Connect))
        }
        E::Offered(e) => EventBody::Offered {
            offer_id: e.offer_id,
            agent_id: e.agent_id,
            instance_id: e.instance_id,
            attempt: to_u32(e.attempt),
        },
        E::OfferEnded(e) => EventBody::OfferEnded {
            offer_id: e.offer_id,
            agent_id: e.agent_id,
            instance_id: e.instance_id,
            end: OfferEnd::from_wire(e.end).unwrap_or(OfferEnd::Revoked),
        },
        E::SeatChanged(e) => EventBody::SeatChanged {
            seat: to_seat(e.seat.unwrap_or_default()),
            cause: SeatCause::from_wire(e.cause).unwrap_or(SeatCause::Lost),
        },
        E::Answered(_) => EventBody::Answered,
        E::Ringing(e) => EventBody::Ringing { ring_time_seconds: to_u32(e.ring_time_seconds) },
        E::Connected(_) => EventBody::Connected,
        E::ModeSet(e) => EventBody::ModeSet(AgentMode::from_wire(e.mode).unwrap_or(AgentMode::Barge)),
        E::CommandStarted(e) => EventBody::CommandStarted {
            verb: e.verb,
            request_id: e.request_id,
            body_hash: e.body_hash,
            actor: e.actor,
        },
        E::CommandDone(e) => EventBody::CommandDone {
            verb: e.verb,
            request_id: e.request_id,
            error: e.error.as_ref().map(Error::from_wire),
            escalation: to_escalation(e.escalation),
        },
        E::Escalation(e) => EventBody::Escalation {
            request_id: e.request_id,
            step: EscalationStep::from_wire(e.step).unwrap_or(EscalationStep::Saving),
        },
        E::ContextWritten(e) => EventBody::ContextWritten {
            revision: e.revision,
            turn_count: to_u32(e.turn_count),
            durability: ContextDurability::from_wire(e.durability),
        },
        E::NoteSent(e) => EventBody::NoteSent { actor: e.actor, delivered: e.delivered },
        E::Ended(e) => EventBody::Ended(EndReason::from_wire(e.reason).unwrap_or(EndReason::Terminated)),
        E::MediaChanged(e) => EventBody::MediaChanged {
            change: MediaChange::from_wire(e.change).unwrap_or(MediaChange::ProviderError),
            detail: e.detail,
        },
        E::HoldChanged(e) => EventBody::HoldChanged { holding: e.holding },
        E::TakenOver(e) => EventBody::TakenOver {
            from_gateway_id: e.from_gateway_id,
            from_epoch: e.from_epoch,
            gateway_id: e.gateway_id,
        },
        E::EventsLost(e) => EventBody::EventsLost { from_epoch: e.from_epoch },
    }
}

pub(crate) fn to_context(context: proto::CallContext) -> CallContext {
    CallContext {
        call_id: context.call_id,
        session_id: context.session_id,
        caller: context.caller,
        callee: context.callee,
        locale: context.locale,
        status: ContextStatus::from_wire(context.status),
        escalation_reason: EscalationReason::from_wire(context.escalation_reason),
        routing_hint: context.routing_hint,
        summary: context.summary,
        summary_source: SummarySource::from_wire(context.summary_source),
        turns: context.turns.into_iter().map(to_turn).collect(),
        turn_count: to_u32(context.turn_count),
        truncated: context.truncated,
        data: context.data.map(to_data).unwrap_or_default(),
        consent: context.consent.map(|c| Consent {
            disclosed_time: to_time(c.disclosed_time),
            transcript: c.transcript,
            paused: c.paused,
        }),
        notes: context
            .notes
            .into_iter()
            .map(|n| ContextNote { time: to_time(n.time), author: n.author, text: n.text })
            .collect(),
        conflicts: context
            .conflicts
            .into_iter()
            .map(|c| ContextConflict {
                time: to_time(c.time),
                field: c.field,
                value: c.value,
                write_time: to_time(c.write_time),
            })
            .collect(),
        outcome: context.outcome,
        escalation_outcome: EscalationOutcome::from_wire(context.escalation_outcome),
        revision: context.revision,
        create_time: to_time(context.create_time),
        update_time: to_time(context.update_time),
        expire_time: to_time(context.expire_time),
    }
}

fn to_turn(turn: proto::Turn) -> Turn {
    Turn {
        id: turn.id,
        role: TurnRole::from_wire(turn.role).unwrap_or(TurnRole::Caller),
        text: turn.text,
        locale: turn.locale,
        time: to_time(turn.time),
        heard: turn.heard,
        interrupted: turn.interrupted,
    }
}

pub(crate) fn from_turn(turn: Turn) -> proto::Turn {
    proto::Turn {
        id: turn.id,
        role: turn.role.to_wire(),
        text: turn.text,
        locale: turn.locale,
        time: from_time(turn.time),
        heard: turn.heard,
        interrupted: turn.interrupted,
    }
}

pub(crate) fn to_data(data: prost_types::Struct) -> Data {
    data.fields.into_iter().map(|(key, value)| (key, to_value(value))).collect()
}

pub(crate) fn from_data(data: Data) -> prost_types::Struct {
    prost_types::Struct { fields: data.into_iter().map(|(key, value)| (key, from_value(value))).collect() }
}

fn to_value(value: prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => Value::Number(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::ListValue(list)) => Value::List(list.values.into_iter().map(to_value).collect()),
        Some(Kind::StructValue(data)) => Value::Object(to_data(data)),
    }
}

fn from_value(value: Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(value) => Kind::NumberValue(value),
        Value::String(value) => Kind::StringValue(value),
        Value::List(values) => {
            Kind::ListValue(prost_types::ListValue { values: values.into_iter().map(from_value).collect() })
        }
        Value::Object(data) => Kind::StructValue(from_data(data)),
    };
    prost_types::Value { kind: Some(kind) }
}
