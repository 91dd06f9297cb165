//! The thread that reads.

use super::Reply;
use super::connection::ReopeningConnection;
use super::file::DatabaseFile;
use super::schema::Schema;
use super::statements::Statements;
use delete_learning::Learning;
use tokio::sync::mpsc;

/// A read to execute.
pub(super) enum Read {
    Find { id: String, reply: Reply<Option<Learning>> },
    Check { reply: Reply<()> },
}

/// Executes reads until the queue is closed.
pub(super) fn run(file: &DatabaseFile, schema: &Schema, mut queue: mpsc::Receiver<Read>) {
    let statements = Statements::new(&file.table);
    let mut connection = ReopeningConnection::for_learnings(file, schema);
    while let Some(read) = queue.blocking_recv() {
        let found = connection.query(|connection| statements.find(connection, read.id()));
        match read {
            Read::Find { reply, .. } => drop(reply.send(found)),
            Read::Check { reply } => drop(reply.send(found.map(drop))),
        }
    }
}

impl Read {
    /// The record to read. A check reads one that does not exist.
    fn id(&self) -> &str {
        match self {
            Self::Find { id, .. } => id,
            Self::Check { .. } => "",
        }
    }
}
