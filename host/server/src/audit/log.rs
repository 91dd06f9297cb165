//! The open audit log: requests pass lines to one thread, which writes all that wait with one write. Another thread waits for
//! the disk, so that lines which need not be on disk do not wait for those that must.

use super::config::AuditConfig;
use super::error::AuditError;
use super::event::{Entry, Kind, Line, Values};
use super::journal::{Journal, SyncRequest};
use super::publisher::Publisher;
use super::start::{self, OpenIntent};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often the thread looks for what nobody waits for. Less than the second in which refusals are written.
const TICK: Duration = Duration::from_millis(500);

/// The longest time until decisions are on disk. A power failure before loses only what the intents replace.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How often the number of dropped decisions is recorded while more are dropped.
const DROPPED_INTERVAL: Duration = Duration::from_mins(1);

/// Pause after a new file of the journal could not be begun.
const ROTATION_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The least bytes that a decision occupies.
const MIN_LINE_BYTES: u64 = 512;

/// A line that a request waits for, or the end of the log.
enum Command {
    /// To be on disk before the reply.
    Synced(Line, Reply),
    /// To be written before the reply.
    Written(Line, Reply),
    Close(Reply),
}

type Reply = oneshot::Sender<Result<(), AuditError>>;

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    /// Lines that nobody waits for.
    waiting: Vec<Line>,
    /// Whether the thread waits to be notified.
    is_waiting: bool,
    is_closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// The bytes that decisions without an intent can still occupy in this file of the journal.
    refusal_bytes: AtomicU64,
    max_refusal_bytes: u64,
    /// Decisions that were not recorded and are not in an entry yet.
    dropped: AtomicU64,
    /// Whether the last write or sync failed.
    is_failing: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while it is locked cannot leave the queue incomplete.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves the space of a decision without an intent. Half of the space is for callers that authenticated.
    fn try_reserve(&self, bytes: u64, is_anonymous: bool) -> bool {
        let reserved = if is_anonymous { self.max_refusal_bytes / 2 } else { 0 };
        let reserve = |left: u64| left.checked_sub(bytes).filter(|left| *left >= reserved);
        self.refusal_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
    }

    /// Logs that writing began to fail or succeeds again.
    fn report(&self, result: &Result<(), AuditError>) {
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_failing => {
                tracing::error!(%error, "the audit log cannot be written; deletions are refused")
            }
            Ok(()) if was_failing => tracing::info!("the audit log can be written again"),
            _ => {}
        }
    }
}

/// The audit log of a server. Dropping it writes what waits and ends the threads.
pub struct AuditLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl AuditLog {
    /// Opens the log, and creates it if it does not exist. Returns it with the intents that a crash left open.
    ///
    /// # Errors
    /// [`AuditError`] if the log cannot be written, another server uses it, or it does not match its checkpoint.
    pub fn open(config: &AuditConfig) -> Result<(Self, Vec<OpenIntent>), AuditError> {
        let started = start::open(config)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            refusal_bytes: AtomicU64::new(config.max_refusal_bytes),
            max_refusal_bytes: config.max_refusal_bytes,
            dropped: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        });
        let (syncs, requested_syncs) = mpsc::channel();
        let for_syncs = Arc::clone(&shared);
        let syncing = spawn("audit-sync", move || sync_repeatedly(&for_syncs, &requested_syncs))?;
        // One size waits; the thread takes the latest.
        let (sizes, requested) = mpsc::sync_channel(1);
        let publisher = started.publisher;
        let done = publisher.done();
        let publishing = spawn("audit-publisher", move || Publisher::run(publisher, &requested))?;
        let mut writer = Writer {
            config: config.clone(),
            shared: Arc::clone(&shared),
            journal: started.journal,
            open: started.open_intents.iter().map(|intent| (intent.request_id.clone(), intent.index)).collect(),
            waiting: Vec::new(),
            syncs,
            sizes,
            done,
            last_checkpoint: Instant::now(),
            last_sync: Instant::now(),
            last_dropped: Instant::now(),
            rotation_failed: None,
            _lock: started.lock,
        };
        writer.append_own(&started.lines)?;
        let writing = spawn("audit-writer", move || writer.run())?;
        Ok((Self { shared, threads: Mutex::new(vec![writing, syncing, publishing]) }, started.open_intents))
    }

    /// Writes a line and waits until it is on disk.
    pub(super) async fn write_synced(&self, line: Line) -> Result<(), AuditError> {
        self.send(|reply| Command::Synced(line, reply)).await
    }

    /// Writes a line and waits until the operating system has it.
    pub(super) async fn write(&self, line: Line) -> Result<(), AuditError> {
        self.send(|reply| Command::Written(line, reply)).await
    }

    /// Writes a decision without an intent within a second, unless such decisions have used up their space.
    pub(super) fn write_later(&self, is_anonymous: bool, line: impl FnOnce() -> Result<Line, AuditError>) {
        if self.shared.try_reserve(MIN_LINE_BYTES, is_anonymous)
            && let Ok(line) = line()
        {
            let further = (line.text.len() as u64).saturating_sub(MIN_LINE_BYTES);
            if self.shared.try_reserve(further, is_anonymous) {
                self.shared.lock().waiting.push(line);
                return;
            }
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes a decision as soon as the log can be written again. Until then its intent is open.
    pub(super) fn write_late(&self, line: Line) {
        self.shared.lock().waiting.push(line);
    }

    /// Writes what waits, a last entry and a last checkpoint. Then nothing more is written.
    pub async fn close(&self) {
        if let Err(error) = self.send(Command::Close).await {
            tracing::error!(%error, "the audit log was not closed completely; the next start closes what is open");
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let _ = joined.await;
    }

    async fn send(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), AuditError> {
        let (reply, receive) = oneshot::channel();
        {
            let mut queue = self.shared.lock();
            if queue.is_closed {
                return Err(AuditError::Closed);
            }
            queue.commands.push(command(reply));
            if queue.is_waiting {
                self.shared.wake.notify_one();
            }
        }
        receive.await.unwrap_or(Err(AuditError::Closed))
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_one();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AuditError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(AuditError::Thread)
}

/// What is to be on disk, and who waits for it.
struct SyncJob {
    request: SyncRequest,
    replies: Vec<Reply>,
    writer: Option<Sender<Result<(), AuditError>>>,
}

/// The thread that waits for the disk: one sync for all that wait.
fn sync_repeatedly(shared: &Shared, requested: &Receiver<SyncJob>) {
    while let Ok(first) = requested.recv() {
        let jobs: Vec<SyncJob> = std::iter::once(first).chain(requested.try_iter()).collect();
        // The last one covers the others, because nothing is appended to another file before all of this one is on disk.
        let Some(last) = jobs.last() else { continue };
        let result = last.request.execute();
        shared.report(&result);
        let result = || result.as_ref().copied().map_err(|error| AuditError::NotSynced(error.to_string()));
        for job in jobs {
            for reply in job.replies {
                let _ = reply.send(result());
            }
            if let Some(writer) = job.writer {
                let _ = writer.send(result());
            }
        }
    }
}

/// The thread that writes the journal.
struct Writer {
    config: AuditConfig,
    shared: Arc<Shared>,
    journal: Journal,
    /// The open intents and the indexes of their entries.
    open: HashMap<String, u64>,
    /// Lines that nobody waits for: decisions without an intent, and those that could not be written when their answer was
    /// sent, each of which has an open intent.
    waiting: Vec<Line>,
    syncs: Sender<SyncJob>,
    sizes: SyncSender<u64>,
    /// The size up to which checkpoints are written and published.
    done: Arc<AtomicU64>,
    last_checkpoint: Instant,
    last_sync: Instant,
    last_dropped: Instant,
    /// When a new file of the journal could not be begun.
    rotation_failed: Option<Instant>,
    /// Held as long as the log is open.
    _lock: std::fs::File,
}

impl Writer {
    fn run(mut self) {
        loop {
            let (commands, is_closed) = self.receive();
            let mut closing = Vec::new();
            self.write_commands(commands, &mut closing);
            self.write_waiting();
            self.maintain();
            if is_closed || !closing.is_empty() {
                let closed = self.close();
                for reply in closing {
                    let _ =
                        reply.send(closed.as_ref().copied().map_err(|error| AuditError::NotWritten(error.to_string())));
                }
                return;
            }
        }
    }

    /// Waits for commands, or for the next tick.
    fn receive(&mut self) -> (Vec<Command>, bool) {
        let mut queue = self.shared.lock();
        if queue.commands.is_empty() && !queue.is_closed {
            queue.is_waiting = true;
            let waited = self.shared.wake.wait_timeout(queue, TICK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            queue.is_waiting = false;
        }
        let commands = std::mem::take(&mut queue.commands);
        self.waiting.append(&mut queue.waiting);
        if commands.iter().any(|command| matches!(command, Command::Close(_))) {
            queue.is_closed = true;
        }
        (commands, queue.is_closed)
    }

    /// Writes what requests wait for, and replies.
    fn write_commands(&mut self, commands: Vec<Command>, closing: &mut Vec<Reply>) {
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        let (mut synced, mut written) = (Vec::new(), Vec::new());
        for command in commands {
            let line = match command {
                Command::Synced(line, reply) => {
                    synced.push(reply);
                    line
                }
                Command::Written(line, reply) => {
                    written.push(reply);
                    line
                }
                Command::Close(reply) => {
                    closing.push(reply);
                    continue;
                }
            };
            bytes.extend_from_slice(line.text.as_bytes());
            lines.push(line);
        }
        if lines.is_empty() {
            return;
        }
        let result = self.append(&bytes, &lines);
        if let Err(error) = &result {
            for reply in written.into_iter().chain(synced) {
                let _ = reply.send(Err(AuditError::NotWritten(error.to_string())));
            }
            return;
        }
        for reply in written {
            let _ = reply.send(Ok(()));
        }
        if !synced.is_empty() {
            self.request_sync(synced, None);
        }
    }

    fn append(&mut self, bytes: &[u8], lines: &[Line]) -> Result<(), AuditError> {
        let first = self.journal.next();
        let result = self.journal.append(bytes, lines.len() as u64);
        self.shared.report(&result);
        result?;
        for (index, line) in (first..).zip(lines) {
            let Some(request_id) = &line.request_id else { continue };
            if line.kind == Kind::Intent {
                self.open.insert(request_id.clone(), index);
            } else {
                self.open.remove(request_id);
            }
        }
        Ok(())
    }

    /// Has everything written to disk, and those notified who wait for it.
    fn request_sync(&mut self, replies: Vec<Reply>, writer: Option<Sender<Result<(), AuditError>>>) {
        self.last_sync = Instant::now();
        match self.journal.sync_request() {
            // Without that thread, the replies are dropped, which is an error for those who wait.
            Ok(request) => drop(self.syncs.send(SyncJob { request, replies, writer })),
            Err(error) => {
                let result = || Err(AuditError::NotSynced(error.to_string()));
                for reply in replies {
                    let _ = reply.send(result());
                }
                if let Some(writer) = writer {
                    let _ = writer.send(result());
                }
            }
        }
    }

    /// Waits until everything is on disk.
    fn sync(&mut self) -> Result<(), AuditError> {
        let (sender, receiver) = mpsc::channel();
        self.request_sync(Vec::new(), Some(sender));
        receiver.recv().unwrap_or(Err(AuditError::Closed))
    }

    /// Writes the lines that nobody waits for. If that fails, they wait: their number is limited.
    fn write_waiting(&mut self) {
        let lines = std::mem::take(&mut self.waiting);
        let bytes: Vec<u8> = lines.iter().flat_map(|line| line.text.as_bytes()).copied().collect();
        if !lines.is_empty() && self.append(&bytes, &lines).is_err() {
            self.waiting = lines;
        }
    }

    /// Does what is due.
    fn maintain(&mut self) {
        if !self.journal.is_synced() && self.last_sync.elapsed() >= SYNC_INTERVAL {
            self.request_sync(Vec::new(), None);
        }
        if self.last_dropped.elapsed() >= DROPPED_INTERVAL {
            let _ = self.write_dropped();
        }
        let is_due =
            self.journal.length() >= self.config.max_segment_bytes || self.journal.age() >= self.config.max_segment_age;
        if is_due && self.rotation_failed.is_none_or(|failed| failed.elapsed() >= ROTATION_RETRY_INTERVAL) {
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

    fn write_dropped(&mut self) -> Result<(), AuditError> {
        self.last_dropped = Instant::now();
        let count = self.shared.dropped.swap(0, Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let entry = Entry { count: Some(count), ..Entry::new(Kind::Dropped) };
        self.append_own(&[entry]).inspect_err(|_| {
            self.shared.dropped.fetch_add(count, Ordering::Relaxed);
        })
    }

    /// Appends entries without values.
    fn append_own(&mut self, entries: &[Entry]) -> Result<(), AuditError> {
        let lines = entries.iter().map(|entry| Line::new(entry, &Values::default())).collect::<Result<Vec<_>, _>>()?;
        let bytes: Vec<u8> = lines.iter().flat_map(|line| line.text.as_bytes()).copied().collect();
        self.append(&bytes, &lines)
    }

    /// Begins a new file of the journal.
    fn rotate(&mut self) -> Result<(), AuditError> {
        self.write_dropped()?;
        let oldest_open_intent = self.open.values().min().copied();
        let line = Line::new(&Entry { oldest_open_intent, ..Entry::new(Kind::Rotated) }, &Values::default())?;
        self.sync()?;
        self.journal.rotate(line.text.as_bytes())?;
        self.shared.refusal_bytes.store(self.shared.max_refusal_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Requests a checkpoint of what is in the journal, if it has grown.
    fn request_checkpoint(&mut self) {
        self.last_checkpoint = Instant::now();
        let size = self.journal.next();
        if size > self.done.load(Ordering::Relaxed) && self.sync().is_ok() {
            // If the other thread is busy, the next interval requests a later one.
            let _ = self.sizes.try_send(size);
        }
    }

    fn close(&mut self) -> Result<(), AuditError> {
        self.write_dropped()?;
        self.append_own(&[Entry::new(Kind::Stopped)])?;
        self.sync()?;
        self.journal.finish()?;
        // The other thread writes a checkpoint of this size before it ends.
        let _ = self.sizes.send(self.journal.next());
        Ok(())
    }
}
