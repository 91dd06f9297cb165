//! Collects spans and sends them to a collector with OTLP over HTTP.
//!
//! A thread of the SDK sends them in batches. While the collector cannot be reached, spans are dropped; no request waits.

use super::TracesConfig;
use crate::http_client::{self, NoRootCertificates};
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;

/// The time in which a batch must be sent, retries included, and that a shutdown waits for the last one.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum bytes of a collector's response.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// The collection of spans.
pub(crate) struct Traces(SdkTracerProvider);

/// Traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The collector is to be reached with TLS, and there is no certificate to verify it with.
    #[error("traces cannot be sent")]
    NoRootCertificates(#[from] NoRootCertificates),
    /// The exporter refuses its configuration, of which a part is in variables that begin with `OTEL_`.
    #[error("traces cannot be sent: the configuration of [traces] and the variables OTEL_* do not fit")]
    Exporter(#[from] ExporterBuildError),
}

impl Traces {
    /// Starts the thread that sends spans. It does not connect yet.
    pub(crate) fn start(config: &TracesConfig) -> Result<Self, TracesError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client(new_agent(&config.endpoint)?))
            .with_endpoint(&config.endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .with_headers(config.headers.iter().cloned().collect())
            .build()?;
        // The variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so that they replace the name.
        let resource = Resource::builder()
            .with_service_name(env!("CARGO_PKG_NAME").trim_end_matches("-server"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_detector(Box::new(EnvResourceDetector::new()));
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
            .with_resource(resource.build())
            .with_batch_exporter(Exporter { exporter, is_failing: AtomicBool::new(false) })
            .build();
        Ok(Self(provider))
    }

    /// The part of the process's subscriber that collects spans. What is on log lines only is left out, and events are.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let is_collected = filter_fn(|metadata| {
            metadata.is_span()
                && *metadata.level() > LevelFilter::WARN
                && metadata.target().starts_with("delete_learning")
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(is_collected.with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Sends what is left.
    pub(crate) fn shutdown(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "it is unknown whether the last spans were sent");
        }
    }
}

/// The exporter, which logs once that a collector cannot be reached, and once that it can be again.
#[derive(Debug)]
struct Exporter {
    exporter: opentelemetry_otlp::SpanExporter,
    is_failing: AtomicBool,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(()) if was_failing => tracing::info!("spans are sent again"),
            Err(error) if !was_failing => tracing::warn!(%error, "spans cannot be sent and are dropped"),
            Ok(()) | Err(_) => {}
        }
        // Otherwise the SDK would log every batch.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The HTTP client. It blocks the thread that sends spans, which does nothing else.
#[derive(Debug)]
struct Client(Agent);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let response = self.0.run(Request::from_parts(head, &*body))?;
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(MAX_RESPONSE_BYTES).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}

fn new_agent(endpoint: &str) -> Result<Agent, NoRootCertificates> {
    let config = if endpoint.starts_with("https:") { http_client::tls_config()? } else { Agent::config_builder() };
    Ok(config
        .timeout_global(Some(EXPORT_TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("delete-learning")
        .build()
        .into())
}

#[cfg(test)]
mod tests {
    use super::{Client, new_agent};
    use bytes::Bytes;
    use opentelemetry_http::{HttpClient, Request};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// The length of a response with this many bytes, or `None` if it is an error.
    fn received(length: usize) -> Option<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let collector = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            // The client closes the connection if it does not read everything.
            let _ = stream.write_all(&[head.as_bytes(), &vec![b'x'; length]].concat());
        });
        let client = Client(new_agent(&endpoint).expect("an agent"));
        let request = Request::post(&endpoint).body(Bytes::new()).expect("a request");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let response = runtime.block_on(client.send_bytes(request));
        collector.join().expect("no panic");
        response.ok().map(|response| response.body().len())
    }

    #[test]
    fn response_of_a_collector_is_read_up_to_a_limit() {
        assert_eq!(received(65_536), Some(65_536));
        assert_eq!(received(65_537), None);
    }
}
