//! The state of the WAL, which the writer and the checkpoint thread share.

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The size of the WAL and the progress of its checkpoints.
pub(super) struct WalState {
    /// Frames in the WAL after the writer's last commit.
    pub(super) frames: AtomicU32,
    /// Set when the thread has checkpointed what it could and leaves the remaining frames to the writer.
    pub(super) needs_final_checkpoint: AtomicBool,
    /// Size from which the WAL is checkpointed, in bytes and, for the open file, in frames.
    checkpoint_bytes: usize,
    pub(super) checkpoint_frames: AtomicU32,
    /// Bytes of a page of the open file.
    page_bytes: AtomicU32,
}

impl WalState {
    /// The state of a WAL that is checkpointed from this size on.
    pub(super) fn new(checkpoint_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            frames: AtomicU32::new(0),
            needs_final_checkpoint: AtomicBool::new(false),
            checkpoint_bytes,
            checkpoint_frames: AtomicU32::new(1),
            page_bytes: AtomicU32::new(0),
        })
    }

    /// Bytes of the frames in the WAL after the writer's last commit, without their headers.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.frames.load(Ordering::Relaxed)) * u64::from(self.page_bytes.load(Ordering::Relaxed))
    }

    /// Observes the commits of this connection, in place of SQLite's automatic checkpoint.
    pub(super) fn observe(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        self.page_bytes.store(page_bytes, Ordering::Relaxed);
        let frames = u32::try_from(self.checkpoint_bytes / (page_bytes.max(1) as usize)).unwrap_or(u32::MAX);
        self.checkpoint_frames.store(frames.max(1), Ordering::Relaxed);
        let state = Arc::clone(self);
        connection.wal_hook(Some(move |_: &mut Wal, frames| {
            state.frames.store(u32::try_from(frames).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
    }
}
