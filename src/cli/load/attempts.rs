//! What the customers of a run saw of their orders, kept for the audit in a few dozen bytes each.

use std::cell::{Cell, RefCell};

use uuid::Uuid;

use super::client::Answer;
use super::shop::{self, Payment};

/// Attempts are kept in pieces of this many, so that a growing list is never copied.
const CHUNK: usize = 1 << 16;
/// Examples kept of each kind of misbehaviour.
pub(super) const EXAMPLES: usize = 10;

/// One key under which an order was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// The order that was answered; nil if none.
    pub order: Uuid,
    /// What was said about it that never changes.
    pub fingerprint: u64,
    pub customer: u32,
    pub sku: u16,
    /// Whether what became of it was ever unclear: its pieces may have been held meanwhile.
    pub was_unclear: bool,
    pub payment: Payment,
    /// When it was asked for, in milliseconds from the start.
    pub asked_at_ms: u32,
    /// When its cancellation was answered.
    pub cancelled_at_ms: u32,
    pub told: Told,
    pub cancelled: Cancelled,
}

/// What the customer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Accepted,
    OutOfStock,
    /// No piece of the sale is left.
    SoldOut,
    /// For another reason, or at the door.
    Refused,
    /// No answer, or one that does not say what became of the order.
    Unclear,
    /// The request never reached the shop.
    Unsent,
}

impl Told {
    /// What a conflict says of the pieces.
    pub(super) fn by_conflict(answer: &Answer) -> Self {
        match shop::code(answer).as_deref() {
            Some("out-of-stock") => Told::OutOfStock,
            Some("sold-out") => Told::SoldOut,
            _ => Told::Refused,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cancelled {
    No,
    Perhaps,
    Yes,
}

/// All attempts of one thread; the number of an attempt is part of its key.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    chunks: RefCell<Vec<Vec<Attempt>>>,
    count: Cell<usize>,
    /// Whether they are kept at all.
    are_kept: bool,
}

impl Attempts {
    pub(super) fn new(are_kept: bool) -> Self {
        Self { are_kept, ..Self::default() }
    }

    pub(super) fn are_kept(&self) -> bool {
        self.are_kept
    }

    /// Makes room for the next one; its number.
    pub(super) fn add(&self, attempt: Attempt) -> usize {
        let number = self.count.get();
        self.count.set(number + 1);
        if self.are_kept {
            let mut chunks = self.chunks.borrow_mut();
            if number.is_multiple_of(CHUNK) {
                chunks.push(Vec::with_capacity(CHUNK));
            }
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(attempt);
            }
        }
        number
    }

    pub(super) fn change(&self, number: usize, change: impl FnOnce(&mut Attempt)) {
        let mut chunks = self.chunks.borrow_mut();
        if let Some(attempt) = chunks.get_mut(number / CHUNK).and_then(|chunk| chunk.get_mut(number % CHUNK))
        {
            change(attempt);
        }
    }

    /// Each with its number.
    pub(super) fn into_all(self) -> impl Iterator<Item = (usize, Attempt)> {
        self.chunks.into_inner().into_iter().flatten().enumerate()
    }
}

/// What should never have been answered, seen while the run went on.
#[derive(Debug, Default, Clone)]
pub(super) struct Misbehaviour {
    pub count: u64,
    pub examples: Vec<String>,
}

impl Misbehaviour {
    pub(super) fn see(&mut self, what: impl FnOnce() -> String) {
        self.see_many(1, what);
    }

    pub(super) fn see_many(&mut self, count: u64, what: impl FnOnce() -> String) {
        self.count += count;
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}

/// The key of an attempt: never met again in another run.
pub(super) fn key(run: &str, thread: usize, number: usize) -> String {
    format!("load-{run}-{thread}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_attempts_take_few_bytes_and_are_found_by_their_numbers() {
        let bytes = size_of::<Attempt>();
        assert!(bytes <= 48, "{bytes}");
        let attempts = Attempts::new(true);
        let attempt = Attempt {
            order: Uuid::nil(),
            fingerprint: 0,
            customer: 0,
            sku: 0,
            was_unclear: false,
            payment: Payment::Konbini,
            asked_at_ms: 0,
            cancelled_at_ms: 0,
            told: Told::Unclear,
            cancelled: Cancelled::No,
        };
        for customer in 0..200_000 {
            assert_eq!(attempts.add(Attempt { customer, ..attempt }), customer as usize);
        }
        attempts.change(70_000, |attempt| attempt.told = Told::Accepted);
        let accepted: Vec<_> =
            attempts.into_all().filter(|(_, attempt)| attempt.told == Told::Accepted).collect();
        assert_eq!(accepted.len(), 1);
        assert_eq!((accepted[0].0, accepted[0].1.customer), (70_000, 70_000));
    }
}
