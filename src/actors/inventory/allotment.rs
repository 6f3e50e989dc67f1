//! What a sale has of a SKU: pieces that were set apart from general stock, and what became of them.
//!
//! At every moment `allotment = sold + held + returned + remaining`. While the allotment is open, what comes back from
//! its holds remains for the sale; once it is closed, whatever comes back is returned to general stock.

use super::error::InventoryError;
use super::model::ReservationState;
use crate::types::{Quantity, SaleId, Sku};

/// The figures of one sale's part of one SKU, in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allotment {
    pub sale: SaleId,
    /// All that the sale got.
    pub allotment: i64,
    /// In live reservations.
    pub held: i64,
    /// In committed reservations.
    pub sold: i64,
    /// Given back to general stock.
    pub returned: i64,
    /// Counts pieces that were held or sold and came back.
    pub lapsed: i64,
    /// In reservations that expired.
    pub expired: i64,
    pub is_closed: bool,
}

/// How much is left of so many pieces, as roughly as people are told: `many`, `few` (less than a fifth), `held` (others hold
/// the last ones and may let them go) or `none`.
pub const fn left(allotment: i64, remaining: i64, held: i64) -> &'static str {
    match (remaining, held) {
        (0, 0) => "none",
        (0, _) => "held",
        (remaining, _) if remaining.saturating_mul(5) < allotment => "few",
        _ => "many",
    }
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

    /// How much is left of it; what comes back to a closed one is for general stock.
    pub const fn left(&self) -> &'static str {
        left(self.allotment, self.remaining(), if self.is_closed { 0 } else { self.held })
    }

    /// Whether it may become so many pieces, from as many as are expected. Refuses with `AllotmentDiffers` or `BelowPromised`.
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

    /// The same after a change of it.
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
    /// It begins with this change.
    pub makes: bool,
    /// It ends with this change.
    pub closes: bool,
    pub allotment: i64,
    pub held: i64,
    pub sold: i64,
    pub returned: i64,
    pub lapsed: i64,
    pub expired: i64,
}

impl AllotmentChange {
    const fn nothing(sale: SaleId) -> Self {
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
        Self { makes: true, allotment: pieces, ..Self::nothing(sale) }
    }

    pub(super) const fn resize(sale: SaleId, delta: i64) -> Self {
        Self { allotment: delta, ..Self::nothing(sale) }
    }

    pub(super) const fn close(sale: SaleId, remaining: i64) -> Self {
        Self { closes: true, returned: remaining, ..Self::nothing(sale) }
    }

    pub(super) const fn hold(sale: SaleId, pieces: i64) -> Self {
        Self { held: pieces, ..Self::nothing(sale) }
    }

    /// Pieces of a hold go from one state to another; of an allotment that is open or closed by now.
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
        // Paid after it had lapsed, and the sale has given its part back: it gets these pieces from general stock.
        if to == Committed && from != Held && !is_open {
            return Self { allotment: pieces, sold, expired, ..Self::nothing(sale) };
        }
        let lapsed = if to == Committed { 0 } else { pieces };
        // Neither held nor sold: it remains for the sale, or has gone back to general stock.
        let free = -(leaves(Held) + sold);
        let returned = if is_open { 0 } else { free };
        Self { held: leaves(Held), sold, returned, lapsed, expired, ..Self::nothing(sale) }
    }

    /// Both changes together.
    pub(super) const fn plus(mut self, other: &Self) -> Self {
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
    pub(super) const fn allotted_delta(&self) -> i64 {
        self.allotment - self.held - self.sold - self.returned
    }
}

#[cfg(test)]
mod tests {
    use ReservationState::{Committed, Expired, Held, Released};

    use super::*;

    #[test]
    fn pieces_that_come_back_remain_for_an_open_sale_and_leave_a_closed_one() {
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
