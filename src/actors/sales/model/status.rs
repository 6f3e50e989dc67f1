//! Rules of a sale's status: the statuses that there are, and the actions that change them.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::types::InvalidValue;

/// Where a sale stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidValue, parse_err_fn = no_status)]
pub enum SaleStatus {
    Draft,
    /// The engine arms it shortly before it opens.
    Scheduled,
    /// Its pieces are allotted and the actors of its SKUs run; it opens at its time.
    Armed,
    Open,
    Paused,
    /// Customers can order no more; those who hold pieces can still pay.
    Draining,
    /// The pieces that were left have gone back to general stock.
    Closed,
    Settled,
    Cancelled,
}

fn no_status(name: &str) -> InvalidValue {
    InvalidValue::new("status", format!("{name:?} is not a status of a sale"))
}

impl SaleStatus {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the gates decide about orders of its SKUs.
    pub const fn is_gated(self) -> bool {
        matches!(self, Self::Armed | Self::Open | Self::Paused | Self::Draining | Self::Closed)
    }

    /// Whether customers may know of it.
    pub const fn is_announced(self) -> bool {
        !matches!(self, Self::Draft | Self::Cancelled)
    }

    /// It is ahead, and has no pieces allotted yet.
    pub const fn is_planned(self) -> bool {
        matches!(self, Self::Draft | Self::Scheduled)
    }

    /// Customers can order in it no more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Settled | Self::Cancelled)
    }
}

/// What is done to a sale.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidValue, parse_err_fn = no_action)]
pub enum Action {
    Schedule,
    Arm,
    /// By the schedule alone.
    Open,
    Pause,
    Resume,
    Drain,
    Close,
    Cancel,
    Settle,
    /// Stops all orders at once, whatever the status; `Resume` lets them in again.
    Kill,
}

fn no_action(name: &str) -> InvalidValue {
    InvalidValue::new("action", format!("{name:?} is nothing that is done to a sale"))
}

impl Action {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it keeps buyers out; then it is in effect before it is written.
    pub const fn keeps_out(self) -> bool {
        matches!(self, Self::Pause | Self::Drain | Self::Close | Self::Cancel | Self::Kill)
    }
}

/// What keeps buyers out of a sale as a whole, until it is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidValue, parse_err_fn = no_halt)]
pub enum Halt {
    Pause,
    Kill,
}

fn no_halt(name: &str) -> InvalidValue {
    InvalidValue::new("ends", format!("{name:?} is neither \"pause\" nor \"kill\""))
}

impl Halt {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
