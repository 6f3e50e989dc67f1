//! Rules of telling the waiting room which admissions were used for an order, and which came back.
//!
//! A use is told until the waiting room has confirmed it, so that an answer may be lost.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::Gates;
use crate::actors::waiting_room::{AdmissionUse, UsesTold};
use crate::types::SaleId;

/// Uses and returns that the waiting room has not confirmed yet.
pub(super) struct AdmissionUses {
    epoch: u64,
    pending: VecDeque<AdmissionUse>,
    /// The number of those before the pending ones.
    confirmed: u64,
}

impl AdmissionUses {
    pub fn new(epoch: u64) -> Self {
        Self { epoch, pending: VecDeque::new(), confirmed: 0 }
    }

    pub fn push(&mut self, used: AdmissionUse) {
        self.pending.push_back(used);
    }

    fn tell(
        &mut self,
        acknowledged: UsesTold,
        read_at: impl Fn(SaleId) -> Option<Timestamp>,
    ) -> (Vec<AdmissionUse>, UsesTold, Option<Timestamp>) {
        // A count of an earlier epoch is about other uses.
        while acknowledged.generation == self.epoch && self.confirmed < acknowledged.count {
            self.pending.pop_front();
            self.confirmed += 1;
        }
        let uses: Vec<AdmissionUse> = self
            .pending
            .iter()
            .take_while(|used| read_at(used.sale).is_none_or(|read_at| used.at < read_at))
            .copied()
            .collect();
        let told = UsesTold { generation: self.epoch, count: self.confirmed + uses.len() as u64 };
        let untold = self.pending.get(uses.len()).map(|used| used.at);
        (uses, told, untold)
    }
}

impl Gates {
    /// Forgets the uses and returns of admissions that were acknowledged, and answers with those after them.
    ///
    /// A use is told once the figures of its sale, read at the time that `read_at` gives, include it: until its pieces are
    /// gone from the figures, a used admission counts as outstanding. Answers also with the time of the first one that is not
    /// told yet.
    pub fn tell_admissions(
        &mut self,
        acknowledged: UsesTold,
        read_at: impl Fn(SaleId) -> Option<Timestamp>,
    ) -> (Vec<AdmissionUse>, UsesTold, Option<Timestamp>) {
        self.admissions.tell(acknowledged, read_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, customer, gates, request, rules, try_hold};
    use super::super::{Paces, QuotaRequest};
    use super::*;
    use crate::actors::waiting_room::AdmissionMode;
    use crate::actors::waiting_room::{Admission, TicketNumber};

    #[test]
    fn uses_of_admissions_are_told_until_they_are_acknowledged() {
        let (mut gates, id) = gates(|sale| sale.draft.terms.admission.mode = AdmissionMode::Queue);
        let mut order = |number: u32| {
            let customer = customer(number.into());
            let number = TicketNumber::new(number).unwrap();
            let admission = Some(Admission { sale: id, number, customer, expires_at: at(1_600) });
            let request = QuotaRequest { admission, ..request(number.get().into(), 1, 1_500) };
            let hold = try_hold(&mut gates, &request).unwrap().unwrap();
            gates.hold_again(&request, &hold, at(1_500)).unwrap();
        };
        order(1);
        order(2);
        let tell = |gates: &mut Gates, acknowledged| {
            let (uses, told, _) = gates.tell_admissions(acknowledged, |_| None);
            (uses.iter().map(|used| used.number.get()).collect::<Vec<_>>(), told)
        };
        let none = UsesTold::default();
        assert_eq!(tell(&mut gates, none).0, [1, 2]);
        let (again, told) = tell(&mut gates, none);
        assert_eq!(again, [1, 2], "the answer was lost");
        assert_eq!(tell(&mut gates, told).0, [0; 0]);
        let mut later = Gates::new(2, rules(), Paces::default());
        assert_eq!(tell(&mut later, told).1, UsesTold { generation: 2, count: 0 });
    }
}
