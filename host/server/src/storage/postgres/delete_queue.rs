//! Executes deletes: at once while a lane is free, and otherwise as batches of what waits.
//!
//! A lane is the right to execute one statement at a time. While batches are possible there are fewer lanes than connections,
//! because few statements with many deletes each take less of the database's time than many statements. A statement that
//! takes long, for example because it waits for a lock, gives its lane away and continues, so that it delays no other delete
//! while the pool has connections.

use super::error::QueryError;
use super::options::PostgresOptions;
use super::table::Table;
use crate::storage::isolated::{ISOLATION_TIME, Isolated};
use delete_learning::storage::{Deletion, Intent, wait_for_intents};
use delete_learning::{Condition, StorageError};
use std::collections::{HashSet, VecDeque};
use std::mem::discriminant;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Maximum number of lanes while batches are possible. Otherwise there are as many lanes as connections.
const MAX_LANES: usize = 2;

/// Time after which a statement gives its lane away, and so the longest that a delete waits for a lane while connections are
/// free. A batch on a database nearby takes less; over a slow network, more statements run at a time.
const LANE_TIME: Duration = Duration::from_millis(10);

/// Maximum number of deletes in one statement.
const MAX_BATCH_SIZE: usize = 64;

/// A delete that waits for a lane.
struct Waiting {
    number: u64,
    delete: Delete,
    way: Way,
    reply: oneshot::Sender<Result<Deletion, StorageError>>,
}

/// A delete to execute.
pub(super) struct Delete {
    pub(super) id: String,
    pub(super) condition: Condition,
    /// What must be on disk before the record is deleted.
    pub(super) intent: Option<Arc<dyn Intent>>,
}

/// How a delete is executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Together with others, if there are any.
    Any,
    /// With a statement of its own, because a batch left it undecided.
    Alone,
    /// With a statement of its own, because the batch with it failed. If it fails too, its record is isolated.
    Suspect,
}

/// The deletes that wait for a lane, and what is known about the table.
struct Queue {
    max_lanes: usize,
    used_lanes: usize,
    /// While a delete waits, a lane is in use, which serves it when its statement ends or takes long.
    waiting: VecDeque<Waiting>,
    next_number: u64,
    isolated: Isolated,
    /// Set if the table or the database is such that a batch deletes nothing.
    no_batches_until: Option<Instant>,
}

/// What becomes of a delete when it arrives.
enum Entered {
    /// It has a lane.
    Lane(Delete),
    /// It waits, with this number.
    Waiting(u64, oneshot::Receiver<Result<Deletion, StorageError>>),
}

struct Shared {
    table: Arc<Table>,
    acquire_timeout: Duration,
    queue: Mutex<Queue>,
}

/// Executes the deletes on one table.
pub(super) struct DeleteQueue(Arc<Shared>);

/// A lane in use. Dropping it makes it serve the deletes that wait, or frees it.
struct Lane(Arc<Shared>);

impl DeleteQueue {
    pub(super) fn new(table: Arc<Table>, options: &PostgresOptions) -> Self {
        let queue = Queue {
            max_lanes: options.max_connections,
            used_lanes: 0,
            waiting: VecDeque::new(),
            next_number: 0,
            isolated: Isolated::default(),
            no_batches_until: None,
        };
        Self(Arc::new(Shared { table, acquire_timeout: options.acquire_timeout(), queue: Mutex::new(queue) }))
    }

    pub(super) async fn delete(&self, delete: Delete) -> Result<Deletion, StorageError> {
        let entered = self.0.queue().enter(&self.0.table, delete);
        let (number, mut result) = match entered {
            Entered::Waiting(number, result) => (number, result),
            Entered::Lane(delete) => {
                self.0.table.metrics().record_batch(1);
                // In the task of the request, so that a request that no longer waits cancels its statement.
                return Lane(Arc::clone(&self.0)).run(self.0.delete(&delete)).await.0;
            }
        };
        loop {
            match timeout(self.0.acquire_timeout, &mut result).await {
                Ok(Ok(result)) => return result,
                // The task that executed it panicked, or the process is ending.
                Ok(Err(_)) => return Err(self.0.table.storage_error(&QueryError::UnexpectedResult, true)),
                // It is executed at the moment, which has its own timeouts.
                Err(_) if !self.0.queue().remove(number) => {}
                Err(_) => {
                    self.0.table.record_timeout();
                    let error = QueryError::PoolTimeout(self.0.acquire_timeout);
                    return Err(self.0.table.storage_error(&error, true));
                }
            }
        }
    }
}

impl Queue {
    /// Takes a free lane for a delete, or makes the delete wait for one.
    fn enter(&mut self, table: &Table, delete: Delete) -> Entered {
        if self.used_lanes < self.lanes(table) {
            self.used_lanes += 1;
            return Entered::Lane(delete);
        }
        let (reply, result) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(Waiting { number, delete, way: Way::Any, reply });
        Entered::Waiting(number, result)
    }

    /// Removes a delete. Returns whether it was still waiting.
    fn remove(&mut self, number: u64) -> bool {
        let index = self.waiting.iter().position(|waiting| waiting.number == number);
        index.is_some_and(|index| self.waiting.remove(index).is_some())
    }

    /// Takes what the next statement deletes: the first delete that waits and, if it can be part of a batch, further ones
    /// with other ids and the same kind of condition.
    fn take(&mut self, table: &Table) -> Vec<Waiting> {
        // A request that no longer waits was reported as unknown. Not deleting is then the better outcome.
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        let Some(first) = self.waiting.pop_front() else { return Vec::new() };
        if !self.can_batch(&first, table) {
            return vec![first];
        }
        let (mut taken, mut skipped) = (vec![first], Vec::new());
        let mut ids: HashSet<String> = taken.iter().map(|first| first.delete.id.clone()).collect();
        while taken.len() < MAX_BATCH_SIZE
            && let Some(next) = self.waiting.pop_front()
        {
            let is_same_kind = taken
                .first()
                .is_some_and(|first| discriminant(&first.delete.condition) == discriminant(&next.delete.condition));
            if is_same_kind && self.can_batch(&next, table) && ids.insert(next.delete.id.clone()) {
                taken.push(next);
            } else {
                skipped.push(next);
            }
        }
        skipped.into_iter().rev().for_each(|waiting| self.waiting.push_front(waiting));
        taken
    }

    /// The number of statements that are executed at a time.
    fn lanes(&self, table: &Table) -> usize {
        if self.has_batches(table) { self.max_lanes.min(MAX_LANES) } else { self.max_lanes }
    }

    fn has_batches(&self, table: &Table) -> bool {
        table.has_batches() && self.no_batches_until.is_none_or(|end| Instant::now() >= end)
    }

    fn can_batch(&mut self, waiting: &Waiting, table: &Table) -> bool {
        waiting.way == Way::Any
            && self.has_batches(table)
            && table.can_batch(&waiting.delete.id, &waiting.delete.condition)
            && !self.isolated.contains(&waiting.delete.id)
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic cannot leave the queue inconsistent: at worst, a lane is not free again.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn execute(self: Arc<Self>, mut taken: Vec<Waiting>) {
        self.table.metrics().record_batch(taken.len());
        if taken.len() > 1 {
            self.execute_batch(taken).await;
        } else if let Some(waiting) = taken.pop() {
            self.execute_alone(waiting).await;
        }
    }

    /// Executes a delete with a statement of its own.
    async fn delete(&self, delete: &Delete) -> Result<Deletion, StorageError> {
        wait_for_intents(delete.intent.iter().cloned().collect()).await?;
        self.table.delete(&delete.id, &delete.condition).await
    }

    async fn execute_alone(&self, waiting: Waiting) {
        let Waiting { delete, way, mut reply, .. } = waiting;
        let result = tokio::select! {
            result = self.delete(&delete) => result,
            // Dropping the delete cancels its statement.
            () = reply.closed() => return,
        };
        if way == Way::Suspect && result.is_err() {
            self.queue().isolated.insert(&delete.id);
        }
        let _ = reply.send(result);
    }

    async fn execute_batch(self: &Arc<Self>, taken: Vec<Waiting>) {
        let intents = taken.iter().filter_map(|waiting| waiting.delete.intent.clone()).collect();
        if let Err(error) = wait_for_intents(intents).await {
            return reply_to_all(taken, &error);
        }
        let deletes: Vec<(&str, &Condition)> =
            taken.iter().map(|Waiting { delete, .. }| (delete.id.as_str(), &delete.condition)).collect();
        let result = self.table.delete_batch(&deletes).await;
        match result {
            Ok(result) => {
                let mut undecided = Vec::new();
                for (waiting, deletion) in taken.into_iter().zip(result.deletions) {
                    match deletion {
                        Some(deletion) => drop(waiting.reply.send(Ok(deletion))),
                        None => undecided.push(waiting),
                    }
                }
                self.execute_each(undecided, Way::Alone, result.has_triggers);
            }
            // It says nothing about the records, or the statement can have deleted them.
            Err(error) if !error.is_of_statement() => reply_to_all(taken, &self.table.storage_error(&error, true)),
            Err(error) => {
                tracing::debug!(%error, deletes = taken.len(), "a batch failed; its deletes are executed one by one");
                self.execute_each(taken, Way::Suspect, error.is_of_every_batch());
            }
        }
    }

    /// Puts deletes in front of the others, each to be executed alone. `no_batches` is whether another batch would do as
    /// little as the one that they were part of.
    fn execute_each(self: &Arc<Self>, deletes: Vec<Waiting>, way: Way, no_batches: bool) {
        let mut queue = self.queue();
        if no_batches {
            queue.no_batches_until = Some(Instant::now() + ISOLATION_TIME);
        }
        for waiting in deletes.into_iter().rev() {
            queue.waiting.push_front(Waiting { way, ..waiting });
        }
        // As many as wait: a batch that took long has given its own lane away.
        let free_lanes = queue.lanes(&self.table).saturating_sub(queue.used_lanes);
        let lanes = free_lanes.min(queue.waiting.len());
        queue.used_lanes += lanes;
        drop(queue);
        for _ in 0..lanes {
            drop(Lane(Arc::clone(self)));
        }
    }
}

fn reply_to_all(deletes: Vec<Waiting>, error: &StorageError) {
    for waiting in deletes {
        let _ = waiting.reply.send(Err(error.clone()));
    }
}

impl Lane {
    /// Does `work`. Returns its result, and the lane unless it was given away because the work took long.
    async fn run<T>(self, work: impl Future<Output = T>) -> (T, Option<Self>) {
        let mut work = pin!(work);
        if let Ok(result) = timeout(LANE_TIME, &mut work).await {
            return (result, Some(self));
        }
        drop(self);
        (work.await, None)
    }

    /// Executes what waits, until nothing waits.
    async fn serve(self) {
        let mut next = Some(self);
        while let Some(lane) = next {
            let taken = lane.0.queue().take(&lane.0.table);
            if taken.is_empty() {
                return;
            }
            let shared = Arc::clone(&lane.0);
            next = lane.run(shared.execute(taken)).await.1;
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        let is_needed = !queue.waiting.is_empty() && queue.used_lanes <= queue.lanes(&self.0.table);
        match Handle::try_current() {
            Ok(runtime) if is_needed => {
                drop(queue);
                runtime.spawn(Self(Arc::clone(&self.0)).serve());
            }
            // Without a runtime the process is ending.
            _ => queue.used_lanes = queue.used_lanes.saturating_sub(1),
        }
    }
}
