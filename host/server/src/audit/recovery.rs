//! Closes the intents that a crash left open, with what the database shows.

use super::event::{Entry, Kind, Line};
use super::log::AuditLog;
use super::start::OpenIntent;
use delete_learning::storage::Databases;
use delete_learning::{LearningStore, StorageErrorKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The longest pause between two attempts to reach a database.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Closes open intents. Each table has a task of its own, so that one that cannot be reached delays only its own intents.
/// Begins after `delay`: until then, a database can still execute what the server had sent before it ended.
pub(crate) fn close_open_intents(
    log: &Arc<AuditLog>,
    intents: Vec<OpenIntent>,
    databases: &Databases,
    delay: Duration,
) {
    let mut by_target = BTreeMap::<_, Vec<OpenIntent>>::new();
    for intent in intents {
        by_target.entry(intent.target().map(|target| (target.database, target.table))).or_default().push(intent);
    }
    for (target, intents) in by_target {
        let database = databases
            .0
            .iter()
            .find(|database| target.as_ref().is_some_and(|(id, table)| (id, table) == (&database.id, &database.table)));
        let store = database.map(|database| Arc::clone(&database.store));
        let log = Arc::clone(log);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            for intent in intents {
                close(&log, &intent, store.as_ref()).await;
            }
        });
    }
}

async fn close(log: &AuditLog, intent: &OpenIntent, store: Option<&Arc<dyn LearningStore>>) {
    let mut pause = Duration::from_millis(100);
    loop {
        if let Some(outcome) = find(intent, store).await {
            let line = Line::new(&interrupted(intent, outcome), &intent.values);
            let Ok(line) = line else { return };
            if log.write_synced(line).await.is_ok() {
                tracing::warn!(
                    request_id = intent.request_id,
                    record = outcome,
                    "closed the intent of an interrupted request"
                );
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// What the database shows of the record; `None` if it cannot be reached.
async fn find(intent: &OpenIntent, store: Option<&Arc<dyn LearningStore>>) -> Option<&'static str> {
    let (Some(store), Some(id)) = (store, intent.learning_id()) else { return Some("unknown") };
    match store.find(id.to_owned()).await {
        Ok(None) => Some("absent"),
        Ok(Some(_)) => Some("present"),
        Err(error) if error.kind == StorageErrorKind::Unavailable => None,
        Err(error) => {
            tracing::error!(
                request_id = intent.request_id,
                cause = error.message,
                "cannot find an interrupted deletion"
            );
            Some("unknown")
        }
    }
}

/// The entry that closes an intent. It repeats what the intent has, digests of values included.
fn interrupted(intent: &OpenIntent, outcome: &str) -> Entry {
    let now = Entry::new(Kind::Interrupted);
    let outcome = Some(outcome.to_owned());
    Entry { event: now.event, time: now.time, outcome, ..intent.entry.clone() }
}
