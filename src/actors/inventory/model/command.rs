//! Rules of stock, their terms: what one SKU can be told, what it replies, and what a decision changes.

use std::sync::Arc;

use jiff::Timestamp;

use super::allotment::AllotmentChange;
use super::movement::MovementKind;
use super::reservation::{Hold, Purpose, ReservationState, SaleClaim};
use crate::actors::runtime::entity;
use crate::types::{Quantity, ReservationId, SaleId};

#[derive(Debug, Clone)]
pub enum Command {
    Reserve {
        id: ReservationId,
        quantity: Quantity,
        /// How many SKUs the whole reservation has.
        lines: i16,
        purpose: Purpose,
        expires_at: Timestamp,
        sale: Option<SaleClaim>,
        /// No earlier command had this id, so that no look-up is needed.
        id_is_new: bool,
    },
    Commit {
        id: ReservationId,
        even_if_expired: bool,
    },
    Release {
        id: ReservationId,
        even_if_committed: bool,
        /// Pieces that are held then expire before their time.
        has_expired: bool,
    },
    Expire {
        id: ReservationId,
        now: Timestamp,
    },
    Receive {
        quantity: Quantity,
        reference: String,
    },
    Adjust {
        delta: i64,
        reason: String,
        reference: String,
        expected_version: Option<i64>,
    },
    /// Sets pieces apart for a sale.
    Allot {
        sale: SaleId,
        pieces: Quantity,
    },
    ResizeAllotment {
        sale: SaleId,
        pieces: Quantity,
        expected: Quantity,
    },
    /// Gives what remains of an allotment back to general stock.
    CloseAllotment {
        sale: SaleId,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Hold {
        hold: Hold,
        /// An earlier command had brought the hold to this state.
        already: bool,
    },
    Done,
}

/// What the rules make of a command.
pub type Decision = entity::Decision<Change, Reply, ReservationId>;

/// What a decision changes: one movement, the state of one hold, the figures of one allotment.
#[derive(Debug, Clone)]
pub struct Change {
    pub kind: MovementKind,
    pub on_hand_delta: i64,
    pub reserved_delta: i64,
    pub reference: Option<String>,
    pub reason: Option<String>,
    pub hold: Option<HoldChange>,
    pub allotment: Option<AllotmentChange>,
}

impl Change {
    pub fn allotted_delta(&self) -> i64 {
        self.allotment.map_or(0, |change| change.allotted_delta())
    }

    /// The decision for it, with the reply that follows from it.
    pub(super) fn decided(self) -> Decision {
        let reply =
            self.hold.as_ref().map_or(Reply::Done, |hold| Reply::Hold { hold: hold.to, already: false });
        Decision::Change(self, reply)
    }
}

#[derive(Debug, Clone)]
pub struct HoldChange {
    pub id: ReservationId,
    pub step: HoldStep,
    pub to: Hold,
}

#[derive(Debug, Clone)]
pub enum HoldStep {
    Made {
        /// How many SKUs the whole reservation has.
        lines: i16,
        purpose: Purpose,
        claimants: Option<Arc<str>>,
    },
    Ended {
        from: ReservationState,
    },
}
