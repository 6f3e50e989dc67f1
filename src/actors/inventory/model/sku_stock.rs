//! Rules of stock: what each command does to each state of a reservation.
//!
//! A reservation is a hold, so that the table of `types/hold.rs` says it: reserve is *hold*, commit is *confirm*. A
//! commit or a release of a reservation that is not known is refused as unknown.
//!
//! A reserve with another quantity than the first one is refused in every state.

use std::time::Instant;

use jiff::Timestamp;

use super::allotment::{Allotment, AllotmentChange};
use super::command::{Change, Command, Decision, HoldChange, HoldStep, Reply};
use super::holds::Holds;
use super::movement::MovementKind;
use super::reservation::{Hold, ReservationState};
use super::stock::{Figures, Stock};
use crate::actors::inventory::InventoryError;
use crate::actors::runtime::entity::Recalled;
use crate::types::{HoldCommand, HoldRefusal, HoldStep as Step, Quantity, ReservationId, SaleId, Sku};

/// One SKU as its actor sees it, including decisions that are on their way to the database.
#[derive(Debug)]
pub struct SkuStock {
    sku: Sku,
    stock: Stock,
    /// The open allotment.
    allotment: Option<Allotment>,
    pub(super) holds: Holds,
}

impl SkuStock {
    pub fn new(sku: Sku, Figures { stock, allotment }: Figures) -> Self {
        Self { sku, stock, allotment, holds: Holds::default() }
    }

    #[cfg(test)]
    pub(super) fn stock(&self) -> Stock {
        self.stock
    }

    pub fn figures(&self) -> Figures {
        Figures { stock: self.stock, allotment: self.allotment }
    }

    /// Decides without changing anything.
    pub fn decide(&self, command: &Command, recalled: Recalled<Hold>) -> Result<Decision, InventoryError> {
        match command {
            Command::Reserve { id, quantity, lines, purpose, expires_at, sale, id_is_new } => {
                match self.known(*id, recalled) {
                    Recalled::Found(hold) => Self::reserve_again(*id, *quantity, hold),
                    Recalled::NotAsked if !id_is_new => Ok(Decision::Recall(*id)),
                    Recalled::NotAsked | Recalled::Absent => {
                        let made = HoldStep::Made {
                            lines: *lines,
                            purpose: *purpose,
                            claimants: sale.as_ref().map(|claim| claim.claimants.clone()),
                        };
                        self.reserve(*id, *quantity, *expires_at, sale.as_ref().map(|claim| claim.sale), made)
                    }
                }
            }
            Command::Commit { id, even_if_expired } => match self.known(*id, recalled) {
                Recalled::Found(hold) => self.commit(*id, hold, *even_if_expired),
                Recalled::NotAsked => Ok(Decision::Recall(*id)),
                Recalled::Absent => Err(InventoryError::UnknownReservation(*id)),
            },
            Command::Release { id, even_if_committed, has_expired } => match self.known(*id, recalled) {
                Recalled::Found(hold) => self.release(*id, hold, *even_if_committed, *has_expired),
                Recalled::NotAsked => Ok(Decision::Recall(*id)),
                Recalled::Absent => Err(InventoryError::UnknownReservation(*id)),
            },
            Command::Expire { id, now } => match self.known(*id, recalled) {
                Recalled::NotAsked => Ok(Decision::Recall(*id)),
                Recalled::Found(hold)
                    if hold.expires_at <= *now && hold.state.step(HoldCommand::Expire) == Step::Expire =>
                {
                    Ok(self.end(*id, hold, ReservationState::Expired, MovementKind::Expired, 0, -1))
                }
                Recalled::Found(_) | Recalled::Absent => Ok(Decision::Unchanged(Reply::Done)),
            },
            Command::Receive { quantity, reference } => {
                self.move_on_hand(MovementKind::Received, quantity.get(), Some(reference.clone()), None)
            }
            Command::Adjust { delta, reason, reference, expected_version } => {
                self.check_version(*expected_version)?;
                let (reference, reason) = (Some(reference.clone()), Some(reason.clone()));
                self.move_on_hand(MovementKind::Adjusted, *delta, reference, reason)
            }
            Command::Allot { sale, pieces } => self.allot(*sale, *pieces),
            Command::ResizeAllotment { sale, pieces, expected } => {
                self.resize_allotment(*sale, *pieces, *expected)
            }
            Command::CloseAllotment { sale } => Ok(match self.open_allotment(*sale) {
                Some(open) => self
                    .move_allotted(MovementKind::Returned, AllotmentChange::close(*sale, open.remaining())),
                None => Decision::Unchanged(Reply::Done),
            }),
        }
    }

    /// Applies a decided change in memory.
    pub fn apply(&mut self, change: &Change, now: Instant) {
        self.stock.on_hand += change.on_hand_delta;
        self.stock.reserved += change.reserved_delta;
        self.stock.allotted += change.allotted_delta();
        self.stock.version += 1;
        if let Some(allotment) = change.allotment {
            self.allotment = match self.allotment {
                _ if allotment.makes => Some(Allotment::of(allotment.sale, allotment.allotment)),
                // The hold of a sale that has closed its allotment does not change that of another sale.
                Some(open) if open.sale == allotment.sale => {
                    Some(open.after(&allotment)).filter(|open| !open.is_closed)
                }
                other => other,
            };
        }
        if let Some(HoldChange { id, to, .. }) = change.hold {
            self.holds.insert(id, to, now);
        }
        self.holds.forget_ended(now);
    }

    /// The hold as it is remembered, which is never older than what was recalled.
    fn known(&self, id: ReservationId, recalled: Recalled<Hold>) -> Recalled<Hold> {
        self.holds.get(id).map_or(recalled, Recalled::Found)
    }

    fn reserve(
        &self,
        id: ReservationId,
        quantity: Quantity,
        expires_at: Timestamp,
        sale: Option<SaleId>,
        made: HoldStep,
    ) -> Result<Decision, InventoryError> {
        self.check_available(quantity, sale)?;
        let to = Hold { quantity, state: ReservationState::Held, expires_at, sale };
        let change = Change {
            kind: MovementKind::Reserved,
            on_hand_delta: 0,
            reserved_delta: quantity.get(),
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step: made, to }),
            allotment: sale.map(|sale| AllotmentChange::hold(sale, quantity.get())),
        };
        Ok(change.decided())
    }

    fn reserve_again(id: ReservationId, quantity: Quantity, hold: Hold) -> Result<Decision, InventoryError> {
        if hold.quantity != quantity {
            return Err(InventoryError::ReservationDiffers(id));
        }
        match hold.state.step(HoldCommand::Hold) {
            Step::Unchanged => Ok(unchanged(hold)),
            step => Err(refused(id, hold, step)),
        }
    }

    fn commit(
        &self,
        id: ReservationId,
        hold: Hold,
        even_if_expired: bool,
    ) -> Result<Decision, InventoryError> {
        let committed = ReservationState::Committed;
        match hold.state.step(HoldCommand::Confirm { even_if_expired }) {
            Step::Confirm => Ok(self.end(id, hold, committed, MovementKind::Committed, -1, -1)),
            Step::Unchanged => Ok(unchanged(hold)),
            Step::Retake => {
                let sale = hold.sale.filter(|sale| self.open_allotment(*sale).is_some());
                self.check_available(hold.quantity, sale)?;
                Ok(self.end(id, hold, committed, MovementKind::Committed, -1, 0))
            }
            step => Err(refused(id, hold, step)),
        }
    }

    fn release(
        &self,
        id: ReservationId,
        hold: Hold,
        even_if_committed: bool,
        has_expired: bool,
    ) -> Result<Decision, InventoryError> {
        let (expired, released) = (ReservationState::Expired, ReservationState::Released);
        match hold.state.step(HoldCommand::Release { even_if_confirmed: even_if_committed }) {
            Step::Release if has_expired => Ok(self.end(id, hold, expired, MovementKind::Expired, 0, -1)),
            Step::Release => Ok(self.end(id, hold, released, MovementKind::Released, 0, -1)),
            Step::TakeBack => Ok(self.end(id, hold, released, MovementKind::Released, 1, 0)),
            Step::Unchanged => Ok(unchanged(hold)),
            step => Err(refused(id, hold, step)),
        }
    }

    /// Ends a hold; the two signs say which figures its pieces leave (-1), enter (1) or do not touch (0).
    fn end(
        &self,
        id: ReservationId,
        hold: Hold,
        state: ReservationState,
        kind: MovementKind,
        on_hand: i64,
        reserved: i64,
    ) -> Decision {
        let pieces = hold.quantity.get();
        let allotment = hold.sale.map(|sale| {
            let is_open = self.open_allotment(sale).is_some();
            AllotmentChange::end(sale, pieces, hold.state, state, is_open)
        });
        let step = HoldStep::Ended { from: hold.state };
        let change = Change {
            kind,
            on_hand_delta: on_hand * pieces,
            reserved_delta: reserved * pieces,
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step, to: Hold { state, ..hold } }),
            allotment,
        };
        change.decided()
    }

    /// Refuses when there are fewer pieces than wanted, in the sale's allotment or in general stock.
    fn check_available(&self, wanted: Quantity, sale: Option<SaleId>) -> Result<(), InventoryError> {
        let Some(sale) = sale else {
            let available = self.stock.available();
            if available < wanted.get() {
                let (sku, requested) = (self.sku.clone(), wanted.get());
                return Err(InventoryError::OutOfStock { sku, requested, available });
            }
            return Ok(());
        };
        let Some(open) = self.open_allotment(sale) else {
            return Err(InventoryError::NotAllotted { sku: self.sku.clone(), sale });
        };
        if open.remaining() < wanted.get() {
            return Err(InventoryError::SoldOut {
                sku: self.sku.clone(),
                requested: wanted.get(),
                available: open.remaining(),
                held: open.held,
            });
        }
        Ok(())
    }

    fn check_version(&self, expected: Option<i64>) -> Result<(), InventoryError> {
        let actual = self.stock.version;
        match expected {
            Some(expected) if expected != actual => {
                Err(InventoryError::VersionDiffers { sku: self.sku.clone(), expected, actual })
            }
            _ => Ok(()),
        }
    }

    fn move_on_hand(
        &self,
        kind: MovementKind,
        delta: i64,
        reference: Option<String>,
        reason: Option<String>,
    ) -> Result<Decision, InventoryError> {
        let on_hand = self.stock.on_hand.saturating_add(delta);
        let reserved = self.stock.reserved + self.stock.allotted;
        if on_hand < reserved {
            return Err(InventoryError::BelowReserved { sku: self.sku.clone(), on_hand, reserved });
        }
        if on_hand > Stock::ON_HAND_MAX {
            return Err(InventoryError::TooMany { sku: self.sku.clone() });
        }
        let change = Change {
            kind,
            on_hand_delta: delta,
            reserved_delta: 0,
            reference,
            reason,
            hold: None,
            allotment: None,
        };
        Ok(change.decided())
    }

    /// The allotment of this sale, unless it has none or closed it.
    fn open_allotment(&self, sale: SaleId) -> Option<Allotment> {
        self.allotment.filter(|allotment| allotment.sale == sale)
    }

    fn allot(&self, sale: SaleId, pieces: Quantity) -> Result<Decision, InventoryError> {
        let pieces = pieces.get();
        match self.allotment {
            Some(open) if open.sale == sale && open.allotment == pieces => {
                Ok(Decision::Unchanged(Reply::Done))
            }
            Some(open) if open.sale == sale => Err(open.differs(&self.sku, pieces)),
            Some(open) => Err(InventoryError::AllottedElsewhere { sku: self.sku.clone(), sale: open.sale }),
            None => {
                self.check_allottable(pieces)?;
                Ok(self.move_allotted(MovementKind::Allotted, AllotmentChange::make(sale, pieces)))
            }
        }
    }

    fn resize_allotment(
        &self,
        sale: SaleId,
        pieces: Quantity,
        expected: Quantity,
    ) -> Result<Decision, InventoryError> {
        let Some(open) = self.open_allotment(sale) else {
            return Err(InventoryError::NotAllotted { sku: self.sku.clone(), sale });
        };
        if open.allotment == pieces.get() {
            return Ok(Decision::Unchanged(Reply::Done));
        }
        open.check_resize(&self.sku, pieces, expected)?;
        let delta = pieces.get() - open.allotment;
        self.check_allottable(delta)?;
        Ok(self.move_allotted(MovementKind::Allotted, AllotmentChange::resize(sale, delta)))
    }

    /// Refuses when general stock does not have as many pieces for a sale.
    fn check_allottable(&self, pieces: i64) -> Result<(), InventoryError> {
        let available = self.stock.available();
        if available < pieces {
            return Err(InventoryError::TooFewToAllot { sku: self.sku.clone(), pieces, available });
        }
        Ok(())
    }

    fn move_allotted(&self, kind: MovementKind, change: AllotmentChange) -> Decision {
        let change = Change {
            kind,
            on_hand_delta: 0,
            reserved_delta: 0,
            reference: None,
            reason: Some(format!("sale {}", change.sale)),
            hold: None,
            allotment: Some(change),
        };
        change.decided()
    }
}

/// Why a step is refused, of a reservation that is known.
fn refused(id: ReservationId, hold: Hold, step: Step) -> InventoryError {
    match step {
        Step::Refuse(HoldRefusal::Confirmed) => InventoryError::ReservationCommitted(id),
        _ => InventoryError::ReservationEnded { id, state: hold.state },
    }
}

/// The hold is in this state already.
fn unchanged(hold: Hold) -> Decision {
    Decision::Unchanged(Reply::Hold { hold, already: true })
}
