//! Keeps a second engine away from a database that has one: limits, admissions and stock are decided in the memory of one
//! engine, and two would each sell what the other one has.
//!
//! The lock is PostgreSQL's, of a session: it ends with the connection that holds it, however that ends. Both sides look
//! whether the other is still there, so that neither keeps a lock that nobody has any more.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use super::{Connection, Database, StorageError};

/// How long PostgreSQL may take to answer. Less than it takes to give up a session, so that nobody has the lock before its
/// holder looks for it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// How often the holder shows that it is there.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
const TRIES_EVERY: Duration = Duration::from_millis(100);
/// PostgreSQL gives up a session whose client is silent this long over TCP, and so the lock.
const SETTINGS: &str = "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 2; \
                        set tcp_user_timeout = 15000; set idle_session_timeout = 0";
/// A little longer: the session of an engine before is gone by then, if that engine is.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// Whoever holds it is the only engine of its database.
pub struct Sole {
    database: Database,
    session: Session,
    /// Which start of an engine this is; nothing until it serves.
    start: Option<i64>,
}

/// The connection that holds the lock, or asks for it.
struct Session {
    connection: Connection,
    /// What PostgreSQL calls it.
    pid: i32,
}

impl Sole {
    /// Nothing when another engine serves the database.
    pub async fn take(database: &Database) -> Result<Option<Self>, StorageError> {
        let give_up = tokio::time::Instant::now() + NOTICED_WITHIN;
        let session = Session::open(database).await?;
        while !session.locks().await? {
            if tokio::time::Instant::now() >= give_up {
                return Ok(None);
            }
            tokio::time::sleep(TRIES_EVERY).await;
        }
        Ok(Some(Self { database: database.clone(), session, start: None }))
    }

    /// Notes that this engine serves the database from now on, whose schema is there by now.
    pub async fn serves(&mut self) -> Result<(), StorageError> {
        let noted =
            self.session.connection.query_one(include_str!("../../sql/storage/insert_start.sql"), &[]);
        self.start = Some(answered(noted).await?.get("position"));
        Ok(())
    }

    /// Nothing as soon as another session holds it than the one that was lost, which PostgreSQL has perhaps not given up yet; and
    /// nothing when another engine held it and is gone, for what that one decided is not known here.
    async fn take_again(
        database: &Database,
        lost: i32,
        start: Option<i64>,
    ) -> Result<Option<Self>, StorageError> {
        let session = Session::open(database).await?;
        while !session.locks().await? {
            if session.holder().await?.is_some_and(|holder| holder != lost) {
                return Ok(None);
            }
            tokio::time::sleep(TRIES_EVERY).await;
        }
        let is_last = session.is_last(start).await?;
        Ok(is_last.then(|| Self { database: database.clone(), session, start }))
    }

    /// Keeps it; returns when another engine took the database while it could not be reached from here, if only for a while.
    pub async fn keep(mut self) {
        loop {
            tokio::time::sleep(LOOKS_EVERY).await;
            if answered(self.session.connection.batch_execute("select 1")).await.is_ok() {
                continue;
            }
            // The session ends before the lock is asked for again, if PostgreSQL can be told.
            let Self { database, session: Session { connection, pid: lost }, start } = self;
            drop(connection);
            self = loop {
                match Self::take_again(&database, lost, start).await {
                    Ok(Some(again)) => break again,
                    Ok(None) => return,
                    // Whoever cannot reach the database sells nothing.
                    Err(error) => tracing::debug!(%error, "the engine's lock cannot be taken again yet"),
                }
                tokio::time::sleep(LOOKS_EVERY).await;
            };
        }
    }
}

impl Session {
    async fn open(database: &Database) -> Result<Self, StorageError> {
        let connection = database.connect_lane(ANSWERED_WITHIN).await?;
        answered(connection.batch_execute(SETTINGS)).await?;
        let pid = answered(connection.query_one("select pg_backend_pid()", &[])).await?.get(0);
        Ok(Self { connection, pid })
    }

    /// Whether it holds the lock now.
    async fn locks(&self) -> Result<bool, StorageError> {
        let taken = self.connection.query_one("select pg_try_advisory_lock(hashtext('shobai engine'))", &[]);
        Ok(answered(taken).await?.get(0))
    }

    /// Whether no engine has started after that one.
    async fn is_last(&self, start: Option<i64>) -> Result<bool, StorageError> {
        let Some(start) = start else { return Ok(true) };
        let wanted: [&(dyn ToSql + Sync); 1] = [&start];
        let found = self.connection.query_one(include_str!("../../sql/storage/is_last_start.sql"), &wanted);
        Ok(answered(found).await?.get("is_last"))
    }

    async fn holder(&self) -> Result<Option<i32>, StorageError> {
        let found = self.connection.query_opt(include_str!("../../sql/storage/find_lock_holder.sql"), &[]);
        Ok(answered(found).await?.map(|row| row.get("pid")))
    }
}

async fn answered<T>(
    asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StorageError> {
    match tokio::time::timeout(ANSWERED_WITHIN, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StorageError::Unreachable("no answer about the engine's lock".to_owned())),
    }
}
