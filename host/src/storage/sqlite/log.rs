//! The write-ahead log of an SQLite file: carried over into the file beside the deletes, not between them.
//!
//! SQLite by itself carries the log over within the commit that finds it long, and the requests of that commit wait for
//! it. Here a thread with a connection of its own does. The log may grow longer meanwhile, so that a page which changes
//! again and again is written to the file once for many changes.
//!
//! The log begins anew only when all of it has been carried over, and while commits go on there is always a rest. When
//! the thread has left little of it, the writer, with its answers sent, takes that over itself.

use super::worker::{Connected, File};
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// What the writer and the thread that carries the log over know of it.
pub(super) struct Log {
    /// Pages in the log after the last commit of the writer.
    pages: AtomicU32,
    /// Set when the thread has carried over what it could, and left a rest for the writer.
    is_short: AtomicBool,
    /// Bytes from which the log is carried over.
    bytes: usize,
    /// As many pages of the file that is open.
    most: AtomicU32,
}

/// Times that the thread begins again with what was committed while it carried over.
const PASSES: usize = 10;

/// A rest of so many pages is short.
const SHORT: u32 = 512;

/// The writer's end: asks for the log to be carried over when it is long.
pub(super) struct Keeper {
    log: Arc<Log>,
    asks: SyncSender<()>,
    /// Pages from which it asks next, where that is more than the log may have: after it was in vain.
    next: u32,
    /// Whether it has asked, and nothing came of it yet.
    has_asked: bool,
}

impl Log {
    /// A log that may have so many bytes before it is carried over.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        let (pages, most) = (AtomicU32::new(0), AtomicU32::new(1));
        Arc::new(Self { pages, is_short: AtomicBool::new(false), bytes, most })
    }

    /// Has the commits of this connection counted, which is the writer's. In place of SQLite's own carrying over.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let most = u32::try_from(self.bytes / (page_bytes.max(1) as usize)).unwrap_or(u32::MAX);
        self.most.store(most.max(1), Ordering::Relaxed);
        let log = Arc::clone(self);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            log.pages.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
    }
}

impl Keeper {
    /// The writer's end, and what the thread that carries the log over gets.
    pub(super) fn new(log: &Arc<Log>) -> (Self, Receiver<()>) {
        let (asks, asked) = sync_channel(1);
        (Self { log: Arc::clone(log), asks, next: 0, has_asked: false }, asked)
    }

    /// After a commit, when everybody has been answered.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let (pages, most) = (self.log.pages.load(Ordering::Relaxed), self.log.most.load(Ordering::Relaxed));
        if self.log.is_short.swap(false, Ordering::Acquire) {
            // It may be in vain because somebody else reads what is in the log, or carries it over. Then the log goes on
            // growing, and it is tried again when it has grown as much once more.
            let is_done = matches!(carry_over(connection), Ok(left) if left == 0);
            self.next = if is_done { 0 } else { pages.saturating_add(most) };
            self.has_asked = false;
        } else if pages < most {
            // It has begun anew.
            self.next = 0;
            self.has_asked = false;
        } else if pages >= self.next && !self.has_asked {
            // Where the thread has ended, so will the writer.
            self.has_asked = !matches!(self.asks.try_send(()), Err(TrySendError::Disconnected(())));
        }
    }

    /// After a transaction failed, perhaps because the disk has no room for a longer log: makes room in the log.
    pub(super) fn after_failure(&self, connection: &Connection) {
        // What the matter is has been said, and if it is not this, it will be said again.
        let _ = carry_over(connection);
    }
}

/// Carries over what is in the log, as far as nobody else needs it, and says how many pages are left: at least that one
/// is, where somebody else is at it.
fn carry_over(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        // Whether somebody else was at it; pages in the log; pages of these that have been carried over. -1 where unknown.
        let (is_busy, log, done): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(u32::try_from(log.saturating_sub(done)).unwrap_or_default().max(is_busy.into()))
    })
}

/// Carries the log over as often as it is asked to.
pub(super) fn keep(file: &File, log: &Log, asked: &Receiver<()>) {
    let mut connected = Connected::to(file);
    while asked.recv().is_ok() {
        for _ in 0..PASSES {
            let before = log.pages.load(Ordering::Relaxed);
            // What fails here loses nothing: all of it is in the log. It costs time and space until it succeeds.
            match super::worker::answer(&mut connected, carry_over) {
                Ok(0) if log.pages.load(Ordering::Relaxed).saturating_sub(before) <= SHORT => break,
                Ok(0) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = error.message, "the write-ahead log cannot be carried over into its file");
                    break;
                }
            }
        }
        log.is_short.store(true, Ordering::Release);
    }
}
