//! `OBSERVABILITY.md`, the dashboard and the alerts name the metrics that exist.

use super::Monitored;
use crate::support::database::repository_path;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(repository_path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The metrics of the table with their types and the names of their labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = read("host/server/OBSERVABILITY.md");
    let rows = text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    let metrics = rows.filter(|row| !row.starts_with("| `/")).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        // The values of a label follow a colon: `outcome`: `deleted`, …
        let labels = cells[3].split(';').flat_map(|group| group.split(':').next().unwrap_or_default().split(','));
        let labels = labels.map(|label| label.trim().trim_matches('`').to_owned()).filter(|label| !label.is_empty());
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels.collect()))
    });
    metrics.collect()
}

#[test]
fn table_lists_the_metrics_with_their_types_and_labels() {
    let (monitored, has_postgres) = Monitored::with_everything("the metrics of PostgreSQL");
    // So that every metric has a sample.
    assert_eq!(monitored.server.delete("/learnings/a?db_id=main", None).status, 401);
    let scrape = monitored.scrape();
    let mut actual = BTreeMap::new();
    for (name, kind) in &scrape.types {
        let suffix = if kind == "histogram" { "_count" } else { "" };
        let (sample, _) =
            scrape.of(&format!("{name}{suffix}")).next().unwrap_or_else(|| panic!("{name} has no sample"));
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
        let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        actual.insert(name.clone(), (kind.clone(), labels.collect::<BTreeSet<_>>()));
    }
    let mut documented = documented();
    if !has_postgres {
        documented.retain(|name, _| !name.starts_with("delete_learning_postgres_"));
    }
    assert_eq!(documented, actual);
}

/// The queries of the dashboard and of the alerts, with the variables of Grafana replaced.
pub(super) fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("host/server/observability/grafana-dashboard.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    let queries = queries.map(|query| query.replace("$__rate_interval", "1m").replace("$instance", ".*"));
    let queries: Vec<String> = queries.collect();
    assert!(queries.len() > 30 && queries.iter().all(|query| !query.contains('$')), "{queries:?}");
    queries
}

/// The metrics that a query names.
pub(super) fn named_metrics(query: &str) -> BTreeSet<&str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = query.split(|character| !is_name(character));
    words.filter(|word| word.starts_with("delete_learning_") || word.starts_with("process_")).collect()
}

#[test]
fn dashboard_shows_every_metric() {
    let queries = queries();
    let shown: BTreeSet<&str> = queries.iter().flat_map(|query| named_metrics(query)).collect();
    let base = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = shown.into_iter().map(base).collect();
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(shown, documented);
}
