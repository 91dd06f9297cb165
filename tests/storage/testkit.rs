//! The storage test kit (`delete_learning::testkit`): the stores of the server and of the library pass it, and a storage
//! with any one defect fails it.

use super::shortened_or_full;
use super::store::{Records, Store};
use super::unchanged::{block_on, open};
use delete_learning::storage::{Database, Databases, LearningStore, MemoryStore};
use delete_learning::testkit::{AdapterError, Guarantee, Report, StorageAdapter, test_storage};
use delete_learning::{
    BoxFuture, Condition, DeleteRequest, Learning, Outcome, RecordStorage, StorageError, StorageErrorKind,
};
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn record(store: Arc<dyn LearningStore>, id: &str) -> Arc<dyn RecordStorage> {
    let database = Database { id: "main".to_owned(), table: "learnings".to_owned(), store };
    let request = DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None };
    Databases(vec![database]).record(&request)
}

/// A store of the server, and a connection of another program.
struct ServerStore {
    store: Arc<dyn LearningStore>,
    records: Mutex<Box<dyn Records>>,
}

impl ServerStore {
    fn run<T>(&self, work: impl FnOnce(&mut dyn Records) -> T) -> T {
        // The connection of another program waits in a runtime of its own.
        tokio::task::block_in_place(|| work(&mut **self.records.lock().expect("no panic")))
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn nullable(text: Option<&String>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| literal(text))
}

impl StorageAdapter for ServerStore {
    fn record(&self, id: &str) -> Arc<dyn RecordStorage> {
        record(Arc::clone(&self.store), id)
    }

    fn insert<'a>(&'a self, id: &'a str, learning: &'a Learning) -> BoxFuture<'a, Result<(), AdapterError>> {
        let updated_at = learning.updated_at.map_or_else(|| "NULL".to_owned(), |time| time.to_string());
        let values = [
            literal(id),
            literal(&learning.learning_type),
            nullable(learning.namespace.as_ref()),
            nullable(learning.user_id.as_ref()),
            nullable(learning.agent_id.as_ref()),
            nullable(learning.team_id.as_ref()),
            nullable(learning.workflow_id.as_ref()),
            nullable(learning.session_id.as_ref()),
            nullable(learning.entity_id.as_ref()),
            nullable(learning.entity_type.as_ref()),
            literal(&learning.content),
            nullable(learning.metadata.as_ref()),
            learning.created_at.to_string(),
            updated_at,
        ]
        .join(", ");
        self.run(|records| {
            records.remove(id);
            records.execute_on_table(&format!(
                "INSERT INTO learnings (learning_id, learning_type, namespace, user_id, agent_id, team_id, workflow_id, \
                 session_id, entity_id, entity_type, content, metadata, created_at, updated_at) VALUES ({values})"
            ));
        });
        Box::pin(ready(Ok(())))
    }

    fn change_owner<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
        before_commit: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<bool, AdapterError>> {
        let (id, from, to) = (literal(id), literal(from), literal(to));
        let sql = format!("UPDATE learnings SET user_id = {to} WHERE learning_id = {id} AND user_id = {from}");
        Box::pin(async move {
            let changed = self.run(|records| {
                records.begin();
                records.execute_on_table(&sql)
            });
            before_commit.await;
            self.run(|records| records.commit());
            Ok(changed == 1)
        })
    }

    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Learning>, AdapterError>> {
        // The kit compares the owner only after a race between these two.
        let owned_by = |records: &mut dyn Records, owner: &str| {
            let (id, owner) = (literal(id), literal(owner));
            let sql = format!("UPDATE learnings SET user_id = {owner} WHERE learning_id = {id} AND user_id = {owner}");
            records.execute_on_table(&sql) == 1
        };
        let owner = self.run(|records| {
            let exists = records.has(id);
            exists.then(|| ["alice", "bob"].into_iter().find(|owner| owned_by(records, owner)))
        });
        Box::pin(ready(Ok(owner.map(Learning::owned_by))))
    }
}

#[test]
fn storage_of_the_server_passes_the_test_kit() {
    for store in Store::all("the storage test kit on PostgreSQL") {
        let adapter = ServerStore { store: open(&store).into(), records: Mutex::new(store.connect()) };
        let rounds = u32::try_from(shortened_or_full(60, 4_000)).expect("a small number");
        let report = block_on(test_storage(&adapter, rounds)).expect("the adapter works");
        println!("{}: {report}", store.name());
        assert!(report.is_ok(), "{}: {report}", store.name());
        assert!(report.checks > 100, "{report}");
    }
}

/// A defect of a storage.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Its revisions have the maximum length.
    None,
    /// With a pause between the two, in which another connection can change the owner.
    ChecksTheOwnerBeforeItDeletes,
    ChecksTheRevisionBeforeItDeletes,
    DeletesWithoutACondition,
    ReturnsDeletedTwice,
    /// Both of two deletes at once return deleted.
    ReturnsDeletedToTwoAtOnce,
    /// One of two deletes at once fails with an unknown outcome.
    LosesTheOutcomeOfTwoAtOnce,
    ReturnsDeletedWithoutDeleting,
    ReturnsChangedForAnAbsentRecord,
    DeletesARecordOfAnother,
    ReturnsAbsentForAnotherOwner,
    ReturnsUnownedForAnotherOwner,
    IgnoresCaseOfOwners,
    TrimsOwners,
    TrimsIds,
    HasOneRevision,
    HasAnotherRevisionEachTime,
    HasALongRevision,
    DropsTheMetadata,
    ReplacesEmoji,
    FindsAnAbsentRecord,
    FailsToLocateAnAbsentRecord,
    LocatesAnAbsentRecordElsewhere,
    LosesTheOutcomeOfARace,
    /// It reads the owner under the lock that changes hold, and releases it before it deletes. A change that is not committed
    /// yet only delays it, so timing alone shows the defect.
    ReleasesItsLockBeforeItDeletes,
}

/// A store in memory with a defect.
struct Defective {
    store: Arc<MemoryStore>,
    lock: Arc<tokio::sync::Mutex<()>>,
    defect: Defect,
}

struct DefectiveRecord {
    store: Arc<MemoryStore>,
    lock: Arc<tokio::sync::Mutex<()>>,
    id: String,
    defect: Defect,
}

impl DefectiveRecord {
    async fn owner(&self) -> Option<Option<String>> {
        self.store.find(self.id.clone()).await.expect("memory does not fail").map(|learning| learning.user_id)
    }

    async fn delete_if(&self, condition: Condition) -> Result<Outcome, StorageError> {
        self.store.delete(self.id.clone(), condition).await
    }
}

impl RecordStorage for DefectiveRecord {
    fn locate(&self) -> BoxFuture<'_, Result<delete_learning::Target, StorageError>> {
        Box::pin(async {
            if self.defect == Defect::FailsToLocateAnAbsentRecord && self.owner().await.is_none() {
                return Err(StorageError::new(StorageErrorKind::UnknownTable, "no such record"));
            }
            let is_elsewhere = self.defect == Defect::LocatesAnAbsentRecordElsewhere && self.owner().await.is_none();
            let table = if is_elsewhere { "absent" } else { "learnings" };
            Ok(delete_learning::Target { database: "main".to_owned(), table: table.to_owned() })
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            let mut found = self.store.find(self.id.clone()).await?;
            if let Some(learning) = &mut found {
                match self.defect {
                    Defect::None => learning.revision = format!("{:.<256}", learning.revision),
                    Defect::HasAnotherRevisionEachTime => {
                        self.store.insert(self.id.clone(), Learning { revision: String::new(), ..learning.clone() });
                    }
                    Defect::HasALongRevision => learning.revision = learning.revision.repeat(257),
                    Defect::DropsTheMetadata => learning.metadata = None,
                    Defect::ReplacesEmoji => learning.content = learning.content.replace('😀', "?"),
                    _ => {}
                }
            } else if self.defect == Defect::FindsAnAbsentRecord {
                found = Some(Learning { revision: "r".to_owned(), ..Learning::owned_by(Some("alice")) });
            }
            Ok(found)
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move {
            let owner = self.owner().await;
            // So long that a change of the owner that is committed while the deletion runs is committed in the pause.
            let pause = || tokio::time::sleep(Duration::from_millis(150));
            match (self.defect, &condition, &owner) {
                (Defect::None, Condition::Unchanged(revision), _) => {
                    self.delete_if(Condition::Unchanged(revision.trim_end_matches('.').to_owned())).await
                }
                (Defect::ChecksTheOwnerBeforeItDeletes, Condition::OwnedBy(user), Some(Some(owner)))
                    if user == owner =>
                {
                    pause().await;
                    self.delete_if(Condition::Any).await
                }
                (Defect::ChecksTheRevisionBeforeItDeletes, Condition::Unchanged(revision), Some(_)) => {
                    let found = self.store.find(self.id.clone()).await?;
                    if found.is_none_or(|learning| learning.revision != *revision) {
                        return Ok(Outcome::Changed);
                    }
                    pause().await;
                    self.delete_if(Condition::Any).await
                }
                (Defect::DeletesWithoutACondition, ..) => self.delete_if(Condition::Any).await,
                (Defect::ReturnsDeletedTwice, _, None) => Ok(Outcome::Deleted),
                (Defect::ReturnsDeletedToTwoAtOnce | Defect::LosesTheOutcomeOfTwoAtOnce, _, Some(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    match self.delete_if(condition).await {
                        Ok(Outcome::Absent) if self.defect == Defect::ReturnsDeletedToTwoAtOnce => Ok(Outcome::Deleted),
                        Ok(Outcome::Absent) => {
                            Err(StorageError::new(StorageErrorKind::OutcomeUnknown, "another delete was faster"))
                        }
                        outcome => outcome,
                    }
                }
                (Defect::ReturnsChangedForAnAbsentRecord, Condition::Unchanged(_), None) => Ok(Outcome::Changed),
                (Defect::DeletesARecordOfAnother, Condition::OwnedBy(user), Some(Some(owner))) if user != owner => {
                    self.delete_if(Condition::Any).await?;
                    Ok(Outcome::OwnedByAnother)
                }
                (Defect::ReturnsDeletedWithoutDeleting, Condition::OwnedBy(user), Some(Some(owner)))
                    if user == owner =>
                {
                    Ok(Outcome::Deleted)
                }
                (Defect::ReturnsAbsentForAnotherOwner, Condition::OwnedBy(user), Some(Some(owner)))
                    if user != owner =>
                {
                    Ok(Outcome::Absent)
                }
                (Defect::ReturnsUnownedForAnotherOwner, Condition::OwnedBy(user), Some(Some(owner)))
                    if user != owner =>
                {
                    Ok(Outcome::Unowned)
                }
                (Defect::IgnoresCaseOfOwners, Condition::OwnedBy(user), Some(Some(owner)))
                    if user.to_lowercase() == owner.to_lowercase() =>
                {
                    self.delete_if(Condition::OwnedBy(owner.clone())).await
                }
                (Defect::TrimsOwners, Condition::OwnedBy(user), Some(Some(owner))) if user.trim() == owner.trim() => {
                    self.delete_if(Condition::OwnedBy(owner.clone())).await
                }
                (Defect::HasOneRevision, Condition::Unchanged(_), Some(_)) => self.delete_if(Condition::Any).await,
                (Defect::LosesTheOutcomeOfARace, Condition::OwnedBy(_), _) => {
                    let before = owner;
                    pause().await;
                    let now = self.owner().await;
                    if now == before || now.is_none() {
                        return self.delete_if(condition).await;
                    }
                    Err(StorageError::new(StorageErrorKind::OutcomeUnknown, "the owner changed"))
                }
                (Defect::ReleasesItsLockBeforeItDeletes, Condition::OwnedBy(user), _) => {
                    let locked = self.lock.lock().await;
                    let is_owned = self.owner().await == Some(Some(user.clone()));
                    drop(locked);
                    let pause = || tokio::time::sleep(Duration::from_millis(20));
                    pause().await;
                    let deleted = self.delete_if(if is_owned { Condition::Any } else { condition }).await;
                    pause().await;
                    deleted
                }
                _ => self.delete_if(condition).await,
            }
        })
    }
}

impl StorageAdapter for Defective {
    fn record(&self, id: &str) -> Arc<dyn RecordStorage> {
        let id = if self.defect == Defect::TrimsIds { id.trim() } else { id };
        let (store, lock) = (Arc::clone(&self.store), Arc::clone(&self.lock));
        Arc::new(DefectiveRecord { store, lock, id: id.to_owned(), defect: self.defect })
    }

    fn insert<'a>(&'a self, id: &'a str, learning: &'a Learning) -> BoxFuture<'a, Result<(), AdapterError>> {
        self.store.insert(id, Learning { revision: String::new(), ..learning.clone() });
        Box::pin(ready(Ok(())))
    }

    fn change_owner<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
        before_commit: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<bool, AdapterError>> {
        Box::pin(async move {
            let _locked = self.lock.lock().await;
            before_commit.await;
            Ok(self.store.change_owner(id, from, to))
        })
    }

    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Learning>, AdapterError>> {
        Box::pin(async { Ok(self.store.find(id.to_owned()).await?) })
    }
}

fn report(defect: Defect, rounds: u32) -> Report {
    let adapter = Defective { store: Arc::default(), lock: Arc::default(), defect };
    block_on(test_storage(&adapter, rounds)).expect("the adapter works")
}

#[test]
fn storage_in_memory_passes_the_test_kit() {
    let report = report(Defect::None, 10);
    assert!(report.is_ok(), "{report}");
}

#[test]
fn storage_with_one_defect_fails_the_test_kit_with_its_guarantee() {
    let defects = [
        (Defect::ChecksTheOwnerBeforeItDeletes, Guarantee::AtomicDelete),
        (Defect::ChecksTheRevisionBeforeItDeletes, Guarantee::AtomicDelete),
        (Defect::LosesTheOutcomeOfARace, Guarantee::AtomicDelete),
        (Defect::ReturnsDeletedToTwoAtOnce, Guarantee::AtomicDelete),
        (Defect::LosesTheOutcomeOfTwoAtOnce, Guarantee::AtomicDelete),
        (Defect::DeletesWithoutACondition, Guarantee::TrueOutcome),
        (Defect::ReturnsDeletedTwice, Guarantee::TrueOutcome),
        (Defect::ReturnsDeletedWithoutDeleting, Guarantee::DurableDelete),
        (Defect::DeletesARecordOfAnother, Guarantee::DurableDelete),
        (Defect::ReturnsChangedForAnAbsentRecord, Guarantee::TrueOutcome),
        (Defect::ReturnsAbsentForAnotherOwner, Guarantee::TrueOutcome),
        (Defect::ReturnsUnownedForAnotherOwner, Guarantee::TrueOutcome),
        (Defect::IgnoresCaseOfOwners, Guarantee::ByteComparison),
        (Defect::TrimsOwners, Guarantee::ByteComparison),
        (Defect::TrimsIds, Guarantee::ByteComparison),
        (Defect::HasOneRevision, Guarantee::TrueRecord),
        (Defect::HasAnotherRevisionEachTime, Guarantee::TrueRecord),
        (Defect::HasALongRevision, Guarantee::TrueRecord),
        (Defect::DropsTheMetadata, Guarantee::TrueRecord),
        (Defect::ReplacesEmoji, Guarantee::TrueRecord),
        (Defect::FindsAnAbsentRecord, Guarantee::TrueRecord),
        (Defect::LocatesAnAbsentRecordElsewhere, Guarantee::LocateReadsNoRecord),
        (Defect::FailsToLocateAnAbsentRecord, Guarantee::LocateReadsNoRecord),
    ];
    // At once, because they wait most of the time.
    thread::scope(|scope| {
        for (defect, guarantee) in defects {
            scope.spawn(move || {
                // Few rounds of the races that depend on timing, because none of these defects needs them to be found.
                let report = report(defect, 10);
                let found = report.findings.iter().any(|finding| finding.guarantee == guarantee);
                assert!(found, "{defect:?}: {report}");
            });
        }
    });
}

#[test]
fn finding_names_the_call_and_the_owner_of_the_record() {
    let report = report(Defect::ReturnsUnownedForAnotherOwner, 1).to_string();
    let expected = r#"delete_if_owned_by("bob") of a record of "alice" returned unowned; expected owned-by-another"#;
    assert!(report.contains(expected), "{report}");
}

#[test]
fn defect_that_a_change_in_progress_does_not_show_is_found_by_the_races_that_depend_on_timing() {
    let report = report(Defect::ReleasesItsLockBeforeItDeletes, 50);
    let found = report.findings.iter().any(|finding| finding.guarantee == Guarantee::AtomicDelete);
    assert!(found, "{report}");
}
