//! Rules of allotments: pieces of a SKU that were set apart from general stock for a sale, and what became of them.
//!
//! At every moment `allotment = sold + held + returned + remaining`. While the allotment is open, what comes back from
//! its holds remains for the sale; once it is closed, what comes back is returned to general stock.

use serde::{Deserialize, Serialize};

use super::reservation::ReservationState;
use crate::actors::inventory::InventoryError;
use crate::types::{PiecesLeft, Quantity, SaleId, Sku};

/// The figures of a sale's allotment of one SKU, in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotment {
    pub sale: SaleId,
    /// All that the sale got.
    pub allotment: i64,
    /// In reservations that are held.
    pub held: i64,
    /// In reservations that are committed.
    pub sold: i64,
    /// Given back to general stock.
    pub returned: i64,
    /// Counts pieces that were held or sold and came back.
    pub lapsed: i64,
    /// In reservations that expired.
    pub expired: i64,
    pub is_closed: bool,
}

impl Allotment {
    pub const fn of(sale: SaleId, pieces: i64) -> Self {
        Self {
            sale,
            allotment: pieces,
            held: 0,
            sold: 0,
            returned: 0,
            lapsed: 0,
            expired: 0,
            is_closed: false,
        }
    }

    /// Pieces that can still be promised to buyers of the sale.
    pub const fn remaining(&self) -> i64 {
        self.allotment - self.held - self.sold - self.returned
    }

    /// Pieces that come back to a closed allotment are for general stock.
    pub const fn left(&self) -> PiecesLeft {
        PiecesLeft::of(self.allotment, self.remaining(), if self.is_closed { 0 } else { self.held })
    }

    /// Whether the allotment may become this large. Refuses with `AllotmentDiffers` unless it is as large as expected,
    /// and with `BelowPromised` when more pieces are held or sold.
    pub fn check_resize(
        &self,
        sku: &Sku,
        pieces: Quantity,
        expected: Quantity,
    ) -> Result<(), InventoryError> {
        if self.allotment != expected.get() {
            return Err(self.differs(sku, expected.get()));
        }
        let (pieces, promised) = (pieces.get(), self.held + self.sold);
        if pieces < promised {
            return Err(InventoryError::BelowPromised { sku: sku.clone(), pieces, promised });
        }
        Ok(())
    }

    pub(super) fn differs(&self, sku: &Sku, expected: i64) -> InventoryError {
        InventoryError::AllotmentDiffers { sku: sku.clone(), expected, actual: self.allotment }
    }

    /// The figures after a change.
    #[must_use]
    pub const fn after(mut self, change: &AllotmentChange) -> Self {
        self.allotment += change.allotment;
        self.held += change.held;
        self.sold += change.sold;
        self.returned += change.returned;
        self.lapsed += change.lapsed;
        self.expired += change.expired;
        self.is_closed |= change.closes;
        self
    }
}

/// What a decision adds to the figures of an allotment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllotmentChange {
    pub sale: SaleId,
    /// The change makes the allotment.
    pub makes: bool,
    /// The change closes the allotment.
    pub closes: bool,
    pub allotment: i64,
    pub held: i64,
    pub sold: i64,
    pub returned: i64,
    pub lapsed: i64,
    pub expired: i64,
}

impl AllotmentChange {
    const fn none(sale: SaleId) -> Self {
        Self {
            sale,
            makes: false,
            closes: false,
            allotment: 0,
            held: 0,
            sold: 0,
            returned: 0,
            lapsed: 0,
            expired: 0,
        }
    }

    pub(super) const fn make(sale: SaleId, pieces: i64) -> Self {
        Self { makes: true, allotment: pieces, ..Self::none(sale) }
    }

    pub(super) const fn resize(sale: SaleId, delta: i64) -> Self {
        Self { allotment: delta, ..Self::none(sale) }
    }

    pub(super) const fn close(sale: SaleId, remaining: i64) -> Self {
        Self { closes: true, returned: remaining, ..Self::none(sale) }
    }

    pub(super) const fn hold(sale: SaleId, pieces: i64) -> Self {
        Self { held: pieces, ..Self::none(sale) }
    }

    /// Pieces of a hold go from one state to another, while the allotment is open or after it was closed.
    pub(super) fn end(
        sale: SaleId,
        pieces: i64,
        from: ReservationState,
        to: ReservationState,
        is_open: bool,
    ) -> Self {
        use ReservationState::{Committed, Expired, Held};
        let leaves = |state| if from == state { -pieces } else { 0 };
        let moves = |state| if to == state { pieces } else { leaves(state) };
        let (sold, expired) = (moves(Committed), moves(Expired));
        // Committed after it had expired and after the allotment was closed: the pieces come from general stock.
        if to == Committed && from != Held && !is_open {
            return Self { allotment: pieces, sold, expired, ..Self::none(sale) };
        }
        let lapsed = if to == Committed { 0 } else { pieces };
        // Pieces that are neither held nor sold remain for the sale, or go back to general stock.
        let free = -(leaves(Held) + sold);
        let returned = if is_open { 0 } else { free };
        Self { held: leaves(Held), sold, returned, lapsed, expired, ..Self::none(sale) }
    }

    /// Both changes together.
    pub(in crate::actors::inventory) const fn plus(mut self, other: &Self) -> Self {
        self.allotment += other.allotment;
        self.held += other.held;
        self.sold += other.sold;
        self.returned += other.returned;
        self.lapsed += other.lapsed;
        self.expired += other.expired;
        self.closes |= other.closes;
        self
    }

    /// What the change adds to the pieces that are set apart and not promised.
    pub const fn allotted_delta(&self) -> i64 {
        self.allotment - self.held - self.sold - self.returned
    }
}

#[cfg(test)]
mod tests {
    use ReservationState::{Committed, Expired, Held, Released};

    use super::*;

    #[test]
    fn returned_pieces_remain_in_an_open_allotment_and_leave_a_closed_one() {
        let sale = SaleId::generate();
        for (from, to, held, sold, expired, free) in [
            (Held, Committed, -3, 3, 0, 0),
            (Held, Released, -3, 0, 0, 3),
            (Held, Expired, -3, 0, 3, 3),
            (Committed, Released, 0, -3, 0, 3),
            (Expired, Committed, 0, 3, -3, -3),
        ] {
            let open = AllotmentChange::end(sale, 3, from, to, true);
            assert_eq!((open.held, open.sold, open.returned, open.allotted_delta()), (held, sold, 0, free));
            let closed = AllotmentChange::end(sale, 3, from, to, false);
            let returned = if from == Expired { 0 } else { free };
            assert_eq!(
                (closed.held, closed.sold, closed.returned),
                (held, sold, returned),
                "{from:?} {to:?}"
            );
            assert_eq!((open.expired, closed.expired), (expired, expired), "{from:?} {to:?}");
            assert_eq!(closed.allotted_delta(), 0);
            assert_eq!(closed.allotment, if from == Expired { 3 } else { 0 });
        }
    }
}
