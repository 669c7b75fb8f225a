//! The Rust program of the conformance suite. Its protocol is in docs/new-language.md.

mod agent;
mod audio;
mod io;
mod observe;
mod simple_form;
mod verbs;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use callweave::{Call, Client, Worker};
use io::{Answer, Args, Refusal, print, text};
use serde_json::json;
use tokio::sync::{mpsc, watch};

/// What the program has between `start` and `stop`.
#[derive(Default)]
pub struct State {
    worker: Mutex<Option<Worker>>,
    calls: Mutex<HashMap<String, Call>>,
    clients: Mutex<Vec<Client>>,
    feeds: Mutex<Vec<tokio::task::AbortHandle>>,
}

impl State {
    /// A call of the agent, those that are over too.
    fn call(&self, args: &Args) -> Result<Call, Refusal> {
        let id = text(args, "call").unwrap_or_default();
        let found = self.calls.lock().unwrap().get(&id).cloned();
        found.ok_or_else(|| Refusal::program(format!("there is no call {id}")))
    }

    fn worker(&self) -> Option<Worker> {
        self.worker.lock().unwrap().clone()
    }

    /// Ends with `stop`.
    fn in_background(&self, work: tokio::task::JoinHandle<()>) {
        self.feeds.lock().unwrap().push(work.abort_handle());
    }

    /// As fresh as at the start of the program.
    async fn stop(&self) {
        let worker = self.worker.lock().unwrap().take();
        if let Some(worker) = worker {
            worker.close().await;
        }
        for feed in self.feeds.lock().unwrap().drain(..) {
            feed.abort();
        }
        for client in self.clients.lock().unwrap().drain(..) {
            client.close();
        }
        self.calls.lock().unwrap().clear();
    }
}

async fn act(args: &Args, state: &Arc<State>) -> Answer {
    let nothing = || json!({});
    match text(args, "do").unwrap_or_default().as_str() {
        "start" => agent::start(args, state).await,
        "drain" => {
            if let Some(worker) = state.worker() {
                worker.drain().await?;
            }
            Ok(nothing())
        }
        "stop" => {
            state.stop().await;
            Ok(nothing())
        }
        "echo" => {
            let (call, keep_back) = (
                state.call(args)?,
                io::number(args, "keepBackMs").unwrap_or(300),
            );
            tokio::spawn(audio::echo(call, keep_back));
            Ok(nothing())
        }
        "record" => {
            let (call, file) = (state.call(args)?, text(args, "file").unwrap_or_default());
            tokio::spawn(audio::record(call, file));
            Ok(nothing())
        }
        "watch" => observe::watch(args, state).await,
        "listen" => observe::listen(args, state),
        "readContext" => observe::read_context(args, state).await,
        "findContexts" => observe::find_contexts(args, state).await,
        "simpleForm" => simple_form::simple_form(args).await,
        verb => verbs::verb(verb, args, state).await,
    }
}

async fn obey(args: Args, state: Arc<State>) {
    let id = args.get("id").cloned();
    match act(&args, &state).await {
        Ok(value) => print(json!({ "id": id, "ok": true, "value": value })),
        Err(refusal) => print(json!({ "id": id, "ok": false, "error": refusal.told() })),
    }
}

/// Begins to obey before it returns, so that commands begin in the order they were told; they end when they can.
async fn begin(args: Args, state: Arc<State>) {
    let mut work = Box::pin(obey(args, state));
    let pending = poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await;
    if pending {
        tokio::spawn(work);
    }
}

/// The lines of standard input, read by a thread of their own.
fn lines() -> mpsc::UnboundedReceiver<Args> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let Ok(args) = serde_json::from_str(&line) else {
                break;
            };
            if sender.send(args).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Obeys until `exit` or the end of standard input; or, told by SIGTERM, until the agent has drained.
#[tokio::main(worker_threads = 2)]
async fn main() {
    let state = Arc::new(State::default());
    let (terminated, mut over) = watch::channel(false);
    tokio::spawn({
        let state = state.clone();
        async move {
            use tokio::signal::unix::{SignalKind, signal};
            let mut signal = signal(SignalKind::terminate()).expect("a signal handler");
            signal.recv().await;
            // The agent drains by itself: it was told to look at signals.
            if let Some(worker) = state.worker() {
                let _ = worker.run().await;
            }
            let _ = terminated.send(true);
        }
    });
    print(json!({ "event": "hello", "protocol": 1, "language": "rust" }));
    let mut lines = lines();
    loop {
        tokio::select! {
            _ = over.wait_for(|over| *over) => break,
            line = lines.recv() => match line {
                Some(args) if text(&args, "do").as_deref() != Some("exit") => {
                    begin(args, state.clone()).await;
                }
                _ => break,
            }
        }
    }
    state.stop().await;
    std::process::exit(0);
}
