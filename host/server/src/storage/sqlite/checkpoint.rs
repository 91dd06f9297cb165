//! Checkpoints the WAL of an SQLite file in the background.
//!
//! SQLite itself checkpoints within the commit that finds the WAL long, and the requests of that commit wait. Here a thread
//! with its own connection does it. The WAL can grow further meanwhile, so a page that changes often is written to the
//! database file once for many changes.
//!
//! SQLite restarts the WAL only when all frames have been checkpointed, and while commits go on some always remain. When
//! the thread has left few frames, the writer checkpoints the remaining ones itself, after it has sent its replies.

use super::connection::ReopeningConnection;
use super::file::DatabaseFile;
use super::wal::WalState;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Maximum number of passes of the thread over frames that were committed meanwhile.
const MAX_PASSES: usize = 10;

/// Remaining frames that the writer checkpoints itself.
const MAX_FINAL_FRAMES: u32 = 512;

/// The writer's side: requests checkpoints.
pub(super) struct Checkpointer {
    wal: Arc<WalState>,
    requests: SyncSender<()>,
    /// Frames from which a checkpoint is requested next, after one that could not finish.
    next_frames: u32,
    /// Whether a requested checkpoint is pending.
    requested: bool,
}

impl Checkpointer {
    /// Creates the writer's side, and the requests that the thread receives.
    pub(super) fn new(wal: &Arc<WalState>) -> (Self, Receiver<()>) {
        let (requests, received) = sync_channel(1);
        (Self { wal: Arc::clone(wal), requests, next_frames: 0, requested: false }, received)
    }

    /// Called after a commit, when all replies have been sent.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let frames = self.wal.frames.load(Ordering::Relaxed);
        let checkpoint_frames = self.wal.checkpoint_frames.load(Ordering::Relaxed);
        if self.wal.needs_final_checkpoint.swap(false, Ordering::Acquire) {
            // It cannot finish if another connection reads from the WAL or checkpoints it. Then the WAL grows on, and the
            // next attempt comes when it has grown by as much again.
            let finished = matches!(checkpoint(connection), Ok(remaining) if remaining == 0);
            self.next_frames = if finished { 0 } else { frames.saturating_add(checkpoint_frames) };
            self.requested = false;
        } else if frames < checkpoint_frames {
            // The WAL was restarted.
            self.next_frames = 0;
            self.requested = false;
        } else if frames >= self.next_frames && !self.requested {
            // If the thread has ended, so will the writer.
            self.requested = matches!(self.requests.try_send(()), Ok(()) | Err(TrySendError::Full(())));
        }
    }

    /// Called after a failed transaction: a checkpoint makes room if the disk cannot hold a longer WAL.
    pub(super) fn after_failure(&self, connection: &Connection) {
        // The failure itself has been reported; if this does not help, the next transaction reports it again.
        let _ = checkpoint(connection);
    }
}

/// Checkpoints as many frames as other connections allow, and returns how many remain; at least one if another
/// connection is checkpointing.
fn checkpoint(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        // Whether another connection was checkpointing; frames in the WAL; checkpointed frames. -1 if unknown.
        let (is_busy, frames, done): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(u32::try_from(frames.saturating_sub(done)).unwrap_or_default().max(is_busy.into()))
    })
}

/// The checkpoint thread: checkpoints at each request until the writer ends.
pub(super) fn run(file: &DatabaseFile, wal: &WalState, requests: &Receiver<()>) {
    let mut connection = ReopeningConnection::new(file);
    while requests.recv().is_ok() {
        for _ in 0..MAX_PASSES {
            let frames = wal.frames.load(Ordering::Relaxed);
            // A failure loses nothing: all frames stay in the WAL. It costs time and space until a checkpoint succeeds.
            match connection.query(checkpoint) {
                Ok(0) if wal.frames.load(Ordering::Relaxed).saturating_sub(frames) <= MAX_FINAL_FRAMES => break,
                Ok(0) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = error.message, "cannot checkpoint the WAL");
                    break;
                }
            }
        }
        wal.needs_final_checkpoint.store(true, Ordering::Release);
    }
}
