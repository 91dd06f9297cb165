//! The thread that does what no request waits for: it writes refusals, has decisions written to disk, begins new files of the
//! journal, and requests checkpoints.

use super::config::AuditConfig;
use super::error::AuditError;
use super::event::{Entry, Kind, Line};
use super::log::Shared;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often the thread looks for what is due. Less than the second in which refusals are written and decisions are on disk.
const TICK: Duration = Duration::from_millis(500);

/// How often the number of dropped decisions is recorded while more are dropped.
const DROPPED_INTERVAL: Duration = Duration::from_mins(1);

/// Pause after a new file of the journal could not be begun.
const ROTATION_RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Maintenance {
    config: AuditConfig,
    shared: Arc<Shared>,
    /// Lines that nobody waits for: decisions without an intent, and those that could not be written when their answer was
    /// sent, each of which has an open intent.
    unawaited: Vec<Line>,
    sizes: SyncSender<u64>,
    /// The size up to which checkpoints are written and published.
    done: Arc<AtomicU64>,
    last_checkpoint: Instant,
    last_dropped: Instant,
    /// When a new file of the journal could not be begun.
    rotation_failed: Option<Instant>,
    /// Held as long as the log is open.
    _lock: File,
}

impl Maintenance {
    pub(super) fn new(
        config: &AuditConfig,
        shared: &Arc<Shared>,
        sizes: SyncSender<u64>,
        done: Arc<AtomicU64>,
        lock: File,
    ) -> Self {
        Self {
            config: config.clone(),
            shared: Arc::clone(shared),
            unawaited: Vec::new(),
            sizes,
            done,
            last_checkpoint: Instant::now(),
            last_dropped: Instant::now(),
            rotation_failed: None,
            _lock: lock,
        }
    }

    /// Runs until the log is closed.
    pub(super) fn run(mut self) -> Result<(), AuditError> {
        while !self.wait() {
            self.write_unawaited();
            self.sync_decisions();
            self.maintain();
        }
        self.close()
    }

    /// Waits until something is due. Returns whether the log is closed.
    fn wait(&mut self) -> bool {
        let mut queue = self.shared.queue();
        let is_rotation_due = queue.is_rotation_due && self.rotation_failed.is_none();
        if !(queue.is_closed || is_rotation_due) {
            queue = self.shared.wake.wait_timeout(queue, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.unawaited.append(&mut queue.unawaited);
        queue.is_closed
    }

    /// Writes the lines that nobody waits for. If that fails, they wait: their number is limited.
    ///
    /// A log that failed recovers here, also on a server to which no requests are sent because it is not ready: the requests
    /// that were refused have left their decisions here, or their number, which is written within [`DROPPED_INTERVAL`].
    fn write_unawaited(&mut self) {
        let mut appender = self.shared.appender.blocking_lock();
        if self.shared.append(&mut appender, &self.unawaited).is_ok() {
            self.unawaited.clear();
        }
    }

    /// A power failure before loses only what the intents replace.
    fn sync_decisions(&self) {
        let appended = self.shared.appended.load(Ordering::Acquire);
        if !self.shared.is_synced(appended) {
            // Reported by the log.
            let _ = self.shared.sync(|| Some(Ok(appended)));
        }
    }

    /// Does what is due.
    fn maintain(&mut self) {
        if self.last_dropped.elapsed() >= DROPPED_INTERVAL {
            let _ = self.write_dropped();
        }
        let is_due = {
            let appender = self.shared.appender.blocking_lock();
            appender.is_full() || appender.journal().age() >= self.config.max_segment_age
        };
        if is_due && self.may_rotate() {
            self.rotation_failed = match self.rotate() {
                Ok(()) => {
                    self.request_checkpoint();
                    None
                }
                Err(error) => {
                    tracing::error!(%error, "cannot begin a new file of the audit log; the current one grows");
                    Some(Instant::now())
                }
            };
        }
        if self.last_checkpoint.elapsed() >= self.config.checkpoint_interval {
            self.request_checkpoint();
        }
    }

    /// Whether a new file can be begun now: not at once after that failed.
    fn may_rotate(&self) -> bool {
        self.rotation_failed.is_none_or(|failed| failed.elapsed() >= ROTATION_RETRY_INTERVAL)
    }

    fn write_dropped(&mut self) -> Result<(), AuditError> {
        self.last_dropped = Instant::now();
        let count = self.shared.refusals.take_dropped();
        if count == 0 {
            return Ok(());
        }
        let entry = Entry { count: Some(count), ..Entry::new(Kind::Dropped) };
        self.append_entry(&entry).inspect_err(|_| self.shared.refusals.put_back_dropped(count))
    }

    fn append_entry(&self, entry: &Entry) -> Result<(), AuditError> {
        let mut appender = self.shared.appender.blocking_lock();
        let line = Line::new(entry, &super::Values::default())?;
        self.shared.append_to(&mut appender, &[], &[line])
    }

    /// Begins a new file of the journal.
    fn rotate(&mut self) -> Result<(), AuditError> {
        self.write_dropped()?;
        // Most of it before requests have to wait.
        self.sync_decisions();
        let _disk = self.shared.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut appender = self.shared.appender.blocking_lock();
        appender.rotate()?;
        self.shared.set_all_synced(appender.next());
        self.shared.refusals.reset();
        self.shared.queue().is_rotation_due = false;
        Ok(())
    }

    /// Requests a checkpoint of what is in the journal, if it has grown.
    fn request_checkpoint(&mut self) {
        self.last_checkpoint = Instant::now();
        let size = self.shared.appended.load(Ordering::Acquire);
        if size > self.done.load(Ordering::Relaxed) && self.shared.sync(|| Some(Ok(size))).is_ok() {
            // If the other thread is busy, the next interval requests a later one.
            let _ = self.sizes.try_send(size);
        }
    }

    /// Writes what is left. The queue is closed, so nothing is appended by others.
    fn close(&mut self) -> Result<(), AuditError> {
        let mut appender = self.shared.appender.blocking_lock();
        let mut awaited = std::mem::take(&mut self.shared.queue().awaited);
        awaited.retain(|queued| !queued.is_refused());
        self.shared.append_to(&mut appender, &awaited, &self.unawaited)?;
        drop(appender);
        self.write_dropped()?;
        self.append_entry(&Entry::new(Kind::Stopped))?;
        let size = self.shared.appended.load(Ordering::Acquire);
        self.shared.sync(|| Some(Ok(size)))?;
        self.shared.appender.blocking_lock().finish()?;
        // The other thread writes a checkpoint of this size before it ends.
        let _ = self.sizes.send(size);
        Ok(())
    }
}
