//! The second listener, for monitors: `/metrics`, and what the server's own address has of `/health`, `/livez` and `/readyz`.

use super::monitor::{Monitor, Probe};
use super::response::{self, Body};
use super::service::Service;
use crate::telemetry::metrics::Sources;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Maximum number of connections. A further one waits in the listen backlog.
const MAX_CONNECTIONS: usize = 16;

/// The time in which the head of a request must arrive.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The time in which a connection, which serves one request, must end. Longer than the longest check of a database.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum bytes of a request line and its headers together, and maximum number of header lines.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADER_LINES: usize = 100;

/// Pause after a connection could not be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// An address on which the metrics will be served.
pub struct MetricsListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsListener {
    /// Binds the address.
    ///
    /// # Errors
    /// The error of the operating system.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that it is bound to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped.
    pub(super) async fn run(self, service: Arc<Service>, sources: Arc<Sources>) -> Infallible {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                    continue;
                }
            };
            let (service, sources) = (Arc::clone(&service), Arc::clone(&sources));
            tokio::spawn(async move {
                let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serve(stream, peer.ip(), service, sources)).await;
                drop(permit);
            });
        }
    }
}

/// Serves one request. Without keep-alive, a monitor that is silent occupies no connection.
async fn serve(stream: TcpStream, peer: IpAddr, service: Arc<Service>, sources: Arc<Sources>) {
    let handler = service_fn(move |request| {
        let (service, sources) = (Arc::clone(&service), Arc::clone(&sources));
        async move {
            let (head, _) = Request::into_parts(request);
            let context = service.context(&head, peer);
            let response = respond(&head, service.monitor(), sources).await;
            context.log_other(response.status(), true);
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .keep_alive(false)
        .half_close(true)
        .max_headers(MAX_HEADER_LINES)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_HEADER_BYTES);
    // The client disconnected or does not speak HTTP; hyper has answered what it could.
    if let Err(error) = http.serve_connection(TokioIo::new(stream), handler).await {
        tracing::debug!(%error, "connection for metrics ended");
    }
}

async fn respond(head: &Parts, monitor: &Monitor, sources: Arc<Sources>) -> Response<Body> {
    let probe = match head.uri.path() {
        "/metrics" => None,
        "/health" => Some(Probe::Health),
        "/livez" => Some(Probe::Live),
        "/readyz" => Some(Probe::Ready),
        _ => return response::not_found(),
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return response::method_not_allowed("GET, HEAD");
    }
    match probe {
        Some(probe) => monitor.probe(probe).await,
        None => monitor.metrics(sources).await,
    }
}
