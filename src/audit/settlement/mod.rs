//! The settlement of a sale: every order of it with a reason why it is as it is, chained, added up and signed.
//!
//! It holds no personal data: a customer is a pseudonym that is the same within one sale and another one in the next.

mod explain;
mod gather;
mod html;
mod queue;
mod sign;
mod verify;
mod write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::types::{OrderId, SaleId};

pub use gather::Bench;
pub use queue::{Queue, QueueState, Turn};
pub use sign::{ReportKey, Signature, public_key_id};
pub use verify::{Verified, VerifyError, verify};

/// The form of the report; another one would be another word.
pub const FORMAT: &str = "shobai settlement 2";

/// A settled sale. `rows` are in the order of placing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    pub summary: Summary,
    /// Over the summary, which holds the hash of the last row and so stands for all of them.
    pub signature: Signature,
    pub rows: Vec<Sealed>,
}

/// What is signed. It has no floating point numbers and no free JSON, so that its text is the same wherever it is
/// written: JSON without white space, the members in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub format: String,
    pub made_at: Timestamp,
    pub sale: SalePlan,
    pub history: Vec<HistoryLine>,
    pub skus: Vec<SkuFigures>,
    pub totals: Totals,
    /// Pieces that are held or sold for no order, longer than it takes to place one.
    pub reservations_without_order: Vec<Orphan>,
    /// Pieces of orders that nobody ever set aside.
    pub lines_without_reservation: Vec<Orphan>,
    pub limit_breaches: Vec<LimitBreach>,
    pub queue: Queue,
    /// Rows that have no explanation.
    pub unexplained: u64,
    /// What does not add up, in words.
    pub findings: Vec<String>,
    /// Nothing of the above was found.
    pub is_clean: bool,
    pub rows: u64,
    /// Of the last row, in hexadecimal.
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
    /// The id of a member of staff; nothing: the engine itself.
    pub actor: Option<String>,
    /// Who wanted it first, where it needed a second operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
    pub reason: String,
    /// JSON, as text.
    pub before: String,
    pub after: String,
}

/// Pieces of one SKU: the plan, the stock's own account of the sale's part, and what the orders make of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkuFigures {
    pub sku: String,
    pub price: i64,
    pub planned: i64,
    pub allotment: i64,
    /// In reservations.
    pub sold: i64,
    pub held: i64,
    /// Given back to general stock.
    pub returned: i64,
    pub remaining: i64,
    /// Sold or held for an order that is being placed or has just ended; negative where an order was paid so late that its
    /// pieces are being taken anew.
    pub on_the_way: i64,
    /// In orders.
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
    /// Placed, whatever became of them: paid + open + cancelled + expired.
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
    /// Of the sale's SKUs.
    pub pieces: i64,
    /// Yen for them, tax included.
    pub amount: i64,
}

/// Pieces that one side knows and the other does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orphan {
    /// Of the order, and so of its reservation.
    pub order: OrderId,
    pub sku: String,
    pub pieces: i64,
    /// Of the reservation or the order that is there.
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitBreach {
    /// As in the rows where it is a customer's account.
    pub claimant: String,
    pub kind: String,
    pub pieces: i64,
    pub limit: i64,
}

/// A row with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    pub row: Row,
    /// SHA-256 of the hash before (its 32 bytes; for the first row SHA-256 of the sale's id) and the row's JSON without
    /// white space, in hexadecimal.
    pub hash: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// From 1.
    pub position: u64,
    pub order: OrderId,
    /// The number that people read to each other.
    pub number: String,
    /// The first 12 digits of SHA-256 of the sale's id and the customer's, in hexadecimal.
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
    /// The state of its reservation; nothing: there is none.
    pub reservation: Option<String>,
}

impl Row {
    fn pieces(&self) -> Option<i64> {
        self.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.quantity))
    }

    /// The one of these that is its status's.
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

/// Yen for the lines; nothing where it is more than can be counted.
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

/// Adds rows up; the same way when a report is made and when it is verified.
#[derive(Debug, Clone, Default)]
struct Sums {
    totals: Totals,
    unexplained: u64,
    lines_without_reservation: Vec<Orphan>,
}

impl Sums {
    /// `figures` are those of the row's SKUs among others; a SKU that is not there is left out. Nothing where a sum is more
    /// than can be counted.
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
    /// The same before any order was counted.
    fn without_orders(&self) -> Self {
        Self { accepted: 0, paid: 0, open: 0, cancelled: 0, expired: 0, refunded: 0, ..self.clone() }
    }

    /// What does not add up, in words.
    fn findings(&self) -> Vec<String> {
        let Self { sku, allotment, sold, held, returned, remaining, on_the_way, paid, open, .. } = self;
        // Wide enough for any figures that a report may have been given.
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
    /// What its figures and its queue say against themselves.
    fn found(&self) -> Vec<String> {
        let of_skus = self.skus.iter().flat_map(SkuFigures::findings);
        of_skus.chain(self.queue.findings(&self.sale)).collect()
    }

    fn has_nothing_against_it(&self) -> bool {
        self.unexplained == 0
            && self.findings.is_empty()
            && self.reservations_without_order.is_empty()
            && self.lines_without_reservation.is_empty()
            && self.limit_breaches.is_empty()
    }
}

/// The name of somebody in the report of one sale.
fn pseudonym(sale: SaleId, name: &str) -> String {
    let hash = Sha256::new().chain_update(sale.to_string()).chain_update(name).finalize();
    hexadecimal(&hash[..6])
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
