//! What an operator sees: metrics, the dashboard and the alerts on them, and the probes.

mod access_log;
mod collector;
mod documents;
mod listener;
mod metrics;
mod probes;
mod prometheus;
mod traces;

use crate::support::cluster::Cluster;
use crate::support::postgres::agno_tables;
use crate::support::server::{Setup, TestServer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The settings that serve the metrics on a free port.
const METRICS: &str = "metrics.listen = \"127.0.0.1:0\"\n";

/// A server with metrics and the directory of its audit log.
struct Monitored {
    server: TestServer,
    address: SocketAddr,
    /// The directory that contains the audit log, `audit`, and its key.
    audit: TempDir,
}

/// The status, the type and the body of a response.
type Reply = (u16, String, String);

impl Monitored {
    /// Starts a server with metrics.
    fn start(setup: Setup) -> Self {
        Self::start_with(setup, TempDir::new().expect("a directory"))
    }

    fn start_with(setup: Setup, audit: TempDir) -> Self {
        let server = Setup { settings: format!("{METRICS}{}", setup.settings), ..setup }.start();
        let line = server.wait_for_log(&["\"listening\"", "metrics_address"]);
        let address = line["metrics_address"].as_str().expect("text").parse().expect("an address");
        Self { server, address, audit }
    }

    /// Starts a server with an audit log.
    fn with_audit_log(setup: Setup) -> Self {
        let directory = TempDir::new().expect("a directory");
        let key = directory.path().join("audit.key");
        let made = Command::new(env!("CARGO_BIN_EXE_delete-learning"))
            .args(["audit", "keygen", "--origin", "example.com/deletions"])
            .arg(&key)
            .output()
            .expect("the binary runs");
        assert!(made.status.success(), "{made:?}");
        let (log, key) = (directory.path().join("audit").display().to_string(), key.display().to_string());
        let audit = format!(
            "audit.directory = {}\naudit.signing_key_file = {}\naudit.checkpoint_interval_seconds = 1\n",
            Value::from(log),
            Value::from(key)
        );
        Self::start_with(Setup { settings: audit + &setup.settings, ..setup }, directory)
    }

    /// Starts a server with everything that has metrics: SQLite, an audit log, service accounts, and PostgreSQL if this machine
    /// has it. Returns also whether it has.
    fn with_everything(skipped: &str) -> (Self, bool) {
        let cluster = Cluster::shared(skipped);
        let further_databases = cluster.map_or(String::new(), |cluster| {
            let name = cluster.create_database();
            cluster.connect(&name).run(&agno_tables());
            format!("[[databases]]\nid = \"shared\"\nurl = \"{}\"\n", cluster.url(&name))
        });
        let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n", Setup::jwt().auth);
        (Self::with_audit_log(Setup { auth, further_databases, ..Setup::jwt() }), cluster.is_some())
    }

    /// Sends a request without a body to the address of the metrics.
    fn request(&self, method: &str, path: &str) -> Reply {
        request(self.address, method, path)
    }

    /// The parts that `/readyz` of this address reports, with its status.
    fn ready(&self, address: SocketAddr) -> (u16, Value) {
        let (status, _, body) = request(address, "GET", "/readyz");
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}")))
    }

    /// Waits until both addresses report this status of `/readyz`.
    fn wait_for_ready(&self, status: u16) {
        let end = Instant::now() + Duration::from_secs(20);
        while [self.server.address, self.address].iter().any(|address| self.ready(*address).0 != status) {
            assert!(Instant::now() < end, "not {status}: {:?}\n{}", self.ready(self.address), self.server.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn scrape_text(&self) -> String {
        let (status, content_type, body) = self.request("GET", "/metrics");
        assert_eq!((status, content_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"), "{body}");
        self.server.secrets().assert_absent("the metrics", &body);
        body
    }

    fn scrape(&self) -> Scrape {
        Scrape::parse(&self.scrape_text())
    }
}

fn request(address: SocketAddr, method: &str, path: &str) -> Reply {
    let request = ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut response = agent.run(request.body(()).expect("a request")).expect("a response");
    let content_type = response.headers().get("content-type").map(|value| value.to_str().expect("text").to_owned());
    let body = response.body_mut().read_to_string().expect("a body");
    (response.status().as_u16(), content_type.unwrap_or_default(), body)
}

/// The metrics of one scrape.
struct Scrape {
    /// The metrics and their types.
    types: BTreeMap<String, String>,
    /// The samples by name and labels, as they were written.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn parse(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').expect("a name and a type");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
            } else if !line.starts_with('#') {
                let (sample, value) = line.rsplit_once(' ').expect("a sample and a value");
                let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} occurs twice");
            }
        }
        Self { types, samples }
    }

    /// The value of a sample.
    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        let found = self.samples.get(sample).copied();
        found.unwrap_or_else(|| panic!("{sample} is missing: {:#?}", self.samples.keys()))
    }

    /// Asserts that samples have these values.
    #[track_caller]
    fn assert_values(&self, expected: &[(&str, f64)]) {
        for (sample, value) in expected {
            assert!((self.value(sample) - value).abs() < 1e-9, "{sample} is {}, not {value}", self.value(sample));
        }
    }

    /// The samples of a metric.
    fn of<'a>(&'a self, metric: &str) -> impl Iterator<Item = (&'a str, f64)> {
        let samples = self.samples.iter().map(|(sample, value)| (sample.as_str(), *value));
        samples.filter(move |(sample, _)| sample.split('{').next() == Some(metric))
    }

    fn sum(&self, metric: &str) -> f64 {
        self.of(metric).map(|(_, value)| value).sum()
    }

    /// The names that a query can use: those of the samples.
    fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().filter_map(|sample| sample.split('{').next()).collect()
    }
}
