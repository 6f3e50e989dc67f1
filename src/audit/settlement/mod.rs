//! The settlement of a sale: every order with the reason for its state, chained by hashes, added up and signed.
//!
//! It holds no personal data: a customer appears under a pseudonym that is the same within one sale and differs between
//! sales.

mod builder;
mod explain;
mod export;
mod html;
mod queue;
mod sign;
mod verify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::types::{OrderId, SaleId};

pub use builder::SettlementBuilder;
pub use queue::{AdmissionGroup, Queue, QueueState};
pub use sign::{ReportKey, Signature, public_key_id};
pub use verify::{Verified, VerifyError, verify};

/// Names the format of the report; a change of the format changes this text.
pub const FORMAT: &str = "shobai settlement 2";

/// A settlement; `rows` are in the order in which the orders were placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    pub summary: Summary,
    /// Signs the summary, which holds the hash of the last row and thereby covers all rows.
    pub signature: Signature,
    pub rows: Vec<ChainedRow>,
}

/// The signed part. It has no floating point numbers and no free JSON, so that every writer produces the same text:
/// JSON without white space, the members in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub format: String,
    pub made_at: Timestamp,
    pub sale: SalePlan,
    pub history: Vec<HistoryLine>,
    pub skus: Vec<SkuFigures>,
    pub totals: Totals,
    /// Pieces held or sold without an order, for longer than placing an order takes.
    pub reservations_without_order: Vec<Orphan>,
    /// Pieces of orders that were never reserved.
    pub lines_without_reservation: Vec<Orphan>,
    pub limit_breaches: Vec<LimitBreach>,
    pub queue: Queue,
    /// The number of rows without an explanation.
    pub unexplained: u64,
    /// Figures that do not add up, in words.
    pub findings: Vec<String>,
    /// None of the above was found.
    pub is_clean: bool,
    pub rows: u64,
    /// The hash of the last row, in hexadecimal.
    pub head_hash: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SalePlan {
    pub id: SaleId,
    pub name: String,
    pub status: String,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
    pub created_at: Timestamp,
    pub limit_per_customer: Option<i64>,
    pub hold_seconds_card: i64,
    pub hold_seconds_konbini: i64,
    pub konbini_allowed: bool,
    /// A number from 0 to 1, as text.
    pub konbini_share_max: String,
    pub admission: String,
    pub admitted_per_second: Option<u32>,
    /// SHA-256 of the draw's seed.
    pub commitment: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryLine {
    pub at: Timestamp,
    pub action: String,
    pub sku: Option<String>,
    /// The id of a member of staff; `None` for the engine itself.
    pub actor: Option<String>,
    /// The operator who proposed it, where it needed a second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
    pub reason: String,
    /// JSON, as text.
    pub before: String,
    pub after: String,
}

/// Pieces of one SKU: the plan, the sale's allotment according to stock and reservations, and the sums of the orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkuFigures {
    pub sku: String,
    pub price: i64,
    pub planned: i64,
    pub allotment: i64,
    /// Sold and held: in reservations.
    pub sold: i64,
    pub held: i64,
    /// Returned to general stock.
    pub returned: i64,
    pub remaining: i64,
    /// Sold or held for an order that is being placed or has just ended; negative where an order was paid so late that
    /// its pieces are being reserved again.
    pub on_the_way: i64,
    /// Accepted and the following: in orders.
    pub accepted: i64,
    pub paid: i64,
    pub open: i64,
    pub cancelled: i64,
    pub expired: i64,
    /// Some of those that were cancelled or expired.
    pub refunded: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// All that were placed: paid + open + cancelled + expired.
    pub accepted: Tally,
    pub paid: Tally,
    pub open: Tally,
    pub cancelled: Tally,
    pub expired: Tally,
    /// Some of those that were cancelled or expired.
    pub refunded: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub orders: i64,
    /// Pieces of the sale's SKUs.
    pub pieces: i64,
    /// Their price in yen, tax included.
    pub amount: i64,
}

/// Pieces that only the reservations or only the orders know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orphan {
    /// The id of the order and of its reservation.
    pub order: OrderId,
    pub sku: String,
    pub pieces: i64,
    /// The state of the one that exists.
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitBreach {
    /// The pseudonym of the account, as in the rows, or of the device or card.
    pub claimant: String,
    pub kind: String,
    pub pieces: i64,
    pub limit: i64,
}

/// A row with its hash in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainedRow {
    pub row: Row,
    /// SHA-256 of the previous hash (32 bytes; SHA-256 of the sale's id for the first row) followed by the row's JSON
    /// without white space, in hexadecimal.
    pub hash: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// From 1.
    pub position: u64,
    pub order: OrderId,
    /// The order number that people use.
    pub number: String,
    /// The pseudonym: the first 12 hexadecimal digits of SHA-256 of the sale's id followed by the customer's.
    pub customer: String,
    pub placed_at: Timestamp,
    pub lines: Vec<Line>,
    /// Yen for the lines, tax included.
    pub amount: i64,
    pub status: String,
    pub payment_method: String,
    pub payment_status: String,
    pub explained: bool,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub sku: String,
    pub quantity: i64,
    pub unit_price: i64,
    /// The state of its reservation; `None` when there is none.
    pub reservation: Option<String>,
}

impl Row {
    fn pieces(&self) -> Option<i64> {
        self.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.quantity))
    }

    /// The argument that belongs to the row's status.
    fn of_status<T>(&self, paid: T, open: T, cancelled: T, expired: T) -> Option<T> {
        match self.status.as_str() {
            "confirmed" => Some(paid),
            "awaiting_payment" => Some(open),
            "cancelled" => Some(cancelled),
            "expired" => Some(expired),
            _ => None,
        }
    }
}

/// The price of the lines in yen; `None` on overflow.
fn amount_of(lines: &[Line]) -> Option<i64> {
    lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.quantity.checked_mul(line.unit_price)?))
}

impl Tally {
    fn plus(self, pieces: i64, amount: i64) -> Option<Self> {
        Some(Self {
            orders: self.orders.checked_add(1)?,
            pieces: self.pieces.checked_add(pieces)?,
            amount: self.amount.checked_add(amount)?,
        })
    }
}

/// The sums over the rows, computed in the same way when a report is built and when it is verified.
#[derive(Debug, Clone, Default)]
struct RowTotals {
    totals: Totals,
    unexplained: u64,
    lines_without_reservation: Vec<Orphan>,
}

impl RowTotals {
    /// Adds a row to the totals and to the figures of its SKUs; a SKU without figures is left out. `None` on overflow.
    fn add(&mut self, row: &Row, figures: &mut [SkuFigures]) -> Option<()> {
        let (pieces, amount) = (row.pieces()?, row.amount);
        let is_refunded = row.payment_status == "refunded";
        let Totals { accepted, paid, open, cancelled, expired, refunded } = &mut self.totals;
        let by_status = row.of_status(paid, open, cancelled, expired);
        for tally in [Some(accepted), by_status, is_refunded.then_some(refunded)].into_iter().flatten() {
            *tally = tally.plus(pieces, amount)?;
        }
        self.unexplained += u64::from(!row.explained);
        for line in &row.lines {
            if line.reservation.is_none() {
                self.lines_without_reservation.push(Orphan {
                    order: row.order,
                    sku: line.sku.clone(),
                    pieces: line.quantity,
                    state: row.status.clone(),
                });
            }
            let Some(figures) = figures.iter_mut().find(|figures| figures.sku == line.sku) else { continue };
            let SkuFigures { accepted, paid, open, cancelled, expired, refunded, .. } = figures;
            let by_status = row.of_status(paid, open, cancelled, expired);
            for figure in [Some(accepted), by_status, is_refunded.then_some(refunded)].into_iter().flatten() {
                *figure = figure.checked_add(line.quantity)?;
            }
        }
        Some(())
    }
}

impl SkuFigures {
    /// The same figures with the sums of the orders at zero.
    fn without_orders(&self) -> Self {
        Self { accepted: 0, paid: 0, open: 0, cancelled: 0, expired: 0, refunded: 0, ..self.clone() }
    }

    /// Figures that do not add up, in words.
    fn findings(&self) -> Vec<String> {
        let Self { sku, allotment, sold, held, returned, remaining, on_the_way, paid, open, .. } = self;
        // A report under verification may hold any figures, so the sums are wider than the figures.
        let sum = |figures: &[&i64]| figures.iter().map(|figure| i128::from(**figure)).sum::<i128>();
        let mut found = Vec::new();
        if sum(&[sold, held, returned, remaining]) != i128::from(*allotment) {
            found.push(format!(
                "{sku}: sold {sold} + held {held} + returned {returned} + remaining {remaining} is not the allotment, \
                 {allotment}"
            ));
        }
        let (ordered, promised) = (sum(&[paid, open, on_the_way]), sum(&[sold, held]));
        if ordered != promised {
            found.push(format!(
                "{sku}: live orders and those on their way have {ordered} pieces, reservations {promised}"
            ));
        }
        found
    }
}

impl Summary {
    /// The contradictions within its figures and its queue.
    fn found(&self) -> Vec<String> {
        let of_skus = self.skus.iter().flat_map(SkuFigures::findings);
        of_skus.chain(self.queue.findings(&self.sale)).collect()
    }

    fn adds_up(&self) -> bool {
        self.unexplained == 0
            && self.findings.is_empty()
            && self.reservations_without_order.is_empty()
            && self.lines_without_reservation.is_empty()
            && self.limit_breaches.is_empty()
    }
}

/// A pseudonym for the report of one sale.
fn pseudonym(sale: SaleId, name: &str) -> String {
    let hash = Sha256::new().chain_update(sale.to_string()).chain_update(name).finalize();
    hex::encode(&hash[..6])
}

#[cfg(test)]
mod tests;
