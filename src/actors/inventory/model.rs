//! The rules of stock: what each command does to each state of a reservation, decided without waiting for anything.
//!
//! | command ↓ state → | none | held | committed | released | expired |
//! |---|---|---|---|---|---|
//! | reserve | **held** | the same answer | the same answer | ended | ended |
//! | commit | unknown | **committed** | the same answer | ended | ended, or **committed** anew when asked for |
//! | release | unknown | **released** | refused, or **released** when asked for: back on hand | the same answer | the same answer |
//! | expire | nothing | **expired** once due | nothing | nothing | nothing |
//!
//! A reserve with other pieces than the first one is refused in every state.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::allotment::{Allotment, AllotmentChange};
use super::error::InventoryError;
use crate::types::{Quantity, ReservationId, SaleId, Sku};

/// The figures of one SKU. `version` counts the movements that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

    /// Pieces that can still be promised to anybody.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved - self.allotted
    }
}

/// The figures of one SKU, and of the sale that has a part of it at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub stock: Stock,
    pub allotment: Option<Allotment>,
}

/// Whose allotment the pieces of a reservation come from, and whom they count for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleClaim {
    pub sale: SaleId,
    /// Words without spaces, one space between them.
    pub claimants: Arc<str>,
}

/// A line of a reservation, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRecord {
    pub sku: Sku,
    pub hold: Hold,
    pub made_at: Timestamp,
    /// When it was sold, given back or had lapsed.
    pub ended_at: Option<Timestamp>,
    /// Whom the pieces of a sale count for.
    pub claimants: Vec<String>,
}

/// A line of a live reservation of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub reservation: ReservationId,
    pub line: Line,
    /// Not sold yet.
    pub is_held: bool,
    pub claimants: Vec<String>,
}

/// Orders of a sale that have pieces which are not sold yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenHolds {
    pub orders: i64,
    /// When the last of them lapses; nothing when there is none.
    pub until: Option<Timestamp>,
}

/// What a reservation was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An order with the same id; orders sweeps those whose order never came to be.
    Order,
    /// A hold made by staff; it lapses by its own time only.
    Staff,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Order => "order",
            Purpose::Staff => "staff",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Order, Self::Staff].into_iter().find(|purpose| purpose.as_str() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    Held,
    Committed,
    Released,
    Expired,
}

impl ReservationState {
    pub const ALL: [Self; 4] = [Self::Held, Self::Committed, Self::Released, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Pieces of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub sku: Sku,
    pub quantity: Quantity,
}

/// Pieces set aside under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub lines: Vec<Line>,
    pub state: ReservationState,
    pub expires_at: Timestamp,
}

/// One SKU's part of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub quantity: Quantity,
    pub state: ReservationState,
    pub expires_at: Timestamp,
    /// Whose allotment the pieces came from; nothing: from general stock.
    pub sale: Option<SaleId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementKind {
    Received,
    Reserved,
    Released,
    Expired,
    Committed,
    Adjusted,
    /// Set apart for a sale, or fewer of them.
    Allotted,
    /// Given back by a sale.
    Returned,
}

impl MovementKind {
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Reserved,
        Self::Released,
        Self::Expired,
        Self::Committed,
        Self::Adjusted,
        Self::Allotted,
        Self::Returned,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Committed => "committed",
            Self::Adjusted => "adjusted",
            Self::Allotted => "allotted",
            Self::Returned => "returned",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What one SKU's actor can be told.
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
    /// Gives a sale more or fewer of them.
    Reallot {
        sale: SaleId,
        pieces: Quantity,
        expected: Quantity,
    },
    /// Gives what remains of them back to general stock.
    CloseAllotment {
        sale: SaleId,
    },
}

impl Command {
    /// The reservation that it is about.
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Command::Reserve { id, .. }
            | Command::Commit { id, .. }
            | Command::Release { id, .. }
            | Command::Expire { id, .. } => Some(*id),
            Command::Receive { .. }
            | Command::Adjust { .. }
            | Command::Allot { .. }
            | Command::Reallot { .. }
            | Command::CloseAllotment { .. } => None,
        }
    }
}

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

/// What became of a command.
#[derive(Debug)]
pub enum Decision {
    /// Carry this out.
    Change(Change),
    /// It is so already.
    Already(Hold),
    /// Nothing is to be done, and there is nothing to show.
    Nothing,
    /// The reservation is not remembered; ask the database and decide with what it says.
    Recall(ReservationId),
}

/// What the asker found in the database about a reservation that the actor does not remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    NotAsked,
    Absent,
    Found(Hold),
}

/// Ended holds are remembered for longer than any look into the database can take, so that what was recalled before
/// a change can never be decided upon after it.
const REMEMBER_ENDED_FOR: Duration = Duration::from_secs(20);

/// One SKU as its actor sees it: decisions included that are still on their way to the database.
#[derive(Debug)]
pub struct SkuStock {
    sku: Sku,
    stock: Stock,
    /// The sale that has a part of it at the moment.
    allotment: Option<Allotment>,
    holds: HashMap<ReservationId, Remembered>,
    ended: VecDeque<(Instant, ReservationId)>,
}

#[derive(Debug, Clone, Copy)]
struct Remembered {
    hold: Hold,
    /// Since when it may be forgotten; nothing while it is held.
    ended: Option<Instant>,
}

impl SkuStock {
    /// Holds are not loaded (a hot SKU may have a million): each is recalled when somebody asks about it.
    pub fn new(sku: Sku, Figures { stock, allotment }: Figures) -> Self {
        Self { sku, stock, allotment, holds: HashMap::new(), ended: VecDeque::new() }
    }

    pub fn stock(&self) -> Stock {
        self.stock
    }

    pub fn figures(&self) -> Figures {
        Figures { stock: self.stock, allotment: self.allotment }
    }

    /// Decides without changing anything.
    pub fn decide(&self, command: &Command, recalled: Recalled) -> Result<Decision, InventoryError> {
        let known = command.reservation().and_then(|id| self.holds.get(&id)).map(|known| known.hold);
        match command {
            Command::Reserve { id, quantity, lines, purpose, expires_at, sale, id_is_new } => {
                let known = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => Some(hold),
                    (None, Recalled::NotAsked) if !id_is_new => return Ok(Decision::Recall(*id)),
                    (None, _) => None,
                };
                match known {
                    None => {
                        let made = HoldStep::Made {
                            lines: *lines,
                            purpose: *purpose,
                            claimants: sale.as_ref().map(|claim| claim.claimants.clone()),
                        };
                        self.reserve(*id, *quantity, *expires_at, sale.as_ref().map(|claim| claim.sale), made)
                    }
                    Some(hold) if hold.quantity != *quantity => Err(InventoryError::ReservationDiffers(*id)),
                    Some(hold) => match hold.state {
                        ReservationState::Held | ReservationState::Committed => Ok(Decision::Already(hold)),
                        state => Err(InventoryError::ReservationEnded { id: *id, state }),
                    },
                }
            }
            Command::Expire { id, now } => match (known, recalled) {
                (None, Recalled::NotAsked) => Ok(Decision::Recall(*id)),
                (Some(hold), _) | (None, Recalled::Found(hold))
                    if hold.state == ReservationState::Held && hold.expires_at <= *now =>
                {
                    Ok(self.end(*id, hold, ReservationState::Expired, MovementKind::Expired, 0, -1))
                }
                _ => Ok(Decision::Nothing),
            },
            Command::Commit { id, even_if_expired } => {
                let hold = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => hold,
                    (None, Recalled::NotAsked) => return Ok(Decision::Recall(*id)),
                    (None, Recalled::Absent) => return Err(InventoryError::UnknownReservation(*id)),
                };
                let committed = ReservationState::Committed;
                match hold.state {
                    ReservationState::Held => {
                        Ok(self.end(*id, hold, committed, MovementKind::Committed, -1, -1))
                    }
                    ReservationState::Committed => Ok(Decision::Already(hold)),
                    ReservationState::Expired if *even_if_expired => {
                        let sale = hold.sale.filter(|sale| self.open_allotment(*sale).is_some());
                        self.find_pieces(hold.quantity, sale)?;
                        Ok(self.end(*id, hold, committed, MovementKind::Committed, -1, 0))
                    }
                    state => Err(InventoryError::ReservationEnded { id: *id, state }),
                }
            }
            Command::Release { id, even_if_committed, has_expired } => {
                let hold = match (known, recalled) {
                    (Some(hold), _) | (None, Recalled::Found(hold)) => hold,
                    (None, Recalled::NotAsked) => return Ok(Decision::Recall(*id)),
                    (None, Recalled::Absent) => return Err(InventoryError::UnknownReservation(*id)),
                };
                let (state, kind) = match hold.state {
                    ReservationState::Held if *has_expired => {
                        (ReservationState::Expired, MovementKind::Expired)
                    }
                    _ => (ReservationState::Released, MovementKind::Released),
                };
                match hold.state {
                    ReservationState::Held => Ok(self.end(*id, hold, state, kind, 0, -1)),
                    ReservationState::Committed if *even_if_committed => {
                        Ok(self.end(*id, hold, state, kind, 1, 0))
                    }
                    ReservationState::Committed => Err(InventoryError::ReservationCommitted(*id)),
                    ReservationState::Released | ReservationState::Expired => Ok(Decision::Already(hold)),
                }
            }
            Command::Receive { quantity, reference } => {
                self.move_on_hand(MovementKind::Received, quantity.get(), Some(reference.clone()), None)
            }
            Command::Adjust { delta, reason, reference, expected_version } => {
                if let Some(expected) = *expected_version
                    && expected != self.stock.version
                {
                    let actual = self.stock.version;
                    return Err(InventoryError::VersionDiffers { sku: self.sku.clone(), expected, actual });
                }
                self.move_on_hand(
                    MovementKind::Adjusted,
                    *delta,
                    Some(reference.clone()),
                    Some(reason.clone()),
                )
            }
            Command::Allot { sale, pieces } => self.allot(*sale, *pieces),
            Command::Reallot { sale, pieces, expected } => self.reallot(*sale, *pieces, *expected),
            Command::CloseAllotment { sale } => Ok(match self.open_allotment(*sale) {
                Some(open) => self
                    .move_allotted(MovementKind::Returned, AllotmentChange::close(*sale, open.remaining())),
                None => Decision::Nothing,
            }),
        }
    }

    /// The part of this sale, unless it has none or gave it back.
    fn open_allotment(&self, sale: SaleId) -> Option<Allotment> {
        self.allotment.filter(|allotment| allotment.sale == sale)
    }

    fn allot(&self, sale: SaleId, pieces: Quantity) -> Result<Decision, InventoryError> {
        let pieces = pieces.get();
        match self.allotment {
            Some(open) if open.sale == sale && open.allotment == pieces => Ok(Decision::Nothing),
            Some(open) if open.sale == sale => Err(open.differs(&self.sku, pieces)),
            Some(open) => Err(InventoryError::AllottedElsewhere { sku: self.sku.clone(), sale: open.sale }),
            None => {
                self.find_for_allotment(pieces)?;
                Ok(self.move_allotted(MovementKind::Allotted, AllotmentChange::make(sale, pieces)))
            }
        }
    }

    fn reallot(
        &self,
        sale: SaleId,
        pieces: Quantity,
        expected: Quantity,
    ) -> Result<Decision, InventoryError> {
        let Some(open) = self.open_allotment(sale) else {
            return Err(InventoryError::NotAllotted { sku: self.sku.clone(), sale });
        };
        if open.allotment == pieces.get() {
            return Ok(Decision::Nothing);
        }
        open.check_resize(&self.sku, pieces, expected)?;
        let delta = pieces.get() - open.allotment;
        self.find_for_allotment(delta)?;
        Ok(self.move_allotted(MovementKind::Allotted, AllotmentChange::resize(sale, delta)))
    }

    /// Refuses when general stock does not have as many pieces for a sale.
    fn find_for_allotment(&self, pieces: i64) -> Result<(), InventoryError> {
        let available = self.stock.available();
        if available < pieces {
            return Err(InventoryError::TooFewToAllot { sku: self.sku.clone(), pieces, available });
        }
        Ok(())
    }

    fn move_allotted(&self, kind: MovementKind, change: AllotmentChange) -> Decision {
        Decision::Change(Change {
            kind,
            on_hand_delta: 0,
            reserved_delta: 0,
            reference: None,
            reason: Some(format!("sale {}", change.sale)),
            hold: None,
            allotment: Some(change),
        })
    }

    /// Refuses when there are fewer pieces, of the sale's part or of what anybody can have.
    fn find_pieces(&self, wanted: Quantity, sale: Option<SaleId>) -> Result<(), InventoryError> {
        let Some(sale) = sale else {
            if self.stock.available() < wanted.get() {
                return Err(self.out_of_stock(wanted));
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

    /// Carries a decided change out in memory.
    pub fn apply(&mut self, change: &Change, now: Instant) {
        self.stock.on_hand += change.on_hand_delta;
        self.stock.reserved += change.reserved_delta;
        self.stock.allotted += change.allotted_delta();
        self.stock.version += 1;
        if let Some(allotment) = change.allotment {
            self.allotment = match self.allotment {
                _ if allotment.makes => Some(Allotment::of(allotment.sale, allotment.allotment)),
                // The hold of a sale that has given its part back changes nothing of another one's.
                Some(open) if open.sale == allotment.sale => {
                    Some(open.after(&allotment)).filter(|open| !open.is_closed)
                }
                other => other,
            };
        }
        if let Some(HoldChange { id, to, .. }) = change.hold {
            let ended = (to.state != ReservationState::Held).then_some(now);
            self.holds.insert(id, Remembered { hold: to, ended });
            self.ended.extend(ended.map(|since| (since, id)));
        }
        self.forget_ended(now);
    }

    fn forget_ended(&mut self, now: Instant) {
        while let Some((since, id)) = self.ended.front().copied()
            && now.duration_since(since) > REMEMBER_ENDED_FOR
        {
            self.ended.pop_front();
            // One that ended once more since then has a younger entry, which will forget it.
            if self.holds.get(&id).is_some_and(|known| known.ended == Some(since)) {
                self.holds.remove(&id);
            }
        }
    }

    fn reserve(
        &self,
        id: ReservationId,
        quantity: Quantity,
        expires_at: Timestamp,
        sale: Option<SaleId>,
        made: HoldStep,
    ) -> Result<Decision, InventoryError> {
        self.find_pieces(quantity, sale)?;
        let to = Hold { quantity, state: ReservationState::Held, expires_at, sale };
        Ok(Decision::Change(Change {
            kind: MovementKind::Reserved,
            on_hand_delta: 0,
            reserved_delta: quantity.get(),
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step: made, to }),
            allotment: sale.map(|sale| AllotmentChange::hold(sale, quantity.get())),
        }))
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
        let to = Hold { state, ..hold };
        let allotment = hold.sale.map(|sale| {
            let is_open = self.open_allotment(sale).is_some();
            AllotmentChange::end(sale, pieces, hold.state, state, is_open)
        });
        Decision::Change(Change {
            kind,
            on_hand_delta: on_hand * pieces,
            reserved_delta: reserved * pieces,
            reference: None,
            reason: None,
            hold: Some(HoldChange { id, step: HoldStep::Ended { from: hold.state }, to }),
            allotment,
        })
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
        Ok(Decision::Change(Change {
            kind,
            on_hand_delta: delta,
            reserved_delta: 0,
            reference,
            reason,
            hold: None,
            allotment: None,
        }))
    }

    fn out_of_stock(&self, requested: Quantity) -> InventoryError {
        InventoryError::OutOfStock {
            sku: self.sku.clone(),
            requested: requested.get(),
            available: self.stock.available(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LATER: i64 = 4_000_000_000;

    fn lamp(on_hand: i64) -> SkuStock {
        let stock = Stock { on_hand, ..Stock::default() };
        SkuStock::new("LAMP".parse().unwrap(), Figures { stock, allotment: None })
    }

    fn id(number: u128) -> ReservationId {
        ReservationId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn reserve(number: u128, pieces: i64) -> Command {
        Command::Reserve {
            id: id(number),
            quantity: Quantity::new(pieces).unwrap(),
            lines: 1,
            purpose: Purpose::Order,
            expires_at: Timestamp::from_second(LATER).unwrap(),
            sale: None,
            id_is_new: false,
        }
    }

    fn sale(number: u128) -> SaleId {
        SaleId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn for_sale(number: u128, pieces: i64, of: u128) -> Command {
        let mut command = reserve(number, pieces);
        if let Command::Reserve { sale: claim, .. } = &mut command {
            *claim = Some(SaleClaim { sale: sale(of), claimants: "customer:1".into() });
        }
        command
    }

    fn allot(number: u128, pieces: i64) -> Command {
        Command::Allot { sale: sale(number), pieces: Quantity::new(pieces).unwrap() }
    }

    fn reallot(number: u128, pieces: i64, expected: i64) -> Command {
        let (pieces, expected) = (Quantity::new(pieces).unwrap(), Quantity::new(expected).unwrap());
        Command::Reallot { sale: sale(number), pieces, expected }
    }

    #[test]
    fn the_part_of_a_sale_is_for_its_buyers_alone_and_never_below_what_they_were_promised() {
        use crate::error::Fault as _;
        let mut stock = lamp(10);
        let mut code = |command: &Command| match tell(&mut stock, command) {
            Ok(Decision::Change(_)) => "done",
            Ok(_) => "unchanged",
            Err(refusal) => refusal.code(),
        };
        for (command, expected) in [
            (for_sale(1, 1, 1), "not-allotted"),
            (allot(1, 11), "too-few-to-allot"),
            (allot(1, 8), "done"),
            (allot(1, 8), "unchanged"),
            (allot(1, 7), "allotment-differs"),
            (allot(2, 1), "allotted-elsewhere"),
            // Two pieces are left in general stock.
            (reserve(2, 3), "out-of-stock"),
            (reserve(2, 2), "done"),
            (for_sale(3, 9, 1), "sold-out"),
            (for_sale(3, 8, 1), "done"),
            (for_sale(4, 1, 1), "sold-out"),
            (reallot(1, 7, 8), "below-promised"),
            (reallot(1, 9, 8), "too-few-to-allot"),
            (release(3, false), "done"),
            (reallot(1, 7, 9), "allotment-differs"),
            (reallot(1, 7, 8), "done"),
            (reallot(1, 7, 8), "unchanged"),
            (for_sale(5, 4, 1), "done"),
            (Command::CloseAllotment { sale: sale(1) }, "done"),
            (Command::CloseAllotment { sale: sale(1) }, "unchanged"),
            (for_sale(6, 1, 1), "not-allotted"),
            // What was held for the closed sale goes back to everybody.
            (reserve(7, 5), "out-of-stock"),
            (release(5, false), "done"),
            (reserve(7, 8), "done"),
        ] {
            assert_eq!(code(&command), expected, "{command:?}");
        }
        assert_eq!(stock.stock().available(), 0);
    }

    fn commit(number: u128, even_if_expired: bool) -> Command {
        Command::Commit { id: id(number), even_if_expired }
    }

    fn release(number: u128, even_if_committed: bool) -> Command {
        Command::Release { id: id(number), even_if_committed, has_expired: false }
    }

    fn give_up(number: u128) -> Command {
        Command::Release { id: id(number), even_if_committed: true, has_expired: true }
    }

    fn expire(number: u128, second: i64) -> Command {
        Command::Expire { id: id(number), now: Timestamp::from_second(second).unwrap() }
    }

    /// Decides and carries out, with an empty database to recall from.
    fn tell(stock: &mut SkuStock, command: &Command) -> Result<Decision, InventoryError> {
        let decision = stock.decide(command, Recalled::Absent)?;
        if let Decision::Change(change) = &decision {
            stock.apply(change, Instant::now());
        }
        Ok(decision)
    }

    /// A stock of 10 pieces with one reservation of 3 pieces in the given state.
    fn with_reservation(state: Option<ReservationState>) -> SkuStock {
        let mut stock = lamp(10);
        if state.is_some() {
            tell(&mut stock, &reserve(1, 3)).unwrap();
        }
        match state {
            None | Some(ReservationState::Held) => {}
            Some(ReservationState::Committed) => drop(tell(&mut stock, &commit(1, false)).unwrap()),
            Some(ReservationState::Released) => drop(tell(&mut stock, &release(1, false)).unwrap()),
            Some(ReservationState::Expired) => drop(tell(&mut stock, &expire(1, LATER)).unwrap()),
        }
        stock
    }

    /// What a command comes to: on hand and reserved after it, or the code of the refusal.
    type Outcome = Result<(i64, i64), &'static str>;

    fn outcome(state: Option<ReservationState>, command: &Command) -> Outcome {
        use crate::error::Fault as _;
        let mut stock = with_reservation(state);
        let before = stock.stock();
        match tell(&mut stock, command) {
            Ok(Decision::Change(_)) => Ok((stock.stock().on_hand, stock.stock().reserved)),
            Ok(_) => {
                assert_eq!(stock.stock(), before);
                Err("unchanged")
            }
            Err(refusal) => {
                assert_eq!(stock.stock(), before);
                Err(refusal.code())
            }
        }
    }

    #[test]
    fn every_state_meets_every_command_as_the_table_says() {
        use ReservationState::*;
        let states = [None, Some(Held), Some(Committed), Some(Released), Some(Expired)];
        let table: [(Command, [Outcome; 5]); 8] = [
            (
                reserve(1, 3),
                [
                    Ok((10, 3)),
                    Err("unchanged"),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Err("reservation-ended"),
                ],
            ),
            (
                reserve(1, 4),
                [
                    Ok((10, 4)),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                    Err("reservation-differs"),
                ],
            ),
            (
                commit(1, false),
                [
                    Err("unknown-reservation"),
                    Ok((7, 0)),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Err("reservation-ended"),
                ],
            ),
            (
                commit(1, true),
                [
                    Err("unknown-reservation"),
                    Ok((7, 0)),
                    Err("unchanged"),
                    Err("reservation-ended"),
                    Ok((7, 0)),
                ],
            ),
            (
                release(1, false),
                [
                    Err("unknown-reservation"),
                    Ok((10, 0)),
                    Err("reservation-committed"),
                    Err("unchanged"),
                    Err("unchanged"),
                ],
            ),
            (
                release(1, true),
                [Err("unknown-reservation"), Ok((10, 0)), Ok((10, 0)), Err("unchanged"), Err("unchanged")],
            ),
            (
                expire(1, LATER),
                [Err("unchanged"), Ok((10, 0)), Err("unchanged"), Err("unchanged"), Err("unchanged")],
            ),
            (
                expire(1, LATER - 1),
                [Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged"), Err("unchanged")],
            ),
        ];
        for (command, expected) in table {
            for (state, expected) in states.into_iter().zip(expected) {
                assert_eq!(outcome(state, &command), expected, "{command:?} when {state:?}");
            }
        }
    }

    #[test]
    fn what_is_not_remembered_is_recalled_before_it_is_decided() {
        let stock = lamp(10);
        for command in [reserve(1, 3), commit(1, false), release(1, false), expire(1, LATER)] {
            let decision = stock.decide(&command, Recalled::NotAsked).unwrap();
            assert!(matches!(decision, Decision::Recall(recalled) if recalled == id(1)), "{command:?}");
        }
    }

    #[test]
    fn what_is_remembered_wins_over_what_was_recalled_earlier() {
        let mut stock = with_reservation(Some(ReservationState::Committed));
        let quantity = Quantity::new(3).unwrap();
        let expires_at = Timestamp::from_second(LATER).unwrap();
        let committed =
            Recalled::Found(Hold { quantity, state: ReservationState::Committed, expires_at, sale: None });
        for returned in [true, false] {
            let decision = stock.decide(&release(1, true), committed).unwrap();
            assert_eq!(matches!(decision, Decision::Change(_)), returned, "pieces come back once");
            if let Decision::Change(change) = decision {
                stock.apply(&change, Instant::now());
            }
        }
        assert_eq!(stock.stock().on_hand, 10);
    }

    #[test]
    fn an_adjustment_never_goes_below_what_is_promised() {
        let mut stock = with_reservation(Some(ReservationState::Held));
        let adjust = |delta, expected_version| Command::Adjust {
            delta,
            reason: "count".to_owned(),
            reference: "1".to_owned(),
            expected_version,
        };
        assert!(matches!(tell(&mut stock, &adjust(-8, None)), Err(InventoryError::BelowReserved { .. })));
        assert!(matches!(
            tell(&mut stock, &adjust(-7, Some(0))),
            Err(InventoryError::VersionDiffers { actual: 1, .. })
        ));
        tell(&mut stock, &adjust(-7, Some(1))).unwrap();
        assert_eq!(stock.stock(), Stock { on_hand: 3, reserved: 3, allotted: 0, version: 2 });
        assert!(matches!(tell(&mut stock, &adjust(i64::MAX, None)), Err(InventoryError::TooMany { .. })));
    }

    #[test]
    fn ended_holds_are_forgotten_in_time() {
        let mut stock = with_reservation(Some(ReservationState::Released));
        let later = Instant::now() + REMEMBER_ENDED_FOR + Duration::from_secs(1);
        let Decision::Change(change) = stock.decide(&reserve(2, 1), Recalled::Absent).unwrap() else {
            panic!()
        };
        stock.apply(&change, later);
        assert_eq!(stock.holds.len(), 1);
        assert!(stock.ended.is_empty());
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let ids = 0..6u128;
        prop_oneof![
            (ids.clone(), 1..5i64).prop_map(|(number, pieces)| reserve(number, pieces)),
            (ids.clone(), any::<bool>()).prop_map(|(number, ended)| commit(number, ended)),
            (ids.clone(), any::<bool>()).prop_map(|(number, committed)| release(number, committed)),
            ids.clone().prop_map(give_up),
            (ids.clone(), LATER - 1..LATER + 1).prop_map(|(number, second)| expire(number, second)),
            (ids.clone(), 1..5i64, 1..3u128)
                .prop_map(|(number, pieces, sale)| for_sale(number, pieces, sale)),
            (1..3u128, 1..9i64).prop_map(|(number, pieces)| Command::Allot {
                sale: sale(number),
                pieces: Quantity::new(pieces).unwrap()
            }),
            (1..3u128, 1..9i64, 1..9i64).prop_map(|(number, pieces, expected)| Command::Reallot {
                sale: sale(number),
                pieces: Quantity::new(pieces).unwrap(),
                expected: Quantity::new(expected).unwrap(),
            }),
            (1..3u128).prop_map(|number| Command::CloseAllotment { sale: sale(number) }),
            (1..10i64).prop_map(|pieces| Command::Receive {
                quantity: Quantity::new(pieces).unwrap(),
                reference: String::new()
            }),
            (-10..10i64).prop_map(|delta| Command::Adjust {
                delta,
                reason: String::new(),
                reference: String::new(),
                expected_version: None
            }),
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_commands_makes_stock_negative_or_promises_a_piece_twice(
            commands in prop::collection::vec(any_command(), 1..200)
        ) {
            let mut stock = lamp(7);
            let mut ledger = Stock { on_hand: 7, ..Stock::default() };
            let mut parts: HashMap<SaleId, Allotment> = HashMap::new();
            for command in &commands {
                // A part that was closed is never made again: the database has it once.
                if let Command::Allot { sale, .. } = command
                    && parts.get(sale).is_some_and(|part| part.is_closed)
                {
                    continue;
                }
                if let Ok(Decision::Change(change)) = tell(&mut stock, command) {
                    ledger.on_hand += change.on_hand_delta;
                    ledger.reserved += change.reserved_delta;
                    ledger.allotted += change.allotted_delta();
                    ledger.version += 1;
                    if let Some(moved) = change.allotment {
                        match parts.get_mut(&moved.sale) {
                            Some(part) => *part = part.after(&moved),
                            None => drop(parts.insert(moved.sale, Allotment::of(moved.sale, moved.allotment))),
                        }
                    }
                }
                let figures = stock.stock();
                prop_assert_eq!(figures, ledger);
                prop_assert!(figures.on_hand >= 0 && figures.reserved >= 0 && figures.available() >= 0);
                prop_assert!(figures.allotted >= 0);
                prop_assert_eq!(figures.allotted, parts.values().filter(|part| !part.is_closed).map(Allotment::remaining).sum::<i64>());
                for part in parts.values() {
                    let of_sale = |state| -> i64 {
                        let holds = stock.holds.values().filter(|known| known.hold.sale == Some(part.sale));
                        holds.filter(|known| known.hold.state == state).map(|known| known.hold.quantity.get()).sum()
                    };
                    prop_assert_eq!((part.held, part.sold), (of_sale(ReservationState::Held), of_sale(ReservationState::Committed)));
                    prop_assert_eq!(part.expired, of_sale(ReservationState::Expired));
                    prop_assert!(part.returned >= 0 && part.remaining() >= 0 && (part.remaining() == 0 || !part.is_closed));
                }
                let held: i64 = stock
                    .holds
                    .values()
                    .filter(|known| known.hold.state == ReservationState::Held)
                    .map(|known| known.hold.quantity.get())
                    .sum();
                prop_assert_eq!(held, figures.reserved);
            }
        }
    }
}
