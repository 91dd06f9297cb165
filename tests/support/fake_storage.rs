//! Storage whose deletes do what a test needs.

use delete_learning::{BoxFuture, Condition, Learning, Outcome, RecordStorage, StorageError, StorageErrorKind, Target};
use std::sync::Arc;
use tokio::sync::Semaphore;

type Delete = dyn Fn() -> BoxFuture<'static, Result<Outcome, StorageError>> + Send + Sync;

/// Storage with the given deletes. It never answers a read.
pub struct FakeStorage {
    delete: Box<Delete>,
    permits: Option<Semaphore>,
}

impl FakeStorage {
    /// Storage whose every delete runs this function.
    pub fn new<F>(delete: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Outcome, StorageError>> + Send + 'static,
    {
        Self { delete: Box::new(move || Box::pin(delete())), permits: None }
    }

    /// Storage whose every delete fails.
    pub fn failing(kind: StorageErrorKind) -> Arc<Self> {
        Arc::new(Self::new(move || std::future::ready(Err(StorageError::new(kind, "a storage error of the test")))))
    }

    /// Storage whose deletes never return, with this many permits.
    pub fn hanging(permits: usize) -> Arc<Self> {
        Arc::new(Self { permits: Some(Semaphore::new(permits)), ..Self::new(std::future::pending) })
    }
}

impl RecordStorage for FakeStorage {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(std::future::pending())
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(std::future::pending())
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        (self.delete)()
    }

    fn permits(&self) -> Option<&Semaphore> {
        self.permits.as_ref()
    }
}
