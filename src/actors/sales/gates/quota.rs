//! Rules of a sale's quota: how many pieces, unpaid orders, konbini pieces and admissions each customer may have.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::refusal::Refusal;
use super::request::QuotaRequest;
use crate::actors::inventory::Line;
use crate::actors::sales::model::Sale;
use crate::actors::waiting_room::AdmissionMode;
use crate::actors::waiting_room::{PassKey, TicketNumber};
use crate::types::{HoldState, OrderId, Sku};

/// The prefix of an account among the claimants.
pub(super) const CUSTOMER: &str = "customer:";
/// The prefix of an admission among the claimants.
pub(super) const ADMISSION: &str = "admission:";
/// The word among the claimants that marks pieces held for a konbini payment.
pub(super) const KONBINI: &str = "konbini";

/// The rules that every sale shares.
pub struct GateRules {
    /// Names are counted and stored under pseudonyms.
    pub key: PassKey,
    /// How many orders of one account in a sale may wait for their payment; `None` sets no bound.
    pub unpaid_max: Option<u32>,
}

/// What the orders of one sale have taken.
#[derive(Default)]
pub(super) struct Quota {
    /// Pieces that count for each claimant.
    pieces: HashMap<Arc<str>, i64>,
    claims: HashMap<OrderId, Claim>,
    /// Orders that hold pieces and are not placed yet.
    in_checkout: HashSet<OrderId>,
    /// Orders of each account that are not paid yet.
    unpaid: HashMap<Arc<str>, u32>,
    /// Pieces of each SKU that are held for konbini payments.
    konbini: HashMap<Sku, i64>,
}

/// What one order has taken.
pub(super) struct Claim {
    pub claimants: Vec<Arc<str>>,
    pub pieces: i64,
    pub konbini: Vec<(Sku, i64)>,
    pub is_unpaid: bool,
}

impl Claim {
    fn account(&self) -> Option<&Arc<str>> {
        self.claimants.iter().find(|claimant| claimant.starts_with(CUSTOMER))
    }
}

/// The ticket of the admission that a claimant stands for, if it stands for one.
pub(super) fn ticket_of(claimant: &str) -> Option<TicketNumber> {
    claimant.strip_prefix(ADMISSION)?.parse().ok().and_then(TicketNumber::new)
}

/// The claimants as one text, for the rows of the stock to keep.
fn text_of<'a>(claimants: impl Iterator<Item = &'a str>, is_konbini: bool) -> Arc<str> {
    let mut text = String::new();
    for word in claimants.chain(is_konbini.then_some(KONBINI)) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text.into()
}

impl Quota {
    /// Counts the pieces of an order for all of its claimants, or for none. Answers with the claimants.
    pub fn claim(
        &mut self,
        sale: &Sale,
        request: &QuotaRequest,
        rules: &GateRules,
    ) -> Result<Arc<str>, Refusal> {
        let terms = &sale.draft.terms;
        let lines: Vec<&Line> = request.lines.iter().filter(|line| sale.item(&line.sku).is_some()).collect();
        let pieces: i64 = lines.iter().map(|line| line.quantity.get()).sum();
        let mut konbini = Vec::new();
        if request.is_konbini {
            if !terms.konbini.allowed {
                return Err(Refusal::KonbiniNotAllowed);
            }
            for line in &lines {
                let allotment = sale.item(&line.sku).map_or(0, |item| item.allotment.get());
                let held = self.konbini.get(&line.sku).copied().unwrap_or(0);
                let most = sale.draft.konbini_pieces_max(allotment);
                if most.is_some_and(|most| held + line.quantity.get() > most) {
                    return Err(Refusal::KonbiniShareReached(line.sku.clone()));
                }
                konbini.push((line.sku.clone(), line.quantity.get()));
            }
        }
        let account = format!("{CUSTOMER}{}", request.customer);
        let unpaid = self.unpaid.get(&*account).copied().unwrap_or(0);
        let mut claimants = vec![account];
        claimants
            .extend(request.also_known_as.iter().map(|(kind, name)| rules.key.pseudonym(kind.into(), name)));
        if let Some(limit) = terms.limit_per_customer {
            for claimant in &claimants {
                let would_be = self.pieces.get(&**claimant).copied().unwrap_or(0) + pieces;
                if would_be > limit {
                    return Err(Refusal::LimitReached { limit, pieces: would_be });
                }
            }
        }
        if let Some(most) = rules.unpaid_max.filter(|most| unpaid >= *most) {
            return Err(Refusal::TooManyUnpaid { most });
        }
        if terms.admission.mode != AdmissionMode::None {
            claimants.push(self.check_admission(sale, request)?);
        }
        let text = text_of(claimants.iter().map(String::as_str), request.is_konbini);
        let claimants = claimants.into_iter().map(Arc::from).collect();
        let claim = Claim { claimants, pieces, konbini, is_unpaid: true };
        self.count(request.order, claim);
        Ok(text)
    }

    /// An admission is for one customer and one live order.
    fn check_admission(&self, sale: &Sale, request: &QuotaRequest) -> Result<String, Refusal> {
        let admission = request.admission.as_ref().ok_or(Refusal::NotAdmitted)?;
        let claimant = format!("{ADMISSION}{}", admission.number);
        let is_mine = admission.sale == sale.id
            && admission.customer == request.customer
            && admission.expires_at > request.arrived_at;
        let is_used = self.pieces.get(&*claimant).is_some_and(|pieces| *pieces > 0);
        if is_mine && !is_used { Ok(claimant) } else { Err(Refusal::NotAdmitted) }
    }

    pub fn count(&mut self, order: OrderId, claim: Claim) {
        for claimant in &claim.claimants {
            *self.pieces.entry(claimant.clone()).or_default() += claim.pieces;
        }
        for (sku, pieces) in &claim.konbini {
            *self.konbini.entry(sku.clone()).or_default() += pieces;
        }
        match self.claims.get_mut(&order) {
            // A second line of a reservation that is restored.
            Some(known) => {
                known.pieces += claim.pieces;
                known.konbini.extend(claim.konbini);
            }
            None => {
                if let Some(account) = claim.account().filter(|_| claim.is_unpaid) {
                    *self.unpaid.entry(account.clone()).or_default() += 1;
                }
                self.claims.insert(order, claim);
            }
        }
    }

    /// Where the hold of an order stands. One that has ended is not remembered.
    pub fn state(&self, order: OrderId) -> HoldState {
        match self.claims.get(&order) {
            None => HoldState::Absent,
            Some(claim) if claim.is_unpaid => HoldState::Held,
            Some(_) => HoldState::Confirmed,
        }
    }

    /// The claimants of an order that is counted, as they were answered when it was counted.
    pub fn claimants_of(&self, order: OrderId) -> Arc<str> {
        let Some(claim) = self.claims.get(&order) else { return Arc::from("") };
        text_of(claim.claimants.iter().map(|claimant| &**claimant), !claim.konbini.is_empty())
    }

    /// Marks a counted order as one that is not placed yet.
    pub fn begin_checkout(&mut self, order: OrderId) {
        self.in_checkout.insert(order);
    }

    /// Marks an order as placed. Answers with its pieces, if it was not yet.
    pub fn end_checkout(&mut self, order: OrderId) -> Option<u64> {
        let was_in_checkout = self.in_checkout.remove(&order);
        self.claims.get(&order).filter(|_| was_in_checkout).map(|claim| claim.pieces.unsigned_abs())
    }

    /// Takes an order's pieces off the count. Answers with the ticket whose admission may be used again.
    pub fn give_back(&mut self, order: OrderId) -> Option<TicketNumber> {
        self.in_checkout.remove(&order);
        self.end_waiting(order);
        let claim = self.claims.remove(&order)?;
        let ticket = claim.claimants.iter().find_map(|claimant| ticket_of(claimant));
        for claimant in claim.claimants {
            if let Some(pieces) = self.pieces.get_mut(&claimant) {
                *pieces -= claim.pieces;
                if *pieces <= 0 {
                    self.pieces.remove(&claimant);
                }
            }
        }
        ticket
    }

    /// Ends the waiting for an order's payment, which came, or will not come.
    pub fn end_waiting(&mut self, order: OrderId) {
        let Some(claim) = self.claims.get_mut(&order) else { return };
        if std::mem::take(&mut claim.is_unpaid)
            && let Some(account) = claim.account()
            && let Some(orders) = self.unpaid.get_mut(account)
        {
            *orders -= 1;
            if *orders == 0 {
                self.unpaid.remove(account);
            }
        }
        for (sku, pieces) in claim.konbini.drain(..) {
            if let Some(held) = self.konbini.get_mut(&sku) {
                *held -= pieces;
            }
        }
    }

    /// Orders that hold pieces and are not placed yet.
    pub fn in_checkout(&self) -> &HashSet<OrderId> {
        &self.in_checkout
    }

    /// The claimants for whom pieces count.
    pub fn claimants(&self) -> impl Iterator<Item = &Arc<str>> {
        self.pieces.iter().filter(|(_, pieces)| **pieces > 0).map(|(claimant, _)| claimant)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::NameKind;
    use super::super::tests::{at, customer, gate, gates, release, request, try_hold};
    use super::*;
    use crate::actors::waiting_room::Admission;
    use crate::types::SaleId;

    #[test]
    fn the_limit_counts_a_customer_by_every_name() {
        let (mut gates, id) = gates(|_| {});
        let by_phone = |number, phone: &str| QuotaRequest {
            also_known_as: vec![(NameKind::Phone, phone.to_owned())],
            ..request(number, 1, 1_500)
        };
        let first = by_phone(1, "a");
        assert_eq!(gate(try_hold(&mut gates, &first)), "held");
        assert_eq!(gate(try_hold(&mut gates, &by_phone(2, "a"))), "held");
        assert_eq!(gate(try_hold(&mut gates, &by_phone(3, "a"))), "limit-reached");
        assert_eq!(gate(try_hold(&mut gates, &by_phone(1, "b"))), "held");
        assert_eq!(gate(try_hold(&mut gates, &by_phone(1, "c"))), "limit-reached");
        release(&mut gates, id, first.order, at(1_500));
        release(&mut gates, id, first.order, at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &by_phone(3, "a"))), "held");
        assert_eq!(gate(try_hold(&mut gates, &by_phone(4, "a"))), "limit-reached");
    }

    #[test]
    fn konbini_gets_its_share_and_gives_it_back_when_it_is_paid() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let konbini = |pieces| QuotaRequest { is_konbini: true, ..request(1, pieces, 1_500) };
        let first = konbini(5);
        assert_eq!(try_hold(&mut gates, &first).unwrap().unwrap().pay_within_seconds, 3_600);
        assert_eq!(gate(try_hold(&mut gates, &konbini(1))), "konbini-share-reached");
        gates.confirm(id, first.order);
        assert_eq!(gate(try_hold(&mut gates, &konbini(5))), "held");
        release(&mut gates, id, first.order, at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &konbini(1))), "konbini-share-reached");
    }

    #[test]
    fn an_admission_is_for_one_customer_and_one_live_order() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.admission.mode = AdmissionMode::Queue);
        let with = |number, of: u128, sale| QuotaRequest {
            admission: Some(Admission {
                sale,
                number: TicketNumber::new(7).unwrap(),
                customer: customer(of),
                expires_at: at(1_600),
            }),
            ..request(number, 1, 1_500)
        };
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "not-admitted");
        assert_eq!(gate(try_hold(&mut gates, &with(1, 2, id))), "not-admitted");
        assert_eq!(gate(try_hold(&mut gates, &with(1, 1, SaleId::generate()))), "not-admitted");
        let late = QuotaRequest { arrived_at: at(1_600), ..with(1, 1, id) };
        assert_eq!(gate(try_hold(&mut gates, &late)), "not-admitted");
        let first = with(1, 1, id);
        assert_eq!(gate(try_hold(&mut gates, &first)), "held");
        assert_eq!(gate(try_hold(&mut gates, &with(1, 1, id))), "not-admitted");
        release(&mut gates, id, first.order, at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &with(1, 1, id))), "held");
    }

    #[test]
    fn an_account_has_few_orders_that_are_not_paid() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.limit_per_customer = None);
        let orders: Vec<_> = (0..3).map(|_| request(1, 1, 1_500)).collect();
        for order in &orders {
            assert_eq!(gate(try_hold(&mut gates, order)), "held");
        }
        let refused = try_hold(&mut gates, &request(1, 1, 1_500));
        assert_eq!(refused, Err(Refusal::TooManyUnpaid { most: 3 }));
        assert_eq!(gate(try_hold(&mut gates, &request(2, 1, 1_500))), "held");
        gates.confirm(id, orders[0].order);
        gates.confirm(id, orders[0].order);
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "too-many-unpaid");
        release(&mut gates, id, orders[1].order, at(1_500));
        // An order that was paid and is cancelled gives no more back.
        release(&mut gates, id, orders[0].order, at(1_500));
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "held");
        assert_eq!(gate(try_hold(&mut gates, &request(1, 1, 1_500))), "too-many-unpaid");
    }

    proptest! {
        #[test]
        fn no_customer_ever_has_more_than_the_limit(
            steps in prop::collection::vec((0..4u128, 1..3i64, any::<bool>(), 0..20usize), 1..200)
        ) {
            let (mut gates, id) = gates(|_| {});
            let mut live: Vec<(OrderId, u128, i64)> = Vec::new();
            for (number, pieces, comes_back, which) in steps {
                if comes_back && !live.is_empty() {
                    let (order, ..) = live.swap_remove(which % live.len());
                    release(&mut gates, id, order, at(1_500));
                } else {
                    let request = request(number, pieces, 1_500);
                    let has: i64 =
                        live.iter().filter(|(_, of, _)| *of == number).map(|(_, _, pieces)| pieces).sum();
                    let passed = try_hold(&mut gates, &request).is_ok();
                    prop_assert_eq!(passed, has + pieces <= 2);
                    if passed {
                        live.push((request.order, number, pieces));
                    }
                }
            }
        }
    }
}
