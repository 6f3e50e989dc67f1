//! Rules of recovery: what counts of the orders that held quota before the gates began, and what can be read off the
//! count.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Gates;
use super::quota::{Claim, KONBINI, ticket_of};
use crate::actors::inventory::Claimed;
use crate::actors::waiting_room::AdmissionUse;
use crate::actors::waiting_room::TicketNumber;
use crate::types::SaleId;

impl Gates {
    /// Counts the reservations of a sale that were made before the gates began.
    pub fn restore(&mut self, sale: SaleId, claimed: &[Claimed], now: Timestamp) {
        let Some(gate) = self.sales.get_mut(&sale) else { return };
        for Claimed { reservation, line, is_held, claimants } in claimed {
            // The waiting room may not have heard of it in the epoch before.
            if let Some(number) = claimants.iter().find_map(|claimant| ticket_of(claimant)) {
                self.admissions.push(AdmissionUse { sale, number, is_used: true, at: now });
            }
            let is_konbini = claimants.iter().any(|claimant| claimant == KONBINI);
            let held = (*is_held && is_konbini).then(|| (line.sku.clone(), line.quantity.get()));
            let claimants = claimants.iter().filter(|claimant| *claimant != KONBINI);
            let claim = Claim {
                claimants: claimants.map(|claimant| Arc::from(&**claimant)).collect(),
                pieces: line.quantity.get(),
                konbini: held.into_iter().collect(),
                is_unpaid: *is_held,
            };
            gate.quota.count((*reservation).into(), claim);
        }
    }

    /// The tickets whose admissions have a live order; `None` when the sale is not known.
    pub fn used_admissions(&self, sale: SaleId) -> Option<HashSet<TicketNumber>> {
        let claimants = self.sales.get(&sale)?.quota.claimants();
        Some(claimants.filter_map(|claimant| ticket_of(claimant)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Paces;
    use super::super::quota::CUSTOMER;
    use super::super::tests::{at, customer, gate, gates, release, request, rules, try_hold};
    use super::*;
    use crate::actors::inventory::Line;
    use crate::actors::sales::model::Sale;
    use crate::types::{OrderId, Quantity};

    #[test]
    fn orders_that_are_held_when_the_gates_begin_are_not_paid_yet() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let claimed = |is_held| Claimed {
            reservation: OrderId::generate().into(),
            line: Line { sku: "LAMP".parse().unwrap(), quantity: Quantity::new(1).unwrap() },
            is_held,
            claimants: vec![format!("{CUSTOMER}{}", customer(1))],
        };
        gates.restore(id, &[claimed(true), claimed(true), claimed(false)], at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "too-many-unpaid");
    }

    #[test]
    fn an_order_that_was_restored_half_reserved_is_counted_whole() {
        let (mut earlier, id) = gates(|_| {});
        let order = request(1, 2, 1_500);
        let hold = try_hold(&mut earlier, &order).unwrap().unwrap();
        let mut gates = Gates::new(2, rules(), Paces::default());
        gates.enter(Sale::clone(earlier.sale(id).unwrap()));
        let half = Claimed {
            reservation: order.order.into(),
            line: Line { quantity: Quantity::new(1).unwrap(), ..order.lines[0].clone() },
            is_held: true,
            claimants: hold.claimants.split(' ').map(str::to_owned).collect(),
        };
        gates.restore(id, &[half], at(1_500));

        assert_eq!(gates.hold_again(&order, &hold, at(1_500)), Ok(()));

        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "limit-reached");
        release(&mut gates, id, order.order, at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &request(1, 2, 1_500))), "held");
    }
}
