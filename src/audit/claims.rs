//! What must be true of a whole shop, and the rows that are against it.

use std::time::Duration;

use crate::storage::{Connection, StorageError};

/// What must be true, and the query that finds where it is not.
const CLAIMS: &[(&str, &str)] = &[
    (
        "on hand − reserved − allotted ≥ 0 for every SKU",
        include_str!("../../sql/audit/stock_is_possible.sql"),
    ),
    ("reserved = sum of live reservations", include_str!("../../sql/audit/reserved_is_held.sql")),
    ("on hand = sum of movements, without a gap", include_str!("../../sql/audit/stock_is_explained.sql")),
    (
        "allotment = sold + held + remaining for every sale",
        include_str!("../../sql/audit/allotments_add_up.sql"),
    ),
    ("one reservation for each order line", include_str!("../../sql/audit/lines_are_reserved.sql")),
    ("no reservation without its order", include_str!("../../sql/audit/reservations_have_orders.sql")),
    ("one order for each idempotency key", include_str!("../../sql/audit/keys_are_used_once.sql")),
    ("every order adds up and has its history", include_str!("../../sql/audit/orders_are_whole.sql")),
];

/// Something that contradicts a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub claim: &'static str,
    /// What it is about: an order, a reservation, a SKU.
    pub subject: String,
    pub finding: String,
}

/// The claims in the order in which they are examined.
pub fn claims() -> impl Iterator<Item = &'static str> {
    CLAIMS.iter().map(|(claim, _)| *claim)
}

/// Looks for rows against every claim, all at one moment of the database; what is younger than `grace` may still be on
/// its way.
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
    for (claim, query) in CLAIMS {
        for row in connection.query(*query, &[]).await? {
            findings.push(Finding { claim, subject: row.get("subject"), finding: row.get("finding") });
        }
    }
    connection.batch_execute("commit").await?;
    Ok(findings)
}

/// How much there was to look at.
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
