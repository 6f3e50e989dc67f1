//! A database beside the shop's own, on the same server, for what must not touch the shop: made, used, dropped.

use tokio_postgres::error::SqlState;

use super::{Connection, Database, StorageError};

/// PostgreSQL cuts longer names off.
const NAME_BYTES_MAX: usize = 63;

/// An empty database of its own. One that is not dropped in order is dropped when the next one of that name is made.
pub struct Scratch {
    pub database: Database,
    name: String,
    shop: Database,
}

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("database {0} is in use")]
    InUse(String),
    #[error("the shop's role may not make a database: it needs createdb")]
    NotAllowed,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Scratch {
    /// Makes the database `<the shop's>_<suffix>`, in place of one that was left behind.
    pub async fn make(shop: &Database, suffix: &str) -> Result<Self, ScratchError> {
        let connection = shop.connect_unhurried().await?;
        let name = name_beside(&connection, suffix).await?;
        let quoted = quoted(&name);
        // A statement each: neither runs in a transaction.
        for statement in [
            format!("drop database if exists {quoted}"),
            format!("create database {quoted} template template0"),
        ] {
            connection.batch_execute(&statement).await.map_err(|error| match error.code() {
                Some(code) if *code == SqlState::OBJECT_IN_USE => ScratchError::InUse(name.clone()),
                Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ScratchError::NotAllowed,
                _ => ScratchError::Storage(error.into()),
            })?;
        }
        Ok(Self { database: shop.beside(&name)?, name, shop: shop.clone() })
    }

    /// Ends whoever still uses it.
    pub async fn drop(self) -> Result<(), StorageError> {
        self.database.close();
        let connection = self.shop.connect_unhurried().await?;
        let statement = format!("drop database if exists {} with (force)", quoted(&self.name));
        Ok(connection.batch_execute(&statement).await?)
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
