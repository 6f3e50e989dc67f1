//! What the inventory journal writes: decided changes of stock, each only if its row is at the version decided upon.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::model::{AllotmentChange, Change, HoldChange, HoldStep};
use crate::actors::runtime::{Book, failpoint};
use crate::storage::{Connection, StorageError, columns};
use crate::types::{SaleId, Sku};

/// A decided change, with the version of the stock that it was decided upon.
#[derive(Debug)]
pub struct Entry {
    pub sku: Sku,
    pub version: i64,
    pub change: Change,
}

/// Why an entry was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The row is at another version than the one that was decided upon.
    Stale,
    /// The reference was used before.
    ReferenceTaken,
    /// Another constraint; the row and the actor disagree about more than the version.
    Constraint,
}

/// Writes stock, reservations and ledger in one statement.
#[derive(Debug, Clone, Copy)]
pub struct StockBook;

/// The changes of one SKU in one batch: one row update.
struct Sum {
    version: i64,
    movements: i64,
    on_hand_delta: i64,
    reserved_delta: i64,
    allotted_delta: i64,
}

impl Book for StockBook {
    type Entry = Entry;
    type Refusal = Refusal;

    async fn write(
        &self,
        connection: &Connection,
        batch: &[Entry],
    ) -> Result<Vec<Result<(), Refusal>>, StorageError> {
        for entry in batch {
            failpoint::hit("inventory journal", &entry.sku);
        }
        let mut sums: HashMap<&str, Sum> = HashMap::new();
        let mut chained = Vec::with_capacity(batch.len());
        for entry in batch {
            let change = &entry.change;
            let sum = sums.entry(entry.sku.as_str()).or_insert(Sum {
                version: entry.version,
                movements: 0,
                on_hand_delta: 0,
                reserved_delta: 0,
                allotted_delta: 0,
            });
            // Entries of one actor have consecutive versions; after a gap they are those of another actor.
            let follows = sum.version + sum.movements == entry.version;
            if follows {
                sum.movements += 1;
                sum.on_hand_delta += change.on_hand_delta;
                sum.reserved_delta += change.reserved_delta;
                sum.allotted_delta += change.allotted_delta();
            }
            chained.push(follows);
        }

        let moved = write_changes(connection, batch, &chained, &sums).await?;
        let outcome = |(entry, follows): (&Entry, &bool)| {
            if *follows && moved.contains_key(entry.sku.as_str()) { Ok(()) } else { Err(Refusal::Stale) }
        };
        Ok(batch.iter().zip(&chained).map(outcome).collect())
    }

    /// A statement cannot see the rows that it inserts, so that a hold is made in one and ended in a later one; the
    /// same holds for an allotment.
    fn may_join(&self, batch: &[Entry], next: &Entry) -> bool {
        let makes_part = |entry: &Entry| entry.change.allotment.is_some_and(|change| change.makes);
        let has_part = |entry: &Entry| entry.change.allotment.is_some();
        let mut of_sku = batch.iter().filter(|entry| entry.sku == next.sku);
        if of_sku.any(|entry| makes_part(entry) || makes_part(next) && has_part(entry)) {
            return false;
        }
        let holds = |entry: &Entry, id| entry.change.hold.as_ref().is_some_and(|hold| hold.id == id);
        match &next.change.hold {
            Some(HoldChange { id, step: HoldStep::Ended { .. }, .. }) => {
                !batch.iter().any(|entry| holds(entry, *id))
            }
            _ => true,
        }
    }

    fn refusal(&self, _entry: &Entry, constraint: &str) -> Refusal {
        match constraint {
            "movements_reference_unique" => Refusal::ReferenceTaken,
            _ => Refusal::Constraint,
        }
    }
}

async fn write_changes(
    connection: &Connection,
    batch: &[Entry],
    chained: &[bool],
    sums: &HashMap<&str, Sum>,
) -> Result<HashMap<String, ()>, StorageError> {
    let mut changes = CommitChanges {
        stock: StockColumns::with_capacity(sums.len()),
        ledger: LedgerColumns::with_capacity(batch.len()),
        // A batch may have none of these.
        holds_made: HoldsMadeColumns::with_capacity(0),
        holds_ended: HoldsEndedColumns::with_capacity(0),
        allotments_made: AllotmentsMadeColumns::with_capacity(0),
        allotments_changed: AllotmentsChangedColumns::with_capacity(0),
    };
    for (sku, sum) in sums {
        changes.stock.push(StockRow {
            sku,
            version: sum.version,
            movements: sum.movements,
            on_hand_delta: sum.on_hand_delta,
            reserved_delta: sum.reserved_delta,
            allotted_delta: sum.allotted_delta,
        });
    }
    let mut allotments: HashMap<(SaleId, &str), AllotmentChange> = HashMap::new();
    let entries = batch.iter().zip(chained).filter(|(_, follows)| **follows).map(|(entry, _)| entry);
    for entry in entries {
        let change = &entry.change;
        let sku = entry.sku.as_str();
        changes.ledger.push(LedgerRow {
            sku,
            version: entry.version + 1,
            kind: change.kind.as_str(),
            on_hand_delta: change.on_hand_delta,
            reserved_delta: change.reserved_delta,
            reservation_id: change.hold.as_ref().map(|hold| hold.id.uuid()),
            reference: change.reference.as_deref(),
            reason: change.reason.as_deref(),
            allotted_delta: change.allotted_delta(),
        });
        if let Some(allotment) = &change.allotment {
            let sale = allotment.sale;
            if allotment.makes {
                let row = AllotmentMadeRow { sale_id: sale.uuid(), sku, allotment: allotment.allotment };
                changes.allotments_made.push(row);
            } else {
                allotments
                    .entry((sale, sku))
                    .and_modify(|sum| *sum = sum.plus(allotment))
                    .or_insert(*allotment);
            }
        }
        let Some(hold) = &change.hold else { continue };
        match &hold.step {
            HoldStep::Made { lines, purpose, claimants } => changes.holds_made.push(HoldMadeRow {
                id: hold.id.uuid(),
                sku,
                quantity: hold.to.quantity.get(),
                lines: *lines,
                purpose: purpose.as_str(),
                expires_at: hold.to.expires_at,
                sale_id: hold.to.sale.map(SaleId::uuid),
                claimants: claimants.as_deref(),
            }),
            HoldStep::Ended { from } => changes.holds_ended.push(HoldEndedRow {
                id: hold.id.uuid(),
                sku,
                state_before: from.as_str(),
                state_after: hold.to.state.as_str(),
            }),
        }
    }
    for ((sale, sku), change) in &allotments {
        changes.allotments_changed.push(AllotmentChangedRow {
            sale_id: sale.uuid(),
            sku,
            allotment: change.allotment,
            held: change.held,
            sold: change.sold,
            returned: change.returned,
            lapsed: change.lapsed,
            expired: change.expired,
            closes: change.closes,
        });
    }
    let rows = changes.query(connection).await?;
    Ok(rows.iter().map(|row| (row.get(0), ())).collect())
}

columns! {
    /// The changes of one batch.
    struct CommitChanges<'a> for "sql/inventory/commit_changes.sql" {
        /// The changes of one SKU, summed up: one row update.
        stock: StockColumns of StockRow<'a> {
            sku: &'a str,
            version: i64,
            movements: i64,
            on_hand_delta: i64,
            reserved_delta: i64,
            allotted_delta: i64,
        }
        /// One entry of the journal.
        ledger: LedgerColumns of LedgerRow<'a> {
            sku: &'a str,
            version: i64,
            kind: &'static str,
            on_hand_delta: i64,
            reserved_delta: i64,
            reservation_id: Option<Uuid>,
            reference: Option<&'a str>,
            reason: Option<&'a str>,
            allotted_delta: i64,
        }
        holds_made: HoldsMadeColumns of HoldMadeRow<'a> {
            id: Uuid,
            sku: &'a str,
            quantity: i64,
            lines: i16,
            purpose: &'static str,
            expires_at: Timestamp,
            sale_id: Option<Uuid>,
            claimants: Option<&'a str>,
        }
        holds_ended: HoldsEndedColumns of HoldEndedRow<'a> {
            id: Uuid,
            sku: &'a str,
            state_before: &'static str,
            state_after: &'static str,
        }
        /// A sale's allotment that begins.
        allotments_made: AllotmentsMadeColumns of AllotmentMadeRow<'a> {
            sale_id: Uuid,
            sku: &'a str,
            allotment: i64,
        }
        /// What an allotment gains or loses in the batch, summed up.
        allotments_changed: AllotmentsChangedColumns of AllotmentChangedRow<'a> {
            sale_id: Uuid,
            sku: &'a str,
            allotment: i64,
            held: i64,
            sold: i64,
            returned: i64,
            lapsed: i64,
            expired: i64,
            closes: bool,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_columns_are_those_of_the_statement() {
        CommitChanges::check_statement();
    }
}
