//! Ensures that one engine serves a database: limits, admissions and stock are decided in the memory of one engine, and
//! two engines would sell the same pieces twice.
//!
//! It is a session-level advisory lock of PostgreSQL: it ends with the connection that holds it, however that ends. The
//! engine checks its session, and PostgreSQL gives up the session of a silent engine, so neither keeps a lost lock.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use super::{Connection, Database, StorageError};

/// How long PostgreSQL may take to answer. Shorter than the time after which it gives up a session, so that the holder
/// notices the loss before another engine can take the lock.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// How often the holder checks its session.
const CHECK_EVERY: Duration = Duration::from_millis(500);
const TRY_EVERY: Duration = Duration::from_millis(100);
/// PostgreSQL gives up a session, and with it the lock, when its client is silent for this long over TCP.
const SETTINGS: &str = "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 2; \
                        set tcp_user_timeout = 15000; set idle_session_timeout = 0";
/// How long a start waits for the lock: longer than PostgreSQL keeps the session of an engine that is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// Held by the only engine of a database.
pub struct EngineLock {
    database: Database,
    session: Session,
    /// The number of this start among all starts of engines; `None` until it serves.
    start: Option<i64>,
}

/// The connection that holds the lock or tries to take it.
struct Session {
    connection: Connection,
    /// The process id of its backend.
    pid: i32,
}

impl EngineLock {
    /// Takes the lock; `None` when another engine serves the database.
    pub async fn take(database: &Database) -> Result<Option<Self>, StorageError> {
        let give_up = tokio::time::Instant::now() + TAKEN_WITHIN;
        let session = Session::open(database).await?;
        while !session.try_lock().await? {
            if tokio::time::Instant::now() >= give_up {
                return Ok(None);
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
        Ok(Some(Self { database: database.clone(), session, start: None }))
    }

    /// Records that this engine serves the database from now on; needs the migrated schema.
    pub async fn serves(&mut self) -> Result<(), StorageError> {
        let recorded =
            self.session.connection.query_one(include_str!("../../sql/storage/insert_start.sql"), &[]);
        self.start = Some(answered(recorded).await?.get("position"));
        Ok(())
    }

    /// Takes the lock again after a lost connection. PostgreSQL may not have given up the lost session yet, so this
    /// waits for it.
    ///
    /// `None` when any other session holds the lock, and when another engine has served the database meanwhile: this
    /// engine does not know what that one decided.
    async fn take_again(
        database: &Database,
        lost: i32,
        start: Option<i64>,
    ) -> Result<Option<Self>, StorageError> {
        let session = Session::open(database).await?;
        while !session.try_lock().await? {
            if session.holder().await?.is_some_and(|holder| holder != lost) {
                return Ok(None);
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
        let is_last = session.is_last(start).await?;
        Ok(is_last.then(|| Self { database: database.clone(), session, start }))
    }

    /// Keeps the lock; returns when another engine took the database while this one could not reach it.
    pub async fn keep(mut self) {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            if answered(self.session.connection.batch_execute("select 1")).await.is_ok() {
                continue;
            }
            // Ends the session before the lock is taken again, where PostgreSQL can be reached.
            let Self { database, session: Session { connection, pid: lost }, start } = self;
            drop(connection);
            self = loop {
                match Self::take_again(&database, lost, start).await {
                    Ok(Some(again)) => break again,
                    Ok(None) => return,
                    // An engine that cannot reach the database sells nothing meanwhile.
                    Err(error) => tracing::debug!(%error, "the engine's lock cannot be taken again yet"),
                }
                tokio::time::sleep(CHECK_EVERY).await;
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

    /// Tries to take the lock; answers whether this session holds it.
    async fn try_lock(&self) -> Result<bool, StorageError> {
        let taken = self.connection.query_one("select pg_try_advisory_lock(hashtext('shobai engine'))", &[]);
        Ok(answered(taken).await?.get(0))
    }

    /// Whether no engine has started after this start.
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

/// Bounds a question to PostgreSQL by `ANSWERED_WITHIN`.
async fn answered<T>(
    asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StorageError> {
    match tokio::time::timeout(ANSWERED_WITHIN, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StorageError::Unreachable("no answer about the engine's lock".to_owned())),
    }
}
