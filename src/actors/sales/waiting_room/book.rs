//! What the waiting rooms' journal writes: who came, and what became of them.

use std::collections::HashSet;

use uuid::Uuid;

use super::room::{EntryChange, StoredEntry};
use crate::actors::runtime::Book;
use crate::storage::{Connection, StorageError};
use crate::types::SaleId;

/// One thing to be made durable.
#[derive(Debug, Clone)]
pub enum RoomEntry {
    Join(SaleId, StoredEntry),
    Change(SaleId, EntryChange),
}

/// Writes many entries of many rooms at once.
#[derive(Debug, Clone, Copy)]
pub struct RoomBook;

impl Book for RoomBook {
    type Entry = RoomEntry;
    /// The number is somebody else's.
    type Refusal = ();

    async fn write(
        &self,
        connection: &Connection,
        batch: &[RoomEntry],
    ) -> Result<Vec<Result<(), ()>>, StorageError> {
        match batch.first() {
            Some(RoomEntry::Join(..)) => insert_entries(connection, batch).await,
            Some(RoomEntry::Change(..)) => {
                change_entries(connection, batch).await?;
                Ok(vec![Ok(()); batch.len()])
            }
            None => Ok(Vec::new()),
        }
    }

    fn may_join(&self, batch: &[RoomEntry], next: &RoomEntry) -> bool {
        match (batch.first(), next) {
            (Some(RoomEntry::Join(..)), RoomEntry::Join(..)) => true,
            // One row is changed once in a statement.
            (Some(RoomEntry::Change(..)), RoomEntry::Change(sale, change)) => !batch.iter().any(|entry| {
                matches!(entry, RoomEntry::Change(other, earlier)
                    if other == sale && earlier.number == change.number)
            }),
            _ => false,
        }
    }

    fn refusal(&self, _entry: &RoomEntry, _constraint: &str) {}
}

async fn insert_entries(
    connection: &Connection,
    batch: &[RoomEntry],
) -> Result<Vec<Result<(), ()>>, StorageError> {
    let (mut sales, mut numbers, mut customers, mut times) = (vec![], vec![], vec![], vec![]);
    for entry in batch {
        let RoomEntry::Join(sale, entry) = entry else { continue };
        sales.push(sale.uuid());
        numbers.push(i64::from(entry.number.get()));
        customers.push(entry.customer.uuid());
        times.push(entry.joined_at);
    }
    let statement =
        connection.prepare_cached(include_str!("../../../../sql/sales/insert_entries.sql")).await?;
    let rows = connection.query(&statement, &[&sales, &numbers, &customers, &times]).await?;
    let entered: HashSet<(Uuid, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_entered =
        |(sale, number): (&Uuid, &i64)| entered.contains(&(*sale, *number)).then_some(()).ok_or(());
    Ok(sales.iter().zip(&numbers).map(is_entered).collect())
}

async fn change_entries(connection: &Connection, batch: &[RoomEntry]) -> Result<(), StorageError> {
    let (mut sales, mut numbers, mut states, mut ends): (Vec<Uuid>, Vec<i64>, Vec<&str>, Vec<_>) =
        (vec![], vec![], vec![], vec![]);
    for entry in batch {
        let RoomEntry::Change(sale, change) = entry else { continue };
        sales.push(sale.uuid());
        numbers.push(i64::from(change.number.get()));
        states.push(change.state.as_str());
        ends.push(change.admitted_until);
    }
    let statement =
        connection.prepare_cached(include_str!("../../../../sql/sales/change_entries.sql")).await?;
    connection.execute(&statement, &[&sales, &numbers, &states, &ends]).await?;
    Ok(())
}
