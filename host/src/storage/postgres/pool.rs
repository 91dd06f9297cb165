//! Connections, kept and handed out, each with a time in which it must answer.

use super::errors;
use super::session::{ConnectError, Connector, Query, Session};
use crate::limits::Limits;
use deadpool::Runtime;
use deadpool::managed::{BuildError, Object, Pool, PoolError, Timeouts};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The connections to one database.
pub(super) struct Sessions {
    pool: Pool<Connector>,
    room: Duration,
    patience: Duration,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// No connection can be made, so nothing was asked.
    #[error("cannot connect: {0}")]
    NoSession(#[source] ConnectError),
    /// All connections were in use for too long, so nothing was asked.
    #[error("no connection was free within {0:?}")]
    NoRoom(Duration),
    /// The server did not answer in time. The connection is given up.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// The server answered that it is done, and that it stopped waiting for its standbys to have it too.
    #[error("the server was made to stop waiting for its standbys")]
    Unreplicated,
    /// The server answered what no statement here answers.
    #[error("an answer that has no meaning")]
    Unintelligible,
    /// The server refused, or the connection broke.
    #[error("the statement failed: {}", errors::text(.0))]
    Failed(#[source] tokio_postgres::Error),
}

impl Sessions {
    pub(super) fn new(connector: Connector, size: usize, limits: &Limits) -> Result<Self, BuildError> {
        let pool = Pool::builder(connector).max_size(size).runtime(Runtime::Tokio1).build()?;
        // The server's own timeout comes first, where it has one: then it is known that nothing happened.
        let statement = limits.database_statement();
        Ok(Self { pool, room: limits.database_pool(), patience: statement + statement / 4 })
    }

    /// Asks on some connection. Where the answer does not come, or nobody waits for it any more, the connection is given
    /// up, so that the next one never waits behind it.
    pub(super) async fn ask(&self, query: &Query, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, AskError> {
        self.with(async |session| session.ask(query, parameters).await).await
    }

    /// Does something on some connection, by the rules of [`Sessions::ask`].
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, AskError> {
        let timeouts = Timeouts { wait: Some(self.room), create: None, recycle: None };
        let session = match self.pool.timeout_get(&timeouts).await {
            Ok(session) => session,
            Err(PoolError::Backend(error)) => return Err(AskError::NoSession(error)),
            // Nothing else can fail: the pool is never closed, and has a runtime and no hooks.
            Err(_) => return Err(AskError::NoRoom(self.room)),
        };
        let mut asked = Asked { session, is_answered: false };
        let answer = tokio::time::timeout(self.patience, work(&asked.session)).await;
        asked.is_answered = answer.is_ok();
        match answer {
            Err(_) => Err(AskError::NoAnswer(self.patience)),
            Ok(_) if asked.session.is_unreplicated() => Err(AskError::Unreplicated),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                asked.session.judge(&error);
                Err(AskError::Failed(error))
            }
        }
    }
}

/// A connection on which something was asked.
struct Asked {
    session: Object<Connector>,
    is_answered: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            self.session.give_up();
        }
    }
}
