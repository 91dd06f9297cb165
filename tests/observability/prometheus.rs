//! The output, the alerts and the dashboard in a real Prometheus.

use super::Monitored;
use super::documents::{named_metrics, queries, read};
use crate::cli::documentation::code_blocks;
use crate::support::cluster::free_port;
use crate::support::database::repository_path;
use crate::support::optional::has_tools;
use crate::support::token::user;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A Prometheus that scrapes one server every second. It is killed when dropped.
struct Prometheus {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Prometheus {
    /// Starts it with the scrape configuration of `OBSERVABILITY.md` and the alert rules.
    fn start(monitored: &Monitored) -> Self {
        let (_, scrape) = code_blocks("host/server/OBSERVABILITY.md")
            .into_iter()
            .find(|(language, _)| language == "yaml")
            .expect("a scrape configuration");
        let target = monitored.address.to_string();
        let scrape = scrape.replace("127.0.0.1:9464", &target);
        assert!(scrape.contains(&target), "{scrape}");
        let rules = repository_path("host/server/observability/alerts.yml").canonicalize().expect("the rules");
        let rules = Value::from(rules.display().to_string());
        let global = "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n";
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, format!("{global}rule_files: [{rules}]\n{scrape}")).expect("the configuration");
        let port = free_port();
        let log = fs::File::create(directory.path().join("log")).expect("the log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        Self { child, port, directory }
    }

    /// Returns the data of an API call, or the error.
    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let request = agent.get(format!("http://127.0.0.1:{}/api/v1/{path}", self.port));
        let mut response = request.query_pairs(parameters.iter().copied()).call().map_err(|error| error.to_string())?;
        let body = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&body).map_err(|_| body)?;
        if body["status"] == "success" { Ok(body["data"].clone()) } else { Err(body["error"].to_string()) }
    }

    fn query(&self, query: &str) -> Result<Value, String> {
        self.get("query", &[("query", query)]).map(|data| data["result"].clone())
    }

    /// Waits until the server has been scraped several times.
    fn wait_for_scrapes(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        let query = r#"count_over_time(up{job="delete-learning"}[1m]) >= 4 and up{job="delete-learning"} == 1"#;
        loop {
            let found = self.query(query);
            if found.as_ref().is_ok_and(|result| result.as_array().is_some_and(|result| !result.is_empty())) {
                return;
            }
            let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "no scrapes: {found:?}\n{}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_query_runs_on_a_real_prometheus() {
    if !has_tools(&["prometheus"], "the queries of the dashboard and the alerts") {
        return;
    }
    let (monitored, has_postgres) = Monitored::with_everything("the metrics of PostgreSQL in Prometheus");
    let delete = |target: &str| monitored.server.delete(&format!("/learnings/{target}"), Some(&user("alice"))).status;
    assert_eq!(delete("user_profile_alice@example.com?db_id=main"), 204);
    assert_eq!(delete("absent?db_id=main"), 404);
    if has_postgres {
        assert_eq!(delete("absent?db_id=shared"), 404);
    }
    let prometheus = Prometheus::start(&monitored);
    prometheus.wait_for_scrapes();

    let groups = prometheus.get("rules", &[]).expect("the rules");
    let rules =
        groups["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    let rules: Vec<&Value> = rules.collect();
    assert!(rules.len() >= 15, "{groups:#}");
    for rule in &rules {
        let is_expected = (rule["health"] == "ok" || rule["health"] == "unknown") && rule["lastError"].is_null();
        assert!(is_expected && rule["state"] == "inactive", "{rule:#}");
    }

    let known = prometheus.get("label/__name__/values", &[]).expect("the names of the metrics");
    let known: BTreeSet<&str> = known.as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let expressions = rules.iter().map(|rule| rule["query"].as_str().expect("a query").to_owned());
    let (mut empty, all) = (0, queries().into_iter().chain(expressions).collect::<Vec<_>>());
    for query in &all {
        let result = prometheus.query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        empty += usize::from(result.as_array().is_none_or(Vec::is_empty));
        for name in named_metrics(query) {
            let can_be_missing = !has_postgres && name.starts_with("delete_learning_postgres_");
            assert!(known.contains(name) || can_be_missing, "{query}: {name} does not exist");
        }
    }
    println!("{} queries on {} metrics of a real Prometheus, {empty} of them empty", all.len(), known.len());
    let deleted = r#"delete_learning_requests_total{status="204",rule="deleted-as-owner"}"#;
    let result = prometheus.query(deleted).expect("a result");
    assert_eq!(result[0]["value"][1], "1", "{result:#}");
    assert!(monitored.scrape().names().iter().all(|name| known.contains(name)), "every metric was scraped");
}

fn promtool(arguments: &[&str], input: &str, directory: &Path) -> String {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the input can be written");
    let output = child.wait_with_output().expect("promtool ends");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    text
}

#[test]
fn promtool_accepts_the_metrics_and_the_alerts() {
    if !has_tools(&["promtool"], "checks of the metrics and the alerts") {
        return;
    }
    let (monitored, _) = Monitored::with_everything("the metrics of PostgreSQL in promtool");
    assert_eq!(monitored.server.delete("/learnings/a?db_id=main", None).status, 401);
    let text = monitored.scrape_text();
    let directory = repository_path("host/server/observability");
    assert_eq!(promtool(&["check", "metrics"], &text, &directory), "", "no complaint");
    promtool(&["check", "rules", "alerts.yml"], "", &directory);
    let tested = promtool(&["test", "rules", "alerts.test.yml"], "", &directory);
    assert!(tested.contains("SUCCESS"), "{tested}");
}

#[test]
fn every_alert_has_a_test() {
    let [rules, tests] =
        ["alerts.yml", "alerts.test.yml"].map(|file| read(&format!("host/server/observability/{file}")));
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
}
