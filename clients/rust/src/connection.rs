use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::bounded::bounded;
use crate::error::{BoxError, Error, Reason, Result};
use crate::queue::lock;

const DEFAULT_ENDPOINT: &str = "127.0.0.1:7070";
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// 64 KiB would hold 20 ms of round trip for about 68 calls only.
const WINDOW: u32 = 1 << 20;

type TokenFuture = Pin<Box<dyn Future<Output = std::result::Result<String, BoxError>> + Send>>;
type Interceptor = dyn Fn(Request<()>) -> std::result::Result<Request<()>, Status> + Send + Sync;

/// TLS of a connection.
#[derive(Clone, Debug, Default)]
#[cfg(feature = "tls")]
pub struct Tls {
    ca: Option<String>,
    identity: Option<(String, String)>,
    server_name: Option<String>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// Trusts the authorities of the operating system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities instead; PEM.
    pub fn ca(mut self, pem: impl Into<String>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The client's certificate chain and private key, for mutual TLS; PEM.
    pub fn identity(mut self, cert: impl Into<String>, key: impl Into<String>) -> Self {
        self.identity = Some((cert.into(), key.into()));
        self
    }

    /// The name in the server's certificate. Default: the host of the endpoint.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    fn config(&self) -> tonic::transport::ClientTlsConfig {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        let mut config = match &self.ca {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((cert, key)) = &self.identity {
            config = config.identity(Identity::from_pem(cert, key));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        config
    }
}

/// How to reach a gateway. The same methods are on [`AgentBuilder`](crate::AgentBuilder) and
/// [`ClientBuilder`](crate::ClientBuilder).
#[derive(Clone)]
pub(crate) struct ConnectionOptions {
    pub endpoints: Vec<String>,
    token: Arc<dyn Fn() -> TokenFuture + Send + Sync>,
    fixed_token: bool,
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
    pub request_timeout: Duration,
    pub keepalive: Duration,
    pub interceptors: Vec<Arc<Interceptor>>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        let endpoint = std::env::var("CALLWEAVE_ENDPOINT").unwrap_or_default();
        let token = std::env::var("CALLWEAVE_TOKEN").unwrap_or_default();
        let endpoint = if endpoint.is_empty() { DEFAULT_ENDPOINT.into() } else { endpoint };
        let mut options = Self {
            endpoints: vec![endpoint],
            token: Arc::new(|| Box::pin(async { Ok(String::new()) })),
            fixed_token: true,
            #[cfg(feature = "tls")]
            tls: None,
            request_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(20),
            interceptors: Vec::new(),
        };
        options.token(token);
        options
    }
}

impl ConnectionOptions {
    pub(crate) fn token(&mut self, token: String) {
        self.fixed_token = true;
        self.token = Arc::new(move || {
            let token = token.clone();
            Box::pin(async move { Ok(token) })
        });
    }

    pub(crate) fn token_source<F, Fut>(&mut self, source: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<String, BoxError>> + Send + 'static,
    {
        self.fixed_token = false;
        self.token = Arc::new(move || Box::pin(source()));
    }

    /// Whether asking again gives the same token.
    pub(crate) fn has_fixed_token(&self) -> bool {
        self.fixed_token
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.endpoints.is_empty() || self.endpoints.iter().any(String::is_empty) {
            let given = self.endpoints.join(",");
            return Err(Error::invalid_field("endpoints", "at least one \"host:port\"", given));
        }
        for endpoint in &self.endpoints {
            self.endpoint(endpoint)?;
        }
        bounded("request_timeout", self.request_timeout, 1, 600_000)?;
        bounded("keepalive", self.keepalive, 10_000, 86_400_000)
    }

    /// The token, but not for longer than this.
    pub(crate) async fn fresh_token(&self, timeout: Duration) -> Result<String> {
        match tokio::time::timeout(timeout, (self.token)()).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => {
                Err(Error::new(Reason::Transport, Code::Unknown, format!("the token source failed: {error}")))
            }
            Err(_) => Err(Error::timed_out("the token source did not answer in time")),
        }
    }

    /// A request with its token, after the interceptors.
    pub(crate) async fn request<T>(&self, message: T, timeout: Duration) -> Result<Request<T>> {
        let token = self.fresh_token(timeout).await?;
        let mut head = Request::new(());
        if !token.is_empty() {
            let value: MetadataValue<_> = format!("Bearer {token}")
                .parse()
                .map_err(|_| Error::invalid_field("token", "visible ASCII characters", "(hidden)"))?;
            head.metadata_mut().insert("authorization", value);
        }
        for intercept in &self.interceptors {
            head = intercept(head)?;
        }
        let (metadata, extensions, ()) = head.into_parts();
        Ok(Request::from_parts(metadata, extensions, message))
    }

    /// Goes straight to the address: a proxy of the environment is never used.
    pub(crate) fn endpoint(&self, address: &str) -> Result<Endpoint> {
        #[cfg(feature = "tls")]
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        #[cfg(not(feature = "tls"))]
        let scheme = "http";
        let invalid = || Error::invalid_field("endpoint", "\"host:port\"", address);
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|_| invalid())?;
        if endpoint.uri().port_u16().is_none() || endpoint.uri().path() != "/" {
            return Err(invalid());
        }
        let endpoint = endpoint
            .user_agent(concat!("callweave-rust/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| invalid())?
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keep_alive_interval(self.keepalive)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return endpoint.tls_config(tls.config()).map_err(|error| {
                Error::invalid_field("tls", &format!("usable certificates ({error})"), "(hidden)")
            });
        }
        Ok(endpoint)
    }
}

/// Connection methods of a builder that has a field `connection`.
macro_rules! connection_methods {
    () => {
        /// "host:port". Default: the environment variable `CALLWEAVE_ENDPOINT`, else "127.0.0.1:7070".
        pub fn endpoint(self, endpoint: impl Into<String>) -> Self {
            self.endpoints([endpoint])
        }

        /// Several gateways; the next one is tried when one cannot be reached or goes away.
        pub fn endpoints<I: IntoIterator<Item = S>, S: Into<String>>(mut self, endpoints: I) -> Self {
            self.connection.endpoints = endpoints.into_iter().map(Into::into).collect();
            self
        }

        /// The bearer token. Default: the environment variable `CALLWEAVE_TOKEN`, else none.
        pub fn token(mut self, token: impl Into<String>) -> Self {
            self.connection.token(token.into());
            self
        }

        /// Where to get a fresh token for each stream and request. One that does not answer within the timeout of the stream
        /// or request, or that fails, fails that attempt with `Transport`.
        pub fn token_source<F, Fut>(mut self, source: F) -> Self
        where
            F: Fn() -> Fut + Send + Sync + 'static,
            Fut: std::future::Future<Output = Result<String, $crate::BoxError>> + Send + 'static,
        {
            self.connection.token_source(source);
            self
        }

        /// Uses TLS. Default: plain text; tokens travel in it, so use TLS off the machine.
        #[cfg(feature = "tls")]
        pub fn tls(mut self, tls: $crate::Tls) -> Self {
            self.connection.tls = Some(tls);
            self
        }

        /// How long a unary request may take with its token, its `wait` not counted. 1 ms to 600 s. Default: 10 s.
        pub fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.connection.request_timeout = timeout;
            self
        }

        /// How often a silent connection is probed. 10 s to 24 h. Default: 20 s.
        pub fn keepalive(mut self, interval: std::time::Duration) -> Self {
            self.connection.keepalive = interval;
            self
        }

        /// Sees every request before it is sent, the streams of an agent too, and may add metadata or refuse it. In the order
        /// of adding.
        pub fn interceptor<F>(mut self, interceptor: F) -> Self
        where
            F: Fn(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> + Send + Sync + 'static,
        {
            self.connection.interceptors.push(std::sync::Arc::new(interceptor));
            self
        }
    };
}
pub(crate) use connection_methods;

struct Current {
    index: usize,
    channel: Option<Channel>,
    closed: bool,
}

/// A connection that is made when it is needed and changes its endpoint when one cannot be reached.
#[derive(Clone)]
pub(crate) struct Connection {
    pub options: Arc<ConnectionOptions>,
    current: Arc<Mutex<Current>>,
}

impl Connection {
    pub(crate) fn new(options: Arc<ConnectionOptions>) -> Self {
        let current = Current { index: 0, channel: None, closed: false };
        Self { options, current: Arc::new(Mutex::new(current)) }
    }

    /// The channel in use and the number of its endpoint.
    pub(crate) fn channel(&self) -> Result<(usize, Channel)> {
        let mut current = lock(&self.current);
        if current.closed {
            return Err(Error::closed("client"));
        }
        let index = current.index;
        if let Some(channel) = &current.channel {
            return Ok((index, channel.clone()));
        }
        let endpoints = &self.options.endpoints;
        let channel = self.options.endpoint(&endpoints[index % endpoints.len()])?.connect_lazy();
        current.channel = Some(channel.clone());
        Ok((index, channel))
    }

    /// Goes on to the next endpoint, if this one is still the one in use.
    pub(crate) fn rotate(&self, index: usize) {
        let mut current = lock(&self.current);
        if current.index == index && self.options.endpoints.len() > 1 {
            current.index += 1;
            current.channel = None;
        }
    }

    /// Closes for good; what is under way goes on to its end.
    pub(crate) fn close(&self) {
        let mut current = lock(&self.current);
        current.closed = true;
        current.channel = None;
    }

    /// Does a unary request, with its token, within the request timeout and `extra`. `patient`: what may be repeated, so
    /// that a gateway that restarts is waited for within the timeout.
    pub(crate) async fn unary<Q, S, F, Fut>(
        &self,
        message: Q,
        extra: Duration,
        patient: bool,
        call: F,
    ) -> Result<S>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = std::result::Result<Response<S>, Status>>,
    {
        let timeout = self.options.request_timeout + extra;
        let deadline = Instant::now() + timeout;
        let mut backoff = crate::backoff::Backoff::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut request = self.options.request(message.clone(), left).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            request.set_timeout(left);
            let (index, channel) = self.channel()?;
            let error = match tokio::time::timeout(left, call(channel, request)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => Error::from(status),
                Err(_) => return Err(Error::timed_out("the gateway did not answer in time")),
            };
            let away = error.code() == Code::Unavailable;
            if away {
                self.rotate(index);
            }
            let wait = backoff.next();
            let transport = error.reason() == Reason::Transport;
            if !(patient && away && transport) || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }
}
