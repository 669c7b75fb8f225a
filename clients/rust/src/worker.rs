use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{AgentBuilder, Handler, MAX_DRAIN_MS, Status};
use crate::bounded::bounded;
use crate::call::Call;
use crate::call_inner::CallInner;
use crate::connection::Connection;
use crate::contexts::Contexts;
use crate::error::{BoxError, Error, Reason, Result};
use crate::queue::lock;
use crate::session::Session;

/// How long handlers may go on after `close`; then they are dropped.
const HANDLER_END: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Ending {
    No,
    Draining,
    Closing,
    Closed,
}

struct Inner {
    ending: Ending,
    sessions: Vec<Arc<Session>>,
    current: Option<Arc<Session>>,
}

/// What the sessions of a worker share.
pub(crate) struct Shared {
    pub options: AgentBuilder,
    pub contexts: Contexts,
    /// Apart from the streams, so that contexts can be written while one is being reattached.
    requests: Connection,
    pub handler: Arc<Handler>,
    inner: Mutex<Inner>,
    started: watch::Sender<Option<Result<()>>>,
    finished: watch::Sender<Option<Result<()>>>,
    progress: Notify,
    pub handlers: TaskTracker,
    pub stop_handlers: CancellationToken,
    outage: AtomicBool,
}

/// An agent process: registers, takes calls, runs the handler for each, comes back after lost connections. A cheap handle,
/// cloned freely; when the last one is dropped, all calls are given back. Needs a tokio runtime.
#[derive(Clone)]
pub struct Worker {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Worker {
    pub(crate) fn new(options: AgentBuilder, handler: Arc<Handler>) -> Self {
        let requests = Connection::new(Arc::new(options.connection.clone()));
        let shared = Shared {
            contexts: Contexts::new(requests.clone()),
            requests,
            options,
            handler,
            inner: Mutex::new(Inner { ending: Ending::No, sessions: Vec::new(), current: None }),
            started: watch::Sender::new(None),
            finished: watch::Sender::new(None),
            progress: Notify::new(),
            handlers: TaskTracker::new(),
            stop_handlers: CancellationToken::new(),
            outage: AtomicBool::new(false),
        };
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The calls that the agent has now and that its program still holds.
    pub fn calls(&self) -> Vec<Call> {
        self.shared().calls().iter().filter_map(|call| Call::of(call)).collect()
    }

    /// This process, as registered first.
    pub fn instance_id(&self) -> &str {
        &self.shared().options.instance_id
    }

    /// Registers and takes calls; done when the first gateway has answered, however long that takes. Fails when it can never
    /// work: `Unauthenticated`, `PoolNotFound`, `InvalidField`, or when it is closed meanwhile.
    pub async fn start(&self) -> Result<()> {
        let shared = self.shared();
        if lock(&shared.inner).ending != Ending::No {
            return Err(Error::closed("worker"));
        }
        shared.clone().begin(None, 0, shared.options.instance_id.clone());
        wait(&shared.started).await
    }

    /// Takes calls until `drain` or `close` ends it. Fails when it cannot go on: `Unauthenticated`, `PoolNotFound`,
    /// `InvalidField`, `Superseded`. Dropping the future changes nothing.
    pub async fn run(&self) -> Result<()> {
        match self.start().await {
            Err(error) if error.reason() != Reason::Closed => Err(error),
            _ => wait(&self.shared().finished).await,
        }
    }

    /// As `run`; drains when the token is cancelled.
    pub async fn run_until(&self, token: CancellationToken) -> Result<()> {
        tokio::select! {
            biased;
            result = self.run() => result,
            () = token.cancelled() => {
                self.drain().await?;
                wait(&self.shared().finished).await
            }
        }
    }

    /// Takes no more calls, waits for those there are, at most `drain_timeout`, then gives the rest back and closes. A second
    /// one waits for the first.
    pub async fn drain(&self) -> Result<()> {
        self.drain_within(self.shared().options.drain_timeout).await
    }

    /// As `drain`, with another limit: 0 to 24 h. `InvalidField`, draining nothing.
    pub async fn drain_within(&self, timeout: Duration) -> Result<()> {
        bounded("timeout", timeout, 0, MAX_DRAIN_MS)?;
        self.shared().clone().drain(timeout).await;
        Ok(())
    }

    /// Gives all calls back at once and closes. Handlers that go on for longer than a second are dropped.
    pub async fn close(&self) {
        self.shared().clone().close().await;
    }

    /// Drains at the first SIGTERM or SIGINT of the process and closes at the second, for as long as the agent runs.
    pub fn drain_on_signals(&self) {
        let shared = Arc::downgrade(self.shared());
        let mut finished = self.shared().finished.subscribe();
        tokio::spawn(async move {
            let mut drained = None;
            loop {
                tokio::select! {
                    _ = finished.wait_for(Option::is_some) => return,
                    () = crate::signals::signalled() => {}
                }
                let Some(shared) = Weak::upgrade(&shared) else { return };
                if drained.is_none() {
                    let timeout = shared.options.drain_timeout;
                    drained = Some(tokio::spawn(shared.drain(timeout)));
                } else {
                    shared.close().await;
                    return;
                }
            }
        });
    }

    /// Sends a fresh token on the streams there are, before the old one expires. New streams ask the token of the options.
    pub fn reauthenticate(&self, token: &str) {
        for session in self.shared().sessions() {
            session.reauthenticate(token);
        }
    }
}

async fn wait(told: &watch::Sender<Option<Result<()>>>) -> Result<()> {
    let mut told = told.subscribe();
    match told.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or(Ok(())),
        Err(_) => Err(Error::closed("worker")),
    }
}

impl Shared {
    fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.inner).sessions.clone()
    }

    fn calls(&self) -> Vec<Arc<CallInner>> {
        self.sessions().iter().flat_map(|session| session.calls()).collect()
    }

    /// Begins the session after `last`, the first one after none, unless it was begun by another thread or all is ending.
    fn begin(self: Arc<Self>, last: Option<&Arc<Session>>, endpoint: usize, instance_id: String) {
        let session = Session::new(self.clone(), instance_id, endpoint);
        {
            let mut inner = lock(&self.inner);
            if inner.ending != Ending::No || inner.current.as_ref().map(Arc::as_ptr) != last.map(Arc::as_ptr)
            {
                return;
            }
            inner.sessions.push(session.clone());
            inner.current = Some(session.clone());
        }
        session.tasks.spawn({
            let session = session.clone();
            async move {
                let result = session.clone().run().await;
                let current = {
                    let mut inner = lock(&self.inner);
                    inner.sessions.retain(|other| !Arc::ptr_eq(other, &session));
                    inner.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &session))
                };
                self.progress();
                if let (Err(error), true) = (result, current) {
                    self.finish(Err(error));
                }
            }
        });
    }

    /// Whether an offer is declined without asking the program, and why.
    pub(crate) fn refuses(&self) -> Option<&'static str> {
        if lock(&self.inner).ending != Ending::No {
            return Some("draining");
        }
        let places: usize = self.sessions().iter().map(|session| session.places()).sum();
        (places >= self.options.capacity as usize).then_some("at capacity")
    }

    /// The program's load.
    pub(crate) fn load(&self) -> Result<f64, BoxError> {
        match &self.options.hooks.load {
            None => Ok(self.default_load()),
            Some(load) => {
                catch_unwind(AssertUnwindSafe(|| load())).map_err(|panic| panicked("load", &*panic))
            }
        }
    }

    pub(crate) fn default_load(&self) -> f64 {
        (self.calls().len() as f64 / f64::from(self.options.capacity)).min(1.0)
    }

    /// A call of the worker is over.
    pub(crate) fn call_over(&self) {
        let current = lock(&self.inner).current.clone();
        for session in self.sessions() {
            let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &session));
            if !is_current && session.calls().is_empty() {
                session.cancel.cancel();
            }
        }
        self.progress();
    }

    /// Calls or offers have become less.
    pub(crate) fn progress(&self) {
        self.progress.notify_waiters();
    }

    pub(crate) fn connected(&self, gateway_id: String) {
        self.started.send_if_modified(|started| {
            let first = started.is_none();
            if first {
                *started = Some(Ok(()));
            }
            first
        });
        self.status(Status::Connected { gateway_id });
    }

    pub(crate) fn disconnected(&self, error: Error, retry_in: Duration) {
        self.status(Status::Disconnected { error, retry_in });
        self.progress();
    }

    /// Another session takes new calls elsewhere; this one only keeps its calls.
    pub(crate) fn going_away(self: Arc<Self>, session: &Arc<Session>, deadline: Duration) {
        self.status(Status::GoingAway { deadline });
        session.drain();
        // Another instance id: the old session lives on for its calls.
        let endpoint = session.endpoint.load(Ordering::Relaxed) + 1;
        self.begin(Some(session), endpoint, crate::ids::uuid());
        if session.calls().is_empty() {
            session.cancel.cancel();
        }
    }

    async fn drain(self: Arc<Self>, timeout: Duration) {
        let first = {
            let mut inner = lock(&self.inner);
            let first = inner.ending == Ending::No;
            if first {
                inner.ending = Ending::Draining;
            }
            first
        };
        if !first {
            let _ = wait(&self.finished).await;
            return;
        }
        self.status(Status::Draining);
        for session in self.sessions() {
            session.drain();
        }
        let idle = async {
            loop {
                let progress = self.progress.notified();
                tokio::pin!(progress);
                progress.as_mut().enable();
                if self.sessions().iter().all(|session| session.places() == 0) {
                    return;
                }
                progress.await;
            }
        };
        tokio::select! {
            () = idle => {}
            () = tokio::time::sleep(timeout) => {}
            _ = wait(&self.finished) => return,
        }
        self.close().await;
    }

    async fn close(self: Arc<Self>) {
        let first = {
            let mut inner = lock(&self.inner);
            let first = inner.ending < Ending::Closing;
            if first {
                inner.ending = Ending::Closing;
            }
            first
        };
        if !first {
            let _ = wait(&self.finished).await;
            return;
        }
        let sessions = self.sessions();
        for session in &sessions {
            session.cancel.cancel();
        }
        for session in sessions {
            session.close().await;
        }
        self.handlers.close();
        let _ = tokio::time::timeout(HANDLER_END, self.handlers.wait()).await;
        self.stop_handlers.cancel();
        self.finish(Ok(()));
    }

    /// Nobody is left who could wait: everything ends by itself.
    fn stop(&self) {
        {
            // No session begins any more that nobody would end.
            let mut inner = lock(&self.inner);
            if inner.ending < Ending::Closing {
                inner.ending = Ending::Closing;
            }
        }
        for session in self.sessions() {
            session.cancel.cancel();
        }
        self.stop_handlers.cancel();
        self.finish(Ok(()));
    }

    fn finish(&self, result: Result<()>) {
        if std::mem::replace(&mut lock(&self.inner).ending, Ending::Closed) == Ending::Closed {
            return;
        }
        self.requests.close();
        let started = result.clone().and(Err(Error::closed("worker")));
        self.started.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(started);
            }
            first
        });
        self.status(Status::Closed);
        self.finished.send_replace(Some(result));
    }

    fn status(&self, status: Status) {
        let Some(listener) = &self.options.hooks.status else {
            match &status {
                Status::Connected { gateway_id } => {
                    self.outage.store(false, Ordering::Relaxed);
                    tracing::info!(gateway_id, "connected");
                }
                // Once per outage.
                Status::Disconnected { error, .. } if !self.outage.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(%error, "no connection, trying again");
                }
                _ => tracing::debug!(?status),
            }
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(status))) {
            self.error(panicked("on_status", &*panic), None);
        }
    }

    /// Tells the program; what goes wrong there is nobody's business any more.
    pub(crate) fn error(&self, error: BoxError, call_id: Option<&str>) {
        match &self.options.hooks.error {
            Some(listener) => drop(catch_unwind(AssertUnwindSafe(|| listener(error, call_id)))),
            None => tracing::error!(%error, call_id),
        }
    }
}

pub(crate) fn panicked(what: &str, panic: &(dyn std::any::Any + Send)) -> BoxError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    format!("{what} panicked: {text}").into()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::time::Duration;

    /// `start` and `run` of one worker in tasks of their own: with two sessions of one instance id the gateway ends the first.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn has_one_session_however_many_tasks_start_it_at_once() {
        for _ in 0..500 {
            let worker = crate::agent("test")
                .endpoint("127.0.0.1:1")
                .on_status(|_| {})
                .handler(|_| async { Ok(()) })
                .unwrap();
            let barrier = Arc::new(Barrier::new(2));
            let runtime = tokio::runtime::Handle::current();
            let threads = [(); 2].map(|()| {
                let (worker, barrier, runtime) = (worker.clone(), barrier.clone(), runtime.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    let begun = async { tokio::time::timeout(Duration::ZERO, worker.start()).await };
                    drop(runtime.block_on(begun));
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(worker.shared().sessions().len(), 1);
            worker.close().await;
        }
    }
}
