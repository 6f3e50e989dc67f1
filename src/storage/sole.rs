//! Keeps a second engine away from a database that has one: limits, admissions and stock are decided in the memory of one
//! engine, and two would each sell what the other one has.
//!
//! The lock is PostgreSQL's, of a session: it ends with the connection that holds it, however that ends. A connection that is
//! lost is made again at once.

use std::time::Duration;

use super::{Connection, Database, StorageError};

/// How long it may take until PostgreSQL has noticed that the connection of an engine before is gone.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
const TRIES_EVERY: Duration = Duration::from_millis(100);
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// Whoever holds it is the only engine of its database.
pub struct Sole {
    database: Database,
    connection: Connection,
}

impl Sole {
    /// Nothing when another engine serves the database.
    pub async fn take(database: &Database) -> Result<Option<Self>, StorageError> {
        let give_up = tokio::time::Instant::now() + NOTICED_WITHIN;
        let connection = database.connect_unhurried().await?;
        loop {
            let taken = connection.query_one("select pg_try_advisory_lock(hashtext('shobai engine'))", &[]);
            if taken.await?.get(0) {
                return Ok(Some(Self { database: database.clone(), connection }));
            }
            if tokio::time::Instant::now() >= give_up {
                return Ok(None);
            }
            tokio::time::sleep(TRIES_EVERY).await;
        }
    }

    /// Keeps it; returns when another engine took the database while it could not be reached from here.
    pub async fn keep(mut self) {
        loop {
            tokio::time::sleep(LOOKS_EVERY).await;
            if !self.connection.is_closed() {
                continue;
            }
            match Self::take(&self.database).await {
                Ok(Some(again)) => self = again,
                Ok(None) => return,
                // Whoever cannot reach the database sells nothing.
                Err(error) => tracing::debug!(%error, "the engine's lock cannot be taken again yet"),
            }
        }
    }
}
