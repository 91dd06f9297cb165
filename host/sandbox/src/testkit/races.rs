//! Two requests at once: a deletion, and a change of the record through another connection.
//!
//! Exactly one of the two must take effect. A storage that reads and then deletes fails if the change is committed between
//! the two. In the held races the change is made before the deletion begins and is committed while it runs, so that such a
//! storage reads the old owner and deletes the record of the new one. In the timed races the change starts at another moment
//! of the deletion in each round.

use super::conditions::call;
use super::report::{Guarantee, Report};
use super::{AdapterError, StorageAdapter, learning};
use crate::contract::{Outcome, StorageError, StorageErrorKind};
use crate::storage::{Condition, RecordStorage};
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const ID: &str = "testkit-races";

/// Rounds of a race in which the change is committed while the deletion runs.
const HELD_ROUNDS: u32 = 5;

/// The time from the start of the deletion to the commit of the change.
const HOLD: Duration = Duration::from_millis(50);

/// When the change is made and committed.
#[derive(Clone, Copy)]
enum Timing {
    /// Before the deletion begins and while it runs.
    Held,
    /// This long after the start of the round; the deletion begins after `lead`.
    Timed { offset: Duration, lead: Duration },
}

pub(super) async fn test(adapter: &dyn StorageAdapter, rounds: u32, report: &mut Report) -> Result<(), AdapterError> {
    for condition_of in [owned_by_alice, unchanged] {
        let duration = duration(adapter, condition_of).await?;
        let held = (0..HELD_ROUNDS).map(|_| Timing::Held);
        // From a quarter of the duration before the deletion begins to its end.
        let timed = (0..rounds).map(|round| Timing::Timed { offset: duration * (round % 50) / 40, lead: duration / 4 });
        let mut violation = None;
        for timing in held.chain(timed) {
            violation = race(adapter, condition_of, timing).await?;
            if violation.is_some() {
                break;
            }
        }
        report.check(Guarantee::AtomicDelete, violation);
    }
    let violation = two_deletes(adapter, rounds).await?;
    report.check(Guarantee::AtomicDelete, violation);
    adapter.record(ID).delete(Condition::Any).await?;
    Ok(())
}

fn owned_by_alice(_: String) -> Condition {
    Condition::OwnedBy("alice".to_owned())
}

fn unchanged(revision: String) -> Condition {
    Condition::Unchanged(revision)
}

/// How long a deletion on this condition takes: the median of a few.
async fn duration(
    adapter: &dyn StorageAdapter,
    condition_of: fn(String) -> Condition,
) -> Result<Duration, AdapterError> {
    let mut durations = Vec::new();
    for _ in 0..5 {
        let (record, condition) = insert(adapter, condition_of).await?;
        let start = Instant::now();
        record.delete(condition).await?;
        durations.push(start.elapsed());
    }
    durations.sort();
    Ok(durations.get(2).copied().unwrap_or_default())
}

/// Inserts a record of alice. Returns it and a condition that it meets.
async fn insert(
    adapter: &dyn StorageAdapter,
    condition_of: fn(String) -> Condition,
) -> Result<(Arc<dyn RecordStorage>, Condition), AdapterError> {
    adapter.insert(ID, &learning(Some("alice"))).await?;
    let record = adapter.record(ID);
    let revision = record.find().await?.map(|learning| learning.revision).unwrap_or_default();
    Ok((record, condition_of(revision)))
}

/// A conditional delete against a change of the owner.
async fn race(
    adapter: &dyn StorageAdapter,
    condition_of: fn(String) -> Condition,
    timing: Timing,
) -> Result<Option<String>, AdapterError> {
    let (record, condition) = insert(adapter, condition_of).await?;
    let what = call(&condition);
    let (begin, begun) = oneshot::channel();
    // A task of its own, so that a storage that blocks its thread takes part in the race too.
    let delete = tokio::spawn(async move {
        // An error means that the change has failed already.
        let _ = begun.await;
        if let Timing::Timed { lead, .. } = timing {
            wait(lead).await;
        }
        record.delete(condition).await
    });
    let changed = match timing {
        Timing::Held => {
            let hold = async {
                let _ = begin.send(());
                tokio::time::sleep(HOLD).await;
            };
            adapter.change_owner(ID, "alice", "bob", Box::pin(hold)).await?
        }
        Timing::Timed { offset, .. } => {
            let _ = begin.send(());
            wait(offset).await;
            adapter.change_owner(ID, "alice", "bob", Box::pin(ready(()))).await?
        }
    };
    let result = delete.await?;
    let owner = adapter.read(ID).await?.map(|learning| learning.user_id);
    Ok(validate(&what, &result, changed, owner))
}

/// What is wrong with the outcome of a race, if anything.
fn validate(
    what: &str,
    result: &Result<Outcome, StorageError>,
    changed: bool,
    owner: Option<Option<String>>,
) -> Option<String> {
    let returned = match result {
        Ok(outcome) => outcome.as_str().to_owned(),
        Err(error) => format!("the error {} ({})", error.kind.as_str(), error.message),
    };
    let deleted = *result == Ok(Outcome::Deleted);
    if changed && owner.is_none() {
        return Some(format!(
            "alice gave the record to bob, and {what} deleted it afterwards (it returned {returned})"
        ));
    }
    if deleted == changed {
        let change = if changed { "changed the owner too" } else { "found no record to change either" };
        return Some(format!("{what} returned {returned}, and the other connection {change}"));
    }
    // A storage can report that it was too busy to decide; it must not report that the outcome is unknown without need.
    let valid = match result {
        Ok(Outcome::Deleted) => owner.is_none(),
        Ok(Outcome::OwnedByAnother | Outcome::Changed) => true,
        Ok(Outcome::Absent | Outcome::Unowned) => false,
        Err(error) => error.kind == StorageErrorKind::Unavailable,
    };
    (!valid).then(|| format!("{what} returned {returned} while the owner changed from alice to bob"))
}

/// Two deletes of one record at once: one deletes it, the other finds it absent.
async fn two_deletes(adapter: &dyn StorageAdapter, rounds: u32) -> Result<Option<String>, AdapterError> {
    for round in 0..rounds {
        adapter.insert(ID, &learning(Some("alice"))).await?;
        let (first, second) = (adapter.record(ID), adapter.record(ID));
        let first = tokio::spawn(async move { first.delete(owned_by_alice(String::new())).await });
        let second = second.delete(Condition::Any).await;
        let first = first.await?;
        let valid = match (&first, &second) {
            (Ok(Outcome::Deleted), other) | (other, Ok(Outcome::Deleted)) => match other {
                Ok(outcome) => *outcome == Outcome::Absent,
                Err(error) => error.kind == StorageErrorKind::Unavailable,
            },
            _ => false,
        };
        if !valid {
            return Ok(Some(format!(
                "in round {} of {rounds}, two deletes of one record at once returned {first:?} and {second:?}; expected \
                 deleted and absent",
                round + 1
            )));
        }
    }
    Ok(None)
}

/// Waits. Shorter than a millisecond it yields instead, because a timer is less precise than that.
async fn wait(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        if left > Duration::from_millis(2) {
            tokio::time::sleep(left - Duration::from_millis(1)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}
