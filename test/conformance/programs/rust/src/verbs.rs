use std::sync::Arc;

use callweave::*;
use serde_json::{Value as Json, json};

use crate::State;
use crate::audio::Pieces;
use crate::io::{Answer, Args, Refusal, millis, number, on, text, to_ms};

/// What the verbs with `after` have in common.
macro_rules! timed {
    ($verb:expr, $args:expr) => {{
        let mut verb = $verb;
        if let Some(id) = text($args, "requestId") {
            verb = verb.request_id(id);
        }
        match $args.get("after") {
            None => {}
            Some(Json::String(when)) if when == "now" => verb = verb.after(After::Now),
            Some(Json::String(_)) => verb = verb.after(After::Drained),
            Some(mark) => {
                verb = verb.after(After::Mark(
                    mark["mark"].as_str().unwrap_or_default().to_owned(),
                ));
            }
        }
        if let Some(deadline) = millis($args, "afterDeadlineMs") {
            verb = verb.after_deadline(deadline);
        }
        if let Some(rule) = named($args, "onInterrupt", OnInterrupt::from_name)? {
            verb = verb.on_interrupt(rule);
        }
        verb
    }};
}

/// A verb of a call.
pub async fn verb(name: &str, args: &Args, state: &Arc<State>) -> Answer {
    const VERBS: [&str; 16] = [
        "play",
        "mark",
        "drained",
        "clear",
        "playback",
        "answer",
        "connect",
        "setMode",
        "escalate",
        "transfer",
        "release",
        "close",
        "disconnect",
        "appendTurns",
        "getContext",
        "confirmEscalation",
    ];
    if !VERBS.contains(&name) {
        return Err(Refusal::program(format!("unknown command {name}")));
    }
    let call = state.call(args)?;
    match name {
        "play" => play(&call, args).await,
        "mark" => {
            let end = call.mark(text(args, "name").unwrap_or_default()).await?;
            Ok(json!({ "end": end.as_str() }))
        }
        "drained" => Ok(json!({ "end": call.drained().await?.as_str() })),
        "clear" => {
            let cleared = call.clear().await?;
            Ok(json!({
                "droppedMs": to_ms(cleared.dropped),
                "estimatedUnheardMs": to_ms(cleared.estimated_unheard),
                "playedMs": to_ms(cleared.played),
            }))
        }
        "playback" => {
            let playback = call.playback();
            Ok(json!({
                "queuedMs": to_ms(playback.queued),
                "aheadMs": to_ms(playback.ahead),
                "playedMs": to_ms(playback.played),
            }))
        }
        "answer" => done(call.answer().await),
        "connect" => {
            let connect = timed!(Connect::new(), args);
            let connect = match number(args, "ringTimeSeconds") {
                Some(seconds) => connect.ring_seconds(seconds as u32),
                None => connect,
            };
            done(call.connect(connect).await)
        }
        "setMode" => {
            let mode = SetMode::new(
                named(args, "mode", AgentMode::from_name)?.unwrap_or(AgentMode::Barge),
            );
            let mode = match text(args, "requestId") {
                Some(id) => mode.request_id(id),
                None => mode,
            };
            done(call.set_mode(mode).await)
        }
        "escalate" => {
            let result = call.escalate(escalation(args)?).await?;
            let durability = result.durability.map(|durability| durability.as_str());
            Ok(json!({ "outcome": result.outcome.as_str(), "durability": durability }))
        }
        "transfer" => {
            let to = args
                .get("to")
                .and_then(Json::as_object)
                .cloned()
                .unwrap_or_default();
            let transfer = match (text(&to, "pool"), text(&to, "instanceId")) {
                (Some(pool), _) => Transfer::to_pool(pool),
                (None, instance) => Transfer::to_instance(instance.unwrap_or_default()),
            };
            let transfer = timed!(transfer, args);
            let transfer = match millis(args, "offerMs") {
                Some(time) => transfer.offer(time),
                None => transfer,
            };
            done(call.transfer(transfer).await)
        }
        "release" => done(call.release().await),
        "close" => {
            let close = timed!(Close::new(), args);
            let close = if on(args, "endCall") == Some(true) {
                close.end_call()
            } else {
                close
            };
            done(call.close(close).await)
        }
        "disconnect" => done(call.disconnect(timed!(Disconnect::new(), args)).await),
        "appendTurns" => {
            let turns = args
                .get("turns")
                .and_then(Json::as_array)
                .into_iter()
                .flatten();
            let turns = turns
                .filter_map(Json::as_object)
                .map(turn)
                .collect::<std::result::Result<_, _>>()?;
            let appended = call.append_turns(turns).await?;
            Ok(json!({ "turnCount": appended.turn_count }))
        }
        "confirmEscalation" => done(
            call.confirm_escalation(on(args, "accepted") == Some(true))
                .await,
        ),
        _ => Ok(outlined(&call.get_context().await?)),
    }
}

fn done(result: Result<()>) -> Answer {
    result?;
    Ok(json!({}))
}

async fn play(call: &Call, args: &Args) -> Answer {
    let file = text(args, "file").unwrap_or_default();
    let audio =
        std::fs::read(&file).map_err(|error| Refusal::program(format!("{file}: {error}")))?;
    let audio = Bytes::from(audio);
    let end = match number(args, "pieceBytes") {
        Some(size) => {
            call.play_stream(Pieces {
                audio,
                size: size as usize,
            })
            .await?
        }
        None => call.play(audio).await?,
    };
    Ok(json!({ "end": end.as_str() }))
}

fn named<T>(
    args: &Args,
    name: &str,
    from: fn(&str) -> Option<T>,
) -> std::result::Result<Option<T>, Refusal> {
    let Some(value) = text(args, name) else {
        return Ok(None);
    };
    let unknown = || Refusal::program(format!("{name} cannot be {value}"));
    from(&value).map(Some).ok_or_else(unknown)
}

fn escalation(args: &Args) -> std::result::Result<Escalate, Refusal> {
    let reason = named(args, "reason", EscalationReason::from_name)?;
    let escalate = Escalate::new(reason.unwrap_or(EscalationReason::AskedForHuman));
    let mut escalate = timed!(escalate, args);
    if let Some(summary) = text(args, "summary") {
        escalate = escalate.summary(summary);
    }
    if let Some(hint) = text(args, "routingHint") {
        escalate = escalate.routing_hint(hint);
    }
    for (key, value) in args
        .get("data")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        escalate = escalate.data(key.clone(), value_of(value));
    }
    if let Some(target) = args.get("target").and_then(Json::as_object) {
        let seconds = target
            .get("callee")
            .and_then(|callee| callee["ringTimeSeconds"].as_u64());
        escalate = match text(target, "pool") {
            Some(pool) => escalate.to_pool(pool, millis(target, "waitMs")),
            None => escalate.to_callee(seconds.unwrap_or(60) as u32),
        };
    }
    if let Some(confirm) = named(args, "confirm", EscalationConfirm::from_name)? {
        escalate = escalate.confirm(confirm);
    }
    if let Some(timeout) = millis(args, "confirmTimeoutMs") {
        escalate = escalate.confirm_timeout(timeout);
    }
    if let Some(then) = named(args, "then", EscalationThen::from_name)? {
        escalate = escalate.then(then);
    }
    if let Some(what) = named(args, "whileRinging", WhileRinging::from_name)? {
        escalate = escalate.while_ringing(what);
    }
    if let Some(what) = named(args, "onContextFailure", OnContextFailure::from_name)? {
        escalate = escalate.on_context_failure(what);
    }
    if let Some(timeout) = millis(args, "saveTimeoutMs") {
        escalate = escalate.save_timeout(timeout);
    }
    Ok(escalate)
}

fn turn(args: &Args) -> std::result::Result<Turn, Refusal> {
    let role = named(args, "role", TurnRole::from_name)?.unwrap_or(TurnRole::Caller);
    let turn = Turn::new(role, text(args, "text").unwrap_or_default());
    Ok(match text(args, "id") {
        Some(id) => turn.id(id),
        None => turn,
    })
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(value) => Value::Number(value.as_f64().unwrap_or_default()),
        Json::String(value) => Value::String(value.clone()),
        Json::Array(values) => Value::List(values.iter().map(value_of).collect()),
        Json::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), value_of(value)))
                .collect(),
        ),
    }
}

/// What is told of a context.
pub fn outlined(context: &CallContext) -> Json {
    json!({
        "callId": context.call_id,
        "status": context.status.map(ContextStatus::as_str),
        "summary": context.summary,
        "turns": context.turns.len(),
        "lastTurn": context.turns.last().map(|turn| turn.text.as_str()),
    })
}
