//! Accepts connections until a shutdown, then drains them.

use super::config::HttpConfig;
use super::connection::{Connection, RequestState};
use super::metrics_server::MetricsListener;
use super::service::Service;
use crate::telemetry::metrics::{InUse, Sources};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Pause after a connection could not be accepted, for example because the process has no free file descriptor.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Time between the end of accepting and the closing of idle connections. A client or a proxy can have sent a request before it
/// could know of the shutdown. If its connection were closed at once, a proxy would answer 502.
const IDLE_GRACE_PERIOD: Duration = Duration::from_millis(500);

/// Maximum number of header lines, more than any client or proxy is known to send. The HTTP library reserves and writes memory
/// for so many lines at every request: 1024 lines take 4 % of a request's instructions, 4096 lines 12 %.
const MAX_HEADER_LINES: usize = 1024;

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    config: HttpConfig,
    /// One permit for each connection that can be served.
    permits: Arc<Semaphore>,
    /// One task for each connection that is served.
    tasks: TaskTracker,
    metrics: Option<(MetricsListener, Arc<Sources>)>,
}

impl Server {
    /// Binds a server to its address.
    ///
    /// # Errors
    /// The error of the operating system if the address cannot be bound.
    pub async fn bind(service: Service, config: HttpConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        Self::new(service, config, listener)
    }

    /// Serves on a socket that is bound already, in place of the configured address.
    ///
    /// # Errors
    /// The error of the operating system if the socket cannot be used.
    pub fn on_socket(service: Service, config: HttpConfig, socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::new(service, config, TcpListener::from_std(socket)?)
    }

    fn new(service: Service, config: HttpConfig, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let permits = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            listener,
            address,
            service: Arc::new(service),
            config,
            permits,
            tasks: TaskTracker::new(),
            metrics: None,
        })
    }

    /// The address that the server is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the metrics on a second address, until the server ends.
    #[must_use]
    pub fn with_metrics(self, listener: MetricsListener, sources: Sources) -> Self {
        Self { metrics: Some((listener, Arc::new(sources))), ..self }
    }

    /// The address of the metrics, if they are served.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(listener, _)| listener.address())
    }

    /// Returns a function that reads how many connections are served.
    pub fn connections(&self) -> impl Fn() -> InUse + Send + Sync + 'static {
        let (tasks, max) = (self.tasks.clone(), self.config.max_connections);
        move || InUse { used: tasks.len(), max }
    }

    /// Serves until `shutdown` completes. From then on it reports that it is not ready, and closes each connection after its
    /// next response. After `shutdown_delay_ms` it accepts no more connections, and half a second later it closes those that are
    /// idle. It returns when the requests in flight have been answered or `shutdown_timeout_ms` has passed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        // Until this function returns.
        let _metrics = self.metrics.map(|(listener, sources)| {
            AbortOnDropHandle::new(tokio::spawn(listener.run(Arc::clone(&self.service), sources)))
        });
        let (service, shutdown_delay) = (Arc::clone(&self.service), self.config.shutdown_delay());
        let shutdown = async move {
            shutdown.await;
            service.monitor().set_stopping();
            sleep(shutdown_delay).await;
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.config.header_read_timeout())
            // A client can close its sending side and still read the response.
            .half_close(true)
            .max_headers(MAX_HEADER_LINES)
            .max_header_size(self.config.max_header_bytes)
            .max_buf_size(self.config.max_header_bytes);
        let connections = GracefulShutdown::new();
        let permits = self.permits;
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // The permit comes first, so that a connection without one stays in the listener's queue.
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accept => accepted,
                () = &mut shutdown => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_RETRY_INTERVAL).await;
                    continue;
                }
            };
            // Responses are small, so they are sent without delay.
            let _ = stream.set_nodelay(true);
            let service = Arc::clone(&self.service);
            let request_state = RequestState::default();
            let stream = Connection::new(stream, request_state.clone(), self.config.header_read_timeout());
            let handler = service_fn(move |request| {
                let (service, request_state) = (Arc::clone(&service), request_state.clone());
                async move { Ok::<_, Infallible>(service.handle(request, peer.ip(), request_state).await) }
            });
            let connection = connections.watch(http.serve_connection(TokioIo::new(stream), handler));
            self.tasks.spawn(async move {
                match connection.await {
                    Ok(()) => {}
                    // hyper has answered it.
                    Err(error) if error.is_parse() => {
                        tracing::info!(target: "request", client = %peer.ip(), %error, "not a valid HTTP request");
                    }
                    // The client disconnected.
                    Err(error) => tracing::debug!(%error, "connection ended"),
                }
                drop(permit);
            });
        }
        drop(self.listener);
        self.tasks.close();
        let grace_period = IDLE_GRACE_PERIOD.min(self.config.shutdown_timeout() / 2);
        let drain = async {
            // Or until there is no connection.
            let _ = timeout(grace_period, self.tasks.wait()).await;
            connections.shutdown().await;
            self.service.drain().await;
        };
        if timeout(self.config.shutdown_timeout(), drain).await.is_err() {
            let shutdown_timeout_ms = self.config.shutdown_timeout_ms;
            tracing::warn!(shutdown_timeout_ms, "requests were still in flight at the end of the shutdown timeout");
        }
        self.service.close_audit_log().await;
    }
}
