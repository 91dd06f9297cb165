//! The server: connections in, requests to the [`Service`], and an end that lets requests finish.

mod answer;
mod health;
mod openapi;
mod service;
mod target;

pub use service::Service;

use crate::config::{Config, ConfigError};
use crate::limits::Limits;
use crate::plugin::{Decide, LoadError};
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

/// A server that is bound to its address and ready to serve.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    limits: Limits,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong, or something that it names cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy cannot be used.
    #[error("{policy}: {source}")]
    Policy {
        /// Where the policy is from.
        policy: String,
        /// Why it cannot be used.
        source: LoadError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

impl Server {
    /// Opens what the configuration names and binds its address.
    ///
    /// # Errors
    /// Where the configuration names something that cannot be used.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let (limits, address) = (config.limits.clone(), config.listen);
        Self::listen(Service::from_config(config).await?, limits, address).await
    }

    /// As [`bind`](Self::bind), with something else than the configured policy to decide.
    ///
    /// # Errors
    /// Where the configuration names something that cannot be used.
    pub async fn bind_with(config: Config, policy: Arc<dyn Decide>) -> Result<Self, StartError> {
        let (limits, address) = (config.limits.clone(), config.listen);
        Self::listen(Service::with_policy(config, policy).await?, limits, address).await
    }

    async fn listen(service: Service, limits: Limits, address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, service: Arc::new(service), limits })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` comes to its end; then takes no more connections, and returns once the requests in
    /// flight are answered, or their time is up.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.limits.request_head_ms))
            .max_header_size(self.limits.request_head_bytes)
            .max_buf_size(self.limits.request_head_bytes);
        let connections = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.limits.connections.min(Semaphore::MAX_PERMITS)));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // The place first: a connection that there is no place for stays in the system's queue.
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, client)) => {
                    // Answers are small and wanted at once.
                    let _ = stream.set_nodelay(true);
                    let service = Arc::clone(&self.service);
                    let answer = service_fn(move |request| {
                        let service = Arc::clone(&service);
                        async move { Ok::<_, Infallible>(service.answer(request, client.ip()).await) }
                    });
                    let connection = connections.watch(http.serve_connection(TokioIo::new(stream), answer));
                    tokio::spawn(async move {
                        // An error here is a client that went away or spoke no HTTP; hyper has answered what it could.
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, say. Retrying at once would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        let drain = Duration::from_millis(self.limits.drain_ms);
        let finished = async {
            connections.shutdown().await;
            self.service.finish().await;
        };
        if tokio::time::timeout(drain, finished).await.is_err() {
            tracing::warn!(drain_ms = self.limits.drain_ms, "requests were still in flight when their time was up");
        }
    }
}
