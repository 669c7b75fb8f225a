use std::sync::Arc;

use callweave::{CallFilter, Client, Heard, Number, Watch, WatchItem};
use serde_json::json;
use tokio::sync::oneshot;

use crate::State;
use crate::audio::{append, write};
use crate::io::{Answer, Args, Refusal, print, report, text, texts};
use crate::verbs::outlined;

/// A client without a seat; closed by `stop`.
fn client(args: &Args, state: &State) -> Result<Client, Refusal> {
    let mut client = callweave::client().endpoints(texts(args, "endpoints"));
    if let Some(token) = text(args, "token") {
        client = client.token(token);
    }
    let client = client.connect()?;
    state.clients.lock().unwrap().push(client.clone());
    Ok(client)
}

/// Answers when the watch is live.
pub async fn watch(args: &Args, state: &Arc<State>) -> Answer {
    let calls = client(args, state)?.calls();
    let page = calls.list(CallFilter::default(), 0, "").await?;
    let mut watching = calls.watch(Watch::new().cursor(page.cursor));
    let (live, is_live) = oneshot::channel();
    state.in_background(tokio::spawn(async move {
        let mut live = Some(live);
        while let Some(item) = watching.next().await {
            match item {
                Ok(WatchItem::Live(_)) => {
                    let _ = live.take().map(|live| live.send(Ok(())));
                }
                Ok(WatchItem::Event(event)) => print(json!({
                    "event": "watched",
                    "call": event.call_id,
                    "type": event.body.name(),
                    "sequence": event.sequence,
                })),
                Ok(_) => {}
                Err(error) => match live.take() {
                    Some(live) => drop(live.send(Err(error))),
                    None => report(&error.into(), None),
                },
            }
        }
    }));
    is_live
        .await
        .map_err(|_| Refusal::program("the watch ended"))??;
    Ok(json!({}))
}

pub fn listen(args: &Args, state: &Arc<State>) -> Answer {
    let call = text(args, "call").unwrap_or_default();
    let path = text(args, "file").unwrap_or_default();
    let mut file = append(&path).map_err(|error| Refusal::program(format!("{path}: {error}")))?;
    let mut heard = client(args, state)?.calls().listen(&call, None, None);
    state.in_background(tokio::spawn(async move {
        while let Some(item) = heard.next().await {
            match item {
                Ok(Heard::Chunk(chunk)) => write(&mut file, &call, &chunk),
                Ok(_) => {}
                Err(error) => report(&error.into(), Some(&call)),
            }
        }
    }));
    Ok(json!({}))
}

pub async fn read_context(args: &Args, state: &Arc<State>) -> Answer {
    let call = text(args, "call").unwrap_or_default();
    Ok(outlined(&client(args, state)?.contexts().get(&call).await?))
}

pub async fn find_contexts(args: &Args, state: &Arc<State>) -> Answer {
    let caller = text(args, "caller").unwrap_or_default();
    let found = client(args, state)?
        .contexts()
        .find(Number::Caller(caller), None, 0)
        .await?;
    let calls: Vec<_> = found.iter().map(|context| &context.call_id).collect();
    Ok(json!({ "calls": calls }))
}
