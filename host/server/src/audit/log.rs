//! The open audit log. A request queues its intent in memory. A storage that is about to delete writes all queued lines and
//! waits for the disk, on a thread that can block. The decision is queued too, and the task of a request writes it, which needs
//! no other thread: the file has zeros at its end, so a write copies lines to the memory of the operating system.
//!
//! Locks are acquired in the order `disk`, `appender`, `queue`. Nobody waits for the disk while holding `appender`, except to
//! begin a new file of the journal.

use super::appender::Appender;
use super::config::AuditConfig;
use super::error::AuditError;
use super::event::Line;
use super::maintenance::Maintenance;
use super::queued_line::QueuedLine;
use super::refusals::Refusals;
use super::start::{self, OpenIntent};
use crate::telemetry::metrics::AuditState;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::task::spawn_blocking;

/// Lines that are not in the journal yet.
#[derive(Default)]
pub(super) struct Queue {
    /// Lines that requests wait for, which the next append writes.
    pub(super) awaited: Vec<Arc<QueuedLine>>,
    /// Lines that nobody waits for.
    pub(super) unawaited: Vec<Line>,
    /// Whether a new file of the journal is to be begun.
    pub(super) is_rotation_due: bool,
    pub(super) is_closed: bool,
}

/// What requests and the threads of the log share.
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    /// Wakes the thread of [`Maintenance`].
    pub(super) wake: Condvar,
    /// Of tokio, so that a task which waits for it does not block its thread.
    pub(super) appender: tokio::sync::Mutex<Appender>,
    /// Held by the one that waits for the disk: its sync includes what the others wait for.
    pub(super) disk: Mutex<()>,
    /// The number of entries in the journal.
    pub(super) appended: AtomicU64,
    /// The number of entries that are on disk.
    pub(super) synced: AtomicU64,
    pub(super) refusals: Refusals,
    /// The operations whose last attempt failed.
    failing: AtomicU8,
}

/// Operations on the journal, as bits.
const WRITE: u8 = 1;
const SYNC: u8 = 2;

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while it is locked cannot leave the queue incomplete.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the entries before `size` are on disk.
    pub(super) fn is_synced(&self, size: u64) -> bool {
        self.synced.load(Ordering::Acquire) >= size
    }

    /// Appends the lines that requests wait for, and these. If it fails, none of them is in the journal.
    pub(super) fn append(&self, appender: &mut Appender, lines: &[Line]) -> Result<(), AuditError> {
        let awaited = {
            let mut queue = self.queue();
            if queue.is_closed {
                return Err(AuditError::Closed);
            }
            std::mem::take(&mut queue.awaited)
        };
        self.append_to(appender, &awaited, lines)
    }

    pub(super) fn append_to(
        &self,
        appender: &mut Appender,
        awaited: &[Arc<QueuedLine>],
        lines: &[Line],
    ) -> Result<(), AuditError> {
        if awaited.is_empty() && lines.is_empty() {
            return Ok(());
        }
        let result = appender.append(awaited.iter().map(|queued| queued.line()).chain(lines));
        self.report(WRITE, &result);
        match &result {
            Ok(first) => (*first..).zip(awaited).for_each(|(index, queued)| queued.set_written(index)),
            Err(error) => awaited.iter().for_each(|queued| queued.set_refused(error)),
        }
        result?;
        self.appended.store(appender.next(), Ordering::Release);
        if appender.is_full() {
            self.request_rotation();
        }
        Ok(())
    }

    fn request_rotation(&self) {
        let mut queue = self.queue();
        if !std::mem::replace(&mut queue.is_rotation_due, true) {
            self.wake.notify_one();
        }
    }

    /// Writes the queued lines, and waits until as many entries are on disk as `size` returns, which returns nothing as long as
    /// the intent that is waited for is queued. Blocks the thread.
    pub(super) fn sync(&self, size: impl Fn() -> Option<Result<u64, AuditError>>) -> Result<(), AuditError> {
        let _disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        // The sync of another can have included it.
        if matches!(size(), Some(Ok(size)) if self.is_synced(size)) {
            return Ok(());
        }
        let (request, appended) = {
            let mut appender = self.appender.blocking_lock();
            // If it fails, so does every line that it was to write.
            let _ = self.append(&mut appender, &[]);
            match size() {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(AuditError::Closed),
            }
            let request = appender.sync_request().map_err(|error| AuditError::NotSynced(error.to_string()))?;
            (request, appender.next())
        };
        let result = request.execute();
        self.report(SYNC, &result);
        result.map_err(|error| AuditError::NotSynced(error.to_string()))?;
        self.synced.fetch_max(appended, Ordering::AcqRel);
        Ok(())
    }

    /// Everything is on disk: a new file of the journal was begun.
    pub(super) fn set_all_synced(&self, entries: u64) {
        self.appended.store(entries, Ordering::Release);
        self.synced.store(entries, Ordering::Release);
        self.report(SYNC, &Ok(()));
    }

    /// Whether the last write or the last sync failed.
    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) != 0
    }

    /// Logs that the log began to fail or works again.
    fn report<T>(&self, operation: u8, result: &Result<T, AuditError>) {
        match result {
            Err(error) if self.failing.fetch_or(operation, Ordering::Relaxed) == 0 => {
                tracing::error!(%error, "the audit log cannot be written; deletions are refused");
            }
            Ok(_) if self.is_failing() && self.failing.fetch_and(!operation, Ordering::Relaxed) == operation => {
                tracing::info!("the audit log can be written again");
            }
            _ => {}
        }
    }
}

/// The audit log of a server. Dropping it writes what waits and ends the threads.
pub struct AuditLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<Result<(), AuditError>>>>,
    /// The size up to which checkpoints are written and published.
    published: Arc<AtomicU64>,
}

impl AuditLog {
    /// Opens the log, and creates it if it does not exist. Returns it with the intents that a crash left open.
    ///
    /// # Errors
    /// [`AuditError`] if the log cannot be written, another server uses it, or it does not match its checkpoint.
    pub fn open(config: &AuditConfig) -> Result<(Self, Vec<OpenIntent>), AuditError> {
        let started = start::open(config)?;
        let mut appender = Appender::new(started.journal, config.max_segment_bytes, &started.open_intents);
        appender.append_entries(&started.lines)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            appended: AtomicU64::new(appender.next()),
            // That of what was found is certain, and of what was appended not.
            synced: AtomicU64::new(appender.next().saturating_sub(started.lines.len() as u64)),
            appender: tokio::sync::Mutex::new(appender),
            disk: Mutex::default(),
            refusals: Refusals::new(config.max_refusal_bytes),
            failing: AtomicU8::new(0),
        });
        // One size waits; the thread takes the latest.
        let (sizes, requested) = mpsc::sync_channel(1);
        let publisher = started.publisher;
        let published = publisher.done();
        let publishing = spawn("audit-publisher", move || {
            publisher.run(&requested);
            Ok(())
        })?;
        let maintenance = Maintenance::new(config, &shared, sizes, Arc::clone(&published), started.lock);
        let maintaining = spawn("audit-maintenance", move || maintenance.run())?;
        let threads = Mutex::new(vec![maintaining, publishing]);
        Ok((Self { shared, threads, published }, started.open_intents))
    }

    /// Whether the log cannot be written at the moment, so that deletions are refused.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing()
    }

    /// The state of the log, for the metrics.
    #[must_use]
    pub fn state(&self) -> AuditState {
        // In this order, because entries are appended, then synced, then published.
        let published = self.published.load(Ordering::Relaxed);
        let synced = self.shared.synced.load(Ordering::Relaxed);
        let entries = self.shared.appended.load(Ordering::Relaxed);
        AuditState {
            entries,
            unsynced: entries.saturating_sub(synced),
            unpublished: entries.saturating_sub(published),
            dropped: self.shared.refusals.total_dropped(),
            is_failing: self.is_failing(),
        }
    }

    /// Queues a line. Waiting for it writes it.
    pub(super) fn queue(&self, line: Line) -> Result<Arc<QueuedLine>, AuditError> {
        let queued = Arc::new(QueuedLine::new(&self.shared, line));
        let mut queue = self.shared.queue();
        if queue.is_closed {
            return Err(AuditError::Closed);
        }
        queue.awaited.push(Arc::clone(&queued));
        Ok(queued)
    }

    /// Writes a line and waits until the operating system has it. It is on disk within a second.
    pub(super) async fn write(&self, line: Line) -> Result<(), AuditError> {
        self.queue(line)?.write().await
    }

    /// Writes a decision without an intent within a second, unless such decisions have used up their space.
    pub(super) fn write_later(&self, is_anonymous: bool, line: impl FnOnce() -> Result<Line, AuditError>) {
        if let Some(line) = self.shared.refusals.admit(is_anonymous, line) {
            self.shared.queue().unawaited.push(line);
        }
    }

    /// Writes a decision as soon as the log can be written again. Until then its intent is open.
    pub(super) fn write_late(&self, line: Line) {
        self.shared.queue().unawaited.push(line);
    }

    /// Writes what waits, a last entry and a last checkpoint. Then nothing more is written.
    pub async fn close(&self) {
        self.request_close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let join = |thread: JoinHandle<_>| thread.join().unwrap_or(Err(AuditError::Closed));
        // Both are waited for, also if one failed.
        let joined = spawn_blocking(move || threads.into_iter().map(join).collect::<Vec<_>>()).await;
        let result: Result<(), _> = joined.map_or(Err(AuditError::Closed), |results| results.into_iter().collect());
        if let Err(error) = result {
            tracing::error!(%error, "the audit log was not closed completely; the next start closes what is open");
        }
    }

    fn request_close(&self) {
        self.shared.queue().is_closed = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.request_close();
    }
}

fn spawn(
    name: &str,
    run: impl FnOnce() -> Result<(), AuditError> + Send + 'static,
) -> Result<JoinHandle<Result<(), AuditError>>, AuditError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(AuditError::Thread)
}

#[cfg(test)]
mod tests {
    use super::{AuditConfig, AuditError, AuditLog, Line, spawn_blocking};
    use crate::audit::event::{Entry, Kind, Values};
    use crate::audit::journal::{JournalReader, Next};
    use crate::audit::note::SigningKey;
    use delete_learning::storage::Intent;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn config(directory: &Path) -> AuditConfig {
        let (_, signing_key) = SigningKey::generate("example.com/log").expect("a key");
        AuditConfig {
            directory: directory.to_owned(),
            signing_key: Arc::new(signing_key),
            previous_public_keys: Vec::new(),
            max_segment_bytes: 1_000_000,
            max_segment_age: Duration::from_hours(1),
            checkpoint_interval: Duration::from_hours(1),
            max_refusal_bytes: 1_000_000,
            publish_command: Vec::new(),
        }
    }

    fn line() -> Line {
        let entry = Entry { request_id: Some("r".to_owned()), ..Entry::new(Kind::Intent) };
        Line::new(&entry, &Values::default()).expect("a line")
    }

    fn written(directory: &Path) -> Vec<Kind> {
        let mut reader = JournalReader::open(directory, 0).expect("a reader");
        let mut entries = Vec::new();
        while let Next::Line(line) = reader.next_line().expect("a line") {
            entries.push(line.parse_entry().expect("an entry").event);
        }
        entries
    }

    #[tokio::test]
    async fn line_that_is_queued_when_the_log_is_closed_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, _) = AuditLog::open(&config(directory.path())).expect("a log");
        let queued = log.queue(line()).expect("the log is open");
        log.close().await;
        drop(queued);
        assert_eq!(written(directory.path()), [Kind::Started, Kind::Intent, Kind::Stopped]);
    }

    #[tokio::test]
    async fn line_whose_write_is_refused_because_the_log_was_closed_is_not_written_later() {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, _) = AuditLog::open(&config(directory.path())).expect("a log");
        let queued = log.queue(line()).expect("the log is open");
        // Its request waits for the journal before the thread of the log does.
        let appender = log.shared.appender.lock().await;
        let waiting = Arc::clone(&queued);
        let write = tokio::spawn(async move { waiting.write().await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        log.request_close();
        drop(appender);
        assert!(matches!(write.await.expect("no panic"), Err(AuditError::NotWritten(_))));
        assert!(queued.is_refused());
        log.close().await;
        assert_eq!(written(directory.path()), [Kind::Started, Kind::Stopped]);
    }

    #[tokio::test]
    async fn tiles_are_on_disk_for_certain_when_the_log_is_closed_and_not_at_each_checkpoint() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = AuditConfig { checkpoint_interval: Duration::ZERO, ..config(directory.path()) };
        let (log, _) = AuditLog::open(&config).expect("a log");
        let end = Instant::now() + Duration::from_secs(30);
        // When the second checkpoint is published, everything that follows the first one is done.
        for _ in 0..2 {
            log.write(line()).await.expect("written");
            while log.state().unpublished > 0 {
                assert!(Instant::now() < end, "{:?}", log.state());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let on_disk = || std::fs::read_to_string(directory.path().join("tiles-on-disk")).ok();
        assert_eq!(on_disk(), None);
        log.close().await;
        assert_eq!(on_disk().as_deref(), Some("4\n"));
    }

    #[tokio::test]
    async fn number_of_dropped_decisions_is_not_written_more_than_once_a_minute() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = AuditConfig { max_refusal_bytes: 0, ..config(directory.path()) };
        let (log, _) = AuditLog::open(&config).expect("a log");
        for _ in 0..10 {
            log.write_later(false, || Ok(line()));
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        assert_eq!(written(directory.path()), [Kind::Started]);
        assert_eq!(log.state().dropped, 10);
        log.close().await;
        assert_eq!(written(directory.path()), [Kind::Started, Kind::Dropped, Kind::Stopped]);
    }

    #[tokio::test]
    async fn line_that_is_written_is_on_disk_after_a_sync() {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, _) = AuditLog::open(&config(directory.path())).expect("a log");
        let mut before = Vec::new();
        for _ in 0..100 {
            let queued = log.queue(line()).expect("the log is open");
            queued.write().await.expect("written");
            before.push(queued.is_on_disk());
            let waiting = Arc::clone(&queued);
            spawn_blocking(move || waiting.wait()).await.expect("no panic").expect("synced");
            assert!(queued.is_on_disk());
        }
        // The thread of the log can have synced a few of them first.
        assert!(before.iter().filter(|is_on_disk| **is_on_disk).count() < 50, "{before:?}");
        log.close().await;
    }

    #[test]
    fn log_that_is_dropped_writes_what_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, _) = AuditLog::open(&config(directory.path())).expect("a log");
        log.write_late(line());
        drop(log);
        let end = Instant::now() + Duration::from_secs(30);
        while !written(directory.path()).ends_with(&[Kind::Stopped]) {
            assert!(Instant::now() < end, "{:?}", written(directory.path()));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(written(directory.path()), [Kind::Started, Kind::Intent, Kind::Stopped]);
    }
}
