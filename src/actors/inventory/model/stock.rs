//! Rules of stock, their terms: the figures of one SKU.

use serde::{Deserialize, Serialize};

use super::allotment::Allotment;

/// The figures of one SKU. `version` counts the movements that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stock {
    pub on_hand: i64,
    pub reserved: i64,
    /// Set apart for a sale and not promised yet.
    pub allotted: i64,
    pub version: i64,
}

impl Stock {
    /// More pieces than any shop has of one SKU.
    pub const ON_HAND_MAX: i64 = 1_000_000_000_000;

    /// Pieces that can still be promised to any customer.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved - self.allotted
    }
}

/// The figures of one SKU, and those of the sale that has an open allotment of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    pub stock: Stock,
    pub allotment: Option<Allotment>,
}
