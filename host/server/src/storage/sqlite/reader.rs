//! The thread that reads.

use super::Reply;
use super::connection::ReopeningConnection;
use super::file::DatabaseFile;
use super::schema::Schema;
use super::statements::Statements;
use delete_learning::Learning;
use rusqlite::Connection;
use tokio::sync::mpsc;

/// A read to execute.
pub(super) enum Read {
    Find { id: String, reply: Reply<Option<Learning>> },
    Check { reply: Reply<()> },
}

/// Maximum number of reads in one transaction.
const MAX_BATCH_SIZE: usize = 64;

/// Executes reads until the queue is closed, everything that waits in one transaction, so that its locks are taken once.
pub(super) fn run(file: &DatabaseFile, schema: &Schema, mut queue: mpsc::Receiver<Read>) {
    let statements = Statements::new(&file.table);
    let mut connection = ReopeningConnection::for_learnings(file, schema);
    let mut batch = Vec::with_capacity(MAX_BATCH_SIZE);
    while queue.blocking_recv_many(&mut batch, MAX_BATCH_SIZE) > 0 {
        let found = match batch.as_slice() {
            [_] => None,
            // After an error each is read alone, and the error is that of the reads that it belongs to.
            reads => connection.query(|connection| find_all(&statements, connection, reads)).ok(),
        };
        let mut found = found.unwrap_or_default().into_iter();
        for read in batch.drain(..) {
            let found =
                found.next().map_or_else(|| connection.query(|connection| statements.find(connection, read.id())), Ok);
            match read {
                Read::Find { reply, .. } => drop(reply.send(found)),
                Read::Check { reply } => drop(reply.send(found.map(drop))),
            }
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

fn find_all(
    statements: &Statements,
    connection: &Connection,
    reads: &[Read],
) -> rusqlite::Result<Vec<Option<Learning>>> {
    let transaction = connection.unchecked_transaction()?;
    let found = reads.iter().map(|read| statements.find(&transaction, read.id())).collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sqlite::SqliteOptions;
    use tokio::sync::oneshot;

    #[test]
    fn each_read_of_a_batch_gets_its_own_result() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = DatabaseFile::new(&directory.path().join("a.db"), "t", &SqliteOptions::default());
        let schema = Schema::new(true);
        let connection = schema.open(&file).unwrap();
        for (id, created_at) in [("a", "1"), ("b", "2"), ("unreadable", "'text'"), ("c", "3")] {
            let columns = "learning_id, learning_type, content, created_at";
            let row = format!("INSERT INTO t ({columns}) VALUES ('{id}', 'user_memory', '{{}}', {created_at})");
            connection.execute(&row, []).unwrap();
        }
        for ids in [&["a", "b", "absent", "c"][..], &["a", "unreadable", "absent", "c"]] {
            let (reads, queue) = mpsc::channel(8);
            let (reply, mut checked) = oneshot::channel();
            reads.try_send(Read::Check { reply }).ok().unwrap();
            let replies = ids.iter().map(|id| {
                let (reply, found) = oneshot::channel();
                reads.try_send(Read::Find { id: (*id).to_owned(), reply }).ok().unwrap();
                found
            });
            let replies: Vec<_> = replies.collect();
            drop(reads);
            run(&file, &schema, queue);
            checked.try_recv().unwrap().unwrap();
            for (id, mut found) in ids.iter().zip(replies) {
                let found = found.try_recv().unwrap().map(|learning| learning.map(|learning| learning.created_at));
                match *id {
                    "a" => assert_eq!(found.unwrap(), Some(1)),
                    "b" => assert_eq!(found.unwrap(), Some(2)),
                    "c" => assert_eq!(found.unwrap(), Some(3)),
                    "absent" => assert_eq!(found.unwrap(), None),
                    _ => assert!(found.is_err(), "{found:?}"),
                }
            }
        }
    }
}
