//! The audit log in one request: its record, which is deleted only after the intent is on disk, and its decision.

use super::error::AuditError;
use super::event::{Line, RedactedRequest, Request};
use super::log::AuditLog;
use super::queued_line::{QueuedLine, unavailable};
use delete_learning::storage::Intent as _;
use delete_learning::storage::{DeletedRecord, Deletion};
use delete_learning::{
    BoxFuture, Condition, Decide, Decision, ErrorCode, Learning, Outcome, RecordStorage, Rejection, StorageError,
    Target,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Semaphore;

/// The rule of the answer to a request whose record was deleted and whose decision could not be written.
pub const AUDIT_FAILED_RULE: &str = "audit-failed";

/// The record of a request. A delete waits until the intent of the request is on disk.
pub(crate) struct AuditedRecord {
    log: Arc<AuditLog>,
    request: Request,
    /// The request as its entries have it; made by the first line.
    redacted: OnceLock<RedactedRequest>,
    policy: Arc<dyn Decide>,
    record: Arc<dyn RecordStorage>,
    /// The intent of the request, which all its deletes share.
    intent: Mutex<Option<Arc<QueuedLine>>>,
    /// What is known of the record: what the delete returned, or else what was read before.
    known: Mutex<DeletedRecord>,
}

impl AuditedRecord {
    pub(crate) fn new(
        log: &Arc<AuditLog>,
        request: Request,
        policy: &Arc<dyn Decide>,
        record: Arc<dyn RecordStorage>,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            request,
            redacted: OnceLock::new(),
            policy: Arc::clone(policy),
            record,
            intent: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Makes a line of an entry of the request.
    fn line(&self, line: impl FnOnce(&RedactedRequest) -> Result<Line, AuditError>) -> Result<Line, AuditError> {
        if let Some(redacted) = self.redacted.get() {
            return line(redacted);
        }
        let redacted = RedactedRequest::new(&self.request)?;
        line(self.redacted.get_or_init(|| redacted))
    }

    fn known(&self) -> MutexGuard<'_, DeletedRecord> {
        // A panic cannot leave it incomplete in a way that matters.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is known of a deleted record: what the delete returned, or what its condition required.
    fn set_deleted(&self, required: Option<String>, was_read: bool, record: Option<DeletedRecord>) {
        let mut known = self.known();
        match record {
            Some(record) => {
                let read = known.owner.take().filter(|_| was_read);
                known.owner = record.owner.or(required).or(read);
                known.learning_type = record.learning_type.or(known.learning_type.take());
            }
            None => known.owner = required.or(known.owner.take()),
        }
    }

    /// Queues the intent, unless it is queued or written.
    fn queue_intent(&self) -> Result<Arc<QueuedLine>, AuditError> {
        let mut intent = self.intent.lock().unwrap_or_else(PoisonError::into_inner);
        match intent.as_ref().filter(|intent| !intent.is_refused()) {
            Some(queued) => Ok(Arc::clone(queued)),
            None => {
                let line = self.line(|redacted| redacted.intent(&self.request, self.policy.digests()))?;
                Ok(Arc::clone(intent.insert(self.log.queue(line)?)))
            }
        }
    }

    /// Writes the decision to the log. If the request has an intent and the decision cannot be written, the answer becomes
    /// 500: the intent stays open, and the decision is written once the log can be.
    pub(crate) async fn write_decision(&self, mut decision: Decision) -> Decision {
        let line =
            |decision: &Decision| self.line(|redacted| redacted.decision(&self.request, decision, &self.known()));
        let intent = self.intent.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(intent) = intent.filter(|intent| !intent.is_refused()) else {
            let is_anonymous = self.request.caller.is_confined().is_none();
            self.log.write_later(is_anonymous, || line(&decision));
            return decision;
        };
        let written = match line(&decision) {
            Ok(line) => self.log.write(line).await,
            Err(error) => Err(error),
        };
        let Err(error) = written else { return decision };
        tracing::error!(%error, record = decision.record.as_str(), "the decision cannot be written to the audit log");
        if intent.is_on_disk() {
            let code = ErrorCode::InternalServerError;
            let (detail, rule) = ("Internal server error".to_owned(), AUDIT_FAILED_RULE.to_owned());
            decision.answer = Err(Rejection { status: code.status(), code, detail, rule });
        }
        if let Ok(line) = line(&decision) {
            self.log.write_late(line);
        }
        decision
    }
}

impl RecordStorage for AuditedRecord {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.record.locate()
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            let found = self.record.find().await;
            if let Ok(Some(learning)) = &found {
                let (owner, learning_type) = (learning.user_id.clone(), Some(learning.learning_type.clone()));
                *self.known() = DeletedRecord { owner, learning_type };
            }
            found
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async {
            // A request that names no record deletes none.
            if self.request.target.is_none() {
                return self.record.delete(condition).await;
            }
            let (required, was_read) = match &condition {
                Condition::Any => (None, false),
                Condition::OwnedBy(owner) => (Some(owner.clone()), false),
                Condition::Unchanged(_) => (None, true),
            };
            let intent = self.queue_intent().map_err(unavailable)?;
            let Deletion { outcome, record } = self.record.delete_with_intent(condition, intent).await?;
            if outcome == Outcome::Deleted {
                self.set_deleted(required, was_read, record);
            }
            Ok(outcome)
        })
    }

    fn permits(&self) -> Option<&Semaphore> {
        self.record.permits()
    }
}
