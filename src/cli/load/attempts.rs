//! The answers that the customers of a run got to their orders, kept for the audit in a few dozen bytes each.

use std::cell::{Cell, RefCell};

use uuid::Uuid;

use super::client::Answer;
use super::shop::{self, Payment};

/// Attempts are stored in chunks of this many, so that a growing list is never copied.
const CHUNK: usize = 1 << 16;
/// The most examples kept of each kind of finding.
pub(super) const EXAMPLES: usize = 10;

/// One idempotency key and the answers to its requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// The order in the answer; nil if there is none.
    pub order: Uuid,
    /// The fingerprint of the order's immutable members.
    pub fingerprint: u64,
    pub customer: u32,
    pub sku: u16,
    /// Whether the outcome was unclear at any time: its pieces may have been held meanwhile.
    pub was_unclear: bool,
    pub payment: Payment,
    /// When it was requested, in milliseconds from the start.
    pub asked_at_ms: u32,
    /// When its cancellation was answered.
    pub cancelled_at_ms: u32,
    pub reply: Reply,
    pub cancelled: Cancelled,
}

/// The shop's reply to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Accepted,
    OutOfStock,
    /// No piece of the sale is left.
    SoldOut,
    /// For another reason, or before the order was looked at.
    Refused,
    /// No answer, or one that leaves the outcome open.
    Unclear,
    /// The request never reached the shop.
    Unsent,
}

impl Reply {
    /// The reply that a conflict means.
    pub(super) fn by_conflict(answer: &Answer) -> Self {
        match shop::code(answer).as_deref() {
            Some("out-of-stock") => Reply::OutOfStock,
            Some("sold-out") => Reply::SoldOut,
            _ => Reply::Refused,
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
    /// False when no audit needs them.
    are_kept: bool,
}

impl Attempts {
    pub(super) fn new(are_kept: bool) -> Self {
        Self { are_kept, ..Self::default() }
    }

    pub(super) fn are_kept(&self) -> bool {
        self.are_kept
    }

    /// Adds an attempt; answers with its number.
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

    /// All attempts with their numbers.
    pub(super) fn into_all(self) -> impl Iterator<Item = (usize, Attempt)> {
        self.chunks.into_inner().into_iter().flatten().enumerate()
    }
}

/// Answers that contradict the contract: their number and some examples.
#[derive(Debug, Default, Clone)]
pub(super) struct Violations {
    pub count: u64,
    pub examples: Vec<String>,
}

impl Violations {
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

/// The idempotency key of an attempt, unique to the run.
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
            reply: Reply::Unclear,
            cancelled: Cancelled::No,
        };
        for customer in 0..200_000 {
            assert_eq!(attempts.add(Attempt { customer, ..attempt }), customer as usize);
        }
        attempts.change(70_000, |attempt| attempt.reply = Reply::Accepted);
        let accepted: Vec<_> =
            attempts.into_all().filter(|(_, attempt)| attempt.reply == Reply::Accepted).collect();
        assert_eq!(accepted.len(), 1);
        assert_eq!((accepted[0].0, accepted[0].1.customer), (70_000, 70_000));
    }
}
