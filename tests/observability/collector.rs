//! A collector of traces: it receives spans with OTLP over HTTP, and keeps them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A collector on a port of its own.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    spans: Vec<ReceivedSpan>,
    /// The heads of the requests.
    heads: String,
}

/// A span, with ids in hexadecimal.
#[derive(Clone, Debug)]
pub(super) struct ReceivedSpan {
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    /// The id of the span that it is in; empty if there is none.
    pub(super) parent: String,
    /// 1: internal, 2: server, 3: client.
    pub(super) kind: i32,
    /// 2: error.
    pub(super) status: i32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: BTreeMap<String, String>,
    /// The attributes of the service.
    pub(super) resource: BTreeMap<String, String>,
    /// The number of its events.
    pub(super) events: usize,
}

impl Collector {
    pub(super) fn start() -> Self {
        Self::start_on(([127, 0, 0, 1], 0).into())
    }

    pub(super) fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::<Mutex<Received>>::default();
        let shared = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, received }
    }

    /// The configuration of a server that sends its traces here.
    pub(super) fn settings(&self) -> String {
        format!("traces.endpoint = \"http://{}\"\n", self.address)
    }

    /// The spans so far.
    pub(super) fn spans(&self) -> Vec<ReceivedSpan> {
        self.received.lock().expect("no panic while locked").spans.clone()
    }

    /// The heads of the requests so far.
    pub(super) fn heads(&self) -> String {
        self.received.lock().expect("no panic while locked").heads.clone()
    }
}

/// Serves requests until the client closes the connection.
fn serve(stream: &TcpStream, received: &Mutex<Received>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            head += &line;
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("spans");
        {
            let mut received = received.lock().expect("no panic while locked");
            received.heads += &head;
            received.spans.extend(spans(request));
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        (&mut &*stream).write_all(answer).expect("an answer");
    }
}

fn spans(request: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.expect("a resource").attributes);
        let all = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        spans.extend(all.map(|span| received(span, &resource)));
    }
    spans
}

fn received(span: Span, resource: &BTreeMap<String, String>) -> ReceivedSpan {
    ReceivedSpan {
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        resource: resource.clone(),
        events: span.events.len(),
    }
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(number)) => format!("integer {number}"),
            other => panic!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
