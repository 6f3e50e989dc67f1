//! A number of pieces of one SKU.

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// At least one piece, at most [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(i64);

impl TryFrom<i64> for Quantity {
    type Error = InvalidValue;

    fn try_from(pieces: i64) -> Result<Self, InvalidValue> {
        Self::new(pieces)
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl Quantity {
    /// More pieces than any movement of stock has; small enough that sums cannot overflow.
    pub const MAX: i64 = 1_000_000_000;

    pub fn new(pieces: i64) -> Result<Self, InvalidValue> {
        if (1..=Self::MAX).contains(&pieces) {
            Ok(Self(pieces))
        } else {
            Err(InvalidValue::new("quantity", format!("{pieces} is not between 1 and {}", Self::MAX)))
        }
    }

    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum; refused above the maximum.
    pub fn plus(self, other: Self) -> Result<Self, InvalidValue> {
        Self::new(self.0 + other.0)
    }
}
