//! A database beside the shop's own, on the same server, for what must not touch the shop: made, used, dropped.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::{Connection, Database, StorageError};

/// A server that hangs is not waited for any longer.
const WITHIN: Duration = Duration::from_secs(30);
/// PostgreSQL cuts longer names off.
const NAME_BYTES_MAX: usize = 63;

/// An empty database of its own. It is noted in the shop's before it is made: one that is not dropped in order is dropped when
/// the next one of that name is made, at whatever moment its maker was killed. No other is ever dropped.
pub struct Scratch {
    pub database: Database,
    name: String,
    shop: Database,
}

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("database {0} is in use")]
    InUse(String),
    #[error("database {0} is there and was not made for this")]
    NotOurs(String),
    #[error("the shop's role may not make a database: it needs createdb")]
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
    /// Makes the database `<the shop's>_<suffix>`, in place of one that was left behind.
    pub async fn make(shop: &Database, suffix: &str) -> Result<Self, ScratchError> {
        in_time(async {
            let connection = shop.connect_unhurried().await?;
            let name = name_beside(&connection, suffix).await?;
            drop_leftover(&connection, &name).await?;
            connection.execute(include_str!("../../sql/storage/insert_scratch.sql"), &[&name]).await?;
            if let Err(error) = connection.batch_execute(&making(&name)).await {
                // What PostgreSQL refuses to make is not made; of what is there by now, nobody knows whose it is.
                if error.code().is_some_and(|code| *code != SqlState::DUPLICATE_DATABASE) {
                    forget(&connection, &name).await?;
                }
                return Err(told(error, &name));
            }
            Ok(Self { database: shop.beside(&name)?, name, shop: shop.clone() })
        })
        .await
    }

    /// Drops what a process that was killed left behind, if nobody uses it.
    pub async fn clean(shop: &Database, suffix: &str) -> Result<(), ScratchError> {
        in_time(async {
            let connection = shop.connect_unhurried().await?;
            let name = name_beside(&connection, suffix).await?;
            drop_leftover(&connection, &name).await
        })
        .await
    }

    /// Ends whoever still uses it.
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
    let asked: [&(dyn ToSql + Sync); 2] = [&name, &making(name)];
    let found = connection.query_one(include_str!("../../sql/storage/find_scratch.sql"), &asked).await?;
    match (found.get("is_there"), found.get("is_ours")) {
        // For a maker who is gone.
        (false, true) if found.get("is_being_made") => Ok(()),
        (false, true) => forget(connection, name).await,
        (false, false) => Ok(()),
        (true, true) => {
            let statement = format!("drop database if exists {}", quoted(name));
            connection.batch_execute(&statement).await.map_err(|error| told(error, name))?;
            forget(connection, name).await
        }
        (true, false) => Err(ScratchError::NotOurs(name.to_owned())),
    }
}

/// The statement that makes it.
fn making(name: &str) -> String {
    format!("create database {} template template0", quoted(name))
}

async fn forget(connection: &Connection, name: &str) -> Result<(), ScratchError> {
    connection.execute(include_str!("../../sql/storage/delete_scratch.sql"), &[&name]).await?;
    Ok(())
}

fn told(error: tokio_postgres::Error, name: &str) -> ScratchError {
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

/// A name as PostgreSQL takes it whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_name_whatever_is_in_it() {
        assert_eq!(quoted("shop_dry_run"), "\"shop_dry_run\"");
        assert_eq!(quoted("a\"; drop database b"), "\"a\"\"; drop database b\"");
    }
}
