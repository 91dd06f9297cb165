//! Owners and ids that a database can take for equal although their bytes differ.

use super::conditions::expect;
use super::report::{Guarantee, Report};
use super::{AdapterError, StorageAdapter, learning};
use crate::contract::Outcome;
use crate::storage::Condition;

/// Two texts, and what makes a comparison take them for equal.
const PAIRS: [(&str, &str, &str); 11] = [
    ("alice", "Alice", "a collation that ignores case"),
    ("alice", "alice ", "padding with spaces"),
    ("alice", " alice", "removed spaces"),
    ("alice", "alice\n", "removed line breaks"),
    ("Jos\u{e9}", "Jose\u{301}", "Unicode normalization"),
    ("stra\u{df}e", "strasse", "a collation for German"),
    ("jose", "jos\u{e9}", "a collation that ignores accents"),
    ("alice", "\u{feff}alice", "a removed byte order mark"),
    ("alice", "ali%", "LIKE with a pattern"),
    ("alice", "al_ce", "LIKE with a pattern"),
    ("1", "01", "conversion to a number"),
];

/// Ids that break SQL text, URLs or encodings.
const IDS: [&str; 6] =
    ["testkit-'", "testkit-\"; DROP TABLE learnings --", "testkit-%", "testkit-a/../b", "testkit-😀", "testkit-\\"];

pub(super) async fn test(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    owners(adapter, report).await?;
    ids(adapter, report).await
}

async fn owners(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    const ID: &str = "testkit-owners";
    let record = adapter.record(ID);
    for (one, other, cause) in PAIRS {
        for (owner, user) in [(one, other), (other, one)] {
            adapter.insert(ID, &learning(Some(owner))).await?;
            let result = record.delete(Condition::OwnedBy(user.to_owned())).await;
            let what = format!("delete_if_owned_by({user:?}) of a record of {owner:?}");
            let violation = expect(&what, &result, Outcome::OwnedByAnother);
            report.check(Guarantee::ByteComparison, violation.map(|text| format!("{text}. Likely cause: {cause}")));
        }
        adapter.insert(ID, &learning(Some(other))).await?;
        let result = record.delete(Condition::OwnedBy(other.to_owned())).await;
        let what = format!("delete_if_owned_by({other:?}) of a record of {other:?}");
        report.check(Guarantee::ByteComparison, expect(&what, &result, Outcome::Deleted));
    }
    Ok(())
}

async fn ids(adapter: &dyn StorageAdapter, report: &mut Report) -> Result<(), AdapterError> {
    for (one, other, cause) in PAIRS {
        let (one, other) = (format!("testkit-{one}"), format!("testkit-{other}"));
        for (stored, requested) in [(&one, &other), (&other, &one)] {
            adapter.insert(stored, &learning(Some("alice"))).await?;
            let result = adapter.record(requested).delete(Condition::Any).await;
            let what = format!("delete of {requested:?} while only {stored:?} exists");
            let violation = expect(&what, &result, Outcome::Absent);
            report.check(Guarantee::ByteComparison, violation.map(|text| format!("{text}. Likely cause: {cause}")));
            adapter.record(stored).delete(Condition::Any).await?;
        }
    }
    for id in IDS {
        adapter.insert(id, &learning(Some("alice"))).await?;
        let result = adapter.record(id).delete(Condition::OwnedBy("alice".to_owned())).await;
        let violation = expect(&format!("delete_if_owned_by(\"alice\") of {id:?}"), &result, Outcome::Deleted);
        report.check(Guarantee::ByteComparison, violation);
    }
    Ok(())
}
