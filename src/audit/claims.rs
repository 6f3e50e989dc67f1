//! What must be true of a shop and of its open sales, and the examination of a whole shop from its database alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::storage::{Connection, StorageError};

/// A statement that must be true; its text is what reports and logs show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    // Of a whole shop.
    #[strum(serialize = "on hand − reserved − allotted ≥ 0 for every SKU")]
    StockIsPossible,
    #[strum(serialize = "reserved = sum of live reservations")]
    ReservedIsHeld,
    #[strum(serialize = "on hand = sum of movements, without a gap")]
    StockIsExplained,
    #[strum(serialize = "allotment = sold + held + remaining for every sale")]
    AllotmentsAddUp,
    #[strum(serialize = "one reservation for each order line")]
    LinesAreReserved,
    #[strum(serialize = "no reservation without its order")]
    ReservationsHaveOrders,
    #[strum(serialize = "one order for each idempotency key")]
    KeysAreUsedOnce,
    #[strum(serialize = "every order adds up and has its history")]
    OrdersAreWhole,

    // Of one SKU of an open sale.
    #[strum(serialize = "allotment = sold + held + returned + remaining")]
    AllotmentAddsUp,
    #[strum(serialize = "stock = sum of movements, without a gap")]
    LedgerExplainsStock,
    #[strum(serialize = "the actor's figures = the ledger's")]
    ActorAgreesWithLedger,
    #[strum(serialize = "pieces ordered = sold + held")]
    OrdersAgreeWithReservations,
}

impl Claim {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The claims about a whole shop, in the order of examination, and the query that finds the rows that contradict each.
const SHOP_CLAIMS: [(Claim, &str); 8] = [
    (Claim::StockIsPossible, include_str!("../../sql/audit/stock_is_possible.sql")),
    (Claim::ReservedIsHeld, include_str!("../../sql/audit/reserved_is_held.sql")),
    (Claim::StockIsExplained, include_str!("../../sql/audit/stock_is_explained.sql")),
    (Claim::AllotmentsAddUp, include_str!("../../sql/audit/allotments_add_up.sql")),
    (Claim::LinesAreReserved, include_str!("../../sql/audit/lines_are_reserved.sql")),
    (Claim::ReservationsHaveOrders, include_str!("../../sql/audit/reservations_have_orders.sql")),
    (Claim::KeysAreUsedOnce, include_str!("../../sql/audit/keys_are_used_once.sql")),
    (Claim::OrdersAreWhole, include_str!("../../sql/audit/orders_are_whole.sql")),
];

/// A contradiction of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub claim: Claim,
    /// What contradicts it: an order, a reservation, a SKU.
    pub subject: String,
    pub finding: String,
}

/// The claims about a whole shop, in the order of examination.
pub fn claims() -> impl Iterator<Item = Claim> {
    SHOP_CLAIMS.iter().map(|(claim, _)| *claim)
}

/// Finds the rows that contradict the claims, all in one snapshot of the database.
///
/// Rows younger than `grace` may still be in progress and are no finding.
pub async fn examine(
    connection: &Connection,
    grace: Duration,
) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let grace = grace.as_secs();
    let begin = format!(
        "begin isolation level repeatable read read only; set local shobai.audit_grace = '{grace} s'"
    );
    connection.batch_execute(&begin).await?;
    let mut findings = Vec::new();
    for (claim, query) in SHOP_CLAIMS {
        for row in connection.query(query, &[]).await? {
            findings.push(Finding { claim, subject: row.get("subject"), finding: row.get("finding") });
        }
    }
    connection.batch_execute("commit").await?;
    Ok(findings)
}

/// How many rows an audit covers.
pub struct Extent {
    pub skus: i64,
    pub movements: i64,
    pub reservations: i64,
    pub orders: i64,
    pub awaiting_payment: i64,
    pub confirmed: i64,
    pub cancelled: i64,
    pub expired: i64,
}

pub async fn measure(connection: &Connection) -> Result<Extent, StorageError> {
    let row = connection.query_one(include_str!("../../sql/audit/count_all.sql"), &[]).await?;
    Ok(Extent {
        skus: row.get("skus"),
        movements: row.get("movements"),
        reservations: row.get("reservations"),
        orders: row.get("orders"),
        awaiting_payment: row.get("awaiting_payment"),
        confirmed: row.get("confirmed"),
        cancelled: row.get("cancelled"),
        expired: row.get("expired"),
    })
}
