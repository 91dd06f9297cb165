//! The metrics of parts of a server, as text.

use delete_learning_server::telemetry::metrics::{DatabaseSource, InUse, ReadyState, RequestMetrics, Sources};
use std::sync::Arc;
use std::time::SystemTime;

/// Returns the metrics of these requests and databases, and of nothing else.
pub fn exposition(requests: &Arc<RequestMetrics>, databases: Vec<DatabaseSource>) -> String {
    let in_use = || InUse { used: 0, max: 0 };
    let are_ready = databases.iter().map(|_| true).collect();
    let sources = Arc::new(Sources {
        start: SystemTime::now(),
        requests: Arc::clone(requests),
        connections: Box::new(in_use),
        policy: None,
        databases,
        caches: Vec::new(),
        audit: None,
    });
    sources.encode(ReadyState { is_ready: true, databases: are_ready }).expect("text")
}

/// Returns the value of the only series that begins like this.
pub fn value(exposition: &str, series: &str) -> String {
    let mut lines = exposition.lines().filter(|line| line.starts_with(series));
    let (line, next) = (lines.next(), lines.next());
    assert!(line.is_some() && next.is_none(), "one series begins with {series}: {exposition}");
    line.and_then(|line| line.rsplit(' ').next()).expect("a value").to_owned()
}
