//! The audit log in one request: its record, which is deleted only after the intent is on disk, and its decision.

use super::error::AuditError;
use super::event::{Found, Line, Request, RequestEntry};
use super::log::AuditLog;
use delete_learning::{
    BoxFuture, Condition, Decide, Decision, ErrorCode, Learning, Outcome, RecordStorage, Rejection, StorageError,
    StorageErrorKind, Target,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{OnceCell, Semaphore};

/// The rule of the answer to a request whose record was deleted and whose decision could not be written.
pub const AUDIT_FAILED_RULE: &str = "audit-failed";

/// The record of a request. A delete waits until the intent of the request is on disk.
pub(crate) struct AuditedRecord {
    log: Arc<AuditLog>,
    request: Request,
    /// What all entries of the request have; made by the first one.
    prepared: OnceLock<RequestEntry>,
    policy: Arc<dyn Decide>,
    record: Arc<dyn RecordStorage>,
    /// The intent of the request, which all its deletes share.
    intent: OnceCell<()>,
    /// Whether an intent can be in the log, also if the request was stopped while it was written.
    has_intent: AtomicBool,
    found: Mutex<Found>,
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
            prepared: OnceLock::new(),
            policy: Arc::clone(policy),
            record,
            intent: OnceCell::new(),
            has_intent: AtomicBool::new(false),
            found: Mutex::default(),
        }
    }

    fn prepared(&self) -> Result<&RequestEntry, AuditError> {
        match self.prepared.get() {
            Some(prepared) => Ok(prepared),
            None => {
                let prepared = self.request.prepare()?;
                Ok(self.prepared.get_or_init(|| prepared))
            }
        }
    }

    async fn write_intent(&self) -> Result<(), StorageError> {
        let write = async {
            let line = self.prepared()?.intent(self.policy.digests())?;
            self.has_intent.store(true, Ordering::Relaxed);
            self.log.write_synced(line).await
        };
        let unavailable = |error: AuditError| {
            if !matches!(error, AuditError::NotSynced(_)) {
                self.has_intent.store(false, Ordering::Relaxed);
            }
            StorageError::new(StorageErrorKind::Unavailable, format!("nothing was deleted: the audit log: {error}"))
        };
        self.intent.get_or_try_init(|| write).await.copied().map_err(unavailable)
    }

    /// Writes the decision to the log. If the request has an intent and the decision cannot be written, the answer becomes
    /// 500: the intent stays open, and the decision is written once the log can be.
    pub(crate) async fn write_decision(&self, mut decision: Decision) -> Decision {
        let line = |decision: &Decision| -> Result<Line, AuditError> {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.prepared()?.decision(decision, &found)
        };
        if !self.has_intent.load(Ordering::Relaxed) {
            let is_anonymous = self.request.caller.is_confined().is_none();
            self.log.write_later(is_anonymous, || line(&decision));
            return decision;
        }
        let written = match line(&decision) {
            Ok(line) => self.log.write(line).await,
            Err(error) => Err(error),
        };
        let Err(error) = written else { return decision };
        tracing::error!(%error, record = decision.record.as_str(), "the decision cannot be written to the audit log");
        let is_intended = self.intent.initialized();
        if is_intended {
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
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Found { owner, learning_type };
            }
            found
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async {
            // A request that names no record deletes none.
            if self.request.target.is_some() {
                self.write_intent().await?;
            }
            self.record.delete(condition).await
        })
    }

    fn permits(&self) -> Option<&Semaphore> {
        self.record.permits()
    }
}
