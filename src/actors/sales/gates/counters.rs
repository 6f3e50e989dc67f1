//! Rules of counting: how many orders of a sale were tried, accepted and refused, in all and in each of the last
//! seconds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::refusal::GATES;

/// How many seconds of rates are kept.
const SECONDS_KEPT: usize = 120;

/// What became of the orders that came to the gates of a sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub attempts: u64,
    pub accepted: u64,
    /// Pieces of the sale in accepted orders: those that are durable, or may be.
    pub pieces: u64,
    pub refused: [u64; GATES.len()],
}

impl Tally {
    fn since(&self, before: &Self) -> Self {
        let mut refused = self.refused;
        refused.iter_mut().zip(before.refused).for_each(|(now, before)| *now -= before);
        Self {
            attempts: self.attempts - before.attempts,
            accepted: self.accepted - before.accepted,
            pieces: self.pieces - before.pieces,
            refused,
        }
    }
}

/// The counters of one sale.
#[derive(Default)]
pub(super) struct Counters {
    tally: Tally,
    /// The tally at the end of each of the last seconds.
    seconds: VecDeque<Tally>,
}

impl Counters {
    pub fn attempt(&mut self) {
        self.tally.attempts += 1;
    }

    pub fn accept(&mut self, pieces: u64) {
        self.tally.accepted += 1;
        self.tally.pieces += pieces;
    }

    pub fn refuse(&mut self, gate: &str) {
        if let Some(index) = GATES.iter().position(|name| *name == gate) {
            self.tally.refused[index] += 1;
        }
    }

    pub fn end_second(&mut self) {
        self.seconds.push_back(self.tally);
        if self.seconds.len() > SECONDS_KEPT {
            self.seconds.pop_front();
        }
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Each of the last seconds, the latest last.
    pub fn seconds(&self) -> Vec<Tally> {
        let seconds = self.seconds.iter().zip(self.seconds.iter().skip(1));
        seconds.map(|(before, after)| after.since(before)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, gates, request, try_hold};

    #[test]
    fn accepted_orders_are_counted_in_orders_and_in_pieces() {
        let (mut gates, id) = gates(|_| {});
        let two = request(1, 2, 1_500);
        let hold = try_hold(&mut gates, &two).unwrap().unwrap();
        gates.end_second();
        gates.hold_again(&two, &hold, at(1_500)).unwrap();
        gates.accept(hold.sale, two.order, two.arrived_at, at(1_500));
        gates.accept(hold.sale, two.order, two.arrived_at, at(1_500));
        gates.end_second();
        let (tally, seconds) = gates.tally(id).unwrap();
        assert_eq!((tally.attempts, tally.accepted, tally.pieces), (1, 1, 2));
        assert_eq!(seconds.iter().map(|second| second.pieces).collect::<Vec<_>>(), [2]);
    }
}
