//! Rules of reservations, their terms: pieces of SKUs under one id, and what became of each line.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::types::{HoldCommand, HoldState, HoldStep, Quantity, ReservationId, SaleId, Sku};

/// What a reservation was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// An order with the same id; orders sweeps those whose order was never made.
    Order,
    /// A hold made by staff; it lapses by its own time only.
    Staff,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReservationState {
    Held,
    Committed,
    Released,
    Expired,
}

impl ReservationState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What a command does to a hold in this state.
    pub const fn step(self, command: HoldCommand) -> HoldStep {
        let state = match self {
            Self::Held => HoldState::Held,
            Self::Committed => HoldState::Confirmed,
            Self::Released => HoldState::Released,
            Self::Expired => HoldState::Expired,
        };
        state.step(command)
    }
}

/// Pieces of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sku: Sku,
    pub quantity: Quantity,
}

/// Pieces set aside under one id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub id: ReservationId,
    pub lines: Vec<Line>,
    pub state: ReservationState,
    pub expires_at: Timestamp,
}

/// One SKU's line of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub quantity: Quantity,
    pub state: ReservationState,
    pub expires_at: Timestamp,
    /// The sale whose allotment the pieces came from; `None`: general stock.
    pub sale: Option<SaleId>,
}

/// The sale whose allotment the pieces of a reservation come from, and the claimants whose limits they count towards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleClaim {
    pub sale: SaleId,
    /// Words without spaces, one space between them.
    pub claimants: Arc<str>,
}

/// A line of a reservation with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRecord {
    pub sku: Sku,
    pub hold: Hold,
    pub made_at: Timestamp,
    /// When it was committed or released, or expired.
    pub ended_at: Option<Timestamp>,
    /// As in [`SaleClaim`]; empty for general stock.
    pub claimants: Vec<String>,
}

/// A line of a live reservation of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    pub reservation: ReservationId,
    pub line: Line,
    /// Not committed yet.
    pub is_held: bool,
    pub claimants: Vec<String>,
}

/// Orders of a sale whose pieces are held and not committed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHolds {
    pub orders: i64,
    /// When the last of them expires; `None` when there is none.
    pub until: Option<Timestamp>,
}

/// When the oldest of some reservations was made, and the one in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAges {
    pub oldest_made_at: Timestamp,
    pub median_made_at: Timestamp,
}
