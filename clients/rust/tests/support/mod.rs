//! A gateway of the tests: it records what agents send and says what it is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callweave::proto::agent_item::Item;
use callweave::proto::agent_service_server::{AgentService, AgentServiceServer};
use callweave::proto::gateway_item::Item as Told;
use callweave::proto::*;
use futures_core::Stream;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub type Downstream = mpsc::Sender<Result<ServeResponse, Status>>;

/// One stream of an agent.
pub struct AgentStream {
    down: Downstream,
    items: mpsc::UnboundedReceiver<Item>,
    pub token: Option<String>,
}

impl AgentStream {
    pub async fn tell(&self, item: Told) {
        let response = ServeResponse { items: vec![GatewayItem { item: Some(item) }] };
        let _ = self.down.send(Ok(response)).await;
    }

    pub async fn fail(self, status: Status) {
        let _ = self.down.send(Err(status)).await;
    }

    /// The next item that is no heartbeat.
    pub async fn next(&mut self) -> Item {
        loop {
            let item = tokio::time::timeout(Duration::from_secs(10), self.items.recv()).await;
            match item.expect("an item within 10 s").expect("the stream goes on") {
                Item::Heartbeat(_) => {}
                item => return item,
            }
        }
    }

    /// The next item that `pick` takes; others are left out.
    pub async fn find<T>(&mut self, pick: impl Fn(Item) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.next().await) {
                return found;
            }
        }
    }

    pub async fn registered(&mut self) -> Item {
        let first = self.next().await;
        self.tell(Told::Registered(Registered {
            session_token: "token-1".into(),
            heartbeat_interval: Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 }),
            reattach_grace: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
            gateway_id: "gateway-1".into(),
            ..Default::default()
        }))
        .await;
        first
    }

    /// Offers a call and assigns it once it is accepted.
    pub async fn call(&mut self, call_id: &str, handle: u32) {
        let call = Some(call(call_id));
        let offer = Offer { offer_id: call_id.into(), call: call.clone(), attempt: 1, ..Default::default() };
        self.tell(Told::Offer(offer)).await;
        self.find(|item| matches!(item, Item::Accept(_)).then_some(())).await;
        self.assign(call_id, handle, AssignedResume::New).await;
    }

    pub async fn assign(&self, call_id: &str, handle: u32, resume: AssignedResume) {
        self.tell(Told::Assigned(Assigned {
            call: Some(call(call_id)),
            epoch: 1,
            handle,
            resume: resume as i32,
            offer_id: call_id.into(),
            attempt: 1,
            ..Default::default()
        }))
        .await;
    }

    /// Answers a command.
    pub async fn done(&self, command: &Command) {
        self.tell(Told::CommandResult(CommandResult {
            request_id: command.request_id.clone(),
            handle: command.handle,
            ..Default::default()
        }))
        .await;
    }
}

pub fn command(item: Item) -> Option<Command> {
    if let Item::Command(command) = item { Some(command) } else { None }
}

/// An answered call at 16 kHz.
pub fn call(call_id: &str) -> Call {
    Call {
        call_id: call_id.into(),
        state: CallState::Answered as i32,
        sample_rate_hertz: 16_000,
        gateway_id: "gateway-1".into(),
        ..Default::default()
    }
}

#[derive(Clone)]
struct Service {
    streams: mpsc::UnboundedSender<AgentStream>,
    refuse: Arc<Mutex<Option<Status>>>,
}

#[tonic::async_trait]
impl AgentService for Service {
    type ServeStream = Pin<Box<dyn Stream<Item = Result<ServeResponse, Status>> + Send>>;

    async fn serve(
        &self,
        request: Request<Streaming<ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        if let Some(status) = self.refuse.lock().unwrap().clone() {
            return Err(status);
        }
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned);
        let (down, receiver) = mpsc::channel(100);
        let (sender, items) = mpsc::unbounded_channel();
        let mut upstream = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = upstream.message().await {
                for item in message.items.into_iter().filter_map(|item| item.item) {
                    let _ = sender.send(item);
                }
            }
        });
        let _ = self.streams.send(AgentStream { down, items, token });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// A gateway on a free port of this machine.
pub struct Gateway {
    pub address: String,
    pub refuse: Arc<Mutex<Option<Status>>>,
    streams: mpsc::UnboundedReceiver<AgentStream>,
    server: tokio::task::JoinHandle<()>,
}

impl Gateway {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, streams) = mpsc::unbounded_channel();
        let refuse = Arc::new(Mutex::new(None));
        let service = Service { streams: sender, refuse: refuse.clone() };
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = TowerToHyperService::new(AgentServiceServer::new(service.clone()));
                let served =
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service);
                tokio::spawn(served);
            }
        });
        Self { address, refuse, streams, server }
    }

    /// The next stream of an agent.
    pub async fn stream(&mut self) -> AgentStream {
        let stream = tokio::time::timeout(Duration::from_secs(10), self.streams.recv()).await;
        stream.expect("a stream within 10 s").expect("the gateway goes on")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}
