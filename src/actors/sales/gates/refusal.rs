//! Rules of refusing: the reasons for which the gates refuse an order, with their stable names.

use serde::{Deserialize, Serialize};

use crate::types::Sku;

/// Why the gates refuse an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Before the opening, or after the end; seconds until it opens, if it will.
    #[error("the sale is not open")]
    NotOpen { opens_in: Option<u32> },
    #[error("the sale is paused")]
    Paused,
    #[error("{0} is not sold at this moment")]
    Stopped(String),
    #[error("this order was not admitted to the sale")]
    NotAdmitted,
    #[error("a customer gets at most {limit} pieces in this sale, and this order would be piece {pieces}")]
    LimitReached { limit: i64, pieces: i64 },
    #[error("a sale cannot be paid at a konbini")]
    KonbiniNotAllowed,
    #[error("as many pieces of {0} as may be are held for konbini payments")]
    KonbiniShareReached(Sku),
    #[error("an order can have pieces of one sale only")]
    TwoSales,
    #[error("the sale has sold out")]
    SoldOut,
    #[error("orders of this customer or device come too fast")]
    TooFast { retry_after: u32 },
    #[error("a customer may have {most} orders in this sale that are not paid")]
    TooManyUnpaid { most: u32 },
}

impl Refusal {
    /// The gate's stable name.
    pub const fn gate(&self) -> &'static str {
        match self {
            Self::NotOpen { .. } => "sale-not-open",
            Self::Paused => "sale-paused",
            Self::Stopped(_) => "stopped",
            Self::NotAdmitted => "not-admitted",
            Self::LimitReached { .. } => "limit-reached",
            Self::KonbiniNotAllowed => "konbini-not-allowed",
            Self::KonbiniShareReached(_) => "konbini-share-reached",
            Self::TwoSales => "two-sales",
            Self::SoldOut => "sold-out",
            Self::TooFast { .. } => "too-fast",
            Self::TooManyUnpaid { .. } => "too-many-unpaid",
        }
    }

    /// Seconds after which asking again may bring something else.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::NotOpen { opens_in } => *opens_in,
            Self::Paused | Self::Stopped(_) => Some(5),
            Self::KonbiniShareReached(_) | Self::TooManyUnpaid { .. } => Some(30),
            Self::TooFast { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

/// The name of the refusal of a card.
pub const DECLINED: &str = "payment-declined";

/// The names of refusals, in the order in which a [`Tally`](super::Tally) counts them.
pub const GATES: [&str; 12] = [
    "sale-not-open",
    "sale-paused",
    "stopped",
    "not-admitted",
    "limit-reached",
    "konbini-not-allowed",
    "konbini-share-reached",
    "two-sales",
    "sold-out",
    "too-fast",
    "too-many-unpaid",
    DECLINED,
];
