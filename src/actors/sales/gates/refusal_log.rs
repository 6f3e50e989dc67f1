//! Rules of the refusal log: the refusals of each customer by each gate, summed up until they are stored.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Gates;
use crate::types::{CustomerId, SaleId};

/// Customers and gates whose refusals wait to be stored; further ones are only counted.
const REFUSALS_MAX: usize = 200_000;

/// Refusals of one customer by one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The stable name of the gate, or of the refusal of the waiting room; borrowed until it is read from the database.
    pub gate: Cow<'static, str>,
    pub count: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Refusals that are not stored yet, those of a customer by one gate as one.
#[derive(Default)]
pub(super) struct RefusalLog {
    entries: HashMap<(SaleId, CustomerId, Cow<'static, str>), Refused>,
}

impl RefusalLog {
    fn add(&mut self, sale: SaleId, customer: CustomerId, refused: Refused) {
        let key = (sale, customer, refused.gate.clone());
        if let Some(known) = self.entries.get_mut(&key) {
            known.count += refused.count;
            known.first_at = known.first_at.min(refused.first_at);
            known.last_at = known.last_at.max(refused.last_at);
        } else if self.entries.len() < REFUSALS_MAX {
            self.entries.insert(key, refused);
        }
    }

    fn take(&mut self) -> Vec<(SaleId, CustomerId, Refused)> {
        self.entries.drain().map(|((sale, customer, _), refused)| (sale, customer, refused)).collect()
    }
}

impl Gates {
    /// Counts an order that was refused, also one that had passed and was refused by what comes after the gates.
    pub fn refuse(&mut self, sale: SaleId, customer: CustomerId, gate: &'static str, now: Timestamp) {
        if let Some(of_sale) = self.sales.get_mut(&sale) {
            of_sale.counters.refuse(gate);
        }
        self.note(sale, customer, gate.into(), now);
    }

    /// Keeps the refusal of a customer under any name. Of a sale that is not run no refusals are kept.
    pub fn note(&mut self, sale: SaleId, customer: CustomerId, gate: Cow<'static, str>, now: Timestamp) {
        if self.sales.contains_key(&sale) {
            self.refusals.add(sale, customer, Refused { gate, count: 1, first_at: now, last_at: now });
        }
    }

    /// Keeps refusals that could not be stored until they are taken again.
    pub fn keep_refusals(&mut self, refusals: impl IntoIterator<Item = (SaleId, CustomerId, Refused)>) {
        for (sale, customer, refused) in refusals {
            self.refusals.add(sale, customer, refused);
        }
    }

    /// The refusals since the last call.
    pub fn take_refusals(&mut self) -> Vec<(SaleId, CustomerId, Refused)> {
        self.refusals.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::super::tests::{at, customer, gates};

    #[test]
    fn refusals_that_could_not_be_stored_join_those_that_came_meanwhile() {
        let (mut gates, id) = gates(|_| {});
        gates.refuse(id, customer(1), Refusal::Paused.gate(), at(1_500));
        gates.refuse(id, customer(1), Refusal::SoldOut.gate(), at(1_500));
        let unwritten = gates.take_refusals();
        gates.refuse(id, customer(1), Refusal::Paused.gate(), at(1_501));
        gates.keep_refusals(unwritten.clone());
        let again = gates.take_refusals();
        assert_eq!(again.len(), 2);
        for (_, _, before) in unwritten {
            let (_, _, now) = again.iter().find(|(_, _, now)| now.gate == before.gate).unwrap();
            assert_eq!(now.count, if before.gate == "sale-paused" { 2 } else { 1 });
            assert_eq!(now.first_at, before.first_at);
            assert!(now.last_at >= before.last_at);
        }
        assert!(gates.take_refusals().is_empty());
    }
}
