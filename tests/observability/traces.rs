//! Traces: which spans a request has, and that they reach a collector.

use super::collector::{Collector, ReceivedSpan};
use crate::malicious_policies::text;
use crate::support::cluster::Cluster;
use crate::support::postgres::agno_tables;
use crate::support::server::{Setup, TestServer};
use crate::support::token::{admin, user};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CLIENT_SPAN}-{flags}")
}

/// Sends a request in the client's trace.
fn delete_in_trace(server: &TestServer, target: &str, token: &str, traceparent: &[&str]) -> u16 {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(traceparent.iter().map(|value| ("traceparent", *value)));
    server.request("DELETE", target, &headers).status
}

/// Stops the server, which sends what is left, and returns all spans.
fn spans_of(mut server: TestServer, collector: &Collector) -> Vec<ReceivedSpan> {
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.log());
    let spans = collector.spans();
    server.secrets().assert_absent("a span", &format!("{spans:?}"));
    spans
}

/// The span of this name, of which there is one.
#[track_caller]
fn one<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

#[track_caller]
fn assert_attributes(span: &ReceivedSpan, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name}: {span:#?}");
    }
}

#[test]
fn trace_of_a_client_continues_with_the_steps_of_the_request() {
    let collector = Collector::start();
    let server = Setup { settings: collector.settings(), ..Setup::jwt() }.start();
    assert_eq!(delete_in_trace(&server, ALICE_PROFILE, &user("alice"), &[&traceparent("01")]), 204);
    let line = server.wait_for_log(&["\"target\":\"request\"", "deleted-as-owner"]);
    let spans = spans_of(server, &collector);

    assert!(spans.iter().all(|span| span.trace == TRACE && span.events == 0), "{spans:#?}");
    let request = one(&spans, "DELETE /learnings/{learning_id}");
    assert_eq!((request.parent.as_str(), request.kind), (CLIENT_SPAN, 2));
    assert_attributes(
        request,
        &[
            ("http.request.method", "DELETE"),
            ("http.route", "/learnings/{learning_id}"),
            ("http.response.status_code", "integer 204"),
            ("url.path", ALICE_PROFILE),
            ("client.address", "127.0.0.1"),
            ("request_id", line["span"]["request_id"].as_str().expect("an id")),
        ],
    );
    let service = |name: &str| request.resource.get(name).map(String::as_str);
    assert_eq!(service("service.name"), Some("delete-learning"));
    assert_eq!(service("service.version"), Some(env!("CARGO_PKG_VERSION")));

    let authentication = one(&spans, "authentication");
    assert_attributes(authentication, &[("credential", "jwt")]);
    let decision = one(&spans, "decision");
    assert_attributes(decision, &[("rule", "deleted-as-owner"), ("record", "deleted")]);
    let calls: Vec<_> = spans.iter().filter(|span| span.name == "host call").collect();
    let functions: Vec<_> = calls.iter().map(|call| call.attributes["function"].as_str()).collect();
    assert_eq!(functions, ["current", "delete-if-owned-by"]);
    let storage = one(&spans, "storage");
    assert_eq!((storage.kind, storage.status), (3, 0));
    assert_attributes(storage, &[("db.system.name", "sqlite"), ("db.operation.name", "DELETE")]);
    assert_eq!(spans.len(), 6, "{spans:#?}");

    // Each span is in the right one, and in its time.
    let inside = |span: &ReceivedSpan, outer: &ReceivedSpan| {
        assert_eq!(span.parent, outer.id, "{span:#?} is in {outer:#?}");
        assert!(outer.start <= span.start && span.start <= span.end && span.end <= outer.end, "{span:#?} {outer:#?}");
    };
    inside(authentication, request);
    inside(decision, request);
    calls.iter().for_each(|call| inside(call, decision));
    inside(storage, calls[1]);
}

#[test]
fn log_lines_of_a_request_have_its_trace_and_its_id() {
    let collector = Collector::start();
    let environment = vec![("RUST_LOG", "trace".to_owned())];
    let server = Setup { settings: collector.settings(), environment, ..Setup::jwt() }.start();
    assert_eq!(delete_in_trace(&server, "/learnings/absent", &user("alice"), &[&traceparent("00")]), 404);
    let line = server.wait_for_log(&["\"target\":\"request\""]);
    let id = line["span"]["request_id"].as_str().expect("an id").to_owned();
    assert_eq!(line["span"]["name"], "request");
    assert_eq!(line["span"]["trace_id"], TRACE, "{line}");
    assert_eq!(server.wait_for_log(&["\"target\":\"audit\""])["request_id"], id);
}

#[test]
fn log_lines_have_the_valid_trace_of_the_client_also_without_a_collector() {
    let server = Setup { environment: vec![("RUST_LOG", "trace".to_owned())], ..Setup::jwt() }.start();
    let zero = format!("00-{}-{CLIENT_SPAN}-01", "0".repeat(32));
    for (target, value, trace) in
        [("valid", traceparent("01").as_str(), Value::from(TRACE)), ("invalid", &zero, Value::Null)]
    {
        assert_eq!(delete_in_trace(&server, &format!("/learnings/{target}"), &user("alice"), &[value]), 404);
        let id = server.wait_for_log(&["\"target\":\"audit\"", &format!("\"{target}\"")])["request_id"].to_string();
        let line = server.wait_for_log(&["\"target\":\"request\"", &id]);
        assert_eq!(line["span"]["trace_id"], trace, "{line}");
    }
}

#[test]
fn only_one_valid_traceparent_is_continued() {
    let collector = Collector::start();
    let server = Setup { settings: collector.settings(), ..Setup::jwt() }.start();
    let zero = format!("00-{}-{CLIENT_SPAN}-01", "0".repeat(32));
    let too_long = format!("{}-extra", traceparent("01"));
    let valid = traceparent("01");
    let others: [&[&str]; 6] =
        [&[], &["x"], &[&zero], &[&too_long], &["00-4bf92f-00f067aa0ba902b7-01"], &[&valid, &valid]];
    for values in others {
        assert_eq!(delete_in_trace(&server, "/learnings/absent", &user("alice"), values), 404);
    }
    let spans = spans_of(server, &collector);
    let requests: Vec<_> = spans.iter().filter(|span| span.kind == 2).collect();
    assert_eq!(requests.len(), others.len());
    let traces: BTreeSet<_> = requests.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), others.len(), "each has a trace of its own");
    assert!(!traces.contains(TRACE) && requests.iter().all(|span| span.parent.is_empty()), "{requests:#?}");
}

#[test]
fn sampling_is_that_of_the_client_or_the_configured_part() {
    let collector = Collector::start();
    let settings = format!("{}traces.sample_ratio = 0.0\n", collector.settings());
    let server = Setup { settings, ..Setup::jwt() }.start();
    for flags in [None, Some("00"), Some("01")] {
        let value = flags.map(traceparent);
        let values: Vec<&str> = value.iter().map(String::as_str).collect();
        assert_eq!(delete_in_trace(&server, "/learnings/absent", &user("alice"), &values), 404);
    }
    let spans = spans_of(server, &collector);
    let requests: Vec<_> = spans.iter().filter(|span| span.kind == 2).collect();
    assert!(requests.len() == 1 && requests[0].trace == TRACE, "{spans:#?}");
}

#[test]
fn policy_that_computes_for_long_stays_in_its_trace() {
    let collector = Collector::start();
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("policy.wasm");
    std::fs::write(&file, text::bytes(include_str!("spins_then_deletes.wat"))).expect("the file is written");
    // After two ticks, of a 25th of the limit each, the policy is moved to another thread.
    let settings =
        format!("{}sandbox.cpu_time_limit_ms = 2500\nsandbox.execution_timeout_ms = 60000\n", collector.settings());
    let server = Setup { policy: Some(file.display().to_string()), settings, ..Setup::without_auth() }.start();
    let mut threads = 0;
    let client = thread::scope(|scope| {
        let client = scope.spawn(|| server.delete(ALICE_PROFILE, None).status);
        while !client.is_finished() {
            threads = threads.max(offloaded(&server));
            thread::sleep(Duration::from_millis(1));
        }
        client.join().expect("a response")
    });
    assert_eq!(client, 204, "{}", server.log());
    let spans = spans_of(server, &collector);
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    assert_eq!(
        one(&spans, "storage").parent,
        spans
            .iter()
            .find(|span| span.attributes.get("function").is_some_and(|function| function == "delete"))
            .expect("the call")
            .id
    );
    assert!(cfg!(not(target_os = "linux")) || threads > 0, "the policy was not moved to another thread");
}

/// The number of threads to which policies were moved.
fn offloaded(server: &TestServer) -> usize {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", server.process_id())) else { return 0 };
    let names = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("policy-offload")).count()
}

#[test]
fn spans_tell_failures_and_the_database() {
    let Some(cluster) = Cluster::shared("the spans of PostgreSQL") else { return };
    let name = cluster.create_database();
    cluster.connect(&name).run(&agno_tables());
    let collector = Collector::start();
    let further_databases = format!("[[databases]]\nid = \"shared\"\nurl = \"{}\"\n", cluster.url(&name));
    let setup = Setup { settings: collector.settings(), databases: vec![], further_databases, ..Setup::jwt() };
    let server = setup.start();
    assert_eq!(server.delete("/learnings/absent", Some(&admin())).status, 404);
    assert_eq!(server.delete("/learnings/absent", Some("not.a.token")).status, 401);
    cluster.connect(&name).run("DROP TABLE ai.agno_learnings");
    assert_eq!(server.delete("/learnings/absent", Some(&admin())).status, 500, "{}", server.log());
    let spans = spans_of(server, &collector);

    let mut storage: Vec<_> = spans.iter().filter(|span| span.name == "storage").collect();
    storage.sort_by_key(|span| span.start);
    assert_eq!(storage.iter().map(|span| span.status).collect::<Vec<_>>(), [0, 2], "{spans:#?}");
    assert_attributes(storage[1], &[("db.system.name", "postgresql"), ("error.type", "unknown-table")]);
    let mut requests: Vec<_> = spans.iter().filter(|span| span.kind == 2).collect();
    requests.sort_by_key(|span| span.start);
    // An error of the client is none of the server (OpenTelemetry's conventions for HTTP).
    assert_eq!(requests.iter().map(|span| span.status).collect::<Vec<_>>(), [0, 0, 2]);
    assert_attributes(requests[2], &[("http.response.status_code", "integer 500"), ("error.type", "500")]);
    let failed = spans.iter().find(|span| span.attributes.get("error.type").is_some_and(|kind| kind == "invalid"));
    assert_eq!(failed.map(|span| span.name.as_str()), Some("authentication"), "{spans:#?}");
}

#[test]
fn collector_that_is_down_delays_nobody_and_is_logged_once() {
    let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let settings = format!("traces.endpoint = \"http://{address}/v1/traces\"\n");
    let environment = vec![("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
    let server = Setup { settings, environment, ..Setup::jwt() }.start();
    let delete = || assert_eq!(server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
    let failed = "spans cannot be sent and are dropped";
    let start = Instant::now();
    while !server.log().contains(failed) {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", server.log());
        let sent = Instant::now();
        delete();
        assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    // In three times the time of the first failure, further batches fail.
    let end = Instant::now() + start.elapsed() * 3;
    while Instant::now() < end {
        delete();
        thread::sleep(Duration::from_millis(50));
    }
    let collector = Collector::start_on(address);
    let start = Instant::now();
    while collector.spans().is_empty() || !server.log().contains("spans are sent again") {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", server.log());
        delete();
        thread::sleep(Duration::from_millis(50));
    }
    // Of the batches that are sent from now on, the log says nothing.
    let count = || collector.spans().len();
    let before = count();
    while count() < before + 10 {
        assert!(start.elapsed() < Duration::from_secs(60), "{} spans", count());
        delete();
        thread::sleep(Duration::from_millis(50));
    }
    for message in [failed, "spans are sent again"] {
        assert_eq!(server.log().matches(message).count(), 1, "{message}: {}", server.log());
    }
}

#[test]
fn headers_for_the_collector_are_sent_and_never_shown() {
    const MARKER: &str = "secret-marker-of-the-collector";
    let collector = Collector::start();
    let settings = format!("{}traces.headers = \"authorization=Bearer {MARKER},x-tenant=7\"\n", collector.settings());
    let server = Setup { settings, ..Setup::jwt() }.start();
    assert_eq!(server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
    let log = server.log();
    assert!(!spans_of(server, &collector).is_empty());
    let heads = collector.heads().to_lowercase();
    assert!(heads.starts_with("post /v1/traces http/1.1") && heads.contains("x-tenant: 7"), "{heads}");
    assert!(heads.contains(&format!("authorization: bearer {MARKER}")), "{heads}");
    assert!(!log.contains(MARKER));
}
