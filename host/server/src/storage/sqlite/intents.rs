//! The thread that waits until intents are on disk. A sync begins when the writer begins to commit a transaction, so that both
//! wait for the disk at the same time, and the next deletes are ready when the transaction ends. Deletes that arrive during
//! a transaction share the next sync.
//!
//! Nothing that waits for an intent holds the write lock of the database.

use super::writer::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::mpsc;

/// The writer's side: lets the next sync begin.
pub(super) struct NextSync {
    permits: SyncSender<()>,
    /// Whether the current batch has let it begin.
    has_begun: bool,
}

impl NextSync {
    /// Creates the writer's side, and the permits that the thread receives.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (permits, received) = sync_channel(1);
        (Self { permits, has_begun: false }, received)
    }

    /// Lets the next sync begin, once in each batch.
    pub(super) fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            // Nobody has used the permit of an earlier batch if there is no space.
            let _ = self.permits.try_send(());
        }
    }

    /// Called after each batch.
    pub(super) fn end_batch(&mut self) {
        self.begin();
        self.has_begun = false;
    }
}

/// Sends deletes to the writer once their intents are on disk, until the queue is closed.
pub(super) fn run(
    mut queue: mpsc::Receiver<Write>,
    permits: &Receiver<()>,
    writes: &mpsc::Sender<Write>,
    max_batch_size: usize,
) {
    let mut has_permit = true;
    while let Some(first) = queue.blocking_recv() {
        if !has_permit {
            // It fails if the writer has ended, as sending to it does.
            let _ = permits.recv();
        }
        let mut batch = vec![first];
        while batch.len() < max_batch_size
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        // The first intent has all of them written to disk.
        let waited = batch.iter().filter_map(|write| write.intent.as_ref()).try_for_each(|intent| intent.wait());
        has_permit = waited.is_err();
        for write in batch {
            match &waited {
                // If the writer has ended, the reply is dropped, which the request sees.
                Ok(()) => drop(writes.blocking_send(write)),
                Err(error) => drop(write.reply.send(Err(error.clone()))),
            }
        }
    }
}
