//! Types that every domain shares: ids, money, quantity, SKU, page, the contract of holds.

mod grouped;
mod hold;
mod ids;
mod money;
mod page;
mod pieces_left;
mod quantity;
mod sku;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use grouped::grouped;
pub use hold::{HoldCommand, HoldRefusal, HoldState, HoldStep};
pub use ids::{CustomerId, OrderId, ProductId, ProposalId, ReservationId, SaleId, SessionId};
pub use money::{Currency, Money, TaxRate};
pub use page::{Cursor, Limit, Page};
pub use pieces_left::PiecesLeft;
pub use quantity::Quantity;
pub use sku::Sku;

/// A value from outside that its type does not accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidValue {
    pub what: Cow<'static, str>,
    pub problem: String,
}

impl InvalidValue {
    pub fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: problem.into() }
    }
}

impl crate::error::Fault for InvalidValue {
    fn kind(&self) -> crate::error::Kind {
        crate::error::Kind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid-value"
    }
}
