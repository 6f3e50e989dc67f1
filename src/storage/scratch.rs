//! A temporary database on the shop's server, for work that must not touch the shop's own database.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::{Connection, Database, StorageError};

/// How long the server may take to create or drop a database.
const WITHIN: Duration = Duration::from_secs(30);
/// PostgreSQL truncates longer names.
const NAME_BYTES_MAX: usize = 63;

/// An empty database. It is recorded in the shop's database before it is created, so that one that a killed process
/// left behind is dropped when the next one of that name is created. A database without a record is never dropped.
pub struct Scratch {
    pub database: Database,
    name: String,
    shop: Database,
}

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("database {0} is in use")]
    InUse(String),
    #[error("database {0} exists and was not made for this; remove or rename it")]
    NotOurs(String),
    #[error("the shop's role may not create a database: it needs createdb")]
    NotAllowed,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<tokio_postgres::Error> for ScratchError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Scratch {
    /// Creates the database `<the shop's>_<suffix>`, in place of one that was left behind.
    pub async fn make(shop: &Database, suffix: &str) -> Result<Self, ScratchError> {
        in_time(async {
            let connection = shop.connect_unhurried().await?;
            let name = name_beside(&connection, suffix).await?;
            drop_leftover(&connection, &name).await?;
            connection.execute(include_str!("../../sql/storage/insert_scratch.sql"), &[&name]).await?;
            if let Err(error) = connection.batch_execute(&creation(&name)).await {
                // A refused database does not exist; one that exists by now may belong to another process.
                if error.code().is_some_and(|code| *code != SqlState::DUPLICATE_DATABASE) {
                    forget(&connection, &name).await?;
                }
                return Err(scratch_error(error, &name));
            }
            Ok(Self { database: shop.beside(&name)?, name, shop: shop.clone() })
        })
        .await
    }

    /// Drops the database that a killed process left behind, unless it is in use.
    pub async fn clean(shop: &Database, suffix: &str) -> Result<(), ScratchError> {
        in_time(async {
            let connection = shop.connect_unhurried().await?;
            let name = name_beside(&connection, suffix).await?;
            drop_leftover(&connection, &name).await
        })
        .await
    }

    /// Drops the database and ends its remaining connections.
    pub async fn drop(self) -> Result<(), ScratchError> {
        self.database.close();
        in_time(async {
            let connection = self.shop.connect_unhurried().await?;
            let statement = format!("drop database if exists {} with (force)", quoted(&self.name));
            connection.batch_execute(&statement).await?;
            forget(&connection, &self.name).await
        })
        .await
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, ScratchError>>) -> Result<T, ScratchError> {
    let late = |_| StorageError::Unreachable("no answer about a scratch database".to_owned());
    tokio::time::timeout(WITHIN, work).await.map_err(late)?
}

async fn drop_leftover(connection: &Connection, name: &str) -> Result<(), ScratchError> {
    let asked: [&(dyn ToSql + Sync); 2] = [&name, &creation(name)];
    let found = connection.query_one(include_str!("../../sql/storage/find_scratch.sql"), &asked).await?;
    match (found.get("is_there"), found.get("is_ours")) {
        // PostgreSQL is still creating it for a process that is gone.
        (false, true) if found.get("is_being_made") => Ok(()),
        (false, true) => forget(connection, name).await,
        (false, false) => Ok(()),
        (true, true) => {
            let statement = format!("drop database if exists {}", quoted(name));
            connection.batch_execute(&statement).await.map_err(|error| scratch_error(error, name))?;
            forget(connection, name).await
        }
        (true, false) => Err(ScratchError::NotOurs(name.to_owned())),
    }
}

/// The statement that creates the database.
fn creation(name: &str) -> String {
    format!("create database {} template template0", quoted(name))
}

async fn forget(connection: &Connection, name: &str) -> Result<(), ScratchError> {
    connection.execute(include_str!("../../sql/storage/delete_scratch.sql"), &[&name]).await?;
    Ok(())
}

fn scratch_error(error: tokio_postgres::Error, name: &str) -> ScratchError {
    match error.code() {
        Some(code) if *code == SqlState::OBJECT_IN_USE => ScratchError::InUse(name.to_owned()),
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ScratchError::NotAllowed,
        _ => ScratchError::Storage(error.into()),
    }
}

async fn name_beside(connection: &Connection, suffix: &str) -> Result<String, StorageError> {
    let row = connection.query_one("select current_database()::text", &[]).await?;
    let mut name: String = row.get(0);
    let most = NAME_BYTES_MAX.saturating_sub(suffix.len() + 1);
    name.truncate(name.floor_char_boundary(most));
    Ok(format!("{name}_{suffix}"))
}

/// Quotes a name as an SQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_is_one_identifier() {
        assert_eq!(quoted("shop_dry_run"), "\"shop_dry_run\"");
        assert_eq!(quoted("a\"; drop database b"), "\"a\"\"; drop database b\"");
    }
}
