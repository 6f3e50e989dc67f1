//! Rules of holding a quota: how the gates decide about an order, and when what it holds is confirmed or released.
//!
//! The table of `types/hold.rs` says what a command does in which state. The gates remember no hold that has ended, and
//! those that began anew count from the rows of the stock. So a hold that was taken before they began is held again
//! when its stock is reserved, and one that is paid after its stock had expired is counted again from its rows.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Gates;
use super::gate::Gate;
use super::refusal::Refusal;
use super::request::{QuotaHold, QuotaRequest};
use crate::actors::inventory::Line;
use crate::actors::waiting_room::AdmissionUse;
use crate::actors::waiting_room::TicketNumber;
use crate::types::{HoldCommand, HoldRefusal, HoldStep, OrderId, SaleId};

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    Done,
    /// The gates do not count the order: its stock had expired when they began. It is to be counted from its rows.
    NotCounted,
}

impl Gates {
    /// Holds a part of a sale's quota for an order, or answers which gate refuses it; `None` when the order has no SKU
    /// of a sale. Asking twice answers the same.
    pub fn hold(&mut self, request: &QuotaRequest, now: Timestamp) -> Result<Option<QuotaHold>, Refusal> {
        let sale = match self.sale_of(&request.lines) {
            Ok(sale) => sale,
            Err(refusal) => {
                self.refuse_in_all(request, refusal.gate(), now);
                return Err(refusal);
            }
        };
        if let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) {
            if gate.quota.state(request.order).step(HoldCommand::Hold) == HoldStep::Unchanged {
                let claimants = gate.quota.claimants_of(request.order);
                return Ok(Some(gate.answer(request, claimants, self.generation)));
            }
            gate.counters.attempt();
        }
        let held = self.decide(sale, request);
        if let (Err(refusal), Some(sale)) = (&held, sale) {
            self.refuse(sale, request.customer, refusal.gate(), now);
        }
        held
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
    fn refuse_in_all(&mut self, request: &QuotaRequest, gate: &'static str, now: Timestamp) {
        let sales: HashSet<SaleId> =
            request.lines.iter().filter_map(|line| self.by_sku.get(&line.sku)).copied().collect();
        for sale in sales {
            if let Some(gate) = self.sales.get_mut(&sale) {
                gate.counters.attempt();
            }
            self.refuse(sale, request.customer, gate, now);
        }
    }

    fn decide(&mut self, sale: Option<SaleId>, request: &QuotaRequest) -> Result<Option<QuotaHold>, Refusal> {
        if self.is_stopped() && !request.is_staff {
            return Err(Refusal::Stopped("everything".to_owned()));
        }
        let generation = self.generation;
        let Some(gate) = sale.and_then(|sale| self.sales.get_mut(&sale)) else { return Ok(None) };
        if !request.is_staff {
            let paced = self.paces.allow(request);
            paced.map_err(|wait| Refusal::TooFast { retry_after: wait.seconds })?;
        }
        let hold = gate.hold(request, generation, &self.rules)?;
        gate.quota.begin_checkout(request.order);
        Ok(Some(hold))
    }

    /// Makes sure that a hold counts, now that its stock is reserved: one that gates of an earlier generation counted
    /// is counted anew, and may be refused.
    pub fn hold_again(
        &mut self,
        request: &QuotaRequest,
        held: &QuotaHold,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(gate) = self.sales.get_mut(&held.sale) else { return Ok(()) };
        if held.generation != self.generation {
            // It may have been restored when only some of its lines were reserved.
            let returned = gate.quota.give_back(request.order);
            if let Err(refusal) = gate.quota.claim(&gate.sale, request, &self.rules) {
                self.return_admission(held.sale, returned, now);
                return Err(refusal);
            }
            gate.quota.begin_checkout(request.order);
        }
        if let Some(admission) = request.admission.filter(|admission| admission.sale == held.sale) {
            let (sale, number) = (held.sale, admission.number);
            self.admissions.push(AdmissionUse { sale, number, is_used: true, at: now });
        }
        Ok(())
    }

    /// An order that holds a quota is durable, or may be. Calling it twice counts once.
    pub fn accept(&mut self, sale: SaleId, order: OrderId, arrived_at: Timestamp, now: Timestamp) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        if gate.accept(order) {
            self.latencies.record(now.duration_since(arrived_at).unsigned_abs());
        }
    }

    /// An order was paid: its pieces are no longer held for a payment.
    pub fn confirm(&mut self, sale: SaleId, order: OrderId) -> Confirmed {
        let Some(gate) = self.sales.get_mut(&sale) else { return Confirmed::Done };
        let step = gate.quota.state(order).step(HoldCommand::Confirm { even_if_expired: true });
        if step == HoldStep::Refuse(HoldRefusal::Unknown) {
            return Confirmed::NotCounted;
        }
        gate.quota.end_waiting(order);
        // The message that it was accepted may have been lost.
        gate.accept(order);
        Confirmed::Done
    }

    /// An order has ended: its pieces no longer count. `None` looks for it in every sale. Calling it twice counts once.
    pub fn release(&mut self, sale: Option<SaleId>, order: OrderId, now: Timestamp) {
        match sale {
            Some(sale) => self.release_in(sale, order, now),
            None => {
                let sales: Vec<SaleId> = self.sales.keys().copied().collect();
                sales.into_iter().for_each(|sale| self.release_in(sale, order, now));
            }
        }
    }

    fn release_in(&mut self, sale: SaleId, order: OrderId, now: Timestamp) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        let step = gate.quota.state(order).step(HoldCommand::Release { even_if_confirmed: true });
        if matches!(step, HoldStep::Release | HoldStep::TakeBack) {
            let returned = gate.quota.give_back(order);
            self.return_admission(sale, returned, now);
        }
    }

    fn return_admission(&mut self, sale: SaleId, ticket: Option<TicketNumber>, now: Timestamp) {
        if let Some(number) = ticket {
            self.admissions.push(AdmissionUse { sale, number, is_used: false, at: now });
        }
    }

    /// Orders that hold quota, began before a time and are not placed yet, in the order of their beginning.
    pub fn list_in_checkout(
        &self,
        begun_before: Timestamp,
        after: Option<OrderId>,
        limit: usize,
    ) -> Vec<(OrderId, SaleId)> {
        let of = |gate: &Gate| {
            let sale = gate.sale.id;
            gate.quota.in_checkout().iter().map(|order| (*order, sale)).collect::<Vec<_>>()
        };
        let is_listed = |(order, _): &(OrderId, SaleId)| {
            begun_at(*order) < begun_before.as_millisecond() && after.is_none_or(|after| *order > after)
        };
        let mut listed: Vec<_> = self.sales.values().flat_map(of).filter(is_listed).collect();
        listed.sort_unstable();
        listed.truncate(limit);
        listed
    }
}

/// When an order began, in milliseconds: the first bits of its id, a UUIDv7.
fn begun_at(order: OrderId) -> i64 {
    i64::try_from(order.uuid().as_u128() >> 80).unwrap_or(i64::MAX)
}

impl Gate {
    /// Counts an order as accepted. Answers whether it was being placed until now.
    fn accept(&mut self, order: OrderId) -> bool {
        let Some(pieces) = self.quota.end_checkout(order) else { return false };
        self.counters.accept(pieces);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::NameKind;
    use super::super::Paces;
    use super::super::tests::{at, gate, gates, release, request, rules, try_hold};
    use super::*;
    use crate::actors::sales::model::tests::sale;
    use crate::actors::sales::model::{Sale, SaleStatus};
    use crate::types::{HoldState, Money, Quantity};

    fn state_of(gates: &Gates, sale: SaleId, request: &QuotaRequest) -> HoldState {
        gates.sales[&sale].quota.state(request.order)
    }

    #[test]
    fn two_sales_in_one_order_are_refused_and_other_lines_go_along() {
        let (mut gates, _) = gates(|_| {});
        let mut other = sale(SaleStatus::Open);
        other.draft.items[0].sku = "CHAIR".parse().unwrap();
        gates.enter(other);
        let line = |sku: &str| Line { sku: sku.parse().unwrap(), quantity: Quantity::new(1).unwrap() };
        let mut both = request(1, 1, 1_500);
        both.lines.push(line("CHAIR"));
        assert_eq!(gate(try_hold(&mut gates, &both)), "two-sales");
        both.lines[1] = line("TABLE");
        let hold = try_hold(&mut gates, &both).unwrap().unwrap();
        assert_eq!(hold.prices, [("LAMP".parse().unwrap(), Money::yen(500).unwrap())]);
    }

    #[test]
    fn a_hold_of_earlier_gates_is_counted_when_it_is_held_again() {
        let (mut earlier, _) = gates(|_| {});
        let (first, second) = (request(1, 2, 1_500), request(1, 2, 1_500));
        let hold = try_hold(&mut earlier, &first).unwrap().unwrap();
        let mut gates = Gates::new(2, rules(), Paces::default());
        gates.enter(Sale::clone(earlier.sale(hold.sale).unwrap()));

        assert_eq!(gate(try_hold(&mut gates, &second)), "held");

        let refused = gates.hold_again(&first, &hold, at(1_500));
        assert!(matches!(refused, Err(Refusal::LimitReached { .. })));
        release(&mut gates, hold.sale, second.order, at(1_500));
        assert_eq!(gates.hold_again(&first, &hold, at(1_500)), Ok(()));
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "limit-reached");
    }

    #[test]
    fn a_hold_that_is_asked_for_twice_is_counted_once_and_answered_the_same() {
        let (mut gates, id) = gates(|_| {});
        let konbini = QuotaRequest {
            is_konbini: true,
            also_known_as: vec![(NameKind::Phone, "09012345678".to_owned())],
            ..request(1, 1, 1_500)
        };
        let hold = try_hold(&mut gates, &konbini).unwrap();
        assert_eq!(try_hold(&mut gates, &konbini).unwrap(), hold);
        assert_eq!(gates.tally(id).unwrap().0.attempts, 1);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held", "one of two pieces was left");
    }

    #[test]
    fn every_command_does_in_every_state_what_the_table_says() {
        for state in [HoldState::Absent, HoldState::Held, HoldState::Confirmed] {
            let order = request(1, 1, 1_500);
            let in_state = || {
                let (mut gates, id) = gates(|_| {});
                if state != HoldState::Absent {
                    try_hold(&mut gates, &order).unwrap();
                }
                if state == HoldState::Confirmed {
                    assert_eq!(gates.confirm(id, order.order), Confirmed::Done);
                }
                assert_eq!(state_of(&gates, id, &order), state);
                (gates, id)
            };
            let after = |command| state.after(state.step(command));

            let (mut gates, id) = in_state();
            try_hold(&mut gates, &order).unwrap();
            assert_eq!(state_of(&gates, id, &order), after(HoldCommand::Hold));

            let (mut gates, id) = in_state();
            let confirmed = gates.confirm(id, order.order);
            assert_eq!(confirmed == Confirmed::NotCounted, state == HoldState::Absent);
            assert_eq!(state_of(&gates, id, &order), after(HoldCommand::Confirm { even_if_expired: true }));

            let (mut gates, id) = in_state();
            gates.release(None, order.order, at(1_500));
            gates.release(Some(id), order.order, at(1_500));
            // What has ended is not remembered.
            assert_eq!(state_of(&gates, id, &order), HoldState::Absent);
        }
    }

    #[test]
    fn orders_that_hold_quota_are_listed_until_they_are_placed() {
        let (mut gates, id) = gates(|_| {});
        let orders: Vec<_> = (0..4).map(|number| request(number, 1, 1_500)).collect();
        for order in &orders {
            try_hold(&mut gates, order).unwrap();
        }
        gates.accept(id, orders[1].order, at(1_500), at(1_501));
        let listed = |gates: &Gates, before, after, limit| {
            let listed = gates.list_in_checkout(before, after, limit).into_iter();
            listed.map(|(order, _)| order).collect::<Vec<_>>()
        };
        let id_of = |index: usize| orders[index].order;
        assert_eq!(listed(&gates, Timestamp::MAX, None, 9), [id_of(0), id_of(2), id_of(3)]);
        assert_eq!(listed(&gates, Timestamp::MAX, Some(id_of(0)), 1), [id_of(2)]);
        assert_eq!(listed(&gates, at(1_500), None, 9), []);
        gates.release(None, id_of(2), at(1_500));
        assert_eq!(listed(&gates, Timestamp::MAX, Some(id_of(0)), 9), [id_of(3)]);
    }
}
