//! Rules of the ledger, their terms: each movement made one version of a SKU's stock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::types::{ReservationId, Sku};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MovementKind {
    Received,
    Reserved,
    Released,
    Expired,
    Committed,
    Adjusted,
    /// An allotment was made or resized.
    Allotted,
    /// An allotment was closed.
    Returned,
}

impl MovementKind {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    pub sku: Sku,
    /// The version of the stock that this movement made.
    pub version: i64,
    pub kind: MovementKind,
    pub on_hand_delta: i64,
    pub reserved_delta: i64,
    pub allotted_delta: i64,
    pub reservation: Option<ReservationId>,
    pub reference: Option<String>,
    pub reason: Option<String>,
    pub at: Timestamp,
}
