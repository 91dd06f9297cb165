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
            if log.write(line).await.is_ok() {
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

#[cfg(test)]
mod tests {
    use super::{Entry, Kind, OpenIntent, find};
    use crate::audit::Salted;
    use crate::audit::event::Values;
    use delete_learning::storage::MemoryStore;
    use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
    use std::future::ready;
    use std::sync::Arc;

    /// A storage whose every call fails.
    struct Fails(StorageErrorKind);

    impl LearningStore for Fails {
        fn find(&self, _: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
            Box::pin(ready(Err(StorageError::new(self.0, "fails"))))
        }

        fn delete(&self, _: String, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
            Box::pin(ready(Err(StorageError::new(self.0, "fails"))))
        }

        fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
            Box::pin(ready(Err(StorageError::new(self.0, "fails"))))
        }
    }

    #[tokio::test]
    async fn intent_stays_open_only_as_long_as_its_database_is_unavailable() {
        let learning_id = Some(Salted { salt: "00".repeat(16), value: "note".to_owned() });
        let values = Values { learning_id, ..Values::default() };
        let mut intent = OpenIntent { index: 0, request_id: "r".to_owned(), entry: Entry::new(Kind::Intent), values };
        let store = |kind| -> Arc<dyn LearningStore> { Arc::new(Fails(kind)) };
        assert_eq!(find(&intent, Some(&store(StorageErrorKind::Unavailable))).await, None);
        assert_eq!(find(&intent, Some(&store(StorageErrorKind::Internal))).await, Some("unknown"));
        let memory: Arc<dyn LearningStore> = Arc::new(MemoryStore::default());
        assert_eq!(find(&intent, Some(&memory)).await, Some("absent"));
        assert_eq!(find(&intent, None).await, Some("unknown"), "its database is not configured any more");
        intent.values.learning_id = None;
        assert_eq!(find(&intent, Some(&memory)).await, Some("unknown"), "its learning id was erased");
    }
}
