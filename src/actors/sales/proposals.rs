//! What one operator wishes and a second one has to agree to, where the configuration wants that.
//!
//! The first one's wish is kept as a proposal; the same wish of another one carries it out. What the engine does by itself
//! needs nobody.

use jiff::Timestamp;

use super::model::Actor;
use crate::config::SecondOperator;
use crate::types::{CustomerId, ProposalId, Quantity, SaleId, Sku};

/// Something that may need a second operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    KillItem { sale: SaleId, sku: Sku },
    KillSale { sale: SaleId },
    KillEverything,
    Lower { sale: SaleId, sku: Sku, allotment: Quantity, expected: Quantity },
}

impl Wish {
    /// What the configuration calls it.
    pub const fn control(&self) -> SecondOperator {
        match self {
            Self::KillItem { .. } | Self::KillSale { .. } | Self::KillEverything => SecondOperator::Kill,
            Self::Lower { .. } => SecondOperator::Lower,
        }
    }

    pub const fn action(&self) -> &'static str {
        match self.control() {
            SecondOperator::Kill => "kill",
            SecondOperator::Lower => "lower",
        }
    }

    /// Nothing: everything.
    pub const fn sale(&self) -> Option<SaleId> {
        match self {
            Self::KillItem { sale, .. } | Self::KillSale { sale } | Self::Lower { sale, .. } => Some(*sale),
            Self::KillEverything => None,
        }
    }

    pub const fn sku(&self) -> Option<&Sku> {
        match self {
            Self::KillItem { sku, .. } | Self::Lower { sku, .. } => Some(sku),
            Self::KillSale { .. } | Self::KillEverything => None,
        }
    }

    /// To how many pieces, and from how many.
    pub const fn pieces(&self) -> Option<(Quantity, Quantity)> {
        match self {
            Self::Lower { allotment, expected, .. } => Some((*allotment, *expected)),
            _ => None,
        }
    }
}

/// A wish that waits for a second operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub id: ProposalId,
    pub wish: Wish,
    pub by: CustomerId,
    pub reason: String,
    pub at: Timestamp,
    pub lapses_at: Timestamp,
}

impl Proposal {
    /// Whether somebody who wishes the same now is the second one.
    pub fn is_agreed_to(&self, wish: &Wish, by: CustomerId, now: Timestamp) -> bool {
        self.wish == *wish && self.by != by && now < self.lapses_at
    }
}

/// What became of what an operator wished.
#[derive(Debug, Clone, PartialEq)]
pub enum Steered<T> {
    Done(T),
    /// Nothing was done: a second operator is waited for.
    Proposed(Proposal),
}

/// Whether something may be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Agreement {
    /// By one alone, or because somebody had proposed it.
    Given {
        proposed_by: Actor,
    },
    Awaited(Proposal),
}
