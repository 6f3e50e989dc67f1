//! Rules of passing: the order in which the gates decide about an order, and what becomes of it after it passed.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Gates;
use super::admission_uses::AdmissionUse;
use super::arrival::{Arrival, Passage};
use super::gate::Gate;
use super::refusal::Refusal;
use crate::actors::inventory::Line;
use crate::actors::waiting_room::TicketNumber;
use crate::types::{OrderId, SaleId};

impl Gates {
    /// Lets an order pass, or answers which gate refuses it; `None` when the order has no SKU of a sale.
    ///
    /// An order that passes is counted at once, and until [`give_back`](Self::give_back).
    pub fn pass(&mut self, arrival: &Arrival, now: Timestamp) -> Result<Option<Passage>, Refusal> {
        let sale = match self.sale_of(&arrival.lines) {
            Ok(sale) => sale,
            Err(refusal) => {
                self.refuse_in_all(arrival, refusal.gate(), now);
                return Err(refusal);
            }
        };
        if let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) {
            gate.counters.attempt();
        }
        let passed = self.pass_through(sale, arrival);
        if let (Err(refusal), Some(sale)) = (&passed, sale) {
            self.refuse(sale, arrival.customer, refusal.gate(), now);
        }
        passed
    }

    fn sale_of(&self, lines: &[Line]) -> Result<Option<SaleId>, Refusal> {
        // Most shops have no sale at most times.
        if self.by_sku.is_empty() {
            return Ok(None);
        }
        let mut sales = lines.iter().filter_map(|line| self.by_sku.get(&line.sku));
        let first = sales.next();
        if sales.any(|other| Some(other) != first) {
            return Err(Refusal::TwoSales);
        }
        Ok(first.copied())
    }

    /// Counts an order that is refused for wanting pieces of several sales, in each of them.
    fn refuse_in_all(&mut self, arrival: &Arrival, gate: &'static str, now: Timestamp) {
        let sales: HashSet<SaleId> =
            arrival.lines.iter().filter_map(|line| self.by_sku.get(&line.sku)).copied().collect();
        for sale in sales {
            if let Some(gate) = self.sales.get_mut(&sale) {
                gate.counters.attempt();
            }
            self.refuse(sale, arrival.customer, gate, now);
        }
    }

    fn pass_through(&mut self, sale: Option<SaleId>, arrival: &Arrival) -> Result<Option<Passage>, Refusal> {
        if self.is_stopped() && !arrival.is_staff {
            return Err(Refusal::Stopped("everything".to_owned()));
        }
        let epoch = self.epoch;
        let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) else { return Ok(None) };
        if !arrival.is_staff {
            let paced = self.paces.allow(arrival);
            paced.map_err(|wait| Refusal::TooFast { retry_after: wait.seconds })?;
        }
        let passage = gate.pass(arrival, epoch, &self.rules)?;
        gate.quota.set_out(arrival.order);
        Ok(Some(passage))
    }

    /// Makes sure that a passage counts, now that its stock is reserved: a passage of an earlier epoch is counted anew.
    pub fn confirm(&mut self, arrival: &Arrival, passage: &Passage, now: Timestamp) -> Result<(), Refusal> {
        let Some(gate) = self.sales.get_mut(&passage.sale) else { return Ok(()) };
        if passage.epoch != self.epoch {
            // It may have been restored when only some of its lines were reserved.
            let given_back = gate.quota.give_back(arrival.order);
            if let Err(refusal) = gate.quota.claim(&gate.sale, arrival, &self.rules) {
                self.give_back_admission(passage.sale, given_back, now);
                return Err(refusal);
            }
            gate.quota.set_out(arrival.order);
        }
        if let Some(admission) = arrival.admission.filter(|admission| admission.sale == passage.sale) {
            let (sale, number) = (passage.sale, admission.number);
            self.admissions.push(AdmissionUse { sale, number, is_used: true, at: now });
        }
        Ok(())
    }

    /// An order that passed is durable, or may be, and is no longer on its way. Calling it twice counts once.
    pub fn placed(&mut self, arrival: &Arrival, sale: SaleId, now: Timestamp) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        if gate.place(arrival.order) {
            self.latencies.record(now.duration_since(arrival.arrived_at).unsigned_abs());
        }
    }

    /// An order came to nothing: its pieces no longer count. Calling it twice counts once.
    pub fn give_back(&mut self, sale: SaleId, order: OrderId, now: Timestamp) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        let given_back = gate.quota.give_back(order);
        self.give_back_admission(sale, given_back, now);
    }

    fn give_back_admission(&mut self, sale: SaleId, ticket: Option<TicketNumber>, now: Timestamp) {
        if let Some(number) = ticket {
            self.admissions.push(AdmissionUse { sale, number, is_used: false, at: now });
        }
    }

    /// An order was paid: its pieces are no longer held for a payment.
    pub fn paid(&mut self, sale: SaleId, order: OrderId) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        gate.quota.end_waiting(order);
        // The message that it was placed may have been lost.
        gate.place(order);
    }

    /// An order came to nothing whose asker does not know whether and where it passed.
    pub fn abandon(&mut self, order: OrderId, now: Timestamp) {
        let sales: Vec<SaleId> = self.sales.keys().copied().collect();
        sales.into_iter().for_each(|sale| self.give_back(sale, order, now));
    }
}

impl Gate {
    /// Counts an order as placed. Answers whether it was on its way until now.
    fn place(&mut self, order: OrderId) -> bool {
        let Some(pieces) = self.quota.arrive(order) else { return false };
        self.counters.accept(pieces);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Paces;
    use super::super::tests::{arrival, at, gate, gates, rules, try_pass};
    use super::*;
    use crate::actors::sales::model::tests::sale;
    use crate::actors::sales::model::{Sale, SaleStatus};
    use crate::types::{Money, Quantity};

    #[test]
    fn two_sales_in_one_order_are_refused_and_other_lines_go_along() {
        let (mut gates, _) = gates(|_| {});
        let mut other = sale(SaleStatus::Open);
        other.draft.items[0].sku = "CHAIR".parse().unwrap();
        gates.enter(other);
        let line = |sku: &str| Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() };
        let mut both = arrival(1, 1, 1_500);
        both.lines.push(line("CHAIR"));
        assert_eq!(gate(try_pass(&mut gates, &both)), "two-sales");
        both.lines[1] = line("TABLE");
        let passage = try_pass(&mut gates, &both).unwrap().unwrap();
        assert_eq!(passage.prices, [("LAMP".parse().unwrap(), Money::yen(500).unwrap())]);
    }

    #[test]
    fn a_passage_of_an_earlier_epoch_is_counted_when_it_is_confirmed() {
        let (mut earlier, _) = gates(|_| {});
        let (first, second) = (arrival(1, 2, 1_500), arrival(1, 2, 1_500));
        let passage = try_pass(&mut earlier, &first).unwrap().unwrap();
        let mut gates = Gates::new(2, rules(), Paces::default());
        gates.enter(Sale::clone(earlier.sale(passage.sale).unwrap()));

        assert_eq!(gate(try_pass(&mut gates, &second)), "passed");

        let refused = gates.confirm(&first, &passage, at(1_500));
        assert!(matches!(refused, Err(Refusal::LimitReached { .. })));
        gates.give_back(passage.sale, second.order, at(1_500));
        assert_eq!(gates.confirm(&first, &passage, at(1_500)), Ok(()));
        assert_eq!(gate(try_pass(&mut gates, &arrival(1, 1, 1_500))), "limit-reached");
    }
}
