//! One request at a time: every outcome of every delete, `find`, `locate` and what a second connection sees.

use super::report::{Guarantee, Report};
use super::{AdapterError, StorageAdapter, learning};
use crate::contract::{Learning, Outcome, StorageError};
use crate::storage::Condition;

const ID: &str = "testkit-conditions";

pub(super) async fn test(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    let record = adapter.record(ID);
    record.delete(Condition::Any).await?;
    let located = record.locate().await;
    absent_record(adapter, report).await?;
    outcomes(adapter, report).await?;
    found_record(adapter, report).await?;
    revisions(adapter, report).await?;

    adapter.insert(ID, &learning(Some("alice"))).await?;
    let located_with_record = record.locate().await;
    let violation = (located != located_with_record || located.is_err()).then(|| {
        format!("locate returned {located:?} without the record and {located_with_record:?} with it; expected the same target")
    });
    report.check(Guarantee::LocateReadsNoRecord, violation);
    record.delete(Condition::Any).await?;
    Ok(())
}

async fn absent_record(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    let record = adapter.record(ID);
    let found = record.find().await;
    let violation = (found != Ok(None)).then(|| format!("find of an absent record returned {found:?}; expected none"));
    report.check(Guarantee::TrueRecord, violation);
    for condition in
        [Condition::Any, Condition::OwnedBy("alice".to_owned()), Condition::Unchanged("testkit-unknown".to_owned())]
    {
        let result = record.delete(condition.clone()).await;
        let what = format!("{} of an absent record", call(&condition));
        report.check(Guarantee::TrueOutcome, expect(&what, &result, Outcome::Absent));
    }
    Ok(())
}

/// Every condition against a record with and without an owner.
async fn outcomes(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    let owned_by = |user: &str| Condition::OwnedBy(user.to_owned());
    let unknown_revision = Condition::Unchanged("testkit-unknown".to_owned());
    for (owner, condition, expected) in [
        (Some("alice"), Condition::Any, Outcome::Deleted),
        (None, Condition::Any, Outcome::Deleted),
        (Some("alice"), owned_by("alice"), Outcome::Deleted),
        (Some("alice"), owned_by("bob"), Outcome::OwnedByAnother),
        (None, owned_by("alice"), Outcome::Unowned),
        (Some("alice"), unknown_revision.clone(), Outcome::Changed),
        (None, unknown_revision, Outcome::Changed),
    ] {
        adapter.insert(ID, &learning(owner)).await?;
        let record = adapter.record(ID);
        let result = record.delete(condition.clone()).await;
        let what = format!("{} of a record {}", call(&condition), owned(owner));
        report.check(Guarantee::TrueOutcome, expect(&what, &result, expected));
        let remains = adapter.read(ID).await?.is_some();
        let violation = match result {
            Ok(Outcome::Deleted) if remains => {
                Some(format!("{what} returned deleted, and a second connection still reads the record"))
            }
            Ok(outcome) if outcome != Outcome::Deleted && !remains => {
                Some(format!("{what} returned {}, and the record is deleted", outcome.as_str()))
            }
            _ => None,
        };
        report.check(Guarantee::DurableDelete, violation);
        if expected == Outcome::Deleted {
            let again = record.delete(condition).await;
            report.check(Guarantee::TrueOutcome, expect(&format!("a second {what}"), &again, Outcome::Absent));
        }
    }
    Ok(())
}

/// `find` returns what was inserted.
async fn found_record(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    let without_optional_columns = Learning { content: r#"{"é":"\"\\😀"}"#.to_owned(), ..Learning::owned_by(None) };
    for inserted in [learning(Some("alice")), learning(None), without_optional_columns] {
        adapter.insert(ID, &inserted).await?;
        let found = adapter.record(ID).find().await;
        let violation = match &found {
            Ok(Some(learning)) if comparable(learning) == comparable(&inserted) => None,
            other => Some(format!("find returned {other:?}; expected {inserted:?} with a revision")),
        };
        report.check(Guarantee::TrueRecord, violation);
    }
    Ok(())
}

/// The record without its revision, and with JSON in one form: a database can store JSON without its white space.
fn comparable(learning: &Learning) -> Learning {
    let normalize =
        |text: &str| text.parse::<serde_json::Value>().map_or_else(|_| text.to_owned(), |json| json.to_string());
    Learning {
        content: normalize(&learning.content),
        metadata: learning.metadata.as_deref().map(normalize),
        revision: String::new(),
        ..learning.clone()
    }
}

/// A revision is stable, short, and another one after any column has changed.
async fn revisions(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    const MAX_REVISION_BYTES: usize = 256;
    let record = adapter.record(ID);
    let original = learning(Some("alice"));
    adapter.insert(ID, &original).await?;
    let (first, second) = (revision(&*record).await?, revision(&*record).await?);
    let violation = (first != second).then(|| format!("two finds of one record returned {first:?} and {second:?}"));
    report.check(Guarantee::TrueRecord, violation);
    let bytes = first.len();
    let violation = (bytes == 0 || bytes > MAX_REVISION_BYTES)
        .then(|| format!("a revision has {bytes} bytes; expected 1 to {MAX_REVISION_BYTES}"));
    report.check(Guarantee::TrueRecord, violation);

    for (column, changed) in changes(&original) {
        adapter.insert(ID, &original).await?;
        let condition = Condition::Unchanged(revision(&*record).await?);
        adapter.insert(ID, &changed).await?;
        let result = record.delete(condition).await;
        let what = format!("delete_if_unchanged after a change of {column}");
        report.check(Guarantee::TrueRecord, expect(&what, &result, Outcome::Changed));
    }
    adapter.insert(ID, &original).await?;
    let condition = Condition::Unchanged(revision(&*record).await?);
    let result = record.delete(condition).await;
    let what = "delete_if_unchanged with the revision of the last find";
    report.check(Guarantee::TrueOutcome, expect(what, &result, Outcome::Deleted));
    Ok(())
}

/// The record with another value in one column, for each column.
fn changes(original: &Learning) -> Vec<(&'static str, Learning)> {
    let other = || Some("testkit-other".to_owned());
    let original = || original.clone();
    vec![
        ("learning_type", Learning { learning_type: "user_profile".to_owned(), ..original() }),
        ("namespace", Learning { namespace: other(), ..original() }),
        ("user_id", Learning { user_id: other(), ..original() }),
        ("user_id to none", Learning { user_id: None, ..original() }),
        ("agent_id", Learning { agent_id: other(), ..original() }),
        ("team_id", Learning { team_id: other(), ..original() }),
        ("workflow_id", Learning { workflow_id: other(), ..original() }),
        ("session_id", Learning { session_id: other(), ..original() }),
        ("entity_id", Learning { entity_id: other(), ..original() }),
        ("entity_type", Learning { entity_type: other(), ..original() }),
        ("content", Learning { content: r#"{"memory":"prefers coffee"}"#.to_owned(), ..original() }),
        ("metadata", Learning { metadata: Some(r#"{"legal_hold":true}"#.to_owned()), ..original() }),
        ("metadata to none", Learning { metadata: None, ..original() }),
        ("created_at", Learning { created_at: 1_700_000_002, ..original() }),
        ("updated_at", Learning { updated_at: Some(1_700_000_003), ..original() }),
    ]
}

/// The revision of a record that exists.
async fn revision(record: &dyn crate::RecordStorage) -> Result<String, AdapterError> {
    let found = record.find().await?;
    found.map(|learning| learning.revision).ok_or_else(|| "find returned none for an inserted record".into())
}

/// The violation if a delete did not return this outcome.
pub(super) fn expect(what: &str, result: &Result<Outcome, StorageError>, expected: Outcome) -> Option<String> {
    let returned = match result {
        Ok(outcome) if *outcome == expected => return None,
        Ok(outcome) => outcome.as_str().to_owned(),
        Err(error) => format!("the error {} ({})", error.kind.as_str(), error.message),
    };
    Some(format!("{what} returned {returned}; expected {}", expected.as_str()))
}

/// The call as an embedder writes it.
pub(super) fn call(condition: &Condition) -> String {
    match condition {
        Condition::Any => "delete".to_owned(),
        Condition::OwnedBy(user) => format!("delete_if_owned_by({user:?})"),
        Condition::Unchanged(revision) => format!("delete_if_unchanged({revision:?})"),
    }
}

fn owned(owner: Option<&str>) -> String {
    owner.map_or_else(|| "without an owner".to_owned(), |owner| format!("of {owner:?}"))
}
