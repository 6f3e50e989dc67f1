//! Tickets, what became of them, and draws, as they are read; `book.rs` writes tickets and their changes.

use jiff::Timestamp;
use tokio_postgres::Row;

use super::draw::{PublishedDraw, Seed};
use super::error::{RoomRefusal, WaitingRoomError};
use super::model::{DatedChange, EntryChange, EntryState, StoredEntry, TicketNumber};
use crate::storage::{Database, PooledConnection, StorageError};
use crate::types::{CustomerId, SaleId};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/waiting_room/", $name, ".sql"))
    };
}

/// Cheap to clone.
#[derive(Clone)]
pub struct WaitingRoomStore {
    database: Database,
}

impl WaitingRoomStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The seed of a sale's draw, and the draw once it was made. Refuses with `UnknownSale`.
    pub(super) async fn find_room(
        &self,
        sale: SaleId,
    ) -> Result<(Seed, Option<PublishedDraw>), WaitingRoomError> {
        let row = self.query_room(sale).await?.ok_or(WaitingRoomError::UnknownSale(sale))?;
        let seed = row.get::<_, &str>("seed").parse().map_err(broken)?;
        let record: Option<&str> = row.get("record");
        let draw = record.map(serde_json::from_str).transpose().map_err(broken)?;
        Ok((seed, draw))
    }

    async fn query_room(&self, sale: SaleId) -> Result<Option<Row>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("find_room")).await?;
        Ok(connection.query_opt(&statement, &[&sale.uuid()]).await?)
    }

    /// Refuses with `AlreadyDrawn` when another draw was stored before.
    pub(super) async fn insert_draw(&self, draw: &PublishedDraw) -> Result<(), WaitingRoomError> {
        let record = serde_json::to_string(draw).map_err(broken)?;
        match self.store_draw(draw.sale, &record, draw.drawn_at).await? {
            true => Ok(()),
            false => Err(RoomRefusal::AlreadyDrawn.into()),
        }
    }

    async fn store_draw(
        &self,
        sale: SaleId,
        record: &str,
        drawn_at: Timestamp,
    ) -> Result<bool, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("insert_draw")).await?;
        Ok(connection.execute(&statement, &[&sale.uuid(), &record, &drawn_at]).await? > 0)
    }

    pub(super) async fn list_entries(&self, sale: SaleId) -> Result<Vec<StoredEntry>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_entries")).await?;
        let rows = connection.query(&statement, &[&sale.uuid()]).await?;
        rows.iter().map(entry_from).collect()
    }

    pub(super) async fn list_customer_entries(
        &self,
        sale: SaleId,
        customer: CustomerId,
    ) -> Result<Vec<StoredEntry>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_customer_entries")).await?;
        let rows = connection.query(&statement, &[&sale.uuid(), &customer.uuid()]).await?;
        rows.iter().map(entry_from).collect()
    }

    pub(super) async fn list_customer_changes(
        &self,
        sale: SaleId,
        customer: CustomerId,
    ) -> Result<Vec<DatedChange>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = prepare(&connection, sql!("list_customer_changes")).await?;
        let rows = connection.query(&statement, &[&sale.uuid(), &customer.uuid()]).await?;
        let change = |row: &Row| {
            let (number, state) = (number_from(row)?, state_from(row)?);
            let change = EntryChange { number, state, admitted_until: row.get("admitted_until") };
            Ok(DatedChange { sale, change, at: row.get("at") })
        };
        rows.iter().map(change).collect()
    }
}

fn entry_from(row: &Row) -> Result<StoredEntry, StorageError> {
    Ok(StoredEntry {
        number: number_from(row)?,
        customer: CustomerId::from_uuid(row.get("customer_id")),
        joined_at: row.get("joined_at"),
        state: state_from(row)?,
        admitted_until: row.get("admitted_until"),
    })
}

fn number_from(row: &Row) -> Result<TicketNumber, StorageError> {
    let number: i64 = row.get("number");
    u32::try_from(number).ok().and_then(TicketNumber::new).ok_or_else(|| defective(number))
}

fn state_from(row: &Row) -> Result<EntryState, StorageError> {
    let state: &str = row.get("state");
    state.parse().map_err(|_| defective(state))
}

/// A row that the model does not understand.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of a waiting room is defective: {what}"))
}

fn broken(error: impl std::fmt::Display) -> WaitingRoomError {
    WaitingRoomError::Broken(error.to_string())
}

async fn prepare(
    connection: &PooledConnection,
    sql: &'static str,
) -> Result<tokio_postgres::Statement, StorageError> {
    Ok(connection.prepare_cached(sql).await?)
}
