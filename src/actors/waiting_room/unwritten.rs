//! Rules of writing behind: changes of entries wait in their order, and are written in batches after the answers.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::model::{DatedChange, EntryChange};
use crate::types::SaleId;

/// Changes that may wait, each in 80 bytes.
const WAITING_MAX: usize = 1_000_000;
/// Changes that are written at once.
const BATCH_MAX: usize = 5_000;

/// One batch is written at a time. A batch that could not be written is the first of the next one.
#[derive(Debug)]
pub(super) struct UnwrittenChanges {
    /// Beyond `waiting_max` only the last change of each ticket is kept, so that there are no more than that or than
    /// twice the tickets.
    waiting: VecDeque<DatedChange>,
    waiting_max: usize,
    /// Smaller after a failure.
    batch_max: usize,
    writing: Arc<[DatedChange]>,
    /// The time of the last change.
    last_at: Timestamp,
}

impl Default for UnwrittenChanges {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_max: WAITING_MAX,
            batch_max: BATCH_MAX,
            writing: Arc::default(),
            last_at: Timestamp::MIN,
        }
    }
}

impl UnwrittenChanges {
    pub fn push(&mut self, sale: SaleId, change: EntryChange, at: Timestamp) {
        // Later than the change before, as far as the database can tell.
        let next = self.last_at.checked_add(SignedDuration::from_micros(1)).unwrap_or(at);
        self.last_at = at.max(next);
        self.waiting.push_back(DatedChange { sale, change, at: self.last_at });
        if self.waiting.len() > self.waiting_max {
            self.keep_last_of_each_ticket();
        }
    }

    fn keep_last_of_each_ticket(&mut self) {
        let mut tickets = HashSet::new();
        let mut last: VecDeque<DatedChange> = VecDeque::new();
        for dated in self.waiting.drain(..).rev() {
            if tickets.insert((dated.sale, dated.change.number)) {
                last.push_front(dated);
            }
        }
        // Not again before as many more have come.
        self.waiting_max = WAITING_MAX.max(2 * last.len());
        self.waiting = last;
    }

    /// Whether changes of a sale are not written yet.
    pub fn has(&self, sale: SaleId) -> bool {
        self.writing.iter().chain(&self.waiting).any(|dated| dated.sale == sale)
    }

    /// The next batch to write. `None` while one is being written, or when no change waits.
    pub fn next_batch(&mut self) -> Option<Arc<[DatedChange]>> {
        if !self.writing.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let next = self.waiting.len().min(self.batch_max);
        self.writing = self.waiting.drain(..next).collect();
        Some(self.writing.clone())
    }

    /// The batch was written.
    pub fn written(&mut self) {
        self.writing = Arc::default();
        self.batch_max = (self.batch_max * 2).min(BATCH_MAX);
    }

    /// The batch was perhaps not written; writing it again is the same as once.
    pub fn not_written(&mut self) {
        let batch = std::mem::take(&mut self.writing);
        self.batch_max = (self.batch_max / 2).max(1);
        batch.iter().rev().for_each(|dated| self.waiting.push_front(*dated));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::waiting_room::model::{EntryState, TicketNumber};

    fn change(number: u32, state: EntryState) -> EntryChange {
        EntryChange { number: TicketNumber::new(number).unwrap(), state, admitted_until: None }
    }

    fn numbers(changes: &[DatedChange]) -> Vec<u32> {
        changes.iter().map(|dated| dated.change.number.get()).collect()
    }

    #[test]
    fn a_batch_that_was_not_written_comes_again_first_and_in_smaller_batches() {
        let (mut unwritten, sale) = (UnwrittenChanges::default(), SaleId::generate());
        assert!(unwritten.next_batch().is_none());
        (1..=3).for_each(|number| unwritten.push(sale, change(number, EntryState::Admitted), Timestamp::MIN));
        let first = unwritten.next_batch().unwrap();
        assert_eq!(numbers(&first), [1, 2, 3]);
        assert!(first.is_sorted_by(|one, next| one.at < next.at), "no two have the same time");
        assert!(unwritten.next_batch().is_none(), "one batch at a time");
        unwritten.push(sale, change(4, EntryState::Admitted), Timestamp::MIN);
        (0..13).for_each(|_| {
            unwritten.not_written();
            unwritten.next_batch().unwrap();
        });
        unwritten.written();
        assert_eq!(numbers(&unwritten.next_batch().unwrap()), [2, 3], "the batches double again");
        unwritten.written();
        assert!(unwritten.has(sale));
        assert_eq!(numbers(&unwritten.next_batch().unwrap()), [4]);
        unwritten.written();
        assert!(!unwritten.has(sale));
    }

    #[test]
    fn of_too_many_changes_the_last_of_each_ticket_is_kept() {
        let (mut unwritten, sale) = (UnwrittenChanges::default(), SaleId::generate());
        unwritten.waiting_max = 3;
        for (number, state) in [
            (1, EntryState::Admitted),
            (2, EntryState::Admitted),
            (1, EntryState::Ordered),
            (2, EntryState::NoShow),
        ] {
            unwritten.push(sale, change(number, state), Timestamp::MIN);
        }
        let kept: Vec<_> = unwritten.waiting.iter().map(|dated| dated.change.state).collect();
        assert_eq!(kept, [EntryState::Ordered, EntryState::NoShow]);
    }
}
