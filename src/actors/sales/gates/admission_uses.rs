//! Rules of telling the waiting room which admissions were used for an order, and which came back.
//!
//! A use is told until the waiting room has confirmed it, so that an answer may be lost.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Gates;
use crate::actors::waiting_room::TicketNumber;
use crate::types::SaleId;

/// An admission that was used for an order, or that came back because the order came to nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AdmissionUse {
    pub sale: SaleId,
    pub number: TicketNumber,
    pub is_used: bool,
    pub at: Timestamp,
}

/// How many uses and returns of admissions the waiting room has heard of, in one epoch of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heard {
    epoch: u64,
    uses: u64,
}

impl Heard {
    /// Whether the gates began anew in between.
    pub fn is_of_another_life(self, other: Self) -> bool {
        self.epoch != other.epoch
    }
}

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
        heard: Heard,
        read_at: impl Fn(SaleId) -> Option<Timestamp>,
    ) -> (Vec<AdmissionUse>, Heard, Option<Timestamp>) {
        // A count of an earlier epoch is about other uses.
        while heard.epoch == self.epoch && self.confirmed < heard.uses {
            self.pending.pop_front();
            self.confirmed += 1;
        }
        let told: Vec<AdmissionUse> = self
            .pending
            .iter()
            .take_while(|used| read_at(used.sale).is_none_or(|read_at| used.at < read_at))
            .copied()
            .collect();
        let heard = Heard { epoch: self.epoch, uses: self.confirmed + told.len() as u64 };
        let untold = self.pending.get(told.len()).map(|used| used.at);
        (told, heard, untold)
    }
}

impl Gates {
    /// Forgets the uses and returns of admissions that were heard of, and answers with those after them.
    ///
    /// A use is told once the figures of its sale, read at the time that `read_at` gives, include it: until its pieces are
    /// gone from the figures, a used admission counts as outstanding. Answers also with the time of the first one that is not
    /// told yet.
    pub fn tell_admissions(
        &mut self,
        heard: Heard,
        read_at: impl Fn(SaleId) -> Option<Timestamp>,
    ) -> (Vec<AdmissionUse>, Heard, Option<Timestamp>) {
        self.admissions.tell(heard, read_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::AdmissionMode;
    use super::super::tests::{at, customer, gates, request, rules, try_hold};
    use super::super::{Paces, QuotaRequest};
    use super::*;
    use crate::actors::waiting_room::Admission;

    #[test]
    fn uses_of_admissions_are_told_until_they_were_heard_of() {
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
        let told = |gates: &mut Gates, heard| {
            let (uses, heard, _) = gates.tell_admissions(heard, |_| None);
            (uses.iter().map(|used| used.number.get()).collect::<Vec<_>>(), heard)
        };
        let nothing = Heard::default();
        assert_eq!(told(&mut gates, nothing).0, [1, 2]);
        let (again, heard) = told(&mut gates, nothing);
        assert_eq!(again, [1, 2], "the answer was lost");
        assert_eq!(told(&mut gates, heard).0, [0; 0]);
        let mut later = Gates::new(2, rules(), Paces::default());
        assert_eq!(told(&mut later, heard).1, Heard { epoch: 2, uses: 0 });
    }
}
