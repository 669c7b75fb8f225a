use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tonic::codec::Streaming;

use crate::error::{Error, Reason, Result};
use crate::outbox::Messages;
use crate::proto;
use crate::proto::agent_item::Item;
use crate::proto::agent_service_client::AgentServiceClient;
use crate::session::{CallOutbox, Session};

/// Closing waits so long for its last items to be written and for the end of the stream; then it breaks the stream off.
const END_TIMEOUT: Duration = Duration::from_secs(4);

impl Session {
    /// One stream, until it is over: why, and how long it was up. On its own connection.
    pub(crate) async fn stream(self: &Arc<Self>, first: Item) -> (Error, Option<Duration>) {
        let outbox = self.begin();
        outbox.reattaches.store(matches!(first, Item::Reattach(_)), Ordering::Release);
        outbox.send(first);
        let mut up_at = None;
        let error = self.follow(&outbox, &mut up_at).await;
        self.down(&outbox);
        (error, up_at.map(|at: Instant| at.elapsed()))
    }

    async fn follow(self: &Arc<Self>, outbox: &Arc<CallOutbox>, up_at: &mut Option<Instant>) -> Error {
        let options = &self.shared.options;
        let timeout = options.connect_timeout;
        let opened = async {
            let mut inbound = self.open(outbox, timeout).await?;
            let first = inbound.message().await?;
            Ok::<_, Error>((inbound, first))
        };
        let opened = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Error::closed("worker"),
            () = outbox.broken.notified() => return full(),
            opened = tokio::time::timeout(timeout, opened) => opened,
        };
        let (mut inbound, mut message) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return error,
            Err(_) => return Error::timed_out("the gateway does not answer"),
        };
        let heartbeat = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(heartbeat);
        loop {
            let Some(response) = message else { return ended() };
            for item in response.items.into_iter().filter_map(|item| item.item) {
                self.on_item(outbox, item);
            }
            if outbox.is_up() && up_at.is_none() {
                *up_at = Some(Instant::now());
                heartbeat.as_mut().reset(tokio::time::Instant::now());
            }
            message = loop {
                let interval = crate::queue::lock(&self.state).heartbeat;
                let beats = options.heartbeat && up_at.is_some() && !interval.is_zero();
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => {
                        self.leave(outbox, &mut inbound).await;
                        return Error::closed("worker");
                    }
                    () = outbox.broken.notified() => return full(),
                    () = heartbeat.as_mut(), if beats => {
                        outbox.send(Item::Heartbeat(proto::Heartbeat { load: self.load() }));
                        heartbeat.as_mut().reset(tokio::time::Instant::now() + interval);
                    }
                    message = inbound.message() => match message {
                        Ok(message) => break message,
                        Err(status) => return status.into(),
                    },
                }
            };
        }
    }

    async fn open(
        &self,
        outbox: &Arc<CallOutbox>,
        timeout: Duration,
    ) -> Result<Streaming<proto::ServeResponse>> {
        let connection = &self.shared.options.connection;
        let at = self.endpoint.load(Ordering::Relaxed) % connection.endpoints.len();
        let address = &connection.endpoints[at];
        let request = connection.request(Messages::new(outbox.clone()), timeout).await?;
        let endpoint = connection.endpoint(address)?;
        let channel = endpoint.connect().await.map_err(|error| Error::unreachable(address, error))?;
        Ok(AgentServiceClient::new(channel).serve(request).await?.into_inner())
    }

    /// Ends the stream from here; what is queued is still written.
    async fn leave(&self, outbox: &Arc<CallOutbox>, inbound: &mut Streaming<proto::ServeResponse>) {
        outbox.end(outbox.is_up().then_some(Item::Bye(proto::Bye {})));
        let rest = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = tokio::time::timeout(END_TIMEOUT, rest).await;
    }
}

fn full() -> Error {
    Error::new(Reason::QueueFull, tonic::Code::ResourceExhausted, "the control queue is full")
}

fn ended() -> Error {
    Error::new(Reason::Transport, tonic::Code::Unavailable, "the gateway ended the stream")
}
