//! What the inventory journal writes: decided changes of stock, each only from the version that its actor saw.

use std::collections::HashMap;

use uuid::Uuid;

use super::allotment::AllotmentChange;
use super::model::{Change, HoldChange, HoldStep};
use crate::actors::runtime::{Book, failpoint};
use crate::storage::{Connection, StorageError};
use crate::types::{SaleId, Sku};

const COMMIT_CHANGES: &str = include_str!("../../../sql/inventory/commit_changes.sql");

/// A decided change, with the version of the stock that it was decided upon.
#[derive(Debug)]
pub struct Entry {
    pub sku: Sku,
    pub version: i64,
    pub change: Change,
}

/// Why an entry was kept out.
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
            // Entries of one actor follow each other without a gap; after a gap comes another actor's view.
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

    /// A statement cannot see the rows that it inserts, so a hold is made in one and ended in a later one, and so is the
    /// part of a sale.
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
    // One row update for each SKU.
    let mut skus = Vec::with_capacity(sums.len());
    let mut versions = Vec::with_capacity(sums.len());
    let mut movements = Vec::with_capacity(sums.len());
    let mut on_hand_deltas = Vec::with_capacity(sums.len());
    let mut reserved_deltas = Vec::with_capacity(sums.len());
    let mut allotted_deltas = Vec::with_capacity(sums.len());
    for (sku, sum) in sums {
        skus.push(*sku);
        versions.push(sum.version);
        movements.push(sum.movements);
        on_hand_deltas.push(sum.on_hand_delta);
        reserved_deltas.push(sum.reserved_delta);
        allotted_deltas.push(sum.allotted_delta);
    }

    let entries = || batch.iter().zip(chained).filter(|(_, follows)| **follows).map(|(entry, _)| entry);

    // One line of the ledger for each entry.
    let size = batch.len();
    let mut entry_skus = Vec::with_capacity(size);
    let mut entry_versions = Vec::with_capacity(size);
    let mut kinds = Vec::with_capacity(size);
    let mut entry_on_hand = Vec::with_capacity(size);
    let mut entry_reserved = Vec::with_capacity(size);
    let mut entry_allotted = Vec::with_capacity(size);
    let mut reservations: Vec<Option<Uuid>> = Vec::with_capacity(size);
    let mut references = Vec::with_capacity(size);
    let mut reasons = Vec::with_capacity(size);
    // Holds that are made.
    let mut made_ids: Vec<Uuid> = Vec::new();
    let mut made_skus = Vec::new();
    let mut made_quantities = Vec::new();
    let mut made_lines = Vec::new();
    let mut made_purposes = Vec::new();
    let mut made_expiries = Vec::new();
    let mut made_sales: Vec<Option<Uuid>> = Vec::new();
    let mut made_claimants: Vec<Option<&str>> = Vec::new();
    // Holds that end.
    let mut ended_ids: Vec<Uuid> = Vec::new();
    let mut ended_skus = Vec::new();
    let mut ended_from = Vec::new();
    let mut ended_to = Vec::new();
    // Parts of sales: those that begin, and what the others gain or lose.
    let mut parts = Parts::default();
    for entry in entries() {
        let change = &entry.change;
        let sku = entry.sku.as_str();
        entry_skus.push(sku);
        entry_versions.push(entry.version + 1);
        kinds.push(change.kind.as_str());
        entry_on_hand.push(change.on_hand_delta);
        entry_reserved.push(change.reserved_delta);
        entry_allotted.push(change.allotted_delta());
        reservations.push(change.hold.as_ref().map(|hold| hold.id.uuid()));
        references.push(change.reference.as_deref());
        reasons.push(change.reason.as_deref());
        if let Some(allotment) = &change.allotment {
            parts.enter(sku, allotment);
        }
        let Some(hold) = &change.hold else { continue };
        match &hold.step {
            HoldStep::Made { lines, purpose, claimants } => {
                made_ids.push(hold.id.uuid());
                made_skus.push(sku);
                made_quantities.push(hold.to.quantity.get());
                made_lines.push(*lines);
                made_purposes.push(purpose.as_str());
                made_expiries.push(hold.to.expires_at);
                made_sales.push(hold.to.sale.map(SaleId::uuid));
                made_claimants.push(claimants.as_deref());
            }
            HoldStep::Ended { from } => {
                ended_ids.push(hold.id.uuid());
                ended_skus.push(sku);
                ended_from.push(from.as_str());
                ended_to.push(hold.to.state.as_str());
            }
        }
    }

    let (made, moved) = parts.columns();

    let statement = connection.prepare_cached(COMMIT_CHANGES).await?;
    let rows = connection
        .query(
            &statement,
            &[
                &skus,
                &versions,
                &movements,
                &on_hand_deltas,
                &reserved_deltas,
                &entry_skus,
                &entry_versions,
                &kinds,
                &entry_on_hand,
                &entry_reserved,
                &reservations,
                &references,
                &reasons,
                &made_ids,
                &made_skus,
                &made_quantities,
                &made_lines,
                &made_purposes,
                &made_expiries,
                &ended_ids,
                &ended_skus,
                &ended_from,
                &ended_to,
                &allotted_deltas,
                &entry_allotted,
                &made_sales,
                &made_claimants,
                &made.sales,
                &made.skus,
                &made.allotment,
                &moved.sales,
                &moved.skus,
                &moved.allotment,
                &moved.held,
                &moved.sold,
                &moved.returned,
                &moved.lapsed,
                &moved.expired,
                &moved.closes,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), ())).collect())
}

/// The changes of sales' parts in one batch, summed up for each part.
#[derive(Default)]
struct Parts<'a> {
    made: Vec<(&'a str, AllotmentChange)>,
    moved: HashMap<(SaleId, &'a str), AllotmentChange>,
}

#[derive(Default)]
struct PartColumns<'a> {
    sales: Vec<Uuid>,
    skus: Vec<&'a str>,
    allotment: Vec<i64>,
    held: Vec<i64>,
    sold: Vec<i64>,
    returned: Vec<i64>,
    lapsed: Vec<i64>,
    expired: Vec<i64>,
    closes: Vec<bool>,
}

impl<'a> Parts<'a> {
    fn enter(&mut self, sku: &'a str, change: &AllotmentChange) {
        if change.makes {
            self.made.push((sku, *change));
            return;
        }
        self.moved.entry((change.sale, sku)).and_modify(|sum| *sum = sum.plus(change)).or_insert(*change);
    }

    /// Those that are made, and those that are moved.
    fn columns(self) -> (PartColumns<'a>, PartColumns<'a>) {
        let (mut made, mut moved) = (PartColumns::default(), PartColumns::default());
        self.made.iter().for_each(|(sku, change)| made.push(sku, change));
        self.moved.iter().for_each(|((_, sku), change)| moved.push(sku, change));
        (made, moved)
    }
}

impl<'a> PartColumns<'a> {
    fn push(&mut self, sku: &'a str, change: &AllotmentChange) {
        self.sales.push(change.sale.uuid());
        self.skus.push(sku);
        self.allotment.push(change.allotment);
        self.held.push(change.held);
        self.sold.push(change.sold);
        self.returned.push(change.returned);
        self.lapsed.push(change.lapsed);
        self.expired.push(change.expired);
        self.closes.push(change.closes);
    }
}
