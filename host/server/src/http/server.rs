//! Accepts connections until a shutdown, then drains them.

use super::config::HttpConfig;
use super::connection::{Connection, RequestState};
use super::service::Service;
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

/// Pause after a connection could not be accepted, for example because the process has no free file descriptor.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Maximum number of header lines, more than any client or proxy is known to send. The HTTP library reserves and writes memory
/// for so many lines at every request: 1024 lines take 4 % of a request's instructions, 4096 lines 12 %.
const MAX_HEADER_LINES: usize = 1024;

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    config: HttpConfig,
}

impl Server {
    /// Binds a server to its address.
    ///
    /// # Errors
    /// The error of the operating system if the address cannot be bound.
    pub async fn bind(service: Service, config: HttpConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, service: Arc::new(service), config })
    }

    /// The address that the server is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes. Then it accepts no more connections, and returns when the requests in flight
    /// have been answered or `shutdown_timeout_ms` has passed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.config.header_read_timeout())
            // A client can close its sending side and still read the response.
            .half_close(true)
            .max_headers(MAX_HEADER_LINES)
            .max_header_size(self.config.max_header_bytes)
            .max_buf_size(self.config.max_header_bytes);
        let connections = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(self.config.max_connections.min(Semaphore::MAX_PERMITS)));
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
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
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
            tokio::spawn(async move {
                // The client disconnected or does not speak HTTP; hyper has answered what it could.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        let drain = async {
            connections.shutdown().await;
            self.service.drain().await;
        };
        if tokio::time::timeout(self.config.shutdown_timeout(), drain).await.is_err() {
            let shutdown_timeout_ms = self.config.shutdown_timeout_ms;
            tracing::warn!(shutdown_timeout_ms, "requests were still in flight at the end of the shutdown timeout");
        }
        self.service.close_audit_log().await;
    }
}
