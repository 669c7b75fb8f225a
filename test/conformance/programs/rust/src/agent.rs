use std::sync::Arc;
use std::time::Duration;

use callweave::{AgentBuilder, BoxError, Call, Decision, Notice, Status, Tls, Worker};
use serde_json::json;

use crate::State;
use crate::audio::echo;
use crate::io::{Answer, Args, Refusal, millis, number, on, print, report, text, texts, told};

/// Makes an agent that does what it is told, and registers it.
pub async fn start(args: &Args, state: &Arc<State>) -> Answer {
    let handler = text(args, "handler").unwrap_or_default();
    let calls = Arc::downgrade(state);
    let worker = credentials(options(args), args)?.handler(move |call| {
        let (handler, state) = (handler.clone(), calls.upgrade());
        async move {
            if let Some(state) = state {
                state
                    .calls
                    .lock()
                    .unwrap()
                    .insert(call.id().to_owned(), call.clone());
            }
            handle(call, &handler)
        }
    })?;
    *state.worker.lock().unwrap() = Some(worker.clone());
    worker.drain_on_signals();
    run(worker.clone());
    worker.start().await?;
    Ok(json!({ "instanceId": worker.instance_id() }))
}

fn run(worker: Worker) {
    tokio::spawn(async move {
        if let Err(error) = worker.run().await {
            print(json!({ "event": "over", "reason": error.reason().as_str() }));
        }
    });
}

/// Uses the files of the scenario.
fn credentials(mut agent: AgentBuilder, args: &Args) -> Result<AgentBuilder, Refusal> {
    if let Some(ca) = text(args, "caFile") {
        let mut tls = Tls::new().ca(read(&ca)?);
        if let (Some(cert), Some(key)) = (text(args, "certFile"), text(args, "keyFile")) {
            tls = tls.identity(read(&cert)?, read(&key)?);
        }
        agent = agent.tls(tls);
    }
    Ok(match text(args, "tokenFile") {
        Some(file) => agent.token_source(move || {
            std::future::ready(std::fs::read_to_string(&file).map_err(BoxError::from))
        }),
        None => agent,
    })
}

fn read(file: &str) -> Result<String, Refusal> {
    std::fs::read_to_string(file).map_err(|error| Refusal::program(format!("{file}: {error}")))
}

fn options(args: &Args) -> AgentBuilder {
    let mut agent = callweave::agent(text(args, "agentId").unwrap_or_else(|| "agent".into()))
        .endpoints(texts(args, "endpoints"))
        .keep_calls(true)
        .on_status(status)
        .on_error(|error, call| report(&error, call));
    if let Some(token) = text(args, "token") {
        agent = agent.token(token);
    }
    if on(args, "tls") == Some(true) {
        agent = agent.tls(Tls::new());
    }
    if let Some(reason) = text(args, "decline") {
        agent = agent.accept(move |_| std::future::ready(Decision::Decline(reason.clone())));
    }
    let small = |name| number(args, name).map(|value| value as usize);
    agent = set(agent, text(args, "pool"), AgentBuilder::pool);
    agent = set(agent, text(args, "instanceId"), AgentBuilder::instance_id);
    agent = set(
        agent,
        number(args, "capacity").map(|n| n as u32),
        AgentBuilder::capacity,
    );
    agent = set(
        agent,
        number(args, "sampleRateHertz").map(|n| n as u32),
        AgentBuilder::sample_rate,
    );
    agent = set(
        agent,
        on(args, "answerOnAccept"),
        AgentBuilder::answer_on_accept,
    );
    agent = set(agent, on(args, "heartbeat"), AgentBuilder::heartbeat);
    agent = set(agent, on(args, "noAudio"), AgentBuilder::no_audio);
    agent = set(agent, millis(args, "sendAheadMs"), AgentBuilder::send_ahead);
    agent = set(
        agent,
        millis(args, "maxAudioQueuedMs"),
        AgentBuilder::max_audio_queued,
    );
    agent = set(
        agent,
        millis(args, "maxPlaybackQueuedMs"),
        AgentBuilder::max_playback_queued,
    );
    agent = set(
        agent,
        millis(args, "reattachTimeoutMs"),
        AgentBuilder::reattach_timeout,
    );
    agent = set(agent, small("maxStreams"), AgentBuilder::max_streams);
    set(
        agent,
        small("callsPerStream"),
        AgentBuilder::calls_per_stream,
    )
}

/// Sets what was given.
fn set<T>(
    agent: AgentBuilder,
    value: Option<T>,
    with: fn(AgentBuilder, T) -> AgentBuilder,
) -> AgentBuilder {
    match value {
        Some(value) => with(agent, value),
        None => agent,
    }
}

fn status(status: Status) {
    match status {
        Status::Connected { .. } => print(json!({ "event": "status", "status": "connected" })),
        Status::GoingAway { .. } => print(json!({ "event": "status", "status": "goingAway" })),
        Status::Disconnected { error, .. } => {
            print(
                json!({ "event": "status", "status": "disconnected", "reason": error.reason().as_str() }),
            );
        }
        _ => {}
    }
}

fn handle(call: Call, handler: &str) -> Result<(), BoxError> {
    follow(&call);
    if handler == "throw" && call.attempt() == 1 {
        panic!("told to panic");
    }
    if handler == "echo" {
        tokio::spawn(echo(call, Duration::from_millis(300).as_millis() as u64));
    }
    Ok(())
}

fn follow(call: &Call) {
    let id = call.id().to_owned();
    let mut notices = call.notices();
    tokio::spawn({
        let id = id.clone();
        async move {
            while let Some(notice) = notices.next().await {
                match notice {
                    Ok(Notice::Attached(attached)) => {
                        print(json!({ "event": "attached", "call": id, "attached": attached }));
                    }
                    Ok(Notice::Note { text, author }) => {
                        print(
                            json!({ "event": "note", "call": id, "text": text, "author": author }),
                        );
                    }
                    Ok(_) => {}
                    Err(error) => {
                        print(json!({ "event": "error", "error": told(&error), "call": id }))
                    }
                }
            }
        }
    });
    let ended = call.ended();
    let info = call.info();
    let mut line = json!({
        "event": "call",
        "call": id,
        "epoch": call.epoch(),
        "attempt": call.attempt(),
        "state": info.state.as_str(),
        "caller": info.caller,
        "callee": info.callee,
        "sampleRateHertz": call.audio_format().sample_rate_hertz,
    });
    if let Some(reason) = call.escalation_reason() {
        line["escalationReason"] = reason.as_str().into();
    }
    if let Some(context) = call.context() {
        line["summary"] = context.summary.clone().into();
        line["turns"] = context.turns.len().into();
    }
    print(line);
    tokio::spawn(async move {
        let end = ended.await;
        let mut line = json!({ "event": "ended", "call": id, "cause": end.cause.as_str() });
        if let Some(reason) = end.end_reason {
            line["endReason"] = reason.as_str().into();
        }
        print(line);
    });
}
