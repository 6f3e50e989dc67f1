//! Inventory's reads, and the row of a new SKU; every change of stock goes through the journal instead.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::InventoryError;
use super::model::{
    Allotment, Claimed, Figures, Hold, HoldAges, HoldRecord, Line, Movement, MovementKind, OpenHolds,
    Purpose, ReservationState, Stock,
};
use crate::storage::{Database, StorageError};
use crate::types::{Cursor, Limit, Page, Quantity, ReservationId, SaleId, Sku};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/inventory/", $name, ".sql"))
    };
}

/// Cheap to clone.
#[derive(Clone)]
pub struct InventoryStore {
    database: Database,
}

impl InventoryStore {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub async fn insert_sku(&self, sku: &Sku) -> Result<(), StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("insert_sku")).await?;
        connection.execute(&statement, &[&sku.as_str()]).await?;
        Ok(())
    }

    /// The figures of a SKU.
    pub async fn find_sku(&self, sku: &Sku) -> Result<Option<Figures>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_sku")).await?;
        let row = connection.query_opt(&statement, &[&sku.as_str()]).await?;
        let Some(row) = row else { return Ok(None) };
        let is_allotted = row.get::<_, Option<Uuid>>("sale_id").is_some();
        Ok(Some(Figures {
            stock: Stock {
                on_hand: row.get("on_hand"),
                reserved: row.get("reserved"),
                allotted: row.get("allotted"),
                version: row.get("version"),
            },
            allotment: is_allotted.then(|| allotment_from(&row)),
        }))
    }

    /// Since when pieces of a sale are held; `None` while none are.
    pub async fn find_hold_ages(&self, sale: SaleId) -> Result<Option<HoldAges>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_hold_ages")).await?;
        let row = connection.query_one(&statement, &[&sale.uuid()]).await?;
        let (oldest, median): (Option<Timestamp>, Option<Timestamp>) =
            (row.get("oldest_made_at"), row.get("median_made_at"));
        Ok(oldest
            .zip(median)
            .map(|(oldest_made_at, median_made_at)| HoldAges { oldest_made_at, median_made_at }))
    }

    /// The allotments of a sale, open and closed.
    pub async fn list_allotments(&self, sale: SaleId) -> Result<Vec<(Sku, Allotment)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_allotments")).await?;
        let rows = connection.query(&statement, &[&sale.uuid()]).await?;
        rows.iter().map(|row| Ok((sku_from(row)?, allotment_from(row)))).collect()
    }

    /// The live reservations of a sale with their claimants.
    pub async fn list_claims(&self, sale: SaleId) -> Result<Vec<Claimed>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_claims")).await?;
        connection.query(&statement, &[&sale.uuid()]).await?.iter().map(claimed_from).collect()
    }

    /// The same of one reservation.
    pub async fn find_claims(&self, sale: SaleId, id: ReservationId) -> Result<Vec<Claimed>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_claims")).await?;
        connection.query(&statement, &[&sale.uuid(), &id.uuid()]).await?.iter().map(claimed_from).collect()
    }

    pub async fn count_open_holds(&self, sale: SaleId) -> Result<OpenHolds, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("count_open_holds")).await?;
        let row = connection.query_one(&statement, &[&sale.uuid()]).await?;
        Ok(OpenHolds { orders: row.get("orders"), until: row.get("until") })
    }

    /// A reservation with the lines of it that exist, in any state.
    pub async fn find_reservation(
        &self,
        id: ReservationId,
    ) -> Result<Option<KnownReservation>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_reservation")).await?;
        let rows = connection.query(&statement, &[&id.uuid()]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let purpose: &str = first.get("purpose");
        let line = |row: &Row| {
            let quantity = Quantity::new(row.get("quantity")).map_err(defective)?;
            Ok(Line { sku: sku_from(row)?, quantity })
        };
        let mut lines = rows.iter().map(line).collect::<Result<Vec<_>, StorageError>>()?;
        // In the order in which lines are decided; the database sorts by its own rules.
        lines.sort_unstable_by(|one, other| one.sku.cmp(&other.sku));
        Ok(Some(KnownReservation {
            purpose: purpose.parse().map_err(|_| defective(purpose))?,
            whole: usize::try_from(first.get::<_, i16>("lines")).unwrap_or(0),
            lines,
        }))
    }

    /// The versions of SKUs as they are now; one that is not in stock is left out.
    pub async fn list_versions(&self, skus: &[Sku]) -> Result<Vec<(Sku, i64)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_versions")).await?;
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let rows = connection.query(&statement, &[&names]).await?;
        rows.iter().map(|row| Ok((sku_from(row)?, row.get("version")))).collect()
    }

    /// The SKUs of a reservation, in the order in which they are decided; none if it was made for another purpose.
    pub async fn list_reserved_skus(
        &self,
        id: ReservationId,
        purpose: Purpose,
    ) -> Result<Vec<Sku>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_reserved_skus")).await?;
        let rows = connection.query(&statement, &[&id.uuid(), &purpose.as_str()]).await?;
        rows.iter().map(sku_from).collect()
    }

    pub async fn find_hold(&self, id: ReservationId, sku: &Sku) -> Result<Option<Hold>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_hold")).await?;
        let row = connection.query_opt(&statement, &[&id.uuid(), &sku.as_str()]).await?;
        row.as_ref().map(hold_from).transpose()
    }

    pub async fn list_holds(&self, id: ReservationId) -> Result<Vec<HoldRecord>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_holds")).await?;
        let rows = connection.query(&statement, &[&id.uuid()]).await?;
        rows.iter()
            .map(|row| {
                Ok(HoldRecord {
                    sku: sku_from(row)?,
                    hold: hold_from(row)?,
                    made_at: row.get("created_at"),
                    ended_at: row.get("ended_at"),
                    claimants: row.get::<_, Option<Vec<String>>>("claimants").unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Holds whose time has passed, the longest overdue first; those of the SKUs in `without` are left out.
    pub async fn list_due_holds(
        &self,
        limit: i64,
        without: &[Sku],
    ) -> Result<Vec<(ReservationId, Sku)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_due_holds")).await?;
        let without: Vec<&str> = without.iter().map(Sku::as_str).collect();
        let rows = connection.query(&statement, &[&limit, &without]).await?;
        rows.iter().map(|row| Ok((ReservationId::from_uuid(row.get("id")), sku_from(row)?))).collect()
    }

    /// Each once, with the sale whose allotment some of its lines come from.
    pub async fn list_held_for_orders(
        &self,
        made_before: Timestamp,
        after: Option<ReservationId>,
        limit: i64,
    ) -> Result<Vec<(ReservationId, Option<SaleId>)>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_held_for_orders")).await?;
        let after = after.map_or(Uuid::nil(), ReservationId::uuid);
        let rows = connection.query(&statement, &[&after, &first_id_at(made_before), &limit]).await?;
        let sale = |row: &Row| row.get::<_, Option<Uuid>>("sale_id").map(SaleId::from_uuid);
        Ok(rows.iter().map(|row| (ReservationId::from_uuid(row.get("id")), sale(row))).collect())
    }

    /// Pieces available, in the order of the SKUs.
    pub async fn list_available(&self, skus: &[Sku]) -> Result<Vec<i64>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("list_available")).await?;
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let rows = connection.query(&statement, &[&names]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub async fn find_movement(
        &self,
        sku: &Sku,
        kind: MovementKind,
        reference: &str,
    ) -> Result<Option<Movement>, StorageError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(sql!("find_movement")).await?;
        let row = connection.query_opt(&statement, &[&sku.as_str(), &kind.as_str(), &reference]).await?;
        row.as_ref().map(movement_from).transpose()
    }

    /// Newest first.
    pub async fn list_movements(
        &self,
        sku: &Sku,
        limit: Limit,
        cursor: Option<Cursor>,
    ) -> Result<Page<Movement>, InventoryError> {
        let before: i64 = cursor.map_or(Ok(i64::MAX), |cursor| cursor.key())?;
        let connection = self.database.connection().await?;
        let statement =
            connection.prepare_cached(sql!("list_movements")).await.map_err(StorageError::from)?;
        let rows = connection
            .query(&statement, &[&sku.as_str(), &before, &(limit.get() + 1)])
            .await
            .map_err(StorageError::from)?;
        let movements = rows.iter().map(movement_from).collect::<Result<_, _>>()?;
        Ok(Page::from_rows(movements, limit, |movement: &Movement| movement.version.to_string()))
    }
}

/// The least UUIDv7 of a moment.
fn first_id_at(time: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid()
}

/// A reservation as the database has it.
pub struct KnownReservation {
    pub purpose: Purpose,
    /// How many lines it has when it is complete.
    pub whole: usize,
    /// Those that exist, in the order in which they are decided.
    pub lines: Vec<Line>,
}

fn sku_from(row: &Row) -> Result<Sku, StorageError> {
    row.get::<_, &str>("sku").parse().map_err(defective)
}

fn hold_from(row: &Row) -> Result<Hold, StorageError> {
    let state: &str = row.get("state");
    Ok(Hold {
        quantity: Quantity::new(row.get("quantity")).map_err(defective)?,
        state: state.parse().map_err(|_| defective(state))?,
        expires_at: row.get("expires_at"),
        sale: row.get::<_, Option<Uuid>>("sale_id").map(SaleId::from_uuid),
    })
}

fn allotment_from(row: &Row) -> Allotment {
    Allotment {
        sale: SaleId::from_uuid(row.get("sale_id")),
        allotment: row.get("allotment"),
        held: row.get("held"),
        sold: row.get("sold"),
        returned: row.get("returned"),
        lapsed: row.get("lapsed"),
        expired: row.get("expired"),
        is_closed: row.get::<_, Option<Timestamp>>("closed_at").is_some(),
    }
}

fn movement_from(row: &Row) -> Result<Movement, StorageError> {
    let kind: &str = row.get("kind");
    Ok(Movement {
        sku: sku_from(row)?,
        version: row.get("version"),
        kind: kind.parse().map_err(|_| defective(kind))?,
        on_hand_delta: row.get("on_hand_delta"),
        reserved_delta: row.get("reserved_delta"),
        allotted_delta: row.get("allotted_delta"),
        reservation: row.get::<_, Option<Uuid>>("reservation_id").map(ReservationId::from_uuid),
        reference: row.get("reference"),
        reason: row.get("reason"),
        at: row.get("at"),
    })
}

fn claimed_from(row: &Row) -> Result<Claimed, StorageError> {
    let state: &str = row.get("state");
    Ok(Claimed {
        reservation: ReservationId::from_uuid(row.get("id")),
        line: Line { sku: sku_from(row)?, quantity: Quantity::new(row.get("quantity")).map_err(defective)? },
        is_held: state == ReservationState::Held.as_str(),
        claimants: row.get::<_, Option<Vec<String>>>("claimants").unwrap_or_default(),
    })
}

/// A row that the model does not understand.
fn defective(what: impl std::fmt::Display) -> StorageError {
    StorageError::Broken(format!("a row of inventory is defective: {what}"))
}
