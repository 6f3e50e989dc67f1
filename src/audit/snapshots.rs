//! Reads what the database knows of open sales: allotments, stock, ledger and orders.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::balance::{LedgerSums, OrderedPieces, SkuSnapshot};
use super::error::AuditError;
use crate::actors::inventory::{Allotment, Stock};
use crate::actors::sales::SaleStatus;
use crate::storage::Connection;
use crate::types::{SaleId, Sku};

/// In these a sale has pieces allotted.
const AUDITED: [SaleStatus; 4] =
    [SaleStatus::Armed, SaleStatus::Open, SaleStatus::Paused, SaleStatus::Draining];

/// The movements of a SKU after one version and up to another.
#[derive(Debug, Clone)]
pub(super) struct MovementRange {
    pub sku: Sku,
    pub after: i64,
    pub up_to: i64,
}

/// Every SKU of every audited sale, without ledger and orders.
pub(super) async fn read_skus(connection: &Connection) -> Result<Vec<SkuSnapshot>, AuditError> {
    let statement = connection.prepare_cached(include_str!("../../sql/audit/watch_parts.sql")).await?;
    let statuses = AUDITED.map(SaleStatus::as_str);
    let rows = connection.query(&statement, &[&&statuses[..]]).await?;
    rows.iter().map(snapshot_from).collect()
}

/// Pieces of each sale and SKU according to the orders; orders that were begun or changed after `since` may be in
/// progress.
pub(super) async fn read_ordered(
    connection: &Connection,
    sales: &[Uuid],
    since: Timestamp,
) -> Result<HashMap<(Uuid, String), OrderedPieces>, AuditError> {
    let statement = connection.prepare_cached(include_str!("../../sql/audit/watch_orders.sql")).await?;
    let rows = connection.query(&statement, &[&sales, &first_id_at(since), &since]).await?;
    let ordered = rows.iter().map(|row| {
        let ordered = OrderedPieces {
            live: row.get("live"),
            coming: row.get("coming"),
            leaving: row.get("leaving"),
            behind: row.get("behind"),
        };
        ((row.get("sale_id"), row.get("sku")), ordered)
    });
    Ok(ordered.collect())
}

/// Sums of movements by SKU; a SKU without a movement in its range is left out.
pub(super) async fn sum_movements(
    connection: &Connection,
    ranges: &[MovementRange],
) -> Result<HashMap<Sku, LedgerSums>, AuditError> {
    let skus: Vec<&str> = ranges.iter().map(|range| range.sku.as_str()).collect();
    let after: Vec<i64> = ranges.iter().map(|range| range.after).collect();
    let up_to: Vec<i64> = ranges.iter().map(|range| range.up_to).collect();
    let statement = connection.prepare_cached(include_str!("../../sql/audit/sum_movements.sql")).await?;
    let rows = connection.query(&statement, &[&skus, &after, &up_to]).await?;
    rows.iter()
        .map(|row| {
            let stock = Stock {
                on_hand: row.get("on_hand"),
                reserved: row.get("reserved"),
                allotted: row.get("allotted"),
                version: row.get("version"),
            };
            Ok((sku_from(row)?, LedgerSums { stock, movements: row.get("movements") }))
        })
        .collect()
}

fn snapshot_from(row: &Row) -> Result<SkuSnapshot, AuditError> {
    let sale = SaleId::from_uuid(row.get("sale_id"));
    let allotment = row.get::<_, Option<i64>>("allotment").map(|allotment| Allotment {
        sale,
        allotment,
        held: row.get("held"),
        sold: row.get("sold"),
        returned: row.get("returned"),
        lapsed: row.get("lapsed"),
        expired: row.get("expired"),
        is_closed: row.get::<_, Option<Timestamp>>("closed_at").is_some(),
    });
    let stock = row.get::<_, Option<i64>>("version").map(|version| Stock {
        on_hand: row.get("on_hand"),
        reserved: row.get("reserved"),
        allotted: row.get("allotted"),
        version,
    });
    Ok(SkuSnapshot {
        sale,
        sku: sku_from(row)?,
        allotment,
        held: row.get("held_by_reservations"),
        sold: row.get("sold_by_reservations"),
        stock,
        ledger: LedgerSums::default(),
        ordered: OrderedPieces::default(),
    })
}

fn sku_from(row: &Row) -> Result<Sku, AuditError> {
    let name: &str = row.get("sku");
    name.parse().map_err(|error| AuditError::Broken(format!("a row is defective: {error}")))
}

/// The least UUIDv7 of a moment (RFC 9562): an order's id tells when the order was begun.
pub(super) fn first_id_at(time: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid()
}
