//! What the journal of the waiting rooms writes: new entries, and changes of entries.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::model::{DatedChange, StoredEntry};
use crate::actors::runtime::Book;
use crate::storage::{Connection, StorageError};
use crate::types::SaleId;

/// One thing to be made durable.
#[derive(Debug, Clone)]
pub enum RoomEntry {
    Join(SaleId, StoredEntry),
    /// All of them or none, so that the database never has a later change without those before it.
    Changes(Arc<[DatedChange]>),
}

/// Writes many entries of many rooms at once.
#[derive(Debug, Clone, Copy)]
pub struct RoomBook;

impl Book for RoomBook {
    type Entry = RoomEntry;
    /// The number is another customer's.
    type Refusal = ();

    async fn write(
        &self,
        connection: &Connection,
        batch: &[RoomEntry],
    ) -> Result<Vec<Result<(), ()>>, StorageError> {
        match batch.first() {
            Some(RoomEntry::Join(..)) => insert_entries(connection, batch).await,
            Some(RoomEntry::Changes(changes)) => {
                change_entries(connection, changes).await?;
                Ok(vec![Ok(()); batch.len()])
            }
            None => Ok(Vec::new()),
        }
    }

    fn may_join(&self, batch: &[RoomEntry], next: &RoomEntry) -> bool {
        matches!((batch.first(), next), (Some(RoomEntry::Join(..)), RoomEntry::Join(..)))
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
        connection.prepare_cached(include_str!("../../../sql/waiting_room/insert_entries.sql")).await?;
    let rows = connection.query(&statement, &[&sales, &numbers, &customers, &times]).await?;
    let entered: HashSet<(Uuid, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_entered =
        |(sale, number): (&Uuid, &i64)| entered.contains(&(*sale, *number)).then_some(()).ok_or(());
    Ok(sales.iter().zip(&numbers).map(is_entered).collect())
}

async fn change_entries(connection: &Connection, changes: &[DatedChange]) -> Result<(), StorageError> {
    let all = changes.iter();
    let sales: Vec<Uuid> = all.clone().map(|dated| dated.sale.uuid()).collect();
    let numbers: Vec<i64> = all.clone().map(|dated| i64::from(dated.change.number.get())).collect();
    let states: Vec<&str> = all.clone().map(|dated| dated.change.state.as_str()).collect();
    let ends: Vec<Option<Timestamp>> = all.clone().map(|dated| dated.change.admitted_until).collect();
    let times: Vec<Timestamp> = all.map(|dated| dated.at).collect();
    let statement =
        connection.prepare_cached(include_str!("../../../sql/waiting_room/change_entries.sql")).await?;
    connection.execute(&statement, &[&sales, &numbers, &states, &ends, &times]).await?;
    Ok(())
}
